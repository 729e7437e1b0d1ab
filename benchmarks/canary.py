"""The canary test over many trials: how often its interval ever excludes the truth, and how many labelled rows a decision takes.

    nice python -m benchmarks.canary [--trials 1000]

Trials are drawn at random and looked at after each pane, by the code that runs live (``strata`` and ``compare``); see
``tests/canary/streams.py``. "Ever wrong" must be at most 5 %. Beside it stands a test that is made for one look, two proportions at 95 %,
asked at the same times. "One look" is how many rows such a test needs when it is looked at once, at the right time, to find the difference
in nine of ten trials: (1.96 + 1.28)² (p₀q₀ / share₀ + p₁q₁ / share₁) / (difference - margin)².

Prints two tables; puts them under ``canary`` in benchmarks/results.json and leaves the rest of it.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from monitor.canary.comparison import CanarySettings, compare
from monitor.canary.losses import PaneLosses, loss_scale
from monitor.canary.strata import strata
from monitor.segment import ALL
from tests.canary.streams import binary, excluded

RESULTS = Path(__file__).parent / "results.json"
SCALE = loss_scale("accuracy", 2, ())
DAY = {"share": (0.02, 0.5), "swing": 0.6}
COVERAGE: dict[str, dict[str, Any]] = {
    "even split, labels at once": {"rates": (0.05, 0.2), "rows": 20},
    "even split, a true loss of 5 points": {"rates": (0.05, 0.2), "rows": 20, "difference": 0.05},
    "share raised from 2 to 50 %, daily cycle": {"rates": (0.05, 0.3), "rows": 20, **DAY},
    "raised share, labels trickle in": {"rates": (0.05, 0.3), "rows": 20, **DAY, "trickle": 0.05},
    "raised share, labels trickle in, a true loss of 5 points": {
        "rates": (0.05, 0.3),
        "rows": 20,
        **DAY,
        "trickle": 0.05,
        "difference": 0.05,
    },
    "twelve sparse segments, labels trickle in": {"rates": (0.02, 0.1, 0.3) * 4, "rows": 1, **DAY, "trickle": 0.05},
    "rare errors, labels trickle in": {"rates": (0.002, 0.01), "rows": 40, **DAY, "trickle": 0.05},
}
POWER = [
    (rate, margin, loss, share)
    for rate in (0.05, 0.2)
    for share in (0.5, 0.1)
    for margin, loss in ((0.01, 0.0), (0.01, 0.03), (0.01, 0.06), (0.01, -0.02))
]


def fixed_rows(rate: float, margin: float, loss: float, share: float) -> float:
    """Rows of both versions that one look needs."""
    spread = rate * (1 - rate) / (1 - share) + (rate + loss) * (1 - rate - loss) / share
    return (1.959964 + 1.281552) ** 2 * spread / (loss - margin) ** 2


def until_decided(rate: float, margin: float, loss: float, share: float, trials: int, looks: int = 120) -> dict[str, Any]:
    """Rows until the first decision, right or wrong, in units of rows of both versions."""
    random = np.random.default_rng(19)
    fixed = fixed_rows(rate, margin, loss, share)
    step = max(math.ceil(fixed / 20), 20)
    settings = CanarySettings(margin, 0.95, 1)
    names = (ALL, *(f"trial={number}" for number in range(trials)))
    places = np.stack([np.arange(trials) + 1, np.zeros(trials, np.intp)])
    sides: tuple[dict[int, PaneLosses], dict[int, PaneLosses]] = ({}, {})
    decided, right = np.full(trials, np.inf), np.zeros(trials, np.bool_)
    for pane in range(looks):
        second = random.binomial(step, share, trials)
        sides[0][pane] = binary(random, step - second, np.full(trials, rate))
        sides[1][pane] = binary(random, second, np.full(trials, rate + loss))
        found = compare(strata(sides, 0, pane + 1, np.arange(trials)), names, places, SCALE, settings)
        worse, passes = found.worse[1:] >= 0.975, found.not_worse[1:] >= 0.975
        new = (worse | passes) & np.isinf(decided)
        decided[new], right[new] = (pane + 1) * step, (worse if loss > margin else passes)[new]
        if np.isfinite(decided).all():
            break
    return {
        "error_rate": rate, "share": share, "margin": margin, "loss": loss, "fixed": round(fixed),
        "median": float(np.median(decided)), "nine_of_ten": float(np.quantile(decided, 0.9, method="higher")),
        "wrong_percent": 100 * float((np.isfinite(decided) & ~right).mean()),
    }  # fmt: skip


def coverage(trials: int) -> list[dict[str, Any]]:
    """How often intervals ever exclude the truth, in 72 looks."""
    found = []
    for name, case in COVERAGE.items():
        chosen = {"difference": 0.0, "panes": 72} | case
        ours = [excluded(seed, trials=200, **chosen) for seed in range(trials // 200)]
        once = [excluded(seed, trials=200, **chosen, once=True) for seed in range(trials // 200)]
        found.append({"case": name, "trials": trials, "ever_wrong_percent": 100 * float(np.mean(ours)),
                      "one_look_test_percent": 100 * float(np.mean(once))})  # fmt: skip
    return found


def _rows(value: float) -> str:
    return "more" if math.isinf(value) else f"{int(value):,}"


def tables(results: dict[str, Any]) -> str:
    """As docs/canary.md has them."""
    lines = ["| trials of two versions, looked at 72 times | ever wrong | a test made for one look |", "| --- | --- | --- |"]
    lines += [
        f"| {each['case']} | {each['ever_wrong_percent']:.1f} % | {each['one_look_test_percent']:.0f} % |" for each in results["coverage"]
    ]
    lines += [
        "",
        "| errors | loss | candidate's share | median | nine of ten | one look | wrong |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {each['error_rate']:.0%} | {100 * each['loss']:+.0f} | {each['share']:.0%} | {_rows(each['median'])} |"
        f" {_rows(each['nine_of_ten'])} | {each['fixed']:,} | {each['wrong_percent']:.1f} % |"
        for each in results["power"]
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000)
    trials = parser.parse_args().trials
    results = {"coverage": coverage(trials), "power": [until_decided(*case, trials=min(trials, 400)) for case in POWER]}
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    # JSON has no infinity: a trial that was not decided within 120 looks is null.
    text = json.dumps(before | {"canary": results}, indent=2).replace("Infinity", "null")
    RESULTS.write_text(text + "\n", encoding="utf-8")
    print(tables(results))


if __name__ == "__main__":
    main()
