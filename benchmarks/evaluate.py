"""Evaluation of 1,000 segments x 50 signals (34 cells each), all statistics, a short and a long window, on one thread.

    python -m benchmarks.evaluate [--repeat 15]

"ms" are both windows together. A baseline is built once per set of segments and reused.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np

from monitor.config.evaluation import Evaluation
from monitor.evaluate.baseline import Baseline
from monitor.evaluate.evaluate import evaluate, with_onset
from monitor.evaluate.verdict import Verdicts, Window
from monitor.profile.layout import FAULT_CELLS, Layout, SignalBins
from monitor.profile.table import CountTable
from monitor.reference.reference import Reference
from monitor.threads import one_thread

SEGMENTS, SIGNALS, CELLS = 1_000, 50, 34
NUMERIC = 37  # of the signals, as in 15 of 20
HOUR = 3_600_000


def layout_of(signals: int = SIGNALS) -> Layout:
    edges = tuple(np.linspace(-3, 3, CELLS - FAULT_CELLS - 1).tolist())
    categories = tuple(f"c{i}" for i in range(CELLS - FAULT_CELLS - 3))
    numeric = [SignalBins(f"x{i}", "numeric", edges=edges) for i in range(signals * NUMERIC // SIGNALS)]
    categorical = [SignalBins(f"x{i}", "categorical", categories=categories, tail=("rare",)) for i in range(len(numeric), signals)]
    return Layout((*numeric, *categorical))


def table_of(layout: Layout, segments: int, typical_rows: int, rng: np.random.Generator, moved: float = 0.0) -> CountTable:
    """Segments of widely different size; a share ``moved`` of the signals has its cells' shares turned round in every segment."""
    rows = np.maximum(rng.lognormal(np.log(typical_rows), 1.5, segments - 1), 1).astype(np.int64)
    keys = ("ALL", *sorted(f"country={i:04d}" for i in range(segments - 1)))
    counts = np.zeros((segments, layout.cells), np.int64)
    for f, signal in enumerate(layout.signals):
        weight = np.exp(-(np.linspace(-2.5, 2.5, signal.cells - FAULT_CELLS) ** 2) / 2)
        weight[[0, -1]] = 0
        p = np.concatenate([[0.01, 0.002, 0.001], weight / weight.sum() * 0.987])
        if f < moved * len(layout.signals):
            p[FAULT_CELLS + 1 : -1] = np.roll(p[FAULT_CELLS + 1 : -1], 4)
        counts[1:, layout.span(f)] = rng.multinomial(rows, p)
    counts[0] = counts[1:].sum(axis=0)
    return CountTable(layout, keys, counts, np.zeros((segments, len(layout.signals), 2), np.int64))


def reference_of(table: CountTable) -> Reference:
    layout = table.layout
    means = np.full(layout.cells, np.nan)
    for f, signal in enumerate(layout.signals):
        if signal.kind == "numeric":
            ends = np.array(signal.edges)
            means[layout.span(f)][FAULT_CELLS + 1 : -1] = (ends[1:] + ends[:-1]) / 2
    moment = np.array([1.0 if signal.kind == "numeric" else np.nan for signal in layout.signals])
    rows = int(table.rows[0])
    groupings = (("country",),)
    return Reference("m", "1", None, None, rows, None, None, (), groupings, table, means, 0 * moment, moment, None, None, None, "0" * 64)


def milliseconds(work: Callable[[], object], repeat: int) -> dict[str, float]:
    taken = []
    for _ in range(repeat):
        start = time.process_time()
        work()
        taken.append((time.process_time() - start) * 1e3)
    return {"min": round(min(taken), 1), "median": round(statistics.median(taken), 1)}


def measure(repeat: int = 15, segments: int = SEGMENTS, signals: int = SIGNALS) -> dict[str, dict[str, float]]:
    """CPU time of building a baseline, and of evaluating both windows when nothing and when everything has drifted."""
    one_thread()  # as the program does
    rng = np.random.default_rng(0)
    layout, settings = layout_of(signals), Evaluation()
    reference = reference_of(table_of(layout, segments, 3_000, rng))
    windows = (Window("short", 23 * HOUR, 24 * HOUR), Window("long", 0, 24 * HOUR))
    keys = reference.table.segments
    baseline = Baseline.of(reference, keys, settings)

    def both(tables: list[CountTable]) -> list[Verdicts]:
        return [
            with_onset(evaluate(table, window, reference, baseline, settings, model="m", version="1", partial=False), None)
            for table, window in zip(tables, windows, strict=True)
        ]

    results = {"baseline": milliseconds(lambda: Baseline.of(reference, keys, settings), repeat)}
    for name, moved in (("no drift", 0.0), ("all drifted", 1.0)):
        tables = [table_of(layout, segments, rows, rng, moved) for rows in (1_000, 24_000)]
        both(tables)
        results[name] = milliseconds(lambda tables=tables: both(tables), repeat)  # type: ignore[misc]
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=15)
    print(json.dumps(measure(parser.parse_args().repeat), indent=2))
