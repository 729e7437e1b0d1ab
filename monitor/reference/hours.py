"""Counts by hour of the day, or of the week once the data covers two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.profile.grouping import Base
from monitor.profile.layout import Layout
from monitor.reference.leaves import Admitted, Leaf
from monitor.reference.reference import HourSlots
from monitor.reference.sample import FrequentValues
from monitor.segment import ALL, segment_key

HOUR_MS = 3_600_000
WEEK_MS = 168 * HOUR_MS
_MONDAY_MS = 4 * 24 * HOUR_MS  # 1970-01-05 was the first Monday of the epoch
ROWS_PER_SLOT = 20
"""A segment with fewer rows a slot says nothing about its hours that the whole traffic does not say better."""

MAX_BYTES = 64 << 20
"""The largest segments get counts by the hour while they fit into this."""


def slot_of(time_ms: NDArray[np.int64], slots: int) -> NDArray[np.int64]:
    """Slot of each time: hour of the UTC day for 24, hours since Monday 00:00 UTC for 168.

    >>> slot_of(np.array([0, 4 * 86_400_000, 4 * 86_400_000 - 1]), 168).tolist()  # 1970 began on a Thursday
    [72, 0, 167]
    """
    return (time_ms - _MONDAY_MS) // HOUR_MS % slots


@dataclass(eq=False)
class HourCounts:
    """Counts [segments, slots, cells] while they grow."""

    layout: Layout
    slots: int
    chosen: dict[tuple[int, Leaf], int]  # base and leaf -> row
    groups: Sequence[Base]
    counts: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros((len(self.chosen), self.slots, self.layout.cells), np.int32)

    def add(
        self, index: int, leaves: Sequence[Leaf], group: NDArray[np.intp], time_ms: NDArray[np.int64], cells: NDArray[np.uint8]
    ) -> None:
        """Add rows: their leaves of base ``index`` (``leaves[group]``), times, and cells [signals, rows] as counted."""
        segment = np.array([self.chosen.get((index, leaf), -1) for leaf in leaves], np.intp)[group]
        rows = np.flatnonzero(segment >= 0)
        if len(rows):
            line = (segment[rows] * self.slots + slot_of(time_ms[rows], self.slots)) * self.layout.cells
            flat = line + self.layout.offsets[:-1, None] + cells[:, rows]
            np.add.at(self.counts.reshape(-1), flat.ravel(), np.int32(1))

    def slots_by_segment(self) -> HourSlots:
        """The counts, segments in the order of their keys, ALL first."""
        keys = {segment_key(self.groups[index].columns, leaf): row for (index, leaf), row in self.chosen.items()}
        names = (ALL, *sorted(keys.keys() - {ALL}))
        return HourSlots(self.slots, names, self.counts[[keys[name] for name in names]].astype(np.int64))


def hour_counts(
    layout: Layout, span_ms: int, seen: Sequence[FrequentValues[Leaf]], admitted: Admitted, groups: Sequence[Base]
) -> HourCounts:
    """Empty counts for ALL and the largest admitted segments with enough rows."""
    slots = 168 if span_ms >= 2 * WEEK_MS else 24
    room = max(0, MAX_BYTES // (slots * layout.cells * 4) - 1)
    ranked = sorted(
        (-rows, index, leaf)
        for index, leaves in enumerate(admitted.leaves)
        for leaf in leaves
        if (rows := seen[index].counts[leaf]) >= ROWS_PER_SLOT * slots
    )[:room]
    return HourCounts(layout, slots, {(0, ()): 0} | {(index, leaf): row for row, (_, index, leaf) in enumerate(ranked, 1)}, groups)
