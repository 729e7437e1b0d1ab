"""What a member of a consumer group knows of itself, whichever client it reads with. Pure: the client is told to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

from monitor.config.source import SourceConfig
from monitor.source.base import Assignment, Lag, Needs, SourceHealth, TopicPartition

Ends = Mapping[TopicPartition, tuple[int, int]]
"""(position, end of the log) of the partitions of which both are known."""


class GroupMember(ABC):
    """The part of ``Source`` that needs no client but its positions: see ``_ends``."""

    def __init__(self, config: SourceConfig, topics: Sequence[str], needs: Needs) -> None:
        self._config = config
        self._topics = sorted(set(topics))
        self._needs = needs
        self._owned: set[TopicPartition] = set()
        self._began: dict[TopicPartition, int] = {}  # where ``start: latest`` began, since "latest" is later when asked again
        self._partitions: dict[str, int] = dict.fromkeys(self._topics, 0)
        self._health = SourceHealth()

    def lag(self) -> Lag:
        """See ``Source.lag``."""
        return {partition: max(0, end - position) for partition, (position, end) in self._ends().items()}

    def assignment(self) -> Assignment:
        """See ``Source.assignment``."""
        return Assignment(frozenset(self._owned), dict(self._partitions))

    def health(self) -> SourceHealth:
        """See ``Source.health``."""
        return self._health

    def finished(self) -> bool:
        """Never: a topic has no end."""
        return False

    @abstractmethod
    def _ends(self) -> Ends:
        """What the client knows, without a request."""

    def _remember(self, began: Mapping[TopicPartition, int]) -> None:
        if self._config.start == "latest":
            self._began = {**began, **self._began}

    def _failed(self, reason: str) -> None:
        self._health = replace(self._health, transient_errors=self._health.transient_errors + 1, last_error=reason)

    def _commit_failed(self, reason: str) -> None:
        self._health = replace(self._health, commit_failures=self._health.commit_failures + 1, last_error=reason)

    def _reconnected(self, reason: str) -> None:
        self._health = replace(self._health, reconnects=self._health.reconnects + 1, last_error=reason)
