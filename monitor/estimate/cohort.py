"""Panes as cohorts of predictions: how long they have waited, which labels can have come, and how panes are joined to blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.counts import PaneCounts, total
from monitor.estimate.lag import bin_fractions, lag_shares

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


def blocks_of(labelled: Int64, lookback_rows: int, blocks: int) -> tuple[Int64, int]:
    """[T] block of each pane, oldest first, and the number of blocks before the look-back.

    ``labelled`` [T] are labelled rows by pane. The newest panes with ``lookback_rows`` are cut into at most ``blocks`` of nearly equal
    rows, and as many are made of the panes before. Panes without labels join their neighbours.
    """
    newer = np.cumsum(labelled[::-1])[::-1] - labelled
    inside = newer < lookback_rows
    width = max(1.0, float(labelled[inside].sum()) / blocks)
    back = (newer / width).astype(np.int64)
    if not inside.all():
        first = int(np.flatnonzero(inside)[0])
        older = newer[:first] - newer[first - 1]
        width = max(1.0, float(labelled[:first].sum()) / blocks)
        back[:first] = back[first] + 1 + (older / width).astype(np.int64)
    numbers = np.unique(back)[::-1]
    block = np.searchsorted(-numbers, -back)
    return block, int(block[inside].min())


def ages_ms(counts: PaneCounts) -> tuple[Float64, Float64]:
    """[T] how long the youngest and the middle prediction of each pane has waited for its label."""
    edges = np.append(counts.start_ms, counts.end_ms).astype(np.float64)
    youngest = np.maximum(counts.labels_to_ms - edges[1:], 0.0)
    return youngest, np.maximum(counts.labels_to_ms - (edges[1:] + edges[:-1]) / 2, 0.0)


def fractions(counts: PaneCounts) -> Float64:
    """[T, L] how much of each lag bin each pane has been through."""
    return bin_fractions(ages_ms(counts)[1], np.array(counts.lag_edges_ms, np.float64))


def right_lags(counts: PaneCounts, stratum: Int64, strata: int, reference: Float64 | None) -> Float64:
    """[J, L + 1] shares of lags in the end among right predictions; ``stratum`` [K] of the labelled rows.

    ``reference`` [J, L, 2] labelled rows, right and wrong, whose labels have all come: one more pane, infinitely old.
    """
    rows, t, lags = counts.labelled, counts.panes, counts.lags
    right = total((rows.pane * strata + stratum) * lags + rows.lag, rows.right, t * strata * lags).reshape(t, strata, lags)
    labelled, predicted, age = _cohorts(counts)
    if reference is not None:
        right = np.concatenate([right, reference[None, :, :, 0]])
        labelled = np.concatenate([labelled, reference.sum(axis=(0, 2))[None]])
        predicted, age = np.append(predicted, reference.sum()), np.append(age, np.inf)
    return lag_shares(right, labelled, predicted, age, np.array(counts.lag_edges_ms, np.float64))


def label_share(counts: PaneCounts) -> float:
    """Share of predictions that will have a label in the end: those that came by those that were due."""
    labelled, predicted, age = _cohorts(counts)
    lag = lag_shares(labelled[:, None], labelled, predicted, age, np.array(counts.lag_edges_ms, np.float64))[0]
    due = float((predicted * (fractions(counts) @ lag[: counts.lags])).sum())
    return min(float(labelled.sum()) / due, 1.0) if due > 0 else 1.0


def _cohorts(counts: PaneCounts) -> tuple[Float64, Float64, Float64]:
    """Labels [T, L], predictions [T] and ages [T] of the youngest ones."""
    rows, t, lags = counts.labelled, counts.panes, counts.lags
    labelled = total(rows.pane * lags + rows.lag, rows.right + rows.wrong, t * lags).reshape(t, lags)
    return labelled, total(counts.predictions.pane, counts.predictions.count, t), ages_ms(counts)[0]
