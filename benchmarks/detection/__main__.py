"""``python -m benchmarks.detection``: delays and false alarms of the detectors, of river's and of PSI; every figure of docs/detection.md.

Each run is one line of ``benchmarks/.cache/detection.jsonl``; what is there is not done again, so the bench can be stopped, resumed and
run in parts:

    python -m benchmarks.detection --seeds 5                     # everything for five references: about ten minutes
    nice -n 15 python -m benchmarks.detection --part null --seeds 20
    python -m benchmarks.detection --scenario tail --seeds 40
    python -m benchmarks.detection --part table                  # the tables of docs/detection.md from what is there
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.detection import cost, delay, null, oracle, peer, table
from benchmarks.detection.arrange import arranged
from benchmarks.detection.scenario import NULLS, SCENARIOS

RESULTS = Path(__file__).parents[1] / ".cache" / "detection.jsonl"
PARTS = ("cost", "bound", "delay", "null", "peer", "table")

Row = dict[str, Any]
Task = tuple[Row, Callable[[], list[Row]]]


def main() -> None:
    options = parsed()
    done = [json.loads(line) for line in options.results.read_text(encoding="utf-8").splitlines()] if options.results.exists() else []
    parts = [options.part] if options.part else list(PARTS)
    tasks = [task for part in parts if part != "table" for task in _TASKS[part](options)]
    left = [task for task in tasks if not any(task[0].items() <= row.items() for row in done)]
    started = time.monotonic()
    for place, (what, run) in enumerate(left):
        passed = time.monotonic() - started
        remaining = f", about {passed / place * (len(left) - place) / 60:.0f} min left" if place else ""
        print(f"[{place + 1}/{len(left)}] {' '.join(str(value) for value in what.values())}{remaining}", file=sys.stderr, flush=True)
        rows = run()
        with options.results.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        done += rows
    if "table" in parts:
        table.write(done)
        print(table.tables(table.summary(done)))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detection", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="references, each with streams of its own (default 5)")
    parser.add_argument("--scenario", choices=[*(s.name for s in SCENARIOS), *NULLS], help="only this one")
    parser.add_argument("--part", choices=PARTS, help="only this part")
    parser.add_argument("--events", type=int, default=5_000_000, help="events of a null for each reference (default 5,000,000)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the runs are kept, one line each")
    return parser.parse_args()


def _delays(options: argparse.Namespace) -> Iterator[Task]:
    held: dict[int, Any] = {}
    for seed in range(1, options.seeds + 1):
        for scenario in SCENARIOS:
            if options.scenario in (None, scenario.name):
                yield {"part": "delay", "scenario": scenario.name, "seed": seed}, lambda s=scenario, n=seed: _delay(s, n, held)  # type: ignore[misc]


def _delay(scenario: Any, seed: int, held: dict[int, Any]) -> list[Row]:
    if seed not in held:
        held.clear()
        held[seed] = arranged(seed)
    return [delay.measure(scenario, number, seed, *held[seed]) for number in range(len(scenario.features))]


def _nulls(options: argparse.Namespace) -> Iterator[Task]:
    for seed in range(1, options.seeds + 1):
        for name in NULLS:
            if options.scenario in (None, name):
                what = {"part": "null", "null": name, "seed": seed}
                yield what, lambda n=name, s=seed: [null.measure(n, s, options.events)]  # type: ignore[misc]


def _peers(options: argparse.Namespace) -> Iterator[Task]:
    for seed in range(1, min(options.seeds, peer.MOST_SEEDS) + 1):
        for detector in peer.DETECTORS:
            for name in peer.STREAMS:
                if options.scenario in (None, name):
                    what = {"part": "peer", "detector": detector, "stream": name, "seed": seed}
                    yield what, lambda d=detector, n=name, s=seed: [peer.measure(d, n, s)]  # type: ignore[misc]


def _bounds(options: argparse.Namespace) -> Iterator[Task]:
    for scenario in SCENARIOS:
        if options.scenario in (None, scenario.name):
            yield {"part": "bound", "scenario": scenario.name}, lambda s=scenario: oracle.measure(s)  # type: ignore[misc]


def _costs(options: argparse.Namespace) -> Iterator[Task]:
    if options.scenario is None:
        yield {"part": "cost"}, lambda: [{"part": "cost", **cost.measure()}]


_TASKS: dict[str, Callable[[argparse.Namespace], Iterator[Task]]] = {
    "cost": _costs, "bound": _bounds, "delay": _delays, "null": _nulls, "peer": _peers,
}  # fmt: skip

if __name__ == "__main__":
    main()
