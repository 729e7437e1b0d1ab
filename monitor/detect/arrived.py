"""Labels that have arrived: from ids and classes to counts by the time of the prediction, its leaves, and how late the label was.

A label is evidence of the pane that its partition of the label log is in when it arrives. That pane is judged once both logs, of
predictions and of labels, have passed it; so whether a prediction or its label is read first changes nothing. The first label of
an id counts, repeats and revisions do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.detect.leaves import Leaves
from monitor.detect.outcomes import FINE_MS
from monitor.detect.pending import Pending
from monitor.duplicates import SeenIds

Int64 = NDArray[np.int64]
UInt64 = NDArray[np.uint64]

PANE_MS = 60_000
MOST_COUNTS = 1 << 20
"""Numbers in one table of labels, which is buckets x leaves x lags: a flood of labels of many days is judged in parts."""


@dataclass(eq=False)
class Arrived:
    """Predictions that wait, labels of panes that are open, and what was left over."""

    leaves: Leaves
    lag_edges_ms: Int64
    horizon_ms: int  # a label later than this after its prediction is left out
    seen: SeenIds
    pending: Pending = field(default_factory=lambda: Pending(3))
    combinations: dict[tuple[str, ...], int] = field(default_factory=dict)
    held: Int64 = field(init=False)  # [combinations, levels] leaf
    newest_ms: dict[int, int] = field(default_factory=dict)  # of each partition of the label log
    open: dict[tuple[int, int], list[tuple[UInt64, Int64]]] = field(
        default_factory=dict
    )  # (pane, partition) -> ids, [n, 3] time, class, positive
    closed: int | None = None
    matched: int = 0
    unmatched: int = 0
    repeated: int = 0

    def __post_init__(self) -> None:
        self.held = np.zeros((0, len(self.leaves.levels)), np.int64)

    def predicted(
        self, ids: UInt64, time_ms: Int64, values: Sequence[tuple[str, ...]], columns: Sequence[str], of: Int64, classes: Int64
    ) -> None:
        """Remember predictions: ``of`` [n] indexes ``values``, the distinct values of the segment ``columns``; ``classes`` [n] codes."""
        place = np.array([self._combination(value, columns) for value in values], np.int64)
        self.pending.put(ids, np.stack([time_ms, place[of], classes], axis=1))

    def _combination(self, values: tuple[str, ...], columns: Sequence[str]) -> int:
        if values not in self.combinations:
            self.combinations[values] = len(self.combinations)
            here = self.leaves.holding(dict(zip(columns, values, strict=True)))
            self.held = np.concatenate([self.held, np.array([here], np.int64)])
        return self.combinations[values]

    def labelled(self, partition: int, ids: UInt64, time_ms: Int64, classes: Int64, positive: NDArray[np.bool_]) -> None:
        """Add labels of one partition in the order of its log: ``classes`` [n] codes as of predictions, whether they are positive."""
        if not len(ids):
            return
        newest = np.maximum.accumulate(np.maximum(time_ms, self.newest_ms.get(partition, int(time_ms[0]))))
        self.newest_ms[partition] = int(newest[-1])
        pane = newest // PANE_MS
        if self.closed is not None:
            pane = np.maximum(pane, self.closed)
        cuts = np.flatnonzero(np.concatenate([[True], pane[1:] != pane[:-1]]))
        rows = np.stack([time_ms, classes, positive.astype(np.int64)], axis=1)
        for start, stop in zip(cuts.tolist(), [*cuts[1:].tolist(), len(pane)], strict=True):
            self.open.setdefault((int(pane[start]), partition), []).append((ids[start:stop], rows[start:stop]))

    def close(self, horizon: int) -> Iterator[tuple[int, Int64, Int64]]:
        """Close panes below ``horizon``: number, fine buckets [B] and counts [3, B, leaves, slots], in the order of time."""
        for pane in sorted({pane for pane, _ in self.open if pane < horizon}):
            parts = [part for key in sorted(key for key in self.open if key[0] == pane) for part in self.open.pop(key)]
            ids, rows = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
            counted = self._counts(pane, ids, rows)
            for fine, counts in counted:
                yield pane, fine, counts
        self.closed = horizon if self.closed is None else max(self.closed, horizon)
        self.pending.drop_before(self.closed * PANE_MS - self.horizon_ms)

    def _counts(self, pane: int, ids: UInt64, rows: Int64) -> Iterator[tuple[Int64, Int64]]:
        found, predictions = self.pending.find(ids)
        found &= rows[:, 0] - predictions[:, 0] <= self.horizon_ms
        self.unmatched += int(np.count_nonzero(~found))
        ids, rows, predictions = ids[found], rows[found], predictions[found]
        tick = np.full(len(ids), pane * PANE_MS // FINE_MS, np.int32)
        again = self.seen.repeats(ids, tick, tick, int(tick[0]) if len(tick) else 0)
        self.seen.take_fresh()
        self.repeated += int(np.count_nonzero(again))
        rows, predictions = rows[~again], predictions[~again]
        self.matched += len(rows)
        wrong = (rows[:, 1] != predictions[:, 2]) & (predictions[:, 2] >= 0)
        outcomes = np.stack([np.ones(len(rows), np.bool_), wrong, rows[:, 2].astype(np.bool_)])
        leaf = self.held[predictions[:, 1]]
        return outcome_counts(leaf, len(self.leaves.leaves), self.lag_edges_ms, predictions[:, 0], rows[:, 0], outcomes)


def outcome_counts(
    leaf: Int64, leaves: int, lag_edges_ms: Int64, prediction_ms: Int64, label_ms: Int64, outcomes: NDArray[np.bool_]
) -> Iterator[tuple[Int64, Int64]]:
    """Counts of n labels as ``Watch.labels`` takes them, in parts of bounded size, the oldest predictions first.

    ``leaf`` [n, levels] of the prediction, -1 for none; ``outcomes`` [3, n] labelled, wrong, positive. Yields fine buckets [B] of the
    predictions' times and counts [3, B, leaves, slots].
    """
    slots = len(lag_edges_ms) + 1
    fine, bucket = np.unique(prediction_ms // FINE_MS, return_inverse=True)
    slot = np.searchsorted(lag_edges_ms, label_ms - prediction_ms, side="right")
    at_once = max(1, MOST_COUNTS // (leaves * slots))
    for first in range(0, len(fine), at_once):
        part = fine[first : first + at_once]
        mine = np.flatnonzero((bucket >= first) & (bucket < first + len(part)))
        counts = np.zeros((3, len(part) * leaves * slots), np.int64)
        for column in leaf[mine].T:
            inside = mine[column >= 0]
            flat = ((bucket[inside] - first) * leaves + column[column >= 0]) * slots + slot[inside]
            for kind in range(3):
                counts[kind] += np.bincount(flat[outcomes[kind, inside]], minlength=counts.shape[1])
        yield part, counts.reshape(3, len(part), leaves, slots)
