"""Open panes: the counts of one partition, version and stretch of event time while rows still arrive.

Rows are counted per *leaf*, the values of a base grouping's columns. The first ``max_leaves`` leaves of each base grouping
in a partition's pane, in the order of its log, get a row of counts; later ones fold into one leaf of ``__other__`` and are
counted as folded. Nothing here depends on how the log was cut into batches or interleaved with other partitions.

Rows wait as cells, a byte a signal, until they take as much memory as their counts would. So counting costs per row, whatever
the number of leaves: a pane of a thousand segments with few rows in each never has rows of counts before it closes.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Int64
from monitor.profile.cells import Cells
from monitor.profile.layout import Layout
from monitor.profile.leaves import Leaves, Numbers, Values
from monitor.profile.order import dense, first_rows
from monitor.profile.table import CountTable, empty_table
from monitor.segment import OTHER

Counts = NDArray[np.int32] | Int64

Leaf = tuple[int, Values]
"""Index of the base grouping, and a value for each of its columns."""

_INT32_ROWS = 2**31 - 1
_FIRST_LEAVES = 16
_FEW_BYTES = 1 << 18  # rows that take no more than this may wait, however few the leaves
_MANY_BYTES = 1 << 22  # and those that take more may not, however many
_FEW_PARTS = 64  # and no more pieces than this: each has a cost of its own
_WIDE = 256  # numbers of a row from which on whole rows are added: to go down each column in turn leaves the cache
_AT_ONCE = 1 << 12  # rows whose cells are added at a time: their places stay in the cache


@dataclass(eq=False)
class OpenPane:
    """Rows of one pane: counted ones by leaf, and those that wait. ``known`` are the leaves of each base grouping, shared by all panes."""

    layout: Layout
    known: Sequence[Leaves]
    max_leaves: int
    rows: int = 0
    folded: int = 0  # rows that went to __other__ because the pane had no leaf left
    places: dict[Leaf, int] = field(default_factory=dict)  # row of counts of each leaf
    entered: Counter[int] = field(default_factory=Counter)  # leaves by base grouping
    waiting: list[tuple[Cells, tuple[Numbers, ...]]] = field(default_factory=list)  # with the leaf of each row, by base grouping
    counts: Counts = field(init=False)  # [at least the leaves, cells]
    tails: Int64 = field(init=False)  # [at least the leaves, signals, 2]

    def __post_init__(self) -> None:
        self.counts = np.zeros((0, self.layout.cells), np.int32)
        self.tails = np.zeros((0, len(self.layout.signals), 2), np.int64)
        self._waiting_bytes = 0

    def add(self, cells: Cells, leaves: Sequence[Numbers]) -> None:
        """Add rows, in log order, with the number of each row's leaf by base grouping."""
        self.count_rows(len(cells))
        self.waiting.append((cells, tuple(leaves)))
        self._waiting_bytes += cells.memory_bytes + sum(numbers.nbytes for numbers in leaves)
        counted = max(map(len, self.known), default=1) * self.layout.cells * self.counts.itemsize
        if self._waiting_bytes > max(_FEW_BYTES, min(counted, _MANY_BYTES)) or len(self.waiting) > _FEW_PARTS:
            self.fold()

    def count_rows(self, rows: int) -> None:
        """Note that rows are about to be added; counts never overflow."""
        self.rows += rows
        if self.rows > _INT32_ROWS and self.counts.dtype == np.int32:
            self.counts = self.counts.astype(np.int64)

    def enter(self, leaf: Leaf) -> tuple[int, bool]:
        """Row of a leaf's counts, given one if there is room, and whether it was folded into ``__other__`` instead."""
        place = self.places.get(leaf)
        if place is not None:
            return place, False
        base, values = leaf
        # Each base has a bound of its own: rows enter all leaves of one base before those of the next.
        if self.entered[base] >= self.max_leaves and set(values) != {OTHER}:
            return self.enter((base, (OTHER,) * len(values)))[0], True
        self.entered[base] += 1
        place = self.places[leaf] = len(self.places)
        if place == len(self.counts):
            more = max(_FIRST_LEAVES, len(self.counts))
            self.counts = np.concatenate([self.counts, np.zeros((more, self.layout.cells), self.counts.dtype)])
            self.tails = np.concatenate([self.tails, np.zeros((more, *self.tails.shape[1:]), np.int64)])
        return place, False

    def fold(self) -> None:
        """Count the rows that wait."""
        waiting, self.waiting, self._waiting_bytes = self.waiting, [], 0
        for base, known in enumerate(self.known if waiting else ()):
            numbers = np.concatenate([leaves[base] for _, leaves in waiting])
            group, distinct = dense(numbers, len(known))
            rows, places = np.bincount(group, minlength=len(distinct)), np.empty(len(distinct), np.intp)
            for index in np.argsort(first_rows(group, len(distinct))).tolist():
                places[index], folded = self.enter((base, known.values[distinct[index]]))
                if folded:
                    self.folded += int(rows[index])
            add_rows(self.layout, self.counts, self.tails, places[group], [cells for cells, _ in waiting])

    def counted(self) -> Iterator[tuple[Leaf, Int64, Int64]]:
        """Each leaf with its counts [cells] and tails [signals, 2]; none wait after this."""
        self.fold()
        for leaf, place in self.places.items():
            yield leaf, self.counts[place].astype(np.int64), self.tails[place]

    def crowded(self, base: int) -> bool:
        """Whether the rows that wait may be of more leaves than have room."""
        known = self.known[base]
        if self.entered[base] + len(known) <= self.max_leaves:  # known ones may have been forgotten since they entered
            return False
        seen = np.zeros(len(known), np.bool_)
        for _, leaves in self.waiting:
            seen[leaves[base]] = True
        return self.entered[base] + int(np.count_nonzero(seen)) > self.max_leaves

    @property
    def memory_bytes(self) -> int:
        """Memory of counts, with what is kept free for more leaves, and of rows that wait."""
        return self.counts.nbytes + self.tails.nbytes + self._waiting_bytes


def add_rows(layout: Layout, counts: Counts, tails: Int64, places: NDArray[np.intp], parts: Sequence[Cells]) -> None:
    """Add rows, given in parts, to counts [n, cells] and tails [n, signals, 2] at ``places`` [rows]."""
    flat, one, first_cells = counts.reshape(-1), counts.dtype.type(1), layout.offsets[:-1, None]
    start = 0
    for part in parts:
        of_part = places[start : start + len(part)]
        start += len(part)
        for low in range(0, len(part), _AT_ONCE):
            # Adding at each cell costs the same whatever the number of leaves; a dense block per leaf would not.
            begin = of_part[low : low + _AT_ONCE] * layout.cells
            np.add.at(flat, ((begin + first_cells) + part.cells[:, low : low + _AT_ONCE]).reshape(-1), one)
        if len(part.tail_logs):
            at = (of_part[part.tail_rows] * len(layout.signals) + part.tail_signals) * 2 + part.tail_sides
            np.add.at(tails.reshape(-1), at, part.tail_logs)


def close_panes(layout: Layout, known: Sequence[Leaves], panes: Sequence[OpenPane]) -> CountTable:
    """Counts of every segment of every grouping, summed over the partitions' panes. Segments are not capped yet."""
    for pane in panes:
        if any(pane.crowded(base) for base in range(len(known))):
            pane.fold()
    names: list[str] = []
    counts: list[Counts] = []
    tails: list[Counts] = []
    for index, leaves in enumerate(known):
        numbers, leaf_counts, leaf_tails = _leaf_sums(layout, index, leaves, panes)
        for number, grouping in enumerate(leaves.base.groupings if len(numbers) else ()):
            of_leaf, keys = leaves.segments(number)
            group, distinct = dense(of_leaf[numbers], len(keys))
            names += [keys[segment] for segment in distinct.tolist()]
            whole = grouping.columns == leaves.base.columns  # then each leaf is a segment, and they have the same order
            counts.append(leaf_counts if whole else _group_sums(leaf_counts, group, len(distinct)))
            tails.append(leaf_tails if whole else _group_sums(leaf_tails, group, len(distinct)))
    if not names:
        return empty_table(layout)
    order = sorted(range(len(names)), key=names.__getitem__)
    return CountTable(layout, tuple(names[i] for i in order), _placed(counts, order), _placed(tails, order))


def _placed(parts: Sequence[Counts], order: Sequence[int]) -> Int64:
    """The rows of all parts, one after the other, in another order."""
    places = np.empty(len(order), np.intp)
    places[order] = np.arange(len(order))
    rows = np.empty((len(order), *parts[0].shape[1:]), np.int64)
    start = 0
    for part in parts:
        rows[places[start : start + len(part)]] = part
        start += len(part)
    return rows


def _leaf_sums(layout: Layout, base: int, leaves: Leaves, panes: Sequence[OpenPane]) -> tuple[NDArray[np.intp], Counts, Int64]:
    """Numbers of the leaves of one base grouping, rising, and their counts, summed over the panes."""
    of_pane = [[(leaves.number(leaf[1]), place) for leaf, place in pane.places.items() if leaf[0] == base] for pane in panes]
    waiting = [(cells, numbers[base]) for pane in panes for cells, numbers in pane.waiting]
    numbers = np.concatenate([np.array([number for pairs in of_pane for number, _ in pairs], np.int32), *(each for _, each in waiting)])
    place_of_row, distinct = dense(numbers, len(leaves))
    # Narrow while they are summed: these are the largest arrays of all.
    few = sum(pane.rows for pane in panes) <= _INT32_ROWS
    counts = np.zeros((len(distinct), layout.cells), np.int32 if few else np.int64)
    tails = np.zeros((len(distinct), len(layout.signals), 2), np.int64)
    start = 0
    for pane, pairs in zip(panes, of_pane, strict=True):
        into = place_of_row[start : start + len(pairs)]  # distinct within a pane
        start += len(pairs)
        places = [place for _, place in pairs]
        counts[into] += pane.counts[places]
        tails[into] += pane.tails[places]
    add_rows(layout, counts, tails, place_of_row[start:], [cells for cells, _ in waiting])
    return distinct, counts, tails


def _group_sums(rows: Counts, group: NDArray[np.intp], groups: int) -> Counts:
    """Sums of rows by group, as wide as these; each group has at least one row."""
    if groups == 1:
        return np.asarray(rows.sum(axis=0, keepdims=True, dtype=rows.dtype))
    order = np.argsort(group, kind="stable")
    cuts = np.searchsorted(group[order], np.arange(groups + 1))
    if rows[0].size < _WIDE:
        return np.asarray(np.add.reduceat(rows[order], cuts[:-1], axis=0, dtype=rows.dtype))
    sums = np.empty((groups, *rows.shape[1:]), rows.dtype)
    for place, (start, stop) in enumerate(itertools.pairwise(cuts.tolist())):
        np.add.reduce(rows[order[start:stop]], axis=0, dtype=rows.dtype, out=sums[place])
    return sums
