"""``python -m benchmarks``: every figure of benchmarks/results.json, on the broker of the tests, or those of the parts that are named.

Machines differ and are shared: read ratios before rates. All takes about half an hour, the memory test half of it, ten minutes its load;
``BENCH_LOAD_SECONDS`` shortens it. ``python -m benchmarks large`` takes about five, and 5 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import evaluate, expose, ingest, join, memory
from tests.broker import start_broker

RESULTS = Path(__file__).parent / "results.json"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}, or large; none: all but large")
    parts = parser.parse_args().parts
    if unknown := {*parts} - {*PARTS, "large"}:
        parser.error(f"expected some of {', '.join(PARTS)}, or large, got {', '.join(sorted(unknown))}")
    if "large" in parts:
        say("join: labels of 50,000,000 predictions")
        large = join.measure(50_000_000)
        write({"large": large})
        print(aligned([("at 50,000,000 pending predictions", "measured", "wanted"), *join_rows(large, "100,000")]))
        return
    for part in parts or PARTS:
        write(PARTS[part]())
    write({"machine": MACHINE})
    print(table(json.loads(RESULTS.read_text(encoding="utf-8"))))


def write(figures: dict[str, Any], path: Path = RESULTS) -> None:
    """Put figures beside those that other benches have in the file."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(before | figures, indent=2) + "\n", encoding="utf-8")


def _evaluation() -> dict[str, Any]:
    say("evaluation: 1,000 segments x 50 signals, all statistics, both windows")
    evaluation = evaluate.measure()
    return {"evaluate_ms": evaluation["no drift"]["median"], "evaluate_all_drifted_ms": evaluation["all drifted"]["median"]}


def _scrape() -> dict[str, Any]:
    say("scrape: 100,000 series")
    return {name: round(value, 1) for name, value in expose.measure(1_000, 50, 100_000).items()}


def _ingest() -> dict[str, Any]:
    with start_broker() as broker:
        say(f"ingest, on {broker.name}")
        return {**ingest.measure(broker.bootstrap), "broker": broker.name}


def _join() -> dict[str, Any]:
    say("join: labels of 10,000,000 predictions")
    return join.measure(10_000_000)


def _memory() -> dict[str, Any]:
    seconds = float(os.environ.get("BENCH_LOAD_SECONDS", "600"))
    say(f"memory: 1,000 segments x 50 signals, a full day, then {seconds:.0f} s of load")
    return memory.measure(seconds)


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "evaluation": _evaluation, "scrape": _scrape, "ingest": _ingest, "join": _join, "memory": _memory,
}  # fmt: skip
MACHINE = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}


def join_rows(figures: dict[str, Any], rate_wanted: str) -> list[tuple[str, str, str]]:
    return [
        ("joins per CPU second, commits included", f"{figures['joins_per_cpu_second']:,}", rate_wanted),
        ("bytes of a pending prediction on disk", f"{figures['pending_bytes_per_row']:.1f}", "48"),
        ("peak resident memory of the join, MB", f"{figures['join_rss_mb']:.0f}", "500"),
        ("its slowest 10,000 labels, ms of CPU", f"{figures['join_slowest_step_ms']:,}", ""),
    ]


def table(results: dict[str, Any]) -> str:
    """The figures as a person reads them, beside what is wanted."""
    rows = [("", "measured", "wanted")]
    for client, wanted in (("kafka-python", ("0.90", "", "")), ("librdkafka", ("0.70", "300,000", "250,000"))):
        figures = results["ingest"][client]
        rows += [
            (f"{client}: events per CPU second, poll + typed decode", f"{figures['floor_events_per_cpu_second']:,}", ""),
            (f"{client}: events per CPU second, to counts", f"{figures['events_per_cpu_second']:,}", wanted[1]),
            (f"{client}: ratio to poll + typed decode", f"{figures['ratio']:.2f}", wanted[0]),
            (f"{client}: events per CPU second, with duplicates", f"{figures['events_per_cpu_second_dedup']:,}", wanted[2]),
            (f"{client}: events per CPU second, with detection", f"{figures['events_per_cpu_second_detection']:,}", ""),
        ]
    rows += [
        (f"librdkafka: events per CPU second, {segments} segments", f"{rate:,}", "the same")
        for segments, rate in results["segments"].items()
    ]
    ours = 1e6 / results["ingest"]["librdkafka"]["events_per_cpu_second"]
    rows += [
        (f"librdkafka: us per event of {results['event_bytes']} bytes, read and counted", f"{ours:.2f}", ""),
        ("orjson.loads alone: us per event", f"{results['orjson_loads_us']:.2f}", ""),
        ("evaluation, ms", f"{results['evaluate_ms']:.0f}", "250"),
        ("evaluation when everything has drifted, ms", f"{results['evaluate_all_drifted_ms']:.0f}", "250"),
        ("rendering, ms", f"{results['render_ms']:.0f}", ""),
        ("scrape, ms", f"{results['scrape_ms']:.0f}", "250"),
        ("scrape, bytes", f"{results['scrape_bytes']:,}", ""),
        ("resident memory, 97,000 streams watched, MB", f"{results['rss_mb']:.0f}", ""),
        ("its growth under load, MB", f"{results['rss_growth_mb']:.1f}", "0"),
        ("growth of what is allocated, mean of a day, MB", f"{results['allocated_growth_mb']:.1f}", "0"),
    ]
    rows += join_rows(results, "250,000")
    return aligned(rows)


def aligned(rows: list[tuple[str, str, str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows)


if __name__ == "__main__":
    main()
