"""Partitions that stand still although the log goes on: a client defect that only a new client cures. Pure.

Stuck partitions were fixed in kafka-python 3.0.6 and again in 3.0.9, so the client is watched instead of trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from monitor.source.base import TopicPartition


@dataclass(frozen=True, slots=True)
class Standstill:
    """A partition's position, and since when it has been there with more to read."""

    position: int
    since_ms: int


def observe(
    before: Mapping[TopicPartition, Standstill], positions: Mapping[TopicPartition, tuple[int, int]], now_ms: int
) -> dict[TopicPartition, Standstill]:
    """The standstills after a look at (position, end of the log) of each partition that should be moving.

    A partition that moved, that has nothing more to read or that was not looked at (paused, moved away) starts anew.
    ``now_ms`` must count only time in which the client was free to read: time that the caller spent elsewhere is no standstill.
    """
    return {
        partition: before[partition]
        if partition in before and before[partition].position == position
        else Standstill(position, now_ms)
        for partition, (position, end) in positions.items()
        if end > position
    }  # fmt: skip


def stuck(standstills: Mapping[TopicPartition, Standstill], now_ms: int, limit_ms: int) -> frozenset[TopicPartition]:
    """The partitions that have stood still for ``limit_ms`` or longer."""
    return frozenset(partition for partition, still in standstills.items() if now_ms - still.since_ms >= limit_ms)


class Watch:
    """Standstills and quiet over a source's polls. Its clock is the time that the polls took."""

    def __init__(self, limit_ms: int, quiet_ms: int, look_every_ms: int = 1_000) -> None:
        self._limit_ms, self._quiet_ms, self._look_every_ms = limit_ms, quiet_ms, look_every_ms
        self._now_ms = self._looked_ms = self._heard_ms = 0.0
        self._standstills: Mapping[TopicPartition, Standstill] = {}

    def polled(
        self,
        took_ms: float,
        positions: Callable[[], Mapping[TopicPartition, tuple[int, int]]],
        read_out: Callable[[frozenset[TopicPartition]], frozenset[TopicPartition]],
    ) -> str | None:
        """After a poll: a sentence that names what is stuck, or None. ``positions`` is asked about once a second.

        ``read_out`` is asked about what seems stuck: what a transaction holds that is still open counts in the log's end, and
        is not to be read yet.
        """
        self._now_ms += took_ms
        if self._now_ms - self._looked_ms < self._look_every_ms:
            return None
        self._looked_ms = self._now_ms
        self._standstills = observe(self._standstills, positions(), int(self._now_ms))
        seeming = stuck(self._standstills, int(self._now_ms), self._limit_ms)
        if not seeming:
            return None
        self._standstills = {}
        found = seeming - read_out(seeming)
        if not found:
            return None
        names = ", ".join(f"{topic}/{partition}" for topic, partition in sorted(found))
        return f"{names} stood still for {self._limit_ms} ms of polling with more to read"

    def quiet(self, heard: bool, *, known: bool = False) -> bool:
        """Whether nothing was heard for ``quiet_ms``, told once each time that passes. To be asked after each poll.

        Clients hide that no broker can be reached, or that they are no longer let in: their polls are just empty. Where that is
        ``known``, it is told every second, so that their return is soon seen.
        """
        if heard:
            self._heard_ms = self._now_ms
        if self._now_ms - self._heard_ms < (self._look_every_ms if known else self._quiet_ms):
            return False
        self._heard_ms = self._now_ms
        return True
