"""Recent evidence by time, kept as long as an alarm may look back: what the start and the size of a drift are measured on.

Counts stay apart by leaf and, within a day, by quarter of an hour. Blocks widen with age, so their number grows with the logarithm of
time; a block lists only the cells that are not zero, and the oldest blocks go when all together have too many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]

FINE_MS = 60_000
WIDENING = 4  # a block is at most a quarter of its age wide
LONGEST_MS = 28 * 86_400_000
MAX_ENTRIES = 2_000_000  # 32 MB
_DAY_MS = 86_400_000


@dataclass(frozen=True, eq=False)
class Block:
    """Counts of a stretch of time: ``codes`` (quarter x leaves + leaf) x cells + cell, rising, and ``counts``.

    Quarters begin with 1; 0 stands for a whole day or more.
    """

    start_ms: int
    end_ms: int
    codes: Int64
    counts: Int64


@dataclass(eq=False)
class History:
    """Blocks, oldest first; the last one is still being filled."""

    leaves: int
    cells: int
    blocks: list[Block] = field(default_factory=list)

    def add(self, start_ms: int, end_ms: int, parts: Sequence[tuple[int, Int64]]) -> None:
        """Add the pane [start, end): quarters of an hour and their counts [leaves, cells]. Shorter ones than a minute share a block."""
        codes, counts = [], []
        for quarter, table in parts:
            flat = table.ravel()
            where = np.flatnonzero(flat)
            codes.append(where + (quarter + 1) * self.leaves * self.cells)
            counts.append(flat[where].astype(np.int64))
        start = start_ms // FINE_MS * FINE_MS
        if self.blocks and self.blocks[-1].start_ms >= start:
            last = self.blocks[-1]
            self.blocks[-1] = _summed(last.start_ms, end_ms, [last.codes, *codes], [last.counts, *counts])
            return
        self.blocks.append(_summed(start, end_ms, codes, counts))
        self._widen(end_ms)

    def _widen(self, now_ms: int) -> None:
        place = 0
        while place + 2 < len(self.blocks):
            first, second = self.blocks[place : place + 2]
            if second.end_ms - first.start_ms <= (now_ms - second.end_ms) / WIDENING:
                codes = [first.codes, second.codes]
                if second.end_ms - first.start_ms >= _DAY_MS:
                    codes = [code % (self.leaves * self.cells) for code in codes]
                self.blocks[place : place + 2] = [_summed(first.start_ms, second.end_ms, codes, [first.counts, second.counts])]
            else:
                place += 1
        entries = np.cumsum([len(block.codes) for block in reversed(self.blocks)])[::-1]
        kept = [block.end_ms > now_ms - LONGEST_MS and n <= MAX_ENTRIES for block, n in zip(self.blocks, entries.tolist(), strict=True)]
        kept[-1] = True
        self.blocks = [block for block, keep in zip(self.blocks, kept, strict=True) if keep]

    def of(self, members: NDArray[np.intp], first: int, stop: int) -> Iterator[tuple[Block, tuple[Int64, Int64, Int64, Int64]]]:
        """Each block with what it has of some leaves and the cells first:stop: leaves, quarters (-1: any), cells from 0, counts."""
        for block in self.blocks:
            place, cell = np.divmod(block.codes, self.cells)
            quarter, leaf = np.divmod(place, self.leaves)
            mine = (cell >= first) & (cell < stop) & np.isin(leaf, members)
            yield block, (leaf[mine], quarter[mine] - 1, cell[mine] - first, block.counts[mine])


def _summed(start_ms: int, end_ms: int, codes: list[Int64], counts: list[Int64]) -> Block:
    joined = np.concatenate(codes)
    order = np.argsort(joined, kind="stable")  # parts are in order already, and such runs are merged in linear time
    ordered = joined[order]
    first = np.flatnonzero(np.concatenate([np.ones(min(1, len(ordered)), np.bool_), ordered[1:] != ordered[:-1]]))
    sums = np.add.reduceat(np.concatenate(counts)[order], first) if len(first) else np.zeros(0, np.int64)
    return Block(start_ms, end_ms, ordered[first], sums)
