"""Windows over closed panes: running sums that take a pane in and let one go, exactly.

The short window holds its panes one by one. The long one holds *blocks* (a 24th of it, or a pane where that is longer)
and moves on by whole blocks, so that a day of panes need not be kept. Sums are of whole numbers: what
was added is taken away to the bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field

import numpy as np

from monitor.profile.layout import Layout
from monitor.profile.packed import pack_table, unpack_table
from monitor.profile.table import CountTable, empty_table, merge_tables
from monitor.window import Window

Kept = tuple[int, bytes]
"""First pane number, and a packed table."""


@dataclass(eq=False)
class RunningSum:
    """A sum of tables that tables can also be taken from again. Segments that fall to zero rows disappear."""

    layout: Layout
    total: CountTable = field(init=False)

    def __post_init__(self) -> None:
        self.total = empty_table(self.layout)

    def add(self, table: CountTable) -> None:
        """Add a table."""
        if self.total.segments == table.segments:  # as from pane to pane, mostly
            np.add(self.total.counts, table.counts, out=self.total.counts)
            np.add(self.total.tails, table.tails, out=self.total.tails)
        elif not self.total.segments:
            self.total = CountTable(self.layout, table.segments, table.counts.copy(), table.tails.copy())
        elif self.total.index.keys() >= table.index.keys():
            rows = [self.total.index[segment] for segment in table.segments]
            self.total.counts[rows] += table.counts
            self.total.tails[rows] += table.tails
        else:
            self.total = merge_tables(self.layout, [self.total, table])

    def subtract(self, table: CountTable) -> None:
        """Take away a table that was added before."""
        # Of a pane that was saved in other cells a segment may have no count left, and have disappeared with an earlier one.
        counted = np.flatnonzero(table.counts.any(axis=1))
        rows = [self.total.index[table.segments[row]] for row in counted.tolist()]
        self.total.counts[rows] -= table.counts[counted]
        self.total.tails[rows] -= table.tails[counted]
        left = self.total.counts.any(axis=1)
        if not left.all():
            segments = tuple(self.total.segments[row] for row in np.flatnonzero(left))
            self.total = CountTable(self.layout, segments, self.total.counts[left], self.total.tails[left])

    def copy(self) -> CountTable:
        """The sum as it is now."""
        return CountTable(self.layout, self.total.segments, self.total.counts.copy(), self.total.tails.copy())


@dataclass(eq=False)
class Windows:
    """The short and the long window of one model version. Pane numbers count panes since 1970."""

    layout: Layout
    pane_ms: int
    short_panes: int
    long_panes: int
    panes: deque[Kept] = field(default_factory=deque)  # of the short window, oldest first
    blocks: deque[Kept] = field(default_factory=deque)  # whole blocks of the long window
    block: RunningSum = field(init=False)  # the block that is still being filled
    block_number: int | None = None
    short: RunningSum = field(init=False)
    long: RunningSum = field(init=False)
    end_pane: int = 0  # panes below this number are in

    def __post_init__(self) -> None:
        self.block, self.short, self.long = RunningSum(self.layout), RunningSum(self.layout), RunningSum(self.layout)

    @property
    def block_panes(self) -> int:
        """Panes in a block of the long window."""
        return max(1, -(-self.long_panes // 24))

    def close(self, pane: int, table: CountTable) -> None:
        """Take in the counts of a pane that closed; panes come in rising order, empty ones may be left out."""
        self.move_to(pane + 1)
        self.block_number = pane // self.block_panes
        if table.segments:
            self.panes.append((pane, pack_table(table)))
            self.block.add(table)
            self.short.add(table)
            self.long.add(table)

    @property
    def next_to_leave(self) -> int | None:
        """The first pane at whose end something leaves a window; None when both are empty."""
        starts = [self.blocks[0][0]] if self.blocks else []
        if self.block_number is not None and self.block.total.segments:
            starts.append(self.block_number * self.block_panes)
        leaving = [start + self.long_panes for start in starts]
        if self.panes:
            leaving.append(self.panes[0][0] + self.short_panes)
        return min(leaving, default=None)

    def move_to(self, end_pane: int) -> None:
        """Let go what lies before the windows that end at ``end_pane``."""
        self.end_pane = end_pane
        if self.block_number is not None and self.block_number != (end_pane - 1) // self.block_panes:
            self._finish_block()
        while self.panes and self.panes[0][0] < end_pane - self.short_panes:
            self.short.subtract(unpack_table(self.panes.popleft()[1], self.layout))
        while self.blocks and self.blocks[0][0] < end_pane - self.long_panes:
            self.long.subtract(unpack_table(self.blocks.popleft()[1], self.layout))

    def _finish_block(self) -> None:
        if self.block_number is not None and self.block.total.segments:
            self.blocks.append((self.block_number * self.block_panes, pack_table(self.block.total)))
        self.block, self.block_number = RunningSum(self.layout), None

    def restore(self, panes: Iterable[Kept], blocks: Iterable[Kept], block: bytes, block_number: int | None, end_pane: int) -> None:
        """Become what was saved; sums are made again from their parts."""
        self.panes, self.blocks = deque(panes), deque(blocks)
        self.block_number, self.end_pane = block_number, end_pane
        self.block.add(unpack_table(block, self.layout))
        for _, packed in self.panes:
            self.short.add(unpack_table(packed, self.layout))
        for _, packed in self.blocks:
            self.long.add(unpack_table(packed, self.layout))
        self.long.add(self.block.total)
        self.move_to(end_pane)  # the windows may have become shorter

    def reblocked(self, parts: Iterable[Kept], end_pane: int) -> tuple[list[Kept], bytes, int | None]:
        """Blocks of another width in the present one, for ``restore``: each goes, whole, to the block that its first pane is in."""
        sums: dict[int, RunningSum] = {}
        for pane, packed in parts:
            sums.setdefault(pane // self.block_panes, RunningSum(self.layout)).add(unpack_table(packed, self.layout))
        number = (end_pane - 1) // self.block_panes
        filling = sums.pop(number, None)
        blocks = [(block * self.block_panes, pack_table(block_sum.total)) for block, block_sum in sorted(sums.items())]
        return blocks, pack_table(filling.total if filling else empty_table(self.layout)), number if filling else None

    def views(self) -> list[tuple[Window, CountTable]]:
        """Both windows and their counts, copied: verdicts outlive the sums they were made from."""
        end = self.end_pane * self.pane_ms
        first_block = -(-(self.end_pane - self.long_panes) // self.block_panes) * self.block_panes
        return [
            (Window("short", end - self.short_panes * self.pane_ms, end), self.short.copy()),
            (Window("long", first_block * self.pane_ms, end), self.long.copy()),
        ]

    @property
    def memory_bytes(self) -> int:
        """Memory of packed panes and blocks and of the running sums."""
        sums = sum(part.total.counts.nbytes + part.total.tails.nbytes for part in (self.block, self.short, self.long))
        return sums + sum(len(packed) for _, packed in (*self.panes, *self.blocks))


def cap_segments(
    table: CountTable, admitted: Set[str], room: int, other_of: Callable[[str], str]
) -> tuple[CountTable, tuple[str, ...], int]:
    """Fold what does not fit under the cap.

    ``admitted`` keep their place; others enter in order of (rows, key), the largest first, while there is ``room``.
    ``other_of`` names for each segment not admitted the ``__other__`` segment of its grouping. Returns the
    table, the segments that entered, and how many rows were folded (per grouping they belong to).
    """
    strangers = [segment for segment in table.segments if segment not in admitted]
    if not strangers:
        return table, (), 0
    rows = table.rows
    strangers.sort(key=lambda segment: (-int(rows[table.index[segment]]), segment))
    entered, folded = tuple(strangers[: max(0, room)]), strangers[max(0, room) :]
    if not folded:
        return table, entered, 0
    gone = {table.index[segment] for segment in folded}
    kept = np.array([row for row in range(len(table.segments)) if row not in gone], np.intp)
    left = CountTable(table.layout, tuple(table.segments[row] for row in kept), table.counts[kept], table.tails[kept])
    parts: dict[str, list[int]] = {}
    for segment in folded:
        parts.setdefault(other_of(segment), []).append(table.index[segment])
    names = tuple(sorted(parts))
    others = CountTable(
        table.layout,
        names,
        np.array([table.counts[parts[name]].sum(axis=0) for name in names]),
        np.array([table.tails[parts[name]].sum(axis=0) for name in names]),
    )
    return left.merge(others), entered, int(rows[sorted(gone)].sum())
