"""Event time: what is late, and when a pane closes.

    partition 0   ──a──b─────c──d──▶          newest 0 = d
    partition 1   ──e────f──▶                 newest 1 = f
                        ▲
                        horizon = min(newest) - lateness, floored to a pane

A row is late when its pane ended before its own partition's newest event less the lateness: that depends on the
order within the partition only. A pane closes when it ended before the horizon, the minimum over
partitions; so a row that is not late always finds its pane open, however partitions are interleaved. A partition
that is idle no longer holds the others up: an input, because only a wall clock can tell. When it comes back, rows for panes
that closed meanwhile are late too, under a reason of their own. A partition that is not read here, but may come, is awaited: it holds
the others up like one that is read, else a backlog of the others would close its panes before it is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Int64, Span


@dataclass(frozen=True, slots=True)
class Arrivals:
    """A batch's rows in event time."""

    pane: Int64  # [rows] number of the row's pane since 1970
    newest_ms: Int64  # [rows] newest event of its partition, up to and including the row
    late: NDArray[np.bool_]  # [rows] behind its own partition by more than the lateness
    closed: NDArray[np.bool_]  # [rows] not late by that rule, but its pane closed while the partition was idle


@dataclass(eq=False)
class EventClock:
    """Event-time progress of one model's partitions. Pane numbers count panes since 1970."""

    pane_ms: int
    lateness_ms: int
    newest_ms: dict[int, int] = field(default_factory=dict)  # owned partition -> newest event time, once it has one
    owned: set[int] = field(default_factory=set)
    idle: set[int] = field(default_factory=set)
    awaited: set[int] = field(default_factory=set)  # not owned, and may come soon
    closed_panes: int | None = None  # panes below this number are closed; None before the first close
    first_pane: int | None = None  # the lowest that a row was in, until panes close

    def arrive(self, time_ms: Int64, spans: tuple[Span, ...]) -> Arrivals:
        """Judge rows and move the partitions' newest times on. A partition that sends is not idle."""
        newest = np.empty_like(time_ms)
        for span in spans:
            if span.start == span.stop:
                continue
            running = np.maximum.accumulate(time_ms[span.start : span.stop])
            np.maximum(running, self.newest_ms.get(span.partition, running[0]), out=newest[span.start : span.stop])
            self.newest_ms[span.partition] = int(newest[span.stop - 1])
            self.idle.discard(span.partition)
        pane = time_ms // self.pane_ms
        late = (pane + 1) * self.pane_ms <= newest - self.lateness_ms
        if self.closed_panes is None and len(pane):
            self.first_pane = min(int(pane.min()), int(pane.min()) if self.first_pane is None else self.first_pane)
        closed = np.zeros(len(pane), np.bool_) if self.closed_panes is None else ~late & (pane < self.closed_panes)
        return Arrivals(pane, newest, late, closed)

    @property
    def active(self) -> set[int]:
        """Partitions that nothing closes ahead of."""
        return (self.owned - self.idle) | self.awaited

    def own(self, partitions: frozenset[int], awaited: frozenset[int]) -> None:
        """Take over which partitions are read here, and which of the others may come soon."""
        self.owned, self.awaited = set(partitions), set(awaited - partitions)
        self.idle &= partitions

    def hear_anew(self, partitions: frozenset[int]) -> None:
        """Partitions came, or came back: one that was idle before may have a backlog by now."""
        self.idle -= partitions

    def leave_out(self, partition: int) -> bool:
        """Let a partition hold the others up no longer; returns whether it did."""
        if partition in self.awaited:
            self.awaited.discard(partition)
            return True
        known = partition in self.idle
        self.idle.add(partition)
        return not known

    def horizon_pane(self) -> int | None:
        """Panes below this number can close; None while a partition that is not idle has sent nothing yet."""
        active = self.active
        if not self.owned - self.idle or any(partition not in self.newest_ms for partition in active):
            return None
        return (min(self.newest_ms[partition] for partition in active) - self.lateness_ms) // self.pane_ms

    @property
    def behind(self) -> bool:
        """Whether panes can close that have not."""
        horizon = self.horizon_pane()
        return horizon is not None and (self.closed_panes is None or horizon > self.closed_panes)

    def no_row_before_ms(self) -> int:
        """No row that is counted from now on is older than this: its pane would be closed, whichever partition it comes from."""
        pane = self.closed_panes if self.closed_panes is not None else self.first_pane
        return 0 if pane is None else pane * self.pane_ms

    def ahead(self, max_panes: int) -> set[int]:
        """Partitions more than ``max_panes`` beyond what can close: to be paused, or their open panes have no bound.

        The slowest partition is never among them, because panes close at its newest event less the lateness; so a pause always ends.
        """
        base = self.first_pane if self.closed_panes is None else self.closed_panes
        if base is None:
            return set()
        limit_ms = (base + 1 + max_panes) * self.pane_ms + self.lateness_ms
        return {p for p in self.owned - self.idle if self.newest_ms.get(p, 0) > limit_ms}
