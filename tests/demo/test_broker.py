"""The embedded broker and the paced producer, on the real thing."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition

from monitor.demo.broker import embedded_broker
from monitor.demo.events import Event
from monitor.demo.produce import CHUNK_ROWS, PARTITIONS, committed_records, create_topics, produce, wait_until_read

pytestmark = pytest.mark.broker

TOPICS = (f"topic-{number}" for number in itertools.count())


def to(topic: str, events: Iterable[Event]) -> Iterator[tuple[str, Event]]:
    return ((topic, event) for event in events)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_broker(tmp_path_factory.mktemp("demo") / "broker") as address:
        yield address


@pytest.fixture
def own_topic(embedded: str) -> str:
    name = next(TOPICS)
    create_topics(embedded, name)
    return name


def messages(count: int, size: int = 100) -> list[tuple[bytes, bytes]]:
    return [(b"id-%d" % number, (b"%d " % number).ljust(size, b".")) for number in range(count)]


def read_all(consumer: KafkaConsumer, topic: str, count: int) -> list[tuple[int, int, int, bytes, bytes]]:
    consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    consumer.seek_to_beginning()
    found: list[tuple[int, int, int, bytes, bytes]] = []
    while len(found) < count:
        for records in consumer.poll(200).values():
            found += [(record.partition, record.offset, record.timestamp, record.key, record.value) for record in records]
    return found


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_broker_leaves_neither_port_nor_folder_behind(tmp_path: Path) -> None:
    with embedded_broker(tmp_path / "broker") as address:
        port = int(address.rpartition(":")[2])
        assert listening(port)
        assert (tmp_path / "broker").is_dir()
    assert not listening(port)
    assert list(tmp_path.iterdir()) == []


def test_a_broker_ends_when_what_it_serves_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), embedded_broker(tmp_path / "broker") as address:
        raise KeyboardInterrupt
    assert not listening(int(address.rpartition(":")[2]))
    assert list(tmp_path.iterdir()) == []


def test_everything_arrives_once_in_order_with_the_time_of_sending(embedded: str, own_topic: str) -> None:
    sent = messages(5_000)
    before = int(time.time() * 1000)
    assert produce(embedded, to(own_topic, iter(sent)), lambda: len(sent)) == len(sent)
    after = int(time.time() * 1000)
    consumer = KafkaConsumer(bootstrap_servers=embedded)
    try:
        found = read_all(consumer, own_topic, len(sent))
    finally:
        consumer.close()
    assert sorted((key, value) for *_, key, value in found) == sorted(sent)
    assert {partition for partition, *_ in found} == set(range(PARTITIONS))
    for number in range(PARTITIONS):
        numbers = [int(value.split()[0]) for partition, *_, value in found if partition == number]
        assert numbers == sorted(numbers)
    assert all(before <= timestamp <= after for _, _, timestamp, _, _ in found)


def test_the_producer_is_never_further_ahead_than_allowed(embedded: str, own_topic: str) -> None:
    sent, allowed_records = messages(20_000), 3_000
    read, ahead = 0, []

    def reads_a_thousand_each_time() -> int:
        nonlocal read
        read += 1_000
        return read

    produce(
        embedded,
        to(own_topic, sent),
        reads_a_thousand_each_time,
        lambda so_far, got: ahead.append(so_far - got),
        max_unread_bytes=100 * allowed_records,
    )
    assert max(ahead) <= allowed_records + CHUNK_ROWS
    assert max(ahead) > 0  # and it did run ahead


def test_a_reader_that_stands_still_is_reported(embedded: str) -> None:
    with pytest.raises(TimeoutError, match=r"expected the monitor to read on within 0\.2 s, but it stands at 3 of 10 records"):
        wait_until_read(lambda: 3, 10, stalled_seconds=0.2)


def test_a_record_that_the_client_refuses_is_an_error(embedded: str, own_topic: str) -> None:
    with pytest.raises(Exception, match=r"(?i)larger than"):
        produce(embedded, to(own_topic, [(b"key", b"." * 5_000_000)]), lambda: 1)


def test_committed_records_are_what_the_group_has_committed(embedded: str, own_topic: str) -> None:
    sent = messages(1_000)
    produce(embedded, to(own_topic, sent), lambda: len(sent))
    consumer = KafkaConsumer(bootstrap_servers=embedded, group_id="readers", enable_auto_commit=False)
    try:
        with committed_records(embedded, own_topic, "readers") as committed:
            assert committed() == 0
            assert len(read_all(consumer, own_topic, len(sent))) == len(sent)
            assert committed() == 0  # read is not committed
            consumer.commit()
            assert committed() == len(sent)
    finally:
        consumer.close()


def test_nothing_keeps_running(embedded: str, own_topic: str) -> None:
    threads = threading.active_count()
    produce(embedded, to(own_topic, messages(10)), lambda: 10)
    with committed_records(embedded, own_topic, "nobody"):
        pass
    assert threading.active_count() == threads
