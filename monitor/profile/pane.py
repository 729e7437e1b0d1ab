"""Open panes: the counts of one partition, version and stretch of event time while rows still arrive.

Rows are counted per *leaf*, the values of a base grouping's columns. The first ``max_leaves`` leaves of each base grouping
in a partition's pane, in the order of its log, get a row of counts; later ones fold into one leaf of ``__other__`` and are
counted as folded. Nothing here depends on how the log was cut into batches or interleaved with other partitions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from monitor.profile.grouping import Base
from monitor.profile.layout import Layout
from monitor.profile.table import CountTable, empty_table
from monitor.segment import OTHER

Leaf = tuple[int, tuple[str, ...]]
"""Index of the base grouping, and a value for each of its columns."""

_INT32_ROWS = 2**31 - 1
_FIRST_ROWS = 1_024
_Key = TypeVar("_Key", bound=Hashable)


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
            capacity = max(_FIRST_ROWS, 2 * had)
            # Zeros that nobody has touched take no memory yet: the new half costs nothing until it is used.
            counts = np.zeros((capacity, self.layout.cells), self.counts.dtype)
            tails = np.zeros((capacity, *self.tails.shape[1:]), np.int64)
            counts[:had], tails[:had] = self.counts, self.tails
            self.counts, self.tails = counts, tails
            self.free = list(range(capacity - 1, had - 1, -1))
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
        """Memory of the rows that are borrowed."""
        return (len(self.counts) - len(self.free)) * (self.counts.strides[0] + self.tails.strides[0])


@dataclass(eq=False)
class OpenPane:
    """The leaves of one pane and where in the pool their counts stand."""

    pool: Pool
    max_leaves: int
    leaves: dict[Leaf, int] = field(default_factory=dict)
    rows: int = 0
    entered: Counter[int] = field(default_factory=Counter)  # leaves by base grouping
    folded: int = 0  # rows that went to __other__ because the pane had no leaf left

    def enter(self, leaf: Leaf) -> tuple[int, bool]:
        """Pool row of a leaf, given one if there is room, and whether it was folded into ``__other__`` instead."""
        row = self.leaves.get(leaf)
        if row is not None:
            return row, False
        base, values = leaf
        # Each base has a bound of its own: a batch enters all leaves of one base before those of the next.
        if self.entered[base] >= self.max_leaves and set(values) != {OTHER}:
            return self.enter((base, (OTHER,) * len(values)))[0], True
        self.entered[base] += 1
        row = self.leaves[leaf] = self.pool.borrow()
        return row, False

    def count_rows(self, rows: int) -> None:
        """Note that rows are about to be added; counts never overflow."""
        self.rows += rows
        if self.rows > _INT32_ROWS and self.pool.counts.dtype == np.int32:
            self.pool.widen()


def close_panes(layout: Layout, bases: Sequence[Base], panes: Sequence[OpenPane]) -> CountTable:
    """Counts of every segment of every grouping, summed over the partitions' panes. Segments are not capped yet."""
    names: list[str] = []
    counts: list[NDArray[np.int64]] = []
    tails: list[NDArray[np.int64]] = []
    for index, base in enumerate(bases):
        leaves, leaf_counts, leaf_tails = _leaf_sums(layout, index, panes)
        for grouping in base.groupings if leaves else ():
            keys = [grouping.key(leaf) for leaf in leaves]
            if grouping.columns == base.columns:
                distinct, sums = keys, (leaf_counts, leaf_tails)
            else:
                distinct, group = _numbered(keys)
                sums = _group_sums(leaf_counts, group, len(distinct)), _group_sums(leaf_tails, group, len(distinct))
            names += distinct
            counts.append(sums[0])
            tails.append(sums[1])
    if not names:
        return empty_table(layout)
    order = sorted(range(len(names)), key=names.__getitem__)
    return CountTable(layout, tuple(names[i] for i in order), np.concatenate(counts)[order], np.concatenate(tails)[order])


def _leaf_sums(layout: Layout, base: int, panes: Sequence[OpenPane]) -> tuple[list[tuple[str, ...]], NDArray[np.int64], NDArray[np.int64]]:
    """Leaves of one base grouping and their counts, summed over the panes."""
    of_pane = [[(leaf[1], row) for leaf, row in pane.leaves.items() if leaf[0] == base] for pane in panes]
    leaves, places = _numbered([values for rows in of_pane for values, _ in rows])
    counts = np.zeros((len(leaves), layout.cells), np.int64)
    tails = np.zeros((len(leaves), len(layout.signals), 2), np.int64)
    start = 0
    for pane, rows in zip(panes, of_pane, strict=True):
        into = places[start : start + len(rows)]  # distinct within a pane
        start += len(rows)
        from_pool = [row for _, row in rows]
        counts[into] += pane.pool.counts[from_pool]
        tails[into] += pane.pool.tails[from_pool]
    return leaves, counts, tails


def _numbered(keys: list[_Key]) -> tuple[list[_Key], NDArray[np.intp]]:
    """Distinct keys in order of appearance, and the number of each key among them."""
    number: dict[_Key, int] = {}
    numbers = np.fromiter((number.setdefault(key, len(number)) for key in keys), np.intp, len(keys))
    return list(number), numbers


def _group_sums(rows: NDArray[np.int64], group: NDArray[np.intp], groups: int) -> NDArray[np.int64]:
    """Sums of rows by group; each group has at least one row."""
    if groups == 1:
        return np.asarray(rows.sum(axis=0, keepdims=True))
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(groups))
    return np.asarray(np.add.reduceat(rows[order], starts, axis=0))
