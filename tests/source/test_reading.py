"""What a Kafka source reads, with each client."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewPartitions, NewTopic

from monitor.source.base import Needs
from tests.source.conftest import PATIENCE_S, numbered, poll_until

NOW_MS = int(time.time() * 1000)  # noida-db drops records that are older than its retention

pytestmark = pytest.mark.broker


def test_reading_begins_at_the_saved_offset_and_else_at_the_log_start(join, topic, produce):
    name = topic(partitions=2)
    produce(name, numbered(0, 50), partition=0)
    produce(name, numbered(0, 50), partition=1)
    member = join([name], saved={(name, 1): 30})
    member.read(70)
    assert member.offsets == {(name, 0): list(range(50)), (name, 1): list(range(30, 50))}
    assert member.values[name, 1] == numbered(30, 50)
    assert member.listener.gaps == []


def test_the_groups_committed_offsets_do_not_decide_where_reading_begins(join, topic, produce):
    name = topic()
    produce(name, numbered(0, 20))
    first = join([name])
    first.read(20)
    first.source.commit({(name, 0): 20}, "")
    first.source.close()
    second = join([name], saved={(name, 0): 5})
    second.read(15)
    assert second.offsets == {(name, 0): list(range(5, 20))}


def test_start_latest_leaves_out_what_was_there_before(join, topic, produce):
    name = topic()
    produce(name, numbered(0, 10))
    member = join([name], start="latest")
    poll_until(lambda: member.source.lag() == {(name, 0): 0}, member)
    produce(name, numbered(10, 15))
    member.read(5)
    assert member.values == {(name, 0): numbered(10, 15)}


def test_a_rebalance_does_not_make_latest_later(join, topic, produce):
    name = topic()
    produce(name, numbered(0, 10))
    first = join([name], start="latest")
    poll_until(lambda: first.source.lag() == {(name, 0): 0}, first)
    first.source.pause([(name, 0)])  # so that these are still unread when the partition is revoked
    produce(name, numbered(10, 15))
    second = join([name], start="latest")
    poll_until(lambda: ("revoked", frozenset({(name, 0)})) in first.listener.events, first, second)
    second.source.close()
    first.read(5)  # a partition that comes back is not paused any more
    assert first.values == {(name, 0): numbered(10, 15)}


def test_several_topics_are_kept_apart(join, topic, produce):
    names = [topic(partitions=2), topic(partitions=1)]
    produce(names[0], numbered(0, 10), partition=0)
    produce(names[0], numbered(10, 20), partition=1)
    produce(names[1], numbered(20, 30), partition=0)
    member = join(names)
    member.read(30)
    expected = {(names[0], 0): numbered(0, 10), (names[0], 1): numbered(10, 20), (names[1], 0): numbered(20, 30)}
    assert member.values == expected
    assert member.source.assignment().partitions == {names[0]: 2, names[1]: 1}
    assert member.source.assignment().complete
    assert not member.source.finished()


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_every_codec_is_read(join, topic, produce, codec):
    name = topic()
    produce(name, numbered(0, 500), compression_type=codec, linger_ms=50)
    member = join([name])
    member.read(500)
    assert member.values == {(name, 0): numbered(0, 500)}


def test_tombstones_missing_keys_and_repeated_headers_arrive_as_they_are(broker, join, topic):
    name = topic()
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(name, None, key=b"gone", timestamp=NOW_MS)
    producer.produce(name, b"", key=None, headers=[("model", b"m"), ("model", b"n"), ("empty", None)])
    producer.produce(name, b"\xff\x00", key=b"")
    assert producer.flush(PATIENCE_S) == 0
    member = join([name], needs=Needs(keys=True, headers=True))
    batches = []
    deadline = time.monotonic() + PATIENCE_S
    while sum(map(len, batches)) < 3 and time.monotonic() < deadline:
        batches += member.source.poll(200)
    assert [value for batch in batches for value in batch.values] == [None, b"", b"\xff\x00"]
    assert [key for batch in batches for key in batch.keys] == [b"gone", None, b""]
    headers = [[tuple(header) for header in headers] for batch in batches for headers in batch.headers]
    assert headers == [[], [("model", b"m"), ("model", b"n"), ("empty", None)], []]
    assert batches[0].timestamps_ms[0] == NOW_MS


def test_keys_and_headers_are_read_only_when_needed(join, topic, produce):
    name = topic()
    produce(name, [b"x"])
    [batch] = _first(join([name]))
    assert batch.keys is None and batch.headers is None


def test_a_message_of_900_kilobytes_is_read(join, topic, produce):
    name = topic()
    big = bytes(range(256)) * 3_600
    produce(name, [b"before", big, b"after"])
    member = join([name])
    member.read(3)
    assert member.values == {(name, 0): [b"before", big, b"after"]}


def test_aborted_transactions_are_left_out_and_leave_no_lag(kafka, join, topic):
    name = topic()
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=f"tx-{name}")
    producer.init_transactions()
    for kept, value in ((True, b"kept"), (False, b"aborted"), (True, b"kept too"), (False, b"aborted at the end")):
        producer.begin_transaction()
        producer.send(name, value, partition=0)
        producer.flush()
        (producer.commit_transaction if kept else producer.abort_transaction)()
    producer.close()
    member = join([name])
    member.read(2)
    # The log ends with a marker that is no record: standing before it would be lag for ever.
    poll_until(lambda: member.source.lag() == {(name, 0): 0}, member)
    assert member.values == {(name, 0): [b"kept", b"kept too"]}
    uncommitted = join([name], isolation="read_uncommitted", group=f"other-{name}")
    uncommitted.read(4)
    assert uncommitted.values[name, 0] == [b"kept", b"aborted", b"kept too", b"aborted at the end"]


def test_a_paused_partition_stands_still_and_goes_on_without_a_loss(join, topic, produce):
    name = topic(partitions=2)
    for partition in (0, 1):
        produce(name, numbered(0, 3_000), partition=partition)
    member = join([name], max_poll_records=100)
    poll_until(lambda: len(member.offsets.get((name, 0), [])) > 0, member)
    member.source.pause([(name, 0)])
    held = len(member.offsets[name, 0])
    poll_until(lambda: len(member.offsets.get((name, 1), [])) == 3_000, member)
    assert len(member.offsets[name, 0]) == held < 3_000
    assert member.source.lag() == {(name, 0): 3_000 - held, (name, 1): 0}
    member.source.resume([(name, 0)])
    member.read(6_000)
    assert member.offsets == {(name, partition): list(range(3_000)) for partition in (0, 1)}


def test_partitions_paused_half_way_through_what_was_fetched_are_taken_up_again(join, topic, produce):
    """kafka-python parks what it has fetched of a paused partition, and can forget it there."""
    name = topic(partitions=3)
    for partition in (0, 1):
        produce(name, numbered(0, 300), partition=partition)
    member = join([name], max_poll_records=50)
    for partition in (0, 1):
        poll_until(lambda partition=partition: len(member.offsets.get((name, partition), [])) > 0, member)
        member.source.pause([(name, partition)])
    held = member.count
    produce(name, numbered(0, 10), partition=2)
    poll_until(lambda: len(member.offsets.get((name, 2), [])) == 10, member)
    assert member.count == held + 10
    member.source.resume([(name, 0), (name, 1)])
    member.read(610)
    assert member.offsets == {(name, 0): list(range(300)), (name, 1): list(range(300)), (name, 2): list(range(10))}


def test_a_poll_returns_no_more_than_it_may(join, topic, produce):
    name = topic(partitions=2)
    for partition in (0, 1):
        produce(name, numbered(0, 500), partition=partition)
    member = join([name], max_poll_records=64)
    sizes = []
    while member.count < 1_000:
        sizes.append(member.poll())
    assert max(sizes) <= 64


def test_committed_offsets_and_metadata_are_there_for_lag_dashboards(admin, broker, join, topic, produce, group):
    name = topic()
    produce(name, numbered(0, 10))
    member = join([name])
    member.read(10)
    member.source.commit({(name, 0): 7}, "epoch 3")
    member.source.close()
    [[partition, committed]] = admin.list_group_offsets(group)[group].items()
    assert (partition.topic, partition.partition, committed.offset) == (name, 0, 7)
    assert committed.metadata.rstrip("\0") == "epoch 3"  # confluent-kafka appends a zero byte
    assert member.source.health().commit_failures == 0


def test_a_commit_that_fails_is_counted_and_nothing_else(kafka, join, topic, produce):
    name = topic()
    produce(name, numbered(0, 3))
    member = join([name])
    member.read(3)
    member.source.commit({(name, 0): 3}, "x" * 10_000)  # Kafka's limit is 4,096 bytes
    poll_until(lambda: member.source.health().commit_failures == 1, member)
    produce(name, numbered(3, 5))
    member.read(5)


def _first(member):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = member.source.poll(200)
        if found:
            return found
    raise AssertionError("nothing was read")


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_a_partition_that_is_added_is_read_from_its_first_message(join, kafka, topic, produce, start):
    name = topic(partitions=1)
    member = join([name], start=start)
    poll_until(lambda: member.source.lag() == {(name, 0): 0}, member)
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.create_partitions({name: NewPartitions(2)})
    admin.close()
    produce(name, numbered(0, 5), partition=1)
    member.read(5)
    assert member.values == {(name, 1): numbered(0, 5)}
    assert member.source.assignment().partitions == {name: 2}


def test_a_topic_that_is_made_anew_after_a_while_is_read(join, kafka, topic, produce):
    name = topic()
    produce(name, numbered(0, 5))
    member = join([name])
    member.read(5)
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    admin.delete_topics([name])
    poll_until(lambda: not member.source.assignment().owned, member)
    admin.create_topics([NewTopic(name, 1, 1)])
    admin.close()
    produce(name, numbered(5, 8))
    member.read(8)
    assert member.values == {(name, 0): numbered(0, 8)}
