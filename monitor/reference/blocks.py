"""Second moments of block counts: how much more counts vary from block to block than independent rows would.

Rows come nearly in the order of their times. Counts of the shortest blocks are kept while rows for them may still come,
then their products are summed and the counts themselves move on to the next longer block. A row that comes
after its block was closed ends it: the data is not in order and nothing can be said.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.profile.layout import Layout
from monitor.reference.reference import BlockMoments

LENGTHS_MS = (300_000, 900_000, 3_600_000, 14_400_000, 86_400_000)
"""Each is a multiple of the one before."""

_ROWS_AT_ONCE = 4096  # rows counted at once: at most one block each, and 1,500 cells of int32 are 24 MB then
_BLOCKS_AT_ONCE = 512  # rows of counts multiplied at once: 6 MB in float64

Float64 = NDArray[np.float64]
Keys = NDArray[np.int64]


@dataclass(eq=False)
class _Products:
    """Sums over blocks of one length."""

    layout: Layout
    nn: list[Float64] = field(init=False)  # [signal] -> [cells, cells]
    n_total: Float64 = field(init=False)  # [cells]
    totals: Float64 = field(init=False)  # [3] blocks, rows, squared rows

    def __post_init__(self) -> None:
        self.nn = [np.zeros((signal.cells, signal.cells)) for signal in self.layout.signals]
        self.n_total, self.totals = np.zeros(self.layout.cells), np.zeros(3)

    def add(self, counts: NDArray[np.int32]) -> None:
        """Add blocks [blocks, cells]. All sums are of whole numbers: exact, in any order."""
        for start in range(0, len(counts), _BLOCKS_AT_ONCE):
            n = counts[start : start + _BLOCKS_AT_ONCE].astype(np.float64)
            rows = n[:, self.layout.span(0)].sum(axis=1)
            for i, products in enumerate(self.nn):
                own = n[:, self.layout.span(i)]
                products += own.T @ own  # noqa: PLW2901 (in place)
            self.n_total += rows @ n
            self.totals += (len(n), rows.sum(), (rows**2).sum())

    def by_signal(self) -> tuple[Float64, ...]:
        return tuple(self.n_total[self.layout.span(i)] for i in range(len(self.layout.signals)))


@dataclass(eq=False)
class _Open:
    """Counts of blocks that are not closed: sorted keys (block x segments + segment) and their rows."""

    keys: Keys
    counts: NDArray[np.int32]  # [keys, cells]

    def add(self, keys: Keys, counts: NDArray[np.int32]) -> None:
        keys, counts = _sum_by_key(np.concatenate([self.keys, keys]), np.concatenate([self.counts, counts]))
        self.keys, self.counts = keys, counts

    def take_before(self, key: int) -> tuple[Keys, NDArray[np.int32]]:
        cut = int(np.searchsorted(self.keys, key))
        taken = self.keys[:cut], self.counts[:cut]
        self.keys, self.counts = self.keys[cut:].copy(), self.counts[cut:].copy()
        return taken


def _sum_by_key(keys: Keys, counts: NDArray[np.int32]) -> tuple[Keys, NDArray[np.int32]]:
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
    return keys[starts], np.add.reduceat(counts[order], starts, axis=0, dtype=np.int32) if len(starts) else counts[:0]


@dataclass(eq=False)
class BlockSums:
    """Blocks of every length, across the whole traffic and within ``segments`` segments.

    Only blocks that lie wholly within [start_ms, end_ms] and hold a row are summed.
    """

    layout: Layout
    segments: int
    start_ms: int
    end_ms: int
    lateness_ms: int
    in_order: bool = True
    newest_ms: int = field(init=False)

    def __post_init__(self) -> None:
        self.newest_ms = self.start_ms
        self.across = [_Products(self.layout) for _ in LENGTHS_MS]
        self.within = [_Products(self.layout) for _ in LENGTHS_MS]
        nothing = np.empty(0, np.int64), np.empty((0, self.layout.cells), np.int32)
        self.open = [_Open(*nothing) for _ in LENGTHS_MS]

    def add(self, time_ms: NDArray[np.int64], segment: NDArray[np.intp], cells: NDArray[np.uint8]) -> None:
        """Add rows in the order of the data: times, segments, and cells [signals, rows] as counted."""
        newest = np.maximum.accumulate(np.concatenate([[self.newest_ms], time_ms]))
        self.in_order = self.in_order and not bool((time_ms < newest[1:] - self.lateness_ms).any())
        if not self.in_order:
            self.open = []
            return
        self.newest_ms = int(newest[-1])
        for start in range(0, len(time_ms), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            keys, group = np.unique(time_ms[part] // LENGTHS_MS[0] * self.segments + segment[part], return_inverse=True)
            counts = np.zeros((len(keys), self.layout.cells), np.int32)
            flat = group.reshape(-1) * self.layout.cells + self.layout.offsets[:-1, None] + cells[:, part]
            np.add.at(counts.reshape(-1), flat.ravel(), np.int32(1))
            self.open[0].add(keys, counts)
            reached = int(newest[min(start + _ROWS_AT_ONCE, len(time_ms))])
            self._close(reached - self.lateness_ms)

    def _close(self, before_ms: int) -> None:
        for level, length in enumerate(LENGTHS_MS):
            keys, counts = self.open[level].take_before(before_ms // length * self.segments)
            if not len(keys):
                continue
            block, segment = np.divmod(keys, self.segments)
            complete = (block * length >= self.start_ms) & ((block + 1) * length <= self.end_ms + 1)
            self.within[level].add(counts[complete])
            self.across[level].add(_sum_by_key(block[complete], counts[complete])[1])
            if level + 1 < len(LENGTHS_MS):
                longer = block // (LENGTHS_MS[level + 1] // length)
                self.open[level + 1].add(*_sum_by_key(longer * self.segments + segment, counts))

    def moments(self) -> BlockMoments | None:
        """The sums, once all rows were added; None when the rows were not in order."""
        if not self.in_order:
            return None
        self._close(self.end_ms + 1 + LENGTHS_MS[-1])
        return BlockMoments(
            lengths_ms=LENGTHS_MS,
            across=tuple(tuple(products.nn) for products in self.across),
            within=tuple(tuple(products.nn) for products in self.within),
            across_totals=np.stack([products.totals for products in self.across]),
            within_totals=np.stack([products.totals for products in self.within]),
            across_n_total=tuple(products.by_signal() for products in self.across),
            within_n_total=tuple(products.by_signal() for products in self.within),
        )
