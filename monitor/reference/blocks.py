"""Second moments of block counts: how much more counts vary from block to block, and from one to the next, than independent rows would.

Rows come nearly in the order of their times. The counts of a block are kept while rows for it may still come; then
their products are summed and the counts are dropped. A row that comes after its block was closed ends it: the
data is not in order and nothing can be said.

Of each length at most about ``MAX_BLOCKS`` blocks are summed, chosen by a hash of their number: a variance over them is
right to 1.4 %, and what this costs does not grow with the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.profile.layout import Layout
from monitor.reference.reference import BlockMoments

LENGTHS_MS = (300_000, 900_000, 3_600_000, 14_400_000, 86_400_000)
MAX_BLOCKS = 10_000

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
    pairs: list[Float64] = field(init=False)  # [signal] -> [cells, cells]
    pair_totals: Float64 = field(init=False)  # [2] pairs, 64 times the rows that they are worth

    def __post_init__(self) -> None:
        self.nn = [np.zeros((signal.cells, signal.cells)) for signal in self.layout.signals]
        self.n_total, self.totals = np.zeros(self.layout.cells), np.zeros(3)
        self.pairs, self.pair_totals = [np.zeros_like(products) for products in self.nn], np.zeros(2)

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

    def add_pairs(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> None:
        """Add blocks [pairs, cells] and the next ones of the same segments."""
        for start in range(0, len(first), _BLOCKS_AT_ONCE):
            part = slice(start, start + _BLOCKS_AT_ONCE)
            n1, n2 = first[part].astype(np.float64), second[part].astype(np.float64)
            rows1, rows2 = (n[:, self.layout.span(0)].sum(axis=1, keepdims=True) for n in (n1, n2))
            differences = np.rint(8.0 * (n1 * rows2 - n2 * rows1) / (rows1 + rows2))
            for i, products in enumerate(self.pairs):
                own = differences[:, self.layout.span(i)]
                products += own.T @ own  # noqa: PLW2901 (in place)
            self.pair_totals += (len(n1), np.rint(64.0 * rows1 * rows2 / (rows1 + rows2)).sum())

    def by_signal(self) -> tuple[Float64, ...]:
        return tuple(self.n_total[self.layout.span(i)] for i in range(len(self.layout.signals)))


@dataclass(eq=False)
class _Blocks:
    """The blocks of one length, each of the whole traffic or of one segment: its key is block x segments + segment.

    Only blocks that lie wholly within [start_ms, end_ms] are counted, and of those the ``share`` whose hash is small.
    """

    layout: Layout
    length_ms: int
    segments: int
    share: float
    start_ms: int
    end_ms: int
    keys: Keys = field(init=False)  # of blocks that are open, sorted
    counts: NDArray[np.int32] = field(init=False)  # [keys, cells]

    def __post_init__(self) -> None:
        self.products = _Products(self.layout)
        self.keys, self.counts = np.empty(0, np.int64), np.empty((0, self.layout.cells), np.int32)

    def add(self, time_ms: NDArray[np.int64], segment: NDArray[np.intp], cells: NDArray[np.uint8]) -> None:
        block = time_ms // self.length_ms
        key = block * self.segments + segment
        complete = (block * self.length_ms >= self.start_ms) & ((block + 1) * self.length_ms <= self.end_ms + 1)
        rows = np.flatnonzero(complete & (self._chosen(key) | self._chosen_pair(key)))
        if len(rows):
            keys = np.union1d(self.keys, key[rows])
            counts = np.zeros((len(keys), self.layout.cells), np.int32)
            counts[np.searchsorted(keys, self.keys)] = self.counts
            place = np.searchsorted(keys, key[rows]) * self.layout.cells
            np.add.at(counts.reshape(-1), (place + self.layout.offsets[:-1, None] + cells[:, rows]).ravel(), np.int32(1))
            self.keys, self.counts = keys, counts

    def _chosen(self, key: Keys) -> NDArray[np.bool_]:
        return hashed(key) < self.share

    def _chosen_pair(self, key: Keys) -> NDArray[np.bool_]:
        """Whether the pair that a block belongs to is: an even block and the next one."""
        block, segment = np.divmod(key, self.segments)
        return hashed(-(block // 2 * self.segments + segment) - 1) < self.share

    def close(self, before_ms: int) -> None:
        """Sum the blocks that end before ``before_ms``, two and two, so that a pair is whole."""
        cut = int(np.searchsorted(self.keys, before_ms // self.length_ms // 2 * 2 * self.segments))
        if cut:
            keys, counts = self.keys[:cut], self.counts[:cut]
            self.products.add(counts[self._chosen(keys)])
            first = np.flatnonzero((keys // self.segments % 2 == 0) & self._chosen_pair(keys))
            second = np.minimum(np.searchsorted(keys, keys[first] + self.segments), cut - 1)
            both = keys[second] == keys[first] + self.segments
            self.products.add_pairs(counts[first[both]], counts[second[both]])
            self.keys, self.counts = self.keys[cut:].copy(), self.counts[cut:].copy()


def hashed(keys: Keys) -> Float64:
    """Numbers between 0 and 1 that look random, the same for the same key (the finaliser of SplitMix64, Steele et al. 2014)."""
    z = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((z ^ (z >> np.uint64(31))) / 2.0**64)


@dataclass(eq=False)
class BlockSums:
    """Blocks of every length, across the whole traffic and within segments that have ``segment_rows`` rows each."""

    layout: Layout
    segment_rows: Sequence[int]
    start_ms: int
    end_ms: int
    lateness_ms: int
    in_order: bool = True
    newest_ms: int = field(init=False)

    def __post_init__(self) -> None:
        self.newest_ms = self.start_ms
        everything = [sum(self.segment_rows)]
        self.across = [self._blocks(length, everything) for length in LENGTHS_MS]
        self.within = [self._blocks(length, self.segment_rows) for length in LENGTHS_MS]

    def _blocks(self, length_ms: int, rows: Sequence[int]) -> _Blocks:
        blocks = (self.end_ms - self.start_ms) // length_ms + 1
        expected = max(1, sum(min(n, blocks) for n in rows))  # a block without rows is none
        return _Blocks(self.layout, length_ms, len(rows), min(1.0, MAX_BLOCKS / expected), self.start_ms, self.end_ms)

    def add(self, time_ms: NDArray[np.int64], segment: NDArray[np.intp], cells: NDArray[np.uint8]) -> None:
        """Add rows in the order of the data: times, numbers of their segments, and cells [signals, rows] as counted."""
        newest = np.maximum.accumulate(np.concatenate([[self.newest_ms], time_ms]))
        self.in_order = self.in_order and not bool((time_ms < newest[1:] - self.lateness_ms).any())
        if not self.in_order:
            self.across, self.within = [], []
            return
        self.newest_ms = int(newest[-1])
        nowhere = np.zeros(len(time_ms), np.intp)
        for start in range(0, len(time_ms), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            for several, numbers in ((self.across, nowhere), (self.within, segment)):
                for blocks in several:
                    blocks.add(time_ms[part], numbers[part], cells[:, part])
                    blocks.close(int(newest[min(start + _ROWS_AT_ONCE, len(time_ms))]) - self.lateness_ms)

    def moments(self) -> BlockMoments | None:
        """The sums, once all rows were added; None when the rows were not in order."""
        if not self.in_order:
            return None
        for blocks in (*self.across, *self.within):
            blocks.close(self.end_ms + 1 + 2 * blocks.length_ms)
        across, within = ([blocks.products for blocks in several] for several in (self.across, self.within))
        return BlockMoments(
            lengths_ms=LENGTHS_MS,
            across=tuple(tuple(products.nn) for products in across),
            within=tuple(tuple(products.nn) for products in within),
            across_totals=np.stack([products.totals for products in across]),
            within_totals=np.stack([products.totals for products in within]),
            across_n_total=tuple(products.by_signal() for products in across),
            within_n_total=tuple(products.by_signal() for products in within),
            across_pairs=tuple(tuple(products.pairs) for products in across),
            within_pairs=tuple(tuple(products.pairs) for products in within),
            across_pair_totals=np.stack([products.pair_totals for products in across]),
            within_pair_totals=np.stack([products.pair_totals for products in within]),
        )
