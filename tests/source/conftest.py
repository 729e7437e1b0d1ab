"""What the tests of sources share: a listener that remembers, and sources that are closed whatever happens."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from kafka import KafkaProducer

from monitor.config.source import SourceConfig
from monitor.source.base import Gap, Needs, Source, TopicPartition
from monitor.source.open import open_source

CLIENTS = ("kafka-python", "librdkafka")
PATIENCE_S = 60.0


class Recorder:
    """A listener with a store of offsets, which may be shared between members as a state store would be."""

    def __init__(self, saved: dict[TopicPartition, int] | None = None) -> None:
        self.saved = {} if saved is None else saved
        self.owned: set[TopicPartition] = set()
        self.events: list[tuple[str, frozenset[TopicPartition]]] = []
        self.gaps: list[Gap] = []
        self.threads: set[int] = set()
        self.on_assign: Callable[[], None] = lambda: None
        self.on_revoke: Callable[[], None] = lambda: None

    def assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        self._note("assigned", partitions)
        self.owned |= partitions
        self.on_assign()
        return {partition: self.saved[partition] for partition in partitions if partition in self.saved}

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self._note("revoked", partitions)
        self.owned -= partitions
        self.on_revoke()

    def lost(self, partitions: frozenset[TopicPartition]) -> None:
        self._note("lost", partitions)
        self.owned -= partitions

    def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    def _note(self, what: str, partitions: frozenset[TopicPartition]) -> None:
        self.threads.add(threading.get_ident())
        self.events.append((what, partitions))


class Member:
    """A source with its listener, and everything it has read: partition to offsets and values."""

    def __init__(self, source: Source, listener: Recorder) -> None:
        self.source, self.listener = source, listener
        self.offsets: dict[TopicPartition, list[int]] = {}
        self.values: dict[TopicPartition, list[bytes | None]] = {}

    def poll(self, timeout_ms: int = 200) -> int:
        """One poll; what it brings is remembered, and its end saved as a commit of state would."""
        count = 0
        for batch in self.source.poll(timeout_ms):
            partition = (batch.topic, batch.partition)
            self.offsets.setdefault(partition, []).extend(batch.offsets.tolist())
            self.values.setdefault(partition, []).extend(batch.values)
            self.listener.saved[partition] = batch.next_offset
            count += len(batch)
        return count

    @property
    def count(self) -> int:
        return sum(map(len, self.offsets.values()))

    def read(self, count: int) -> None:
        """Poll until so many messages are there."""
        poll_until(lambda: self.count >= count, self)


def poll_until(reached: Callable[[], bool], *members: Member) -> None:
    """Poll the members in turn until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        if time.monotonic() > deadline:
            state = [(member.listener.events, member.count, member.source.health()) for member in members]
            raise AssertionError(f"not reached in {PATIENCE_S} s: {state}")
        for member in members:
            member.poll()


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def group() -> str:
    return f"group-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def join(broker: Any, client: str, group: str) -> Iterator[Callable[..., Member]]:
    """``join([topic], saved=..., needs=..., session_timeout="2s")`` starts a member of the test's group."""
    members: list[Member] = []

    def start(topics: Sequence[str], saved: dict[TopicPartition, int] | None = None, needs: Needs | None = None, **settings: Any) -> Member:
        options = {"client": client, "brokers": (broker.bootstrap,), "group": group, "session_timeout": "6s", **settings}
        source = open_source(SourceConfig.model_validate(options), topics, needs or Needs())
        listener = Recorder(saved)
        members.append(Member(source, listener))
        source.start(listener)
        return members[-1]

    yield start
    for member in members:
        member.source.close()


@pytest.fixture
def produce(broker: Any) -> Iterator[Callable[..., None]]:
    """``produce(topic, values, partition=0, compression_type=...)`` returns when the broker has them."""

    def send(topic: str, values: Sequence[bytes | None], partition: int = 0, **options: Any) -> None:
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all", **options)
        try:
            for future in [producer.send(topic, value, partition=partition) for value in values]:
                future.get(timeout=PATIENCE_S)
        finally:
            producer.close()

    yield send


def numbered(start: int, stop: int) -> list[bytes | None]:
    """Messages that tell their own position."""
    return [b"%d" % number for number in range(start, stop)]
