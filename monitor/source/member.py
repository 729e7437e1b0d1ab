"""What a member of a consumer group knows of itself, whichever client it reads with: what the client says is told to it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

from monitor.batch import RawBatch
from monitor.config.source import SourceConfig
from monitor.source.base import Assignment, AssignmentListener, Lag, Needs, SourceHealth, TopicPartition
from monitor.source.reach import trouble
from monitor.source.watchdog import Watch

Ends = Mapping[TopicPartition, tuple[int, int]]
"""(position, end of the log) of the partitions of which both are known."""


class GroupMember(ABC):
    """The part of ``Source`` that needs no client but its positions: see ``_ends``."""

    def __init__(self, config: SourceConfig, topics: Sequence[str], needs: Needs) -> None:
        self._config = config
        self._topics = sorted(set(topics))
        self._needs = needs
        self._listener: AssignmentListener
        self._owned: set[TopicPartition] = set()
        self._began: dict[TopicPartition, int] = {}  # where ``start: latest`` began, since "latest" is later when asked again
        self._partitions: dict[str, int] = dict.fromkeys(self._topics, 0)
        self._health = SourceHealth()
        self._watch = Watch(config.stuck_after_ms, config.connect_timeout_ms)

    def lag(self) -> Lag:
        """See ``Source.lag``."""
        return {partition: max(0, end - position) for partition, (position, end) in self._ends().items()}

    def assignment(self) -> Assignment:
        """See ``Source.assignment``."""
        return Assignment(frozenset(self._owned), self._counted(), dict(self._began))

    def health(self) -> SourceHealth:
        """See ``Source.health``."""
        return self._health

    def finished(self) -> bool:
        """Never: a topic has no end."""
        return False

    @abstractmethod
    def read_out(self, partitions: frozenset[TopicPartition]) -> frozenset[TopicPartition]:
        """See ``Source.read_out``."""

    @abstractmethod
    def _open(self) -> None:
        """Make a client that joins the group."""

    @abstractmethod
    def _leave(self) -> None:
        """Close the client; no partition is owned any more."""

    @abstractmethod
    def _ends(self) -> Ends:
        """What the client knows, without a request."""

    @abstractmethod
    def _moving(self) -> Ends:
        """The same of partitions that are not paused."""

    def _counted(self) -> dict[str, int]:
        """How many partitions each topic has, as far as is known."""
        return dict(self._partitions)

    def _begin_at(self, partitions: frozenset[TopicPartition], before: Mapping[str, int]) -> dict[TopicPartition, int]:
        """Tell the listener what came, and where it is to be read from as far as anybody knows: its own word is the last.

        ``before`` is how many partitions each topic had.
        """
        return {**_added(partitions, before), **self._began, **self._listener.assigned(partitions)} if partitions else {}

    def _polled(self, began_s: float, found: Sequence[RawBatch]) -> Sequence[RawBatch]:
        """What a poll found, after a note of where it began, and a look at whether client and brokers still do their part.

        Nothing of partitions that went with a client that stood still: they begin anew where the state ends.
        Raises ``SourceError`` when brokers cannot be read any more and that will not change.
        """
        if self._config.start == "latest":  # the ends are not asked for in each poll for nothing
            positions = {partition: position for partition, (position, _) in self._ends().items()}
            self._remember({**positions, **{(each.topic, each.partition): int(each.offsets[0]) for each in found}})
        standstill = self._watch.polled((time.monotonic() - began_s) * 1000, self._moving, self.read_out)
        if standstill is not None and self._brokers_answer():  # else a new client would not get on either, and not even begin
            self._reopen(standstill)
        self._look_at_brokers(heard=bool(found))
        return [each for each in found if (each.topic, each.partition) in self._owned]

    def _reopen(self, reason: str) -> None:
        self._health = replace(self._health, reconnects=self._health.reconnects + 1, last_error=reason)
        self._leave()
        self._open()

    def _remember(self, began: Mapping[TopicPartition, int]) -> None:
        if self._config.start == "latest":
            self._began = {**began, **self._began}

    def _look_at_brokers(self, *, heard: bool) -> None:
        """Of brokers that were quiet for long it is found out whether one answers: the clients hide that none does."""
        if self._watch.quiet(heard, known=bool(self._health.unreachable)):
            self._brokers_answer()
        elif heard and self._health.unreachable:
            self._health = replace(self._health, unreachable="")

    def _brokers_answer(self) -> bool:
        """Whether one does now; what is in the way is noted. Raises ``SourceError`` if that stays."""
        reason = trouble(self._config.brokers, self._config.security)
        if reason is not None:
            self._failed(reason)
        self._health = replace(self._health, unreachable=reason or "")
        return reason is None

    def _failed(self, reason: str) -> None:
        self._health = replace(self._health, transient_errors=self._health.transient_errors + 1, last_error=reason)

    def _commit_failed(self, reason: str) -> None:
        self._health = replace(self._health, commit_failures=self._health.commit_failures + 1, last_error=reason)


def _added(partitions: frozenset[TopicPartition], before: Mapping[str, int]) -> dict[TopicPartition, int]:
    """Where partitions begin that their topic did not have ``before``: with ``start: latest`` too, all of theirs came since.

    >>> _added(frozenset({("t", 1), ("t", 2)}), {"t": 2})
    {('t', 2): 0}
    """
    return {(topic, number): 0 for topic, number in partitions if 0 < before.get(topic, 0) <= number}
