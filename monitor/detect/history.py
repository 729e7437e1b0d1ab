"""Recent evidence by time, kept as long as an alarm may look back: what the effect of a drift is measured on.

Counts stay apart by leaf and quarter of an hour. Blocks widen with age, so their number grows with the logarithm of time; a block
lists only the cells that are not zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]

FINE_MS = 600_000
WIDENING = 4  # a block is at most a quarter of its age wide
LONGEST_MS = 14 * 86_400_000


@dataclass(frozen=True, eq=False)
class Block:
    """Counts of a stretch of time: ``codes`` (quarter x leaves + leaf) x cells + cell, rising, and ``counts``."""

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

    def add(self, end_ms: int, parts: Sequence[tuple[int, Int64]]) -> None:
        """Add a pane: quarters of an hour and their counts [leaves, cells]."""
        codes, counts = [], []
        for slot, table in parts:
            flat = table.ravel()
            where = np.flatnonzero(flat)
            codes.append(where + slot * self.leaves * self.cells)
            counts.append(flat[where].astype(np.int64))
        new = _summed(end_ms, end_ms, codes, counts)
        start = (end_ms - 1) // FINE_MS * FINE_MS
        if self.blocks and self.blocks[-1].start_ms >= start:
            self.blocks[-1] = _joined(self.blocks[-1], new)
            return
        self.blocks.append(Block(start, end_ms, new.codes, new.counts))
        self.blocks = [block for block in self.blocks if block.end_ms > end_ms - LONGEST_MS]
        place = 0
        while place + 2 < len(self.blocks):
            first, second = self.blocks[place : place + 2]
            if second.end_ms - first.start_ms <= (end_ms - second.end_ms) / WIDENING:
                self.blocks[place : place + 2] = [_joined(first, second)]
            else:
                place += 1

    def since(self, start_ms: float) -> tuple[int, Int64, Int64]:
        """Codes and counts of the blocks that lie mostly after ``start_ms``, the youngest in any case; and when the first begins."""
        kept = [block for block in self.blocks if (block.start_ms + block.end_ms) / 2 >= start_ms] or self.blocks[-1:]
        if not kept:
            return int(start_ms), np.zeros(0, np.int64), np.zeros(0, np.int64)
        return kept[0].start_ms, np.concatenate([block.codes for block in kept]), np.concatenate([block.counts for block in kept])


def _joined(first: Block, second: Block) -> Block:
    return _summed(first.start_ms, second.end_ms, [first.codes, second.codes], [first.counts, second.counts])


def _summed(start_ms: int, end_ms: int, codes: list[Int64], counts: list[Int64]) -> Block:
    every = np.concatenate(codes)
    distinct, place = np.unique(every, return_inverse=True)
    sums = np.bincount(place.reshape(-1), np.concatenate(counts), minlength=len(distinct)).astype(np.int64)
    return Block(start_ms, end_ms, distinct, sums)
