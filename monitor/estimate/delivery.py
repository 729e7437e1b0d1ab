"""Labels that are delivered in batches, such as every hour or once a night: when each became known, as far as can be told.

The lag of a label from a batch is only known to lie between two deliveries: after the one before, and not after its own. Taken at face
value, lags would depend on how long before a delivery a prediction was made, and labels of one batch would look alike, the soon and the
late. So each label is spread over the lags that are possible, in proportion to how usual they are, and how usual they are follows from
all labels so spread: the self-consistent estimate for interval-censored data (Turnbull, 1976), with the product-limit estimate of ``lag``
in each round, and apart for right and wrong predictions. Predictions made long and shortly before a delivery part the lags within it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.cohort import ages_ms
from monitor.estimate.counts import LabelledRows, PaneCounts, total
from monitor.estimate.lag import bin_fractions, lag_shares

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

WIDTH = 0.1
"""A delivery lasts for this share of the time since the one before, at most."""

COARSE = 0.05
"""Deliveries matter when they are further apart than this share of the usual lag."""

_MIXED = 0.02
"""Share of everyone's lags mixed into those of right, and of wrong predictions."""

_NOTHING = 1e-3
"""Shares of a label below this are left out."""

_ROUNDS, _SETTLED = 60, 1e-6
"""Rounds at most, of two or three estimates each, and the change of every share from which on more of them change nothing."""


def deliveries(instants_ms: Int64, since_ms: int) -> Int64:
    """[D, 2] first and last instant of each delivery, from sorted times at which labels came. Labels that trickle are one each.

    Before the first one nobody was waiting: there were no predictions before ``since_ms``.
    """
    found: list[list[int]] = []
    end, pause = since_ms, 0
    for instant in instants_ms.tolist():
        if found and instant - found[-1][0] <= WIDTH * pause:
            found[-1][1] = instant
        else:
            pause = max(instant - end, 0)
            found.append([instant, instant])
        end = instant
    return np.array(found, np.int64).reshape(-1, 2)


def typical_pause_ms(instants_ms: Int64) -> int:
    """The pause between sorted times that most moments lie in: half of all time is in pauses as long, or longer. 0 below two times."""
    pauses = np.sort(np.diff(instants_ms))
    return int(pauses[np.searchsorted(np.cumsum(pauses), pauses.sum() / 2)]) if len(pauses) else 0


def spread_over_lags(counts: PaneCounts) -> PaneCounts:
    """The same counts with labels at the lags they can have had, in parts of rows; as they are where labels trickle.

    Labels are then known up to the newest delivery, and not beyond.
    """
    if not _far_apart(counts):
        return counts
    known = deliveries(counts.label_instants_ms, int(counts.start_ms[0]))
    if len(known) < 2:
        return counts  # of one delivery, nothing tells what would have come at which lag
    counts = replace(counts, labels_to_ms=min(counts.labels_to_ms, int(known[-1, 1])))
    rows, seen = counts.labelled, _seen(known, counts)
    pooled = _usual(seen, rows.right + rows.wrong)
    right, wrong = (_shares(seen, weights, pooled)[seen.of_row] for weights in (rows.right, rows.wrong))
    row, lag = np.nonzero(right + wrong)
    spread = LabelledRows(
        rows.pane[row], rows.segment[row], rows.cell[row], rows.predicted[row], (seen.low + lag).astype(np.int64),
        rows.right[row] * right[row, lag], rows.wrong[row] * wrong[row, lag],
    )  # fmt: skip
    return replace(counts, labelled=spread)


def _far_apart(counts: PaneCounts) -> bool:
    """Whether labels pause for long, at most moments, for a usual lag."""
    labels = total(counts.labelled.lag, counts.labelled.right + counts.labelled.wrong, counts.lags)
    middle = int(np.searchsorted(np.cumsum(labels), labels.sum() / 2))
    usual = counts.lag_edges_ms[min(middle, counts.lags - 2)]
    return typical_pause_ms(counts.label_instants_ms) > COARSE * usual


@dataclass(frozen=True, eq=False)
class _Seen:
    """Labelled rows by pane and the lag bin that they were seen in, [N], ordered by pane; the rows are [K].

    Of the lag bins only ``low`` and the next ones, [B] in all: no label can have come after others.
    """

    of_row: Int64  # [K] place among the N
    pane: Int64
    possible: Float64  # [N, B] how much of each lag bin the labels can have come after
    low: int
    edges_ms: Float64  # [B - 1] between these bins
    predicted: Float64  # [T] predictions by pane
    age_ms: Float64  # [T] how long each pane has waited


def _seen(known: Int64, counts: PaneCounts) -> _Seen:
    edges = np.array(counts.lag_edges_ms, np.float64)
    distinct, of_row = np.unique(counts.labelled.pane * counts.lags + counts.labelled.lag, return_inverse=True)
    pane, lag = np.divmod(distinct, counts.lags)
    starts = np.append(counts.start_ms, counts.end_ms).astype(np.float64)
    made = ((starts[1:] + starts[:-1]) / 2)[pane]
    seen_from, seen_to = made + np.append(-np.inf, edges)[lag], made + np.append(edges, np.inf)[lag]
    # Of the deliveries that reach into the bin, the first and the last.
    first, last = np.searchsorted(known[:, 1], seen_from), np.searchsorted(known[:, 0], seen_to) - 1
    after = np.where(first > 0, known[np.maximum(first - 1, 0), 1] - made, -np.inf)
    until = np.minimum(known[np.maximum(last, 0), 1], seen_to) - made
    possible = np.maximum(bin_fractions(until, edges) - bin_fractions(after, edges), 0.0)
    # Where a pane's middle knows of no delivery, and where labels came before their predictions, they stay.
    kept = (first > last) | (lag == 0) | (possible.sum(axis=1) <= 0)
    possible = np.where(kept[:, None], np.eye(counts.lags)[lag], possible)
    reached = np.flatnonzero(possible.any(axis=0))
    low, high = int(reached[0]), min(int(reached[-1]) + 1, counts.lags - 1)
    predicted = total(counts.predictions.pane, counts.predictions.count, counts.panes)
    return _Seen(of_row, pane, possible[:, low : high + 1], low, edges[low:high], predicted, ages_ms(counts)[0])


def _usual(seen: _Seen, weights: Int64 | Float64) -> Float64:
    """[B] how usual lags are of the labels of one kind, ``weights`` [K] of the rows."""
    n = total(seen.of_row, weights, len(seen.pane))
    firsts = np.flatnonzero(np.diff(seen.pane, prepend=-1))
    bins = seen.possible.shape[1]
    come = np.zeros((len(seen.predicted), bins))

    def next_of(usual: Float64) -> Float64:
        come[seen.pane[firsts]] = np.add.reduceat(_spread(seen, usual) * n[:, None], firsts)
        return np.maximum(lag_shares(come[:, None], come, seen.predicted, seen.age_ms, seen.edges_ms)[0, :-1], 0.0)

    return _fixed_point(next_of, np.full(bins, 1.0 / bins))


def _shares(seen: _Seen, weights: Int64 | Float64, pooled: Float64) -> Float64:
    """[N, B] shares of lags of the labels of one kind, ``weights`` [K] of the rows.

    A little of ``pooled`` [B], how usual lags are of all labels, is mixed in: a lag that only one kind has tells nothing of the other.
    """
    shares = _spread(seen, (1 - _MIXED) * _usual(seen, weights) + _MIXED * pooled)
    shares[shares < _NOTHING] = 0.0
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _spread(seen: _Seen, usual: Float64) -> Float64:
    """[N, B] shares of the lags that are possible, in proportion to how ``usual`` [B] they are."""
    shares = seen.possible * np.maximum(usual, 1e-12)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _fixed_point(next_of: Callable[[Float64], Float64], start: Float64) -> Float64:
    """Where ``next_of`` changes nothing: by long steps along its own (SQUAREM; Varadhan and Roland, 2008), as single ones take hundreds."""
    at = start
    for _ in range(_ROUNDS):
        first = next_of(at)
        second = next_of(first)
        step, bend = first - at, second - 2 * first + at
        if np.abs(step).max() < _SETTLED:
            break
        stride = max(float(np.linalg.norm(step)) / max(float(np.linalg.norm(bend)), 1e-300), 1.0)
        ahead = at + 2 * stride * step + stride**2 * bend
        at = next_of(ahead) if (ahead >= 0).all() else second
    return at
