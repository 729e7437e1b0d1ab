"""Several sources as one: history whose topics lie in different places, such as predictions in a file and labels in a topic."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from monitor.batch import RawBatch
from monitor.source.base import Assignment, AssignmentListener, Source, SourceHealth, TopicPartition


@dataclass(eq=False)
class SeveralSources:
    """See ``Source``. Each topic is of exactly one of them; a turn asks each."""

    sources: Sequence[Source]

    def start(self, listener: AssignmentListener) -> None:
        """See ``Source.start``."""
        for source in self.sources:
            source.start(listener)

    def poll(self, timeout_ms: int) -> Sequence[RawBatch]:
        """See ``Source.poll``."""
        found = [batch for source in self.sources if not source.finished() for batch in source.poll(0)]
        if not found and not self.finished():
            time.sleep(min(timeout_ms, 50) / 1000)
        return found

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """See ``Source.pause``."""
        for source, mine in self._divided(partitions):
            source.pause(mine)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """See ``Source.resume``."""
        for source, mine in self._divided(partitions):
            source.resume(mine)

    def commit(self, offsets: Mapping[TopicPartition, int], metadata: str) -> None:
        """See ``Source.commit``."""
        for source, mine in self._divided(offsets):
            source.commit({at: offsets[at] for at in mine}, metadata)

    def lag(self) -> Mapping[TopicPartition, int]:
        """See ``Source.lag``."""
        return {at: waiting for source in self.sources for at, waiting in source.lag().items()}

    def read_out(self, partitions: frozenset[TopicPartition]) -> frozenset[TopicPartition]:
        """See ``Source.read_out``."""
        return frozenset(at for source, mine in self._divided(partitions) for at in source.read_out(frozenset(mine)))

    def assignment(self) -> Assignment:
        """See ``Source.assignment``."""
        each = [source.assignment() for source in self.sources]
        counts = {topic: count for one in each for topic, count in one.partitions.items()}
        return Assignment(frozenset(at for one in each for at in one.owned), counts)

    def health(self) -> SourceHealth:
        """That of the first which has something to say."""
        return next((health for source in self.sources if (health := source.health()) != SourceHealth()), SourceHealth())

    def finished(self) -> bool:
        """Whether all are."""
        return all(source.finished() for source in self.sources)

    def close(self) -> None:
        """See ``Source.close``."""
        for source in self.sources:
            source.close()

    def _divided(self, partitions: Iterable[TopicPartition]) -> list[tuple[Source, list[TopicPartition]]]:
        wanted = list(partitions)
        return [(source, mine) for source in self.sources if (mine := [at for at in wanted if at in source.assignment().owned])]
