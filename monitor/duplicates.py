"""Which predictions were seen before: an exact, bounded set of 128-bit ids, asked for whole batches at a time.

An open-addressing hash table in three arrays (linear probing, at most 60 % full). One batch is looked up and inserted in
a few vector passes: each pass probes one slot for every row that is still undecided. Rows of one batch with the same
id take turns, in log order. Ids are XXH3-128 hashes: two of 10^9 different ids collide with a probability below 10^-20.

Each id carries the *tick* (pane) of its event time. A row of a partition whose newest event is in tick T is a repeat
if its id was seen with a tick of at least T - horizon. That depends on the log alone, not on when old ids are swept out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

UInt64 = NDArray[np.uint64]

FREE = np.uint64(0)
_FULL = 0.6
_SMALLEST = 1 << 12
_PART = 1 << 20  # ids moved at a time when the table is rebuilt


Age = tuple[int, int]
"""(tick, low word) of an id: the order in which ids are forgotten. Ids of one tick go by their hash, which prefers none."""


class Fresh(NamedTuple):
    """What a set of ids became since it was last asked: what a commit has to save."""

    ids: UInt64  # [added, 2]
    ticks: NDArray[np.int32]  # [added]
    forgotten_below: Age | None  # of those added before, the ones below this age are remembered no more


@dataclass(eq=False)
class SeenIds:
    """Ids seen within ``horizon`` ticks; at most ``max_ids``, beyond which the oldest are forgotten and counted."""

    horizon: int
    max_ids: int
    low: UInt64 = field(init=False)  # [capacity] low word of the id, FREE for a free slot
    high: UInt64 = field(init=False)  # [capacity]
    ticks: NDArray[np.int32] = field(init=False)  # [capacity] tick of the id's event
    count: int = 0
    evicted: int = 0
    fresh: list[tuple[UInt64, NDArray[np.int32]]] = field(default_factory=list)  # added since the last ``take_fresh``
    forgotten_below: Age | None = None  # since then

    def __post_init__(self) -> None:
        self._allocate(_SMALLEST)

    def _allocate(self, capacity: int) -> None:
        self.low = np.zeros(capacity, np.uint64)
        self.high = np.zeros(capacity, np.uint64)
        self.ticks = np.zeros(capacity, np.int32)
        self.count = 0

    @property
    def memory_bytes(self) -> int:
        """Memory of the table."""
        return self.low.nbytes + self.high.nbytes + self.ticks.nbytes

    def repeats(self, ids: UInt64, ticks: NDArray[np.int32], newest: NDArray[np.int32], oldest_newest: int) -> NDArray[np.bool_]:
        """[rows] whether each row repeats an id seen before it; ids not seen are added.

        ``ids`` [rows, 2]; ``ticks`` of the rows' events; ``newest`` tick of the row's partition up to and including the
        row; ``oldest_newest`` the smallest such tick that any row can still have: ids older than its horizon can never be
        asked for again and may be swept out.
        """
        self._make_room(len(ids), oldest_newest - self.horizon)
        repeated = self._in_turns(ids, ticks, newest - np.int32(self.horizon))
        added = ~repeated
        if added.any():
            self.fresh.append((ids[added], ticks[added]))
        return repeated

    def restore(self, ids: UInt64, ticks: NDArray[np.int32]) -> None:
        """Add ids that a saved state holds; none is forgotten. An id may come again with a later tick, which then counts."""
        if self.count + len(ids) > _FULL * len(self.low):
            self._rebuild(np.flatnonzero(self.low != FREE), len(ids))
        self._in_turns(ids, ticks, ticks)

    def take_fresh(self) -> Fresh:
        """Ids added, their ticks, and what was forgotten, since this was last called."""
        fresh, forgotten_below = self.fresh, self.forgotten_below
        self.fresh, self.forgotten_below = [], None
        if not fresh:
            return Fresh(np.zeros((0, 2), np.uint64), np.zeros(0, np.int32), forgotten_below)
        return Fresh(np.concatenate([ids for ids, _ in fresh]), np.concatenate([ticks for _, ticks in fresh]), forgotten_below)

    def _in_turns(self, ids: UInt64, ticks: NDArray[np.int32], alive_from: NDArray[np.int32]) -> NDArray[np.bool_]:
        low = np.maximum(ids[:, 0], np.uint64(1))  # 0 marks a free slot
        high = ids[:, 1]
        ordered = np.sort(low)
        if not (ordered[1:] == ordered[:-1]).any():
            return self._probe(low, high, ticks, alive_from)
        order = np.argsort(low, kind="stable")
        starts = np.flatnonzero(np.concatenate([[True], low[order][1:] != low[order][:-1]]))
        turn = np.empty(len(low), np.intp)
        turn[order] = np.arange(len(low)) - np.repeat(starts, np.diff(starts, append=len(low)))
        repeated = np.zeros(len(low), np.bool_)
        by_turn = np.argsort(turn, kind="stable")
        for rows in np.split(by_turn, np.cumsum(np.bincount(turn))[:-1]):
            repeated[rows] = self._probe(low[rows], high[rows], ticks[rows], alive_from[rows])
        return repeated

    def _probe(self, low: UInt64, high: UInt64, ticks: NDArray[np.int32], alive_from: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Look up and insert ids whose low words are distinct."""
        mask = np.intp(len(self.low) - 1)
        repeated = np.zeros(len(low), np.bool_)
        rows = np.arange(len(low))
        slots = low.astype(np.intp) & mask
        while len(rows):
            held = self.low[slots]
            free, alike = held == FREE, held == low[rows]
            if alike.any():
                same, at = rows[alike], slots[alike]
                equal = self.high[at] == high[same]
                seen, at_seen = same[equal], at[equal]
                stale = self.ticks[at_seen] < alive_from[seen]
                self.ticks[at_seen[stale]] = ticks[seen[stale]]
                repeated[seen[~stale]] = True
                alike[alike] = equal  # the low word alone is no match: look further
            claimed, at = rows[free], slots[free]
            self.low[at] = low[claimed]
            won = self.low[at] == low[claimed]  # of several that claim a slot, one wins
            claimed, at_won = claimed[won], at[won]
            self.high[at_won] = high[claimed]
            self.ticks[at_won] = ticks[claimed]
            self.count += len(claimed)
            free[free] = won
            left = ~(free | alike)
            rows, slots = rows[left], (slots[left] + 1) & mask
        return repeated

    def _make_room(self, more: int, alive_from: int) -> None:
        """Grow, sweep or forget so that ``more`` ids fit. Costs a pass over the table, but rarely."""
        if self.count + more <= min(_FULL * len(self.low), self.max_ids):
            return
        kept = np.flatnonzero((self.low != FREE) & (self.ticks >= alive_from))
        if len(kept) + more > self.max_ids:
            kept = self._without_oldest(kept, more)
        self._rebuild(kept, more)

    def _without_oldest(self, slots: NDArray[np.intp], more: int) -> NDArray[np.intp]:
        # To forget a tenth at a time keeps sweeps rare once the bound is reached.
        excess = min(len(slots), len(slots) + more - int(0.9 * self.max_ids))
        below = _age_after(excess, self.low[slots], self.ticks[slots])
        old = older(below, self.low[slots], self.ticks[slots])
        self.evicted += int(np.count_nonzero(old))
        self.forgotten_below = below if self.forgotten_below is None else max(below, self.forgotten_below)
        left = [(~older(below, ids[:, 0], ticks), ids, ticks) for ids, ticks in self.fresh]
        self.fresh = [(ids[kept], ticks[kept]) for kept, ids, ticks in left]
        return slots[~old]

    def _rebuild(self, slots: NDArray[np.intp], more: int) -> None:
        """Keep what these slots hold, in a table in which ``more`` ids fit."""
        low, high, ticks = self.low[slots], self.high[slots], self.ticks[slots]
        capacity = len(self.low)
        largest = 1 << int(np.ceil(np.log2(max(self.max_ids, len(low) + more) / _FULL)))
        while len(low) + more > 0.75 * _FULL * capacity and capacity < largest:
            capacity *= 2
        self._allocate(capacity)
        for start in range(0, len(low), _PART):
            part = slice(start, start + _PART)
            self._in_turns(np.column_stack([low[part], high[part]]), ticks[part], ticks[part])


def older(age: Age, low: UInt64, ticks: NDArray[np.int32]) -> NDArray[np.bool_]:
    """[ids] whether each id, of such low word and tick, is below the age."""
    tick, word = age
    found: NDArray[np.bool_] = (ticks < tick) | ((ticks == tick) & (np.maximum(low, np.uint64(1)) < np.uint64(word)))
    return found


def _age_after(oldest: int, low: UInt64, ticks: NDArray[np.int32]) -> Age:
    """The age that so many of the ids are below."""
    if oldest == len(ticks):
        return int(ticks.max(initial=0)) + 1, 0
    tick = int(np.partition(ticks, oldest)[oldest])
    words, before = low[ticks == tick], int(np.count_nonzero(ticks < tick))
    return tick, int(np.partition(words, oldest - before)[oldest - before])
