"""A paced producer: as fast as the monitor reads, never further ahead than the broker can hold.

The embedded broker keeps about 100 MB and ignores the limits of a fetch, so that a reader that is far behind would be
handed everything at once. It also deletes by the records' timestamps: they are stamped with now, while the events carry
the times of 2013.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from monitor.demo.events import Event

PARTITIONS = 4
MAX_UNREAD_BYTES = 50_000_000  # before compression; half of what the broker holds
STALLED_SECONDS = 60.0
CHUNK_ROWS = 2_000
_WAIT_SECONDS = 0.1


def create_topics(broker: str, *names: str) -> None:
    """Create topics of four partitions, one replica."""
    admin = KafkaAdminClient(bootstrap_servers=broker)
    try:
        admin.create_topics([NewTopic(name, num_partitions=PARTITIONS, replication_factor=1) for name in names])
    finally:
        admin.close()


@contextmanager
def committed_records(broker: str, topic: str, group: str) -> Iterator[Callable[[], int]]:
    """Yields a question: how many records of the topic has the group committed? Holds for a log that begins at offset 0."""
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    admin = KafkaAdminClient(bootstrap_servers=broker)

    def committed() -> int:
        offsets = admin.list_group_offsets({group: partitions})[group]
        return sum(max(0, position.offset) for position in offsets.values())  # -1: nothing committed yet

    try:
        yield committed
    finally:
        admin.close()


def produce(
    broker: str,
    events: Iterable[tuple[str, Event]],
    read: Callable[[], int],
    report: Callable[[int, int], None] = lambda sent, got: None,
    *,
    max_unread_bytes: int = MAX_UNREAD_BYTES,
) -> int:
    """Send the events to their topics, keyed, in order; returns how many were sent, all of them acknowledged.

    ``read`` says how many of them the monitor has read; at most ``max_unread_bytes`` and one chunk are ahead of that.
    ``report(sent, read)`` is told at every step. Raises the client's error when a record is not delivered, and ``TimeoutError`` when
    the monitor stands still though it has much to read.
    """
    # One request in flight keeps the order within a partition also when one is repeated.
    producer = KafkaProducer(
        bootstrap_servers=broker,
        compression_type="lz4",
        acks="all",
        linger_ms=20,
        batch_size=262_144,
        max_in_flight_requests_per_connection=1,
    )
    failures: list[Exception] = []
    remaining, sent, sent_bytes = iter(events), 0, 0
    try:
        while chunk := list(itertools.islice(remaining, CHUNK_ROWS)):
            for topic, (key, value) in chunk:
                producer.send(topic, key=key, value=value).add_errback(failures.append)
            sent += len(chunk)
            sent_bytes += sum(len(value) for _, (_, value) in chunk)
            most_unread = max_unread_bytes * sent // sent_bytes
            wait_until_read(read, sent - most_unread, partial(report, sent))
            _raise_first(failures)
        producer.flush()
        _raise_first(failures)
    finally:
        producer.close()
    return sent


def wait_until_read(
    read: Callable[[], int], wanted: int, report: Callable[[int], None] = lambda got: None, *, stalled_seconds: float = STALLED_SECONDS
) -> None:
    """Return once ``wanted`` records are read. Raises ``TimeoutError`` after ``stalled_seconds`` without any progress."""
    seen, since = -1, time.monotonic()
    while True:
        got = read()
        report(got)
        if got >= wanted:
            return
        if got > seen:
            seen, since = got, time.monotonic()
        elif time.monotonic() - since > stalled_seconds:
            raise TimeoutError(f"expected the monitor to read on within {stalled_seconds:g} s, but it stands at {got} of {wanted} records")
        time.sleep(_WAIT_SECONDS)


def _raise_first(failures: list[Exception]) -> None:
    if failures:
        raise failures[0]
