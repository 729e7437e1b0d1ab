"""Small references and windows made from samples or shares, by the definitions of the layout alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.config.evaluation import Evaluation
from monitor.evaluate.evaluate import evaluate
from monitor.evaluate.verdict import Verdicts, Window
from monitor.profile.layout import FAULT_CELLS, Layout, SignalBins
from monitor.profile.table import TAIL_SCALE, CountTable
from monitor.reference.edges import numeric_edges
from monitor.reference.reference import Reference

WINDOW = Window("short", 0, 3_600_000)


def numeric(name: str, edges: Sequence[float], **more: object) -> SignalBins:
    return SignalBins(name, "numeric", edges=tuple(float(edge) for edge in edges), **more)  # type: ignore[arg-type]


def categorical(name: str, categories: Sequence[str], **more: object) -> SignalBins:
    return SignalBins(name, "categorical", categories=tuple(categories), **more)  # type: ignore[arg-type]


def quantile_edges(sample: NDArray[np.float64]) -> tuple[float, ...]:
    """Edges as a reference of this sample has them."""
    distinct = np.unique(sample)
    return numeric_edges(sample, distinct[0], distinct[-1], distinct=distinct if len(distinct) <= 30 else None)


def cells_of(signal: SignalBins, sample: NDArray[np.float64]) -> NDArray[np.intp]:
    """Cell of each value of a numeric signal; NaN is missing, infinities are not finite."""
    cell = FAULT_CELLS + np.searchsorted(np.array(signal.edges), sample, side="right")
    return np.where(np.isnan(sample), 0, np.where(np.isinf(sample), 2, cell))


def count(layout: Layout, segments: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> CountTable:
    """Counts of samples: segment to numeric signal to values."""
    keys = tuple(sorted(segments))
    counts = np.zeros((len(keys), layout.cells), np.int64)
    tails = np.zeros((len(keys), len(layout.signals), 2), np.int64)
    for s, key in enumerate(keys):
        for f, signal in enumerate(layout.signals):
            sample = np.asarray(segments[key][signal.name], np.float64)
            cell = cells_of(signal, sample)
            counts[s, layout.span(f)] = np.bincount(cell, minlength=signal.cells)
            for side, end in enumerate((FAULT_CELLS, signal.cells - 1)):
                outside = np.abs(sample[cell == end])
                tails[s, f, side] = np.rint(np.log2(np.where(outside > 0, outside, 1.0)) * TAIL_SCALE).sum()
    return CountTable(layout, keys, counts, tails)


def table_of(layout: Layout, segments: Mapping[str, Sequence[int]]) -> CountTable:
    """Counts given cell by cell."""
    keys = tuple(sorted(segments))
    counts = np.array([segments[key] for key in keys], np.int64).reshape(len(keys), layout.cells)
    return CountTable(layout, keys, counts, np.zeros((len(keys), len(layout.signals), 2), np.int64))


def reference_of(
    table: CountTable,
    *,
    samples: Mapping[str, NDArray[np.float64]] | None = None,
    groupings: Sequence[tuple[str, ...]] = (("country",),),
    fingerprint: str = "a" * 64,
) -> Reference:
    """A reference with these counts; bin means and moments are those of ``samples``, signal by signal."""
    layout = table.layout
    means, stds = np.full(len(layout.signals), np.nan), np.full(len(layout.signals), np.nan)
    bin_means = np.full(layout.cells, np.nan)
    for f, signal in enumerate(layout.signals):
        if samples is not None and signal.name in samples:
            sample = samples[signal.name][np.isfinite(samples[signal.name])]
            means[f], stds[f] = sample.mean(), sample.std()
            cell = cells_of(signal, sample)
            sums = np.bincount(cell, weights=sample, minlength=signal.cells)
            number = np.bincount(cell, minlength=signal.cells)
            bin_means[layout.span(f)] = np.where(number > 0, sums / np.maximum(number, 1), np.nan)
    return Reference(
        "m", "1", None, None, int(table.rows.max(initial=0)), None, None, (), tuple(groupings), table,
        bin_means, means, stds, None, None, None, fingerprint,
    )  # fmt: skip


def judge(table: CountTable, reference: Reference | None, settings: Evaluation | None = None, *, partial: bool = False) -> Verdicts:
    """Evaluate with the defaults of everything that a test does not name."""
    return evaluate(table, WINDOW, reference, None, settings or Evaluation(), model="m", version="1", partial=partial)


def one_signal(edges: Sequence[float], sample: NDArray[np.float64], now: NDArray[np.float64]) -> tuple[CountTable, Reference]:
    """Window and reference of one numeric signal ``x``, ALL only."""
    layout = Layout((numeric("x", edges),))
    reference = reference_of(count(layout, {"ALL": {"x": sample}}), samples={"x": sample})
    return count(layout, {"ALL": {"x": now}}), reference
