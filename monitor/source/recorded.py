"""A stretch of Kafka topics as they were when reading began: no group, nothing committed, and it ends.

Every partition is read, from an offset or a record's time up to the end that the log had at the start. So whoever reads history
beside a running monitor takes no partition away from it, and leaves no trace in the cluster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kafka import TopicPartition as KafkaPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from monitor.batch import RawBatch
from monitor.config.source import SourceConfig
from monitor.errors import SourceError
from monitor.source.base import Assignment, AssignmentListener, Gap, Needs, SourceHealth, TopicPartition
from monitor.source.faults import advice
from monitor.source.kafka_client import Client, connect, error_name, explain
from monitor.source.kafka_python import to_batch
from monitor.source.kafka_python_mends import mend

_HANG_S = 60.0
STILL_S = 30.0
"""A log that has more, and of which nothing came for this long, cannot be read to its end: an error, not an end."""


@dataclass(eq=False)
class RecordedTopics:
    """See ``Source``. ``since_ms``: time of the first record wanted (the record's own timestamp); None: all that the log has."""

    config: SourceConfig
    topics: Sequence[str]
    needs: Needs
    since_ms: int | None = None
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    _next: dict[TopicPartition, int] = field(default_factory=dict)
    _starts: dict[TopicPartition, int] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _paused: set[TopicPartition] = field(default_factory=set)
    _assigned: bool = False
    _client: Client | None = None
    _listener: AssignmentListener | None = None
    _moved_at: float = 0.0

    def start(self, listener: AssignmentListener) -> None:
        """See ``Source.start``. Raises ``SourceError`` also for a topic that does not exist."""
        self._listener = listener
        self._client, self._counts = connect(self.config, self.topics)
        places = [KafkaPartition(topic, p) for topic, count in self._counts.items() for p in range(count)]
        consumer, limit_ms = self._client.consumer, self.config.connect_timeout_ms
        consumer.assign(places)
        starts = self._ask(partial(consumer.beginning_offsets, places, timeout_ms=limit_ms))
        ends = self._ask(partial(consumer.end_offsets, places, timeout_ms=limit_ms))
        later: Mapping[Any, Any] = {}
        if self.since_ms is not None:
            later = self._ask(partial(consumer.offsets_for_times, dict.fromkeys(places, self.since_ms), timeout_ms=limit_ms))
        for place in places:
            at, found = (place.topic, place.partition), later.get(place)
            self.ends[at] = ends[place]
            self._starts[at] = starts[place]
            # No record of that time or later: nothing of this partition is wanted.
            self._next[at] = starts[place] if self.since_ms is None else ends[place] if found is None else found.offset

    def poll(self, timeout_ms: int) -> Sequence[RawBatch]:
        """See ``Source.poll``. Raises ``SourceError`` when a partition does not come to the end that it had."""
        if not self._assigned:
            self._assign()
        left = [at for at, end in self.ends.items() if self._next[at] < end and at not in self._paused]
        if not left:
            return []
        assert self._client is not None
        consumer = self._client.consumer
        mend(consumer)
        call = partial(consumer.poll, timeout_ms=timeout_ms, max_records=self.config.max_poll_records)
        try:
            found = self._client.thread.call(call, timeout_ms / 1000 + _HANG_S)
        except OffsetOutOfRangeError as error:
            self._retention_passed(error.args[0])
            return []
        except (KafkaError, TimeoutError) as error:
            if advice(error_name(error)) is not None:
                raise explain(error, "cannot read", self.config) from error
            found = {}
        batches = []
        for place, records in found.items():
            at = place.topic, place.partition
            kept = [record for record in records if record.offset < self.ends[at]]
            if kept:
                batches.append(to_batch(place, kept, self.needs))
        self._moved({(place.topic, place.partition): seen.offset for place, seen in consumer._subscription.all_consumed_offsets().items()})
        if not batches and time.monotonic() - self._moved_at > STILL_S:
            raise SourceError(
                f"expected to read {_named(left[0])} up to offset {self.ends[left[0]]:,}, and nothing came beyond"
                f" {self._next[left[0]]:,} for {STILL_S:.0f} s; check the brokers, or for a transaction that was left open"
            )
        return batches

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """See ``Source.pause``."""
        chosen = set(partitions) & self.ends.keys()
        self._paused |= chosen
        self._of(chosen, "pause")

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """See ``Source.resume``."""
        chosen = set(partitions) & self.ends.keys()
        self._paused -= chosen
        self._moved_at = time.monotonic()
        self._of({at for at in chosen if self._next[at] < self.ends[at]}, "resume")

    def commit(self, offsets: Mapping[TopicPartition, int], metadata: str) -> None:
        """Nothing: no group, so nothing is told to the cluster."""

    def lag(self) -> Mapping[TopicPartition, int]:
        """See ``Source.lag``: up to the ends that the log had at the start."""
        return {at: max(0, end - self._next[at]) for at, end in self.ends.items()}

    def read_out(self, partitions: frozenset[TopicPartition]) -> frozenset[TopicPartition]:
        """See ``Source.read_out``. What is read ends where ``lag`` says."""
        return partitions

    def assignment(self) -> Assignment:
        """See ``Source.assignment``: all partitions, from the first poll on."""
        return Assignment(frozenset(self.ends) if self._assigned else frozenset(), dict(self._counts))

    def health(self) -> SourceHealth:
        """Nothing is mended here: what does not pass by itself is raised."""
        return SourceHealth()

    def finished(self) -> bool:
        """Whether everything was read that was there at the start."""
        return self._assigned and not any(self.lag().values())

    def close(self) -> None:
        """See ``Source.close``."""
        client, self._client = self._client, None
        if self._assigned and self._listener is not None:
            self._assigned = False
            self._listener.revoked(frozenset(self.ends))
        if client is not None:
            client.close()

    def _assign(self) -> None:
        assert self._listener is not None
        assert self._client is not None
        self._assigned, self._moved_at = True, time.monotonic()
        for at, offset in self._listener.assigned(frozenset(self.ends)).items():
            resumed = offset if self._starts[at] <= offset <= self.ends[at] else self._starts[at]
            if resumed != offset:
                self._listener.gap(Gap(*at, wanted=offset, resumed=resumed))
            self._next[at] = resumed
        for at, offset in self._next.items():
            self._client.consumer.seek(KafkaPartition(*at), offset)
        self._of({at for at, end in self.ends.items() if self._next[at] >= end}, "pause")

    def _moved(self, positions: Mapping[TopicPartition, int]) -> None:
        # The client's own positions: they have moved past transaction markers, which are no records.
        for at, position in positions.items():
            if position > self._next[at]:
                self._next[at], self._moved_at = position, time.monotonic()
                if position >= self.ends[at]:
                    self._of({at}, "pause")

    def _retention_passed(self, places: Mapping[Any, int]) -> None:
        assert self._listener is not None
        assert self._client is not None
        consumer = self._client.consumer
        starts = self._ask(partial(consumer.beginning_offsets, list(places), timeout_ms=self.config.connect_timeout_ms))
        for place, wanted in places.items():
            consumer.seek(place, starts[place])
            self._listener.gap(Gap(place.topic, place.partition, wanted, starts[place]))
            self._next[place.topic, place.partition] = starts[place]

    def _of(self, partitions: Iterable[TopicPartition], what: str) -> None:
        if self._client is not None and (places := [KafkaPartition(*at) for at in partitions]):
            getattr(self._client.consumer, what)(*places)

    def _ask(self, request: Callable[[], Any]) -> Any:
        assert self._client is not None
        try:
            return self._client.thread.call(request, self.config.connect_timeout_ms / 1000 + _HANG_S)
        except (KafkaError, TimeoutError) as error:
            raise explain(error, "cannot ask where the log begins and ends", self.config) from error


def _named(at: TopicPartition) -> str:
    return f"partition {at[1]} of {at[0]}"
