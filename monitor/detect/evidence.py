"""Evidence panes: short stretches of event time whose rows are judged together, without waiting for what is late.

    partition 0   ─a─b─│─c──d─│─▶        a late row e, of an older pane, is evidence of the pane that its partition
    partition 1   ──f──│───e──│─▶        is in now, and meets the null of the hour of its own time

A row's pane is that of its partition's newest event, itself included; a pane closes when every partition has passed it. Both depend on
the order within partitions only. A partition that was left out as idle and comes back finds its panes closed: its rows go to the
oldest pane that is still open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Batch
from monitor.detect.season import quarter_of
from monitor.profile.bins import Binning
from monitor.profile.cells import Cells
from monitor.profile.count import count
from monitor.profile.grouping import Base
from monitor.profile.leaves import Leaves, Numbers
from monitor.profile.order import dense
from monitor.profile.pane import OpenPane, close_panes
from monitor.profile.table import CountTable

Int64 = NDArray[np.int64]

PANE_MS = 10_000

_KNOWN_LEAVES = 1 << 17
"""Leaves whose numbers are remembered, of each base grouping: values are untrusted, and might never come again."""


def evidence_pane(newest_ms: Int64, closed: int | None) -> Int64:
    """[rows] number of each row's pane, from the newest event of its partition up to and including the row."""
    pane = newest_ms // PANE_MS
    return pane if closed is None else np.maximum(pane, closed)


@dataclass(eq=False)
class EvidencePanes:
    """Counts of panes that are open, by partition, pane and quarter of an hour."""

    binning: Binning
    bases: tuple[Base, ...]
    hours: int  # hour slots of the reference
    max_leaves: int
    closed: int | None = None  # panes below this number are closed
    open: dict[tuple[int, int, int], OpenPane] = field(default_factory=dict)
    known: tuple[Leaves, ...] = field(init=False)  # of each base

    def __post_init__(self) -> None:
        self.known = tuple(map(Leaves, self.bases))

    def add(self, batch: Batch, cells: Cells, rows: NDArray[np.intp], newest_ms: Int64) -> None:
        """Count the chosen ``rows`` of a batch, whose ``cells`` are given; ``newest_ms`` [batch rows]."""
        if not len(rows):
            return
        partition = np.empty(len(batch), np.int64)
        for span in batch.spans:
            partition[span.start : span.stop] = span.partition
        key = np.stack([partition[rows], evidence_pane(newest_ms[rows], self.closed), quarter_of(batch.time_ms[rows], self.hours)], axis=1)
        lowest = key.min(axis=0)
        size = key.max(axis=0) - lowest + 1
        flat = ((key[:, 0] - lowest[0]) * size[1] + key[:, 1] - lowest[1]) * size[2] + key[:, 2] - lowest[2]
        leaves = self._leaves_of(batch, rows)
        pane_of_row, distinct = dense(flat, int(size.prod()))
        panes = []
        for code in distinct.tolist():
            rest, slot = divmod(code, int(size[2]))
            where = (rest // int(size[1]) + int(lowest[0]), rest % int(size[1]) + int(lowest[1]), slot + int(lowest[2]))
            if where not in self.open:
                self.open[where] = OpenPane(self.binning.layout, self.known, self.max_leaves)
            panes.append(self.open[where])
        count(cells, leaves, pane_of_row, panes)

    def close(self, horizon: int) -> Iterator[tuple[int, list[tuple[int, CountTable]]]]:
        """Close the panes below ``horizon``: numbers, and counts by quarter of an hour, in order; empty ones are left out."""
        done = sorted({pane for _, pane, _ in self.open if pane < horizon})
        for pane in done:
            yield pane, self._tables(pane)
        self.closed = horizon if self.closed is None else max(self.closed, horizon)

    def _tables(self, pane: int) -> list[tuple[int, CountTable]]:
        tables = []
        for slot in sorted({slot for _, number, slot in self.open if number == pane}):
            keys = sorted(key for key in self.open if key[1] == pane and key[2] == slot)
            opened = [self.open.pop(key) for key in keys]
            tables.append((slot, close_panes(self.binning.layout, self.known, opened)))
        return tables

    def _leaves_of(self, batch: Batch, rows: NDArray[np.intp]) -> list[Numbers]:
        """[bases][rows] number of each row's leaf."""
        if any(len(leaves) > _KNOWN_LEAVES for leaves in self.known):
            for pane in self.open.values():
                pane.fold()  # what is counted goes by values
            for leaves in self.known:
                leaves.clear()
        return [leaves.numbers(batch.segments[rows], batch.segment_values) for leaves in self.known]


def horizon_pane(newest_ms: dict[int, int], partitions: Sequence[int]) -> int | None:
    """Panes below this number can close: every one of the partitions is past them. None while one has sent nothing."""
    if not partitions or any(partition not in newest_ms for partition in partitions):
        return None
    return min(newest_ms[partition] for partition in partitions) // PANE_MS
