"""Accuracy without labels in ten scenarios, over many seeds: the error table alone (binned CBPE) and the rectified estimate.

    python -m benchmarks.estimate [--seeds 60]

50,000 predictions a day; labels come after a lognormal delay with a median of 10,000 events; 100,000 validation rows; see
``tests/estimate/world.py``. At event 80,000 one thing changes. Judged are windows of the newest 10,000 and 50,000 predictions at four
times from 40,000 events after the change on, and the newest 10,000 in the hard moments right after it.

"bound" is the mean absolute error of whoever knows what changed and when, and the truth up to one level shared by all predictions, which
must be learnt from the labels since the change (or, where P(wrong | score, segment) did not change, also from the validation rows). In
the hard moments it is at least what two hypotheses "nothing changed" and "it changed" leave to be confused: gap x Phi(-d/2), d their
distance in standard deviations (Le Cam's two-point bound).

Prints two tables; puts them under ``estimate`` in benchmarks/results.json and leaves the rest of it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import defaultdict
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from tests.estimate.world import (
    BOTH,
    CONCEPT,
    CORRELATED_CONCEPT,
    LARGE_CONCEPT,
    MISCALIBRATION,
    SCENARIOS,
    SEGMENTS_OFF,
    Scenario,
    World,
    world,
)  # fmt: skip

RESULTS = Path(__file__).parent / "results.json"
EVENTS, ONSET = 180_000, 80_000
STEADY = (40_000, 60_000, 80_000, 100_000)  # events since the onset
HARD = (1_000, 2_000, 5_000, 8_000, 10_000, 15_000, 20_000, 30_000)
WINDOWS = (10_000, 50_000)
CHANGES_ERRORS = (CONCEPT, LARGE_CONCEPT, BOTH, MISCALIBRATION, CORRELATED_CONCEPT, SEGMENTS_OFF)
HARD_SCENARIOS = (CONCEPT, LARGE_CONCEPT, CORRELATED_CONCEPT, SEGMENTS_OFF)


def bound(stream: World, scenario: Scenario, now: int, window: int) -> float:
    """Least mean absolute error that can be expected of an estimate of the newest ``window`` predictions, in points."""
    recent = slice(now - window, now)
    p, waited = stream.probability[recent], now - np.arange(now - window, now)
    come = stream.arrival[recent] <= now
    # Of those without label: a wrong one that is labelled sooner would have come.
    ahead = [0.5 * np.vectorize(math.erfc)(np.log(waited * factor / 10_000) / math.sqrt(2)) for factor in (scenario.wrong_sooner, 1.0)]
    left = p * ahead[0] / (p * ahead[0] + (1 - p) * ahead[1])
    chance = float((left * (1 - left))[~come].sum())
    changed = scenario in CHANGES_ERRORS
    first = ONSET if changed else 0
    labelled = np.flatnonzero(stream.arrival[:now] <= now)
    q = stream.probability[labelled[labelled >= first]]
    information = float((q * (1 - q)).sum())
    if not changed:
        information += float((stream.probability[:ONSET] * (1 - stream.probability[:ONSET])).mean() * len(stream.validation["label"]))
    steady = math.sqrt(2 / math.pi * (chance + chance**2 / max(information, 1e-9))) / window
    if not changed or now - ONSET > max(HARD):
        return 100 * steady
    # Before the change the same predictions would have been wrong less often, by the gap of the steady state.
    since = np.arange(now - window, now) >= ONSET
    gap_logit = math.log(_odds(stream.probability[ONSET:].mean()) / _odds(stream.probability[:ONSET].mean()))
    gap = float((p * (1 - p))[since & ~come].sum()) * abs(gap_logit) / window
    confused = gap * NormalDist().cdf(-abs(gap_logit) * math.sqrt(information) / 2)
    at_hand = math.sqrt(2 / math.pi * chance) / window  # before enough labels came, their level is no news
    return 100 * max(confused, min(steady, math.hypot(at_hand, gap)))


def _odds(p: float) -> float:
    return p / (1 - p)


def judged(stream: World, scenario: Scenario, stops: list[int], windows: tuple[int, ...]) -> list[dict[str, float]]:
    """One record for each stop and window."""
    records = []
    for now, estimator in stream.play(stops):
        for window in windows:
            found = estimator.estimate(estimator.newest(window))
            truth = 1 - stream.wrong[now - window : now].mean()
            records.append(
                {
                    "since": now - ONSET, "window": window, "truth": 100 * truth, "labelled": found.labelled / found.n,
                    "since_onset": int((stream.arrival[ONSET:now] <= now).sum()),
                    "error": 100 * (found.value - truth), "covered": found.low <= truth <= found.high,
                    "half_width": 50 * (found.high - found.low),
                    "alone": 100 * (found.table_value - truth), "alone_covered": found.table_low <= truth <= found.table_high,
                    "bound": bound(stream, scenario, now, window),
                }
            )  # fmt: skip
    return records


def summary(records: list[dict[str, float]]) -> dict[str, float]:
    """Means over records."""
    column = {name: np.array([record[name] for record in records], float) for name in records[0]}
    return {
        "windows": len(records),
        "accuracy": round(float(column["truth"].mean()), 2),
        "labelled_share": round(float(column["labelled"].mean()), 3),
        "labelled_since_onset": round(float(column["since_onset"].mean())),
        "table_mae": round(float(np.abs(column["alone"]).mean()), 3),
        "table_coverage": round(float(column["alone_covered"].mean()), 3),
        "mae": round(float(np.abs(column["error"]).mean()), 3),
        "bias": round(float(column["error"].mean()), 3),
        "coverage": round(float(column["covered"].mean()), 3),
        "half_width": round(float(column["half_width"].mean()), 3),
        "bound": round(float(column["bound"].mean()), 3),
    }


def measure(seeds: int) -> dict[str, Any]:
    """Both tables."""
    steady: dict[str, dict[str, Any]] = {}
    hard: dict[str, dict[str, Any]] = {}
    for scenario in SCENARIOS:
        records = defaultdict(list)
        for seed in range(seeds):
            stream = world(scenario, seed, EVENTS, ONSET)
            for record in judged(stream, scenario, [ONSET + since for since in STEADY], WINDOWS):
                records[record["window"]].append(record)
            if scenario in HARD_SCENARIOS:
                for record in judged(stream, scenario, [ONSET + since for since in HARD], WINDOWS[:1]):
                    records[f"since {record['since']}"].append(record)
        steady[scenario.name] = {str(window): summary(records[window]) for window in WINDOWS}
        if scenario in HARD_SCENARIOS:
            hard[scenario.name] = {str(since): summary(records[f"since {since}"]) for since in HARD}
        print(f"{scenario.name}: done", file=sys.stderr, flush=True)
    return {"seeds": seeds, "steady": steady, "hard": hard}


def table(found: dict[str, Any]) -> str:
    """The tables as Markdown, in points of accuracy."""
    lines = [
        "| scenario | window | accuracy | table alone: error, coverage | estimate: error, coverage | half width | bound |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, windows in found["steady"].items():
        for window, row in windows.items():
            lines.append(
                f"| {name} | {int(window):,} | {row['accuracy']:.1f} | {row['table_mae']:.2f}, {row['table_coverage']:.0%} "
                f"| **{row['mae']:.2f}, {row['coverage']:.0%}** | {row['half_width']:.2f} | {row['bound']:.2f} |"
            )
    lines += [
        "",
        "| right after | events since | labels since | table alone: error | estimate: error, coverage | half width | bound |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, moments in found["hard"].items():
        for since, row in moments.items():
            lines.append(
                f"| {name} | {int(since):,} | {row['labelled_since_onset']:,} | {row['table_mae']:.2f} "
                f"| {row['mae']:.2f}, {row['coverage']:.0%} | {row['half_width']:.2f} | {row['bound']:.2f} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=60)
    found = measure(parser.parse_args().seeds)
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**results, "estimate": found}, indent=2) + "\n", encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
