"""How far reading has come, said now and then while it is behind, and nothing once it has caught up. Times are wall time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from monitor.events import Event
from monitor.expose.text import iso
from monitor.process_events import AssignmentAwaited, HistoryFinished, HistoryPassed
from monitor.source.base import Lag, TopicPartition
from monitor.stream import Stream

EVERY_MS = 30_000
"""At most one line in this time."""

WAITED_MS = 5_000
"""A group is joined in a second or two; a member that was killed keeps its partitions for ``source.session_timeout``."""

MANY = 10_000
"""Fewer messages are no history: traffic itself waits for a moment now and then."""


@dataclass(eq=False)
class Headway:
    """What was read since the last line. A turn of the loop is told with ``turn``, which gives what is to be said."""

    now_ms: int  # of the last line
    messages: int = 0
    behind: bool = False  # as it was said last
    waits_since_ms: int | None = None  # without a partition
    waits_said_ms: int | None = None

    def turn(self, streams: Mapping[str, Stream], owned: Collection[TopicPartition], lag: Lag, read: int, now_ms: int) -> Iterator[Event]:
        """``read`` messages, ``lag`` those unread by partition, where that is known."""
        self.messages += read
        yield from self._awaited(streams, owned, now_ms)
        if not owned:
            self.now_ms, self.messages = now_ms, 0  # waiting is no reading
            return
        if 0 <= now_ms - self.now_ms < EVERY_MS:
            return
        seconds, messages, was = max(now_ms - self.now_ms, 1) / 1000, self.messages, self.behind
        self.now_ms, self.messages = now_ms, 0
        unread = sum(lag.values()) if lag.keys() >= set(owned) else None
        # Behind: what is left takes as long again as this interval. Of files nobody knows how much is left.
        self.behind = messages >= MANY if unread is None else unread >= max(MANY, messages)
        if self.behind:
            total = sum(stream.reading.ledger[0] for stream in streams.values())
            yield HistoryPassed(int(total), messages / seconds, unread, iso(reached_ms(streams)) or "")
        elif was:
            yield HistoryFinished(iso(reached_ms(streams)) or "")

    def _awaited(self, streams: Mapping[str, Stream], owned: Collection[TopicPartition], now_ms: int) -> Iterator[Event]:
        if owned:
            self.waits_since_ms = self.waits_said_ms = None
            return
        if self.waits_since_ms is None or now_ms < self.waits_since_ms:
            self.waits_since_ms = now_ms
        waited_ms = now_ms - self.waits_since_ms
        again = self.waits_said_ms is not None and 0 <= now_ms - self.waits_said_ms < EVERY_MS
        if waited_ms >= WAITED_MS and not again:
            self.waits_said_ms = now_ms
            yield AssignmentAwaited(tuple(sorted(streams)), waited_ms / 1000)


def reached_ms(streams: Mapping[str, Stream]) -> int | None:
    """Event time that every partition with traffic has reached; None while one has sent nothing."""
    newest: list[int] = []
    for stream in streams.values():
        active = stream.clock.owned - stream.clock.idle
        if not active <= stream.clock.newest_ms.keys():
            return None
        newest += [stream.clock.newest_ms[partition] for partition in active]
    return min(newest, default=None)
