"""Evidence panes: short stretches of event time whose rows are judged together, without waiting for what is late.

    partition 0   ─a─b─│─c──d─│─▶        a late row e, of an older pane, is evidence of the pane that its partition
    partition 1   ──f──│───e──│─▶        is in now, and meets the null of the hour of its own time

A row's pane is that of its partition's newest event, itself included; a pane closes when every partition has passed it. Both depend on
the order within partitions only. A partition that was left out as idle and comes back finds its panes closed: its rows go to the
oldest pane that is still open.

Rows wait as cells, a byte a signal, until they take as much memory as their counts would: they are the cells that the windows' panes
count as well, so an open pane of few rows costs nothing beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Span
from monitor.detect.leaves import Leaves
from monitor.detect.season import quarter_of
from monitor.profile.cells import Cells
from monitor.profile.grouping import Base
from monitor.profile.layout import Layout
from monitor.profile.leaves import Leaves as Met
from monitor.profile.leaves import Numbers
from monitor.profile.order import dense
from monitor.profile.pane import add_rows

Int64 = NDArray[np.int64]

PANE_MS = 10_000
WIDTHS_MS = (PANE_MS, 60_000, 600_000, 3_600_000)
"""Widths of panes: each divides the next, and they divide or are multiples of the buckets in which predictions wait for their labels."""

_ENOUGH_EVENTS = 25
_MANY_STREAMS_MS = 60_000
_MS_PER_STREAM = 3.0  # of event time: a pane costs about 3 us a stream, so detection takes a thousandth of one core
_FEW_BYTES = 1 << 17
_MANY_BYTES = 1 << 22
_FEW_PARTS = 64

_NO_ROWS = np.zeros(0, np.intp)
_NO_LOGS = np.zeros(0, np.int64)


def pane_width(per_ms: float | None, streams: int) -> int:
    """Width of panes in milliseconds for traffic of so many events a millisecond (None: unknown) and so many streams.

    Wide enough for some 25 events, and for a cost that is small beside what time it is; the wider, the later an alarm.

    >>> pane_width(1.0, 400), pane_width(0.0006, 400), pane_width(1e-5, 400), pane_width(1.0, 20_000), pane_width(None, 400)
    (10000, 60000, 3600000, 60000, 60000)
    """
    if per_ms is None:
        return _MANY_STREAMS_MS
    least = max(_ENOUGH_EVENTS / max(per_ms, 1e-12), min(_MS_PER_STREAM * streams, _MANY_STREAMS_MS))
    return next((width for width in WIDTHS_MS if width >= least), WIDTHS_MS[-1])


@dataclass(eq=False)
class Level:
    """The leaves of one grouping, found by the numbers that rows carry for a base grouping which contains it."""

    base: int
    grouping: int  # among the base's
    places: dict[str, int]  # leaf by segment key
    others: int  # where rows go that are in none of these leaves; -1: nowhere
    _keys: list[str] = field(default_factory=list)
    _of_segment: Numbers = field(default_factory=lambda: np.zeros(0, np.int32))

    def of(self, met: Sequence[Met], numbers: Sequence[Numbers]) -> Numbers:
        """[rows] leaf of each row, -1 for none; ``numbers`` [bases][rows] as given by ``met`` [bases]."""
        of_leaf, keys = met[self.base].segments(self.grouping)
        if keys is not self._keys:
            self._keys = keys
            self._of_segment = np.array([self.places.get(key, self.others) for key in keys], np.int32)
        return np.asarray(self._of_segment[of_leaf][numbers[self.base]])


def levels_of(leaves: Leaves, bases: Sequence[Base]) -> tuple[Level, ...]:
    """Where the leaves' rows are found in what is counted. Raises ``ValueError`` for a leaf of a grouping that is not counted."""
    levels = []
    for columns, places, others in leaves.levels:
        found = [(b, g) for b, base in enumerate(bases) for g, grouping in enumerate(base.groupings) if grouping.columns == columns]
        if not found:
            raise ValueError(f"expected leaves of groupings that are counted, got {', '.join(columns)}")
        levels.append(Level(*found[0], places, others))
    return tuple(levels)


@dataclass(eq=False)
class OpenEvidence:
    """Rows of one partition, pane and quarter of an hour."""

    waiting: list[tuple[NDArray[np.uint8], tuple[Numbers, ...]]] = field(default_factory=list)  # cells [signals, n], leaf by level
    waiting_bytes: int = 0
    counted: tuple[Int64, Int64] | None = None  # places in [leaves, cells] that are not zero, and their counts

    def add(self, cells: NDArray[np.uint8], leaves: tuple[Numbers, ...]) -> None:
        """Let rows wait."""
        self.waiting.append((cells, leaves))
        self.waiting_bytes += cells.nbytes + sum(numbers.nbytes for numbers in leaves)

    @property
    def memory_bytes(self) -> int:
        """Memory of counts and of rows that wait."""
        return self.waiting_bytes + (0 if self.counted is None else 2 * self.counted[0].nbytes)


@dataclass(eq=False)
class EvidencePanes:
    """Counts of panes that are open, by pane, partition and quarter of an hour."""

    layout: Layout
    leaves: int
    levels: tuple[Level, ...]
    hours: int  # hour slots of the reference
    pane_ms: int
    closed: int | None = None  # panes below this number are closed
    open: dict[tuple[int, int, int], OpenEvidence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tails = np.zeros((self.leaves, len(self.layout.signals), 2), np.int64)  # never written to: rows come without logarithms

    def add(self, cells: NDArray[np.uint8], leaves: Sequence[Numbers], partition: Int64, time_ms: Int64, newest_ms: Int64) -> None:
        """Add rows in log order: ``cells`` [signals, n], ``leaves`` [levels][n], their partitions [n], times [n] and their partitions'
        newest times up to and including them [n].
        """
        if not len(time_ms):
            return
        pane = newest_ms // self.pane_ms
        if self.closed is not None:
            np.maximum(pane, self.closed, out=pane)
        key = np.stack([pane, partition, quarter_of(time_ms, self.hours)])
        lowest = key.min(axis=1)
        size = (key.max(axis=1) - lowest + 1).tolist()
        low = lowest.tolist()
        if size == [1, 1, 1]:
            self._put((low[0], low[1], low[2]), cells, tuple(leaves))
            return
        place, distinct = dense(((key[0] - low[0]) * size[1] + key[1] - low[1]) * size[2] + key[2] - low[2], size[0] * size[1] * size[2])
        change = np.flatnonzero(place[1:] != place[:-1]) + 1
        if len(change) >= 2 * len(distinct):  # runs of the same pane are too short to be taken one by one
            order = np.argsort(place, kind="stable")
            cells, leaves, place = np.take(cells, order, axis=1), [numbers[order] for numbers in leaves], place[order]
            change = np.flatnonzero(place[1:] != place[:-1]) + 1
        starts = [0, *change.tolist()]
        for start, stop in zip(starts, [*starts[1:], len(place)], strict=True):
            rest, slot = divmod(int(distinct[place[start]]), size[2])
            where = (rest // size[1] + low[0], rest % size[1] + low[1], slot + low[2])
            self._put(where, cells[:, start:stop], tuple(numbers[start:stop] for numbers in leaves))

    def _put(self, where: tuple[int, int, int], cells: NDArray[np.uint8], leaves: tuple[Numbers, ...]) -> None:
        opened = self.open.get(where)
        if opened is None:
            opened = self.open[where] = OpenEvidence()
        opened.add(cells, leaves)
        bound = max(_FEW_BYTES, min(self.leaves * self.layout.cells * 8, _MANY_BYTES))
        if opened.waiting_bytes > bound or len(opened.waiting) > _FEW_PARTS:
            self._fold(opened)

    def _fold(self, opened: OpenEvidence) -> tuple[Int64, Int64]:
        """Count the rows that wait; most cells of a short pane are zero, and the others are kept."""
        if opened.waiting or opened.counted is None:
            flat = self._counted([opened]).ravel()
            where = np.flatnonzero(flat).astype(np.int64)
            opened.counted, opened.waiting, opened.waiting_bytes = (where, flat[where]), [], 0
        return opened.counted

    def _counted(self, panes: Iterable[OpenEvidence]) -> Int64:
        """[leaves, cells] counts of the rows of several."""
        panes = list(panes)
        counts = np.zeros((self.leaves, self.layout.cells), np.int64)
        for opened in panes:
            if opened.counted is not None:
                counts.reshape(-1)[opened.counted[0]] += opened.counted[1]
        waiting = [part for opened in panes for part in opened.waiting]
        for level in range(len(self.levels) if waiting else 0):
            leaf = np.concatenate([leaves[level] for _, leaves in waiting])
            cells = waiting[0][0] if len(waiting) == 1 else np.concatenate([part for part, _ in waiting], axis=1)
            if leaf.min(initial=0) < 0:
                inside = np.flatnonzero(leaf >= 0)
                leaf, cells = leaf[inside], np.take(cells, inside, axis=1)
            rows = Cells(cells, _NO_ROWS, _NO_ROWS, _NO_ROWS, _NO_LOGS)
            add_rows(self.layout, counts, self._tails, leaf.astype(np.intp), [rows])
        return counts

    def close(self, horizon: int) -> Iterator[tuple[int, list[tuple[int, Int64]]]]:
        """Close the panes below ``horizon``: numbers, and counts [leaves, cells] by quarter of an hour, in order; no empty ones."""
        done: dict[int, dict[int, list[OpenEvidence]]] = {}
        for pane, partition, slot in sorted(key for key in self.open if key[0] < horizon):
            done.setdefault(pane, {}).setdefault(slot, []).append(self.open[pane, partition, slot])
        for pane, slots in done.items():
            for key in [key for key in self.open if key[0] == pane]:
                del self.open[key]
            self.closed = pane + 1 if self.closed is None else max(self.closed, pane + 1)
            yield pane, [(slot, self._counted(opened)) for slot, opened in sorted(slots.items())]
        self.closed = horizon if self.closed is None else max(self.closed, horizon)

    @property
    def memory_bytes(self) -> int:
        """Memory of what is open."""
        return sum(opened.memory_bytes for opened in self.open.values())

    def packed(self) -> list[tuple[tuple[int, int, int], bytes, bytes]]:
        """Open panes: key, and the cells that are not zero (as places in [leaves, cells]) with their counts."""
        return [(key, where.tobytes(), counts.tobytes()) for key in sorted(self.open) for where, counts in [self._fold(self.open[key])]]

    def restore(self, packed: Iterable[tuple[Sequence[int], bytes, bytes]]) -> None:
        """Go on with what ``packed`` gave, of the same leaves and layout."""
        for (pane, partition, slot), where, counts in packed:
            self.open[pane, partition, slot] = OpenEvidence(counted=(np.frombuffer(where, np.int64), np.frombuffer(counts, np.int64)))


def partition_of(spans: Sequence[Span], rows: int) -> Int64:
    """[rows] partition of each row of a batch."""
    found = np.empty(rows, np.int64)
    for span in spans:
        found[span.start : span.stop] = span.partition
    return found


def horizon_pane(newest_ms: dict[int, int], partitions: Iterable[int], pane_ms: int = PANE_MS) -> int | None:
    """Panes below this number can close: every one of the partitions is past them. None while one has sent nothing."""
    partitions = tuple(partitions)
    if not partitions or any(partition not in newest_ms for partition in partitions):
        return None
    return min(newest_ms[partition] for partition in partitions) // pane_ms
