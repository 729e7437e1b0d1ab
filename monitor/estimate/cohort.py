"""Panes as cohorts of predictions: how long they have waited, which labels can have come, and how panes are joined to blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.counts import PaneCounts, total
from monitor.estimate.lag import bin_fractions, lag_shares

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

BLOCK_ROWS, BLOCK_GROWTH = 200.0, 0.08
"""Labelled rows of the newest blocks, and how much further back (as a share) the next of the older ones begins."""


def blocks_of(labelled: Int64, lookback_rows: int) -> tuple[Int64, int]:
    """[T] block of each pane, oldest first, and the number of blocks before the look-back.

    ``labelled`` [T] are labelled rows by pane. Counted from the newest pane on, a block begins every ``BLOCK_ROWS`` labelled rows, and
    further back every time they have grown by ``BLOCK_GROWTH``: where the present began is to be found to a part of how long ago it was.
    """
    newer = (np.cumsum(labelled[::-1])[::-1] - labelled).astype(np.float64)
    turn = BLOCK_ROWS / BLOCK_GROWTH
    back = np.floor(np.where(newer < turn, newer / BLOCK_ROWS, 1 / BLOCK_GROWTH + np.log(np.maximum(newer, turn) / turn) / BLOCK_GROWTH))
    numbers = np.unique(back)[::-1]
    block = np.searchsorted(-numbers, -back)
    return block, int(block[newer < lookback_rows].min())


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
    return _shares(counts, right, reference, None if reference is None else reference[:, :, 0])


def label_share(counts: PaneCounts, reference: Float64 | None) -> float:
    """Share of predictions that will have a label in the end: those that came by those that were due."""
    labelled = _labelled(counts)
    of_reference = None if reference is None else reference.sum(axis=(0, 2))[None]
    lag = _shares(counts, labelled[:, None], reference, of_reference)[0]
    due = float((total(counts.predictions.pane, counts.predictions.count, counts.panes) * (fractions(counts) @ lag[: counts.lags])).sum())
    return min(float(labelled.sum()) / due, 1.0) if due > 0 else 1.0


def _labelled(counts: PaneCounts) -> Float64:
    """[T, L] labels."""
    rows, t, lags = counts.labelled, counts.panes, counts.lags
    return total(rows.pane * lags + rows.lag, rows.right + rows.wrong, t * lags).reshape(t, lags)


def _shares(counts: PaneCounts, come: Float64, reference: Float64 | None, of_reference: Float64 | None) -> Float64:
    labelled, age = _labelled(counts), ages_ms(counts)[0]
    predicted = total(counts.predictions.pane, counts.predictions.count, counts.panes)
    if reference is not None and of_reference is not None:
        come = np.concatenate([come, of_reference[None]])
        labelled = np.concatenate([labelled, reference.sum(axis=(0, 2))[None]])
        predicted, age = np.append(predicted, reference.sum()), np.append(age, np.inf)
    return lag_shares(come, labelled, predicted, age, np.array(counts.lag_edges_ms, np.float64))
