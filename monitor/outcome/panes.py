"""Panes of sparse counts over event time, and the running sum of the newest of them.

A label restates the pane of its prediction however old that is, so panes stay apart as long as a window wants them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.outcome.sparse import EMPTY, SparseCounts, add, pack_sparse, sparse

Int64 = NDArray[np.int64]

_UNSUMMED_ROWS = 1 << 18  # additions held before they are summed: 4 MB


@dataclass(eq=False)
class OutcomePanes:
    """Counts by pane number; panes before ``end_pane - kept`` are gone. What is added to them is counted, and goes where they went."""

    window: int  # panes that ``total`` sums
    kept: int  # panes that are kept, at least a window
    panes: dict[int, SparseCounts] = field(default_factory=dict)
    end_pane: int = 0
    too_old: int = 0  # weights added to panes that are gone
    leave: Callable[[Int64, Int64, Int64], None] | None = None  # takes pane, code and weight of what goes
    _added: list[tuple[Int64, Int64, Int64]] = field(default_factory=list)  # pane, code, weight
    _rows: int = 0
    _packed: dict[int, tuple[bytes, int]] = field(default_factory=dict)  # bytes of a pane, and how often they were asked for
    _sums: dict[int, SparseCounts] = field(default_factory=dict)  # of the window so many panes ago, once it was asked for

    def add(self, pane: Int64, codes: Int64, weights: Int64) -> None:
        """Add weights to codes of panes, [n] each."""
        if not len(pane):
            return
        gone = pane < self.end_pane - self.kept
        if gone.any():
            self.too_old += int(np.abs(weights[gone]).sum())
            if self.leave is not None:
                self.leave(pane[gone], codes[gone], weights[gone])
            pane, codes, weights = pane[~gone], codes[~gone], weights[~gone]
        self._added.append((pane, codes, weights))
        self._rows += len(pane)
        if self._rows > _UNSUMMED_ROWS:
            self.settle()

    def settle(self) -> Mapping[int, SparseCounts]:
        """Sum up what was added; returns the panes."""
        if not self._rows:
            self._added = []
            return self.panes
        pane, codes, weights = (np.concatenate([part[i] for part in self._added]) for i in range(3))
        self._added, self._rows = [], 0
        order = np.argsort(pane, kind="stable")
        pane, codes, weights = pane[order], codes[order], weights[order]
        numbers, starts = np.unique(pane, return_index=True)
        for number, start, stop in zip(numbers.tolist(), starts, [*starts[1:], len(pane)], strict=True):
            change = sparse(codes[start:stop], weights[start:stop])
            self.panes[number] = add([self.panes.get(number, EMPTY), change])
            self._packed.pop(number, None)
            if not len(self.panes[number]):
                del self.panes[number]
            for ago, found in self._sums.items():
                if self._first(ago) <= number < self._first(ago) + self.window:
                    self._sums[ago] = add([found, change])
        return self.panes

    def move_to(self, end_pane: int) -> None:
        """The window now ends before ``end_pane``: take in what became complete, let go what is too old."""
        self.settle()
        if end_pane <= self.end_pane:
            return
        moved = end_pane - self.end_pane
        for ago, found in self._sums.items():
            was = range(self._first(ago), self._first(ago) + self.window)
            now = range(was.start + moved, was.stop + moved)
            gone = [-counts for number, counts in self.panes.items() if number in was and number not in now]
            come = [counts for number, counts in self.panes.items() if number in now and number not in was]
            self._sums[ago] = add([found, *gone, *come])
        old = [number for number in self.panes if number < end_pane - self.kept]
        for number in old:
            counts = self.panes.pop(number)
            if self.leave is not None:
                self.leave(np.full(len(counts), number, np.int64), counts.codes, counts.counts)
            self._packed.pop(number, None)
        self.end_pane = end_pane

    def total(self) -> SparseCounts:
        """The sum of the ``window`` panes before ``end_pane``."""
        return self._sum(0)

    def before(self) -> SparseCounts:
        """The sum of the window before that of ``total``, as far as it is kept."""
        return self._sum(self.window)

    def _sum(self, ago: int) -> SparseCounts:
        """Of the window that ended so many panes ago; from then on it is kept up, not summed anew."""
        self.settle()
        if ago not in self._sums:
            first = self._first(ago)
            self._sums[ago] = add([counts for number, counts in sorted(self.panes.items()) if first <= number < first + self.window])
        return self._sums[ago]

    def _first(self, ago: int) -> int:
        return self.end_pane - ago - self.window

    def packed(self) -> dict[int, tuple[bytes, int]]:
        """Bytes of each pane for the state, and how many times in a row they have been the same."""
        self.settle()
        self._packed = {
            number: (data, times + 1)
            for number, counts in sorted(self.panes.items())
            for data, times in [self._packed.get(number) or (pack_sparse(counts), 0)]
        }
        return self._packed

    @property
    def memory_bytes(self) -> int:
        """Memory of the panes and their sums."""
        return sum(counts.memory_bytes for counts in (*self.panes.values(), *self._sums.values())) + 24 * self._rows
