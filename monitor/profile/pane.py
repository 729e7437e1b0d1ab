"""Open panes: the counts of one partition, version and stretch of event time while rows still arrive.

Rows are counted per *leaf*, the values of a base grouping's columns. The first ``max_leaves`` leaves of a partition's
pane, in the order of its log, get a row of counts; later ones fold into one leaf of ``__other__`` and are
counted as folded. Nothing here depends on how the log was cut into batches or interleaved with other partitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.profile.grouping import Base
from monitor.profile.layout import Layout
from monitor.profile.table import CountTable
from monitor.segment import OTHER

Leaf = tuple[int, tuple[str, ...]]
"""Index of the base grouping, and a value for each of its columns."""

_INT32_ROWS = 2**31 - 1


@dataclass(eq=False)
class Pool:
    """Rows of counts that open panes borrow: one array, so that a batch is counted by one addition."""

    layout: Layout
    counts: NDArray[np.int32] | NDArray[np.int64] = field(init=False)  # [rows, cells]
    tails: NDArray[np.int64] = field(init=False)  # [rows, signals, 2]
    free: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = np.zeros((0, self.layout.cells), np.int32)
        self.tails = np.zeros((0, len(self.layout.signals), 2), np.int64)

    def borrow(self) -> int:
        """A row of zeros."""
        if not self.free:
            had = len(self.counts)
            more = max(16, had >> 1)
            self.counts = np.concatenate([self.counts, np.zeros((more, self.layout.cells), self.counts.dtype)])
            self.tails = np.concatenate([self.tails, np.zeros((more, *self.tails.shape[1:]), np.int64)])
            self.free = list(range(had + more - 1, had - 1, -1))
        return self.free.pop()

    def give_back(self, rows: list[int]) -> None:
        """Take rows back and clear them."""
        self.counts[rows] = 0
        self.tails[rows] = 0
        self.free += reversed(rows)

    def widen(self) -> None:
        """Count in 64 bits from now on."""
        self.counts = self.counts.astype(np.int64)

    @property
    def memory_bytes(self) -> int:
        """Memory of the counts, borrowed or not."""
        return self.counts.nbytes + self.tails.nbytes


@dataclass(eq=False)
class OpenPane:
    """The leaves of one pane and where in the pool their counts stand."""

    pool: Pool
    max_leaves: int
    leaves: dict[Leaf, int] = field(default_factory=dict)
    rows: int = 0
    folded: int = 0  # rows that went to __other__ because the pane had no leaf left

    def enter(self, leaf: Leaf) -> tuple[int, bool]:
        """Pool row of a leaf, given one if there is room, and whether it was folded into ``__other__`` instead."""
        row = self.leaves.get(leaf)
        if row is not None:
            return row, False
        base, values = leaf
        if len(self.leaves) >= self.max_leaves and set(values) != {OTHER}:
            return self.enter((base, (OTHER,) * len(values)))[0], True
        row = self.leaves[leaf] = self.pool.borrow()
        return row, False

    def count_rows(self, rows: int) -> None:
        """Note that rows are about to be added; counts never overflow."""
        self.rows += rows
        if self.rows > _INT32_ROWS and self.pool.counts.dtype == np.int32:
            self.pool.widen()


def close_panes(layout: Layout, bases: Sequence[Base], panes: Sequence[OpenPane]) -> CountTable:
    """Counts of every segment of every grouping, summed over the partitions' panes. Segments are not capped yet."""
    names: dict[str, int] = {}
    into: list[list[int]] = []  # per pane and leaf: the rows of the segments it belongs to
    for pane in panes:
        for base, values in pane.leaves:
            into.append([names.setdefault(grouping.key(values), len(names)) for grouping in bases[base].groupings])
    order = sorted(names)
    place = np.empty(len(names), np.intp)
    for row, name in enumerate(order):
        place[names[name]] = row
    counts = np.zeros((len(names), layout.cells), np.int64)
    tails = np.zeros((len(names), len(layout.signals), 2), np.int64)
    at = 0
    for pane in panes:
        # Within a leaf the segments are distinct, and so are the leaves' finest segments; coarser ones repeat.
        targets = into[at : at + len(pane.leaves)]
        at += len(pane.leaves)
        leaf_rows = np.repeat(np.fromiter(pane.leaves.values(), np.intp, len(targets)), [len(target) for target in targets])
        segment_rows = place[np.fromiter((row for target in targets for row in target), np.intp, len(leaf_rows))]
        by_segment = np.argsort(segment_rows, kind="stable")
        segment_rows, leaf_rows = segment_rows[by_segment], leaf_rows[by_segment]
        if not len(segment_rows):
            continue
        starts = np.flatnonzero(np.diff(segment_rows, prepend=-1))
        counts[segment_rows[starts]] += np.add.reduceat(pane.pool.counts[leaf_rows], starts, axis=0, dtype=np.int64)
        tails[segment_rows[starts]] += np.add.reduceat(pane.pool.tails[leaf_rows], starts, axis=0)
    return CountTable(layout, tuple(order), counts, tails)
