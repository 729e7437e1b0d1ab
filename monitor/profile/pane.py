"""An open pane: the counts of one partition, version and stretch of event time while rows still arrive.

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
class OpenPane:
    """Counts per leaf; grows as leaves appear."""

    layout: Layout
    max_leaves: int
    leaves: dict[Leaf, int] = field(default_factory=dict)
    counts: NDArray[np.int32] | NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int32))
    tails: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0, 2), np.int64))
    rows: int = 0
    folded: int = 0  # rows that went to __other__ because the pane had no leaf left

    def row_of(self, leaf: Leaf) -> tuple[int, bool]:
        """Row of a leaf, given one if there is room, and whether it was folded instead."""
        row = self.leaves.get(leaf)
        if row is not None:
            return row, False
        if len(self.leaves) >= self.max_leaves and OTHER not in leaf[1]:
            return self.row_of((leaf[0], (OTHER,) * len(leaf[1])))[0], True
        row = self.leaves[leaf] = len(self.leaves)
        if row >= len(self.counts):
            self._grow()
        return row, False

    def _grow(self) -> None:
        capacity = max(4, len(self.counts) + (len(self.counts) >> 1))
        counts = np.zeros((capacity, self.layout.cells), self.counts.dtype)
        tails = np.zeros((capacity, len(self.layout.signals), 2), np.int64)
        if len(self.counts):
            counts[: len(self.counts)] = self.counts
            tails[: len(self.tails)] = self.tails
        self.counts, self.tails = counts, tails

    def add(self, rows: NDArray[np.intp], counts: NDArray[np.int64], tails: NDArray[np.int64] | None) -> None:
        """Add counts to distinct rows."""
        if self.rows > _INT32_ROWS and self.counts.dtype == np.int32:
            self.counts = self.counts.astype(np.int64)
        self.counts[rows] += counts.astype(self.counts.dtype, copy=False)
        if tails is not None:
            self.tails[rows] += tails

    @property
    def memory_bytes(self) -> int:
        """Memory of the counts."""
        return self.counts.nbytes + self.tails.nbytes


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
        leaf_rows = np.repeat(np.arange(len(targets)), [len(target) for target in targets])
        segment_rows = place[np.fromiter((row for target in targets for row in target), np.intp, len(leaf_rows))]
        by_segment = np.argsort(segment_rows, kind="stable")
        segment_rows, leaf_rows = segment_rows[by_segment], leaf_rows[by_segment]
        if not len(segment_rows):
            continue
        starts = np.flatnonzero(np.diff(segment_rows, prepend=-1))
        counts[segment_rows[starts]] += np.add.reduceat(pane.counts[leaf_rows], starts, axis=0, dtype=np.int64)
        tails[segment_rows[starts]] += np.add.reduceat(pane.tails[leaf_rows], starts, axis=0)
    return CountTable(layout, tuple(order), counts, tails)
