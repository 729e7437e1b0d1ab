"""What every source of messages offers, whatever stands behind it.

A source reads; it does not decode, decide or keep offsets. Where to begin is told to it at assignment,
because the offsets belong to the saved state. One thread calls it.

    source = open_source(config, topics, needs)
    source.start(listener)
    batches = source.poll(timeout_ms)
    source.close()
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from monitor.batch import RawBatch

TopicPartition = tuple[str, int]

Lag = Mapping[TopicPartition, int]
"""Messages that are not read yet, of the partitions of which that is known."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What beside value, offset and timestamp must be read from each message; each costs time."""

    keys: bool = False
    headers: bool = False


@dataclass(frozen=True, slots=True)
class Assignment:
    """The partitions this process reads, and how many its topics have in all."""

    owned: frozenset[TopicPartition]
    partitions: Mapping[str, int]  # topic -> number of partitions
    began: Mapping[TopicPartition, int] = field(default_factory=dict)  # where ``start: latest`` began, as far as is known

    @property
    def complete(self) -> bool:
        """Whether every partition of every topic is owned."""
        return self.elsewhere == 0

    @property
    def elsewhere(self) -> int:
        """How many partitions are read by other processes, or by none."""
        return sum(self.partitions.values()) - len(self.owned)


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets that the log no longer has, or does not have yet, when reading was to begin there."""

    topic: str
    partition: int
    wanted: int
    resumed: int

    @property
    def lost(self) -> int:
        """How many offsets were skipped; negative when the log ends before the wanted offset (recreated topic)."""
        return self.resumed - self.wanted


class AssignmentListener(Protocol):
    """Told of partitions that come and go. Called on the polling thread, from within ``poll`` or ``close``."""

    def assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Added partitions; returns the offset to begin at for those of which something is saved."""

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions that are about to move: save what they need. Bounded by the session timeout."""

    def lost(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions that already belong to another: write nothing for them."""

    def gap(self, gap: Gap) -> None:
        """Reading could not go on at the wanted offset.

        Below the log: it goes on at the log's start. Above it: the topic was made anew, and it begins at its start.
        """


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """What happened to the connection since ``start``. None of it is an error of the counts."""

    commit_failures: int = 0
    transient_errors: int = 0  # polls that failed in a way that heals by itself
    reconnects: int = 0  # clients that were replaced because they stood still
    last_error: str = ""
    unreachable: str = ""  # why no broker can be reached now; "" while one can, as far as is known


class Source(Protocol):
    """A reader of partitions."""

    def start(self, listener: AssignmentListener) -> None:
        """Connect and join. Raises ``SourceError`` when the cluster cannot be reached in time."""

    def poll(self, timeout_ms: int) -> Sequence[RawBatch]:
        """Messages that arrived, at most one batch per partition; empty after ``timeout_ms`` without any.

        Raises ``SourceError`` on what does not heal by itself (authentication, unknown topic, codec).
        """

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch nothing from these until resumed; keep the membership alive by polling on."""

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch from these again."""

    def commit(self, offsets: Mapping[TopicPartition, int], metadata: str) -> None:
        """Tell the cluster how far the saved state is, for lag dashboards.

        Failure is not an error of the state: counted, retried next time.
        """

    def lag(self) -> Lag:
        """Messages not yet returned by ``poll``, as far as is known without a request."""

    def read_out(self, partitions: frozenset[TopicPartition]) -> frozenset[TopicPartition]:
        """Those of which the log says, asked now, that nothing is left to read; none that it does not tell within a second or so.

        ``lag`` alone cannot tell silence from brokers that are out of reach: both leave it as it was.
        """

    def assignment(self) -> Assignment:
        """What is owned now."""

    def health(self) -> SourceHealth:
        """What went wrong and was mended."""

    def finished(self) -> bool:
        """Whether nothing will ever come again (a file was read to its end)."""

    def close(self) -> None:
        """Leave. Partitions still owned are revoked first."""
