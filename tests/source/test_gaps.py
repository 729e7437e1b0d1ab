"""What a source does about offsets the log does not have, brokers that die, and partitions that stand still."""

from __future__ import annotations

import time

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaConnectionError

from monitor.errors import SourceError
from monitor.source.base import Gap
from tests.source.conftest import numbered, poll_until


def test_a_saved_offset_below_the_log_goes_on_at_its_start_and_is_told(admin, join, topic, produce):
    name = topic(partitions=2)
    for partition in (0, 1):
        produce(name, numbered(0, 100), partition=partition)
    admin.delete_records({TopicPartition(name, 0): 60})
    member = join([name], saved={(name, 0): 20, (name, 1): 90})
    member.read(50)
    assert member.listener.gaps == [Gap(name, 0, wanted=20, resumed=60)]
    assert member.listener.gaps[0].lost == 40
    assert member.offsets == {(name, 0): list(range(60, 100)), (name, 1): list(range(90, 100))}


def test_a_saved_offset_above_the_log_reads_the_new_log_from_its_start_and_is_told(join, topic, produce):
    name = topic()
    produce(name, numbered(0, 10))
    member = join([name], saved={(name, 0): 5_000})
    member.read(10)
    assert member.listener.gaps == [Gap(name, 0, wanted=5_000, resumed=0)]
    assert member.listener.gaps[0].lost < 0
    assert member.offsets == {(name, 0): list(range(10))}


def test_gaps_in_several_partitions_are_told_once_each_and_nothing_is_read_twice(admin, join, topic, produce):
    name = topic(partitions=6)
    for partition in range(6):
        produce(name, numbered(0, 100), partition=partition)
    admin.delete_records({TopicPartition(name, p): 60 for p in range(6)})
    member = join([name], saved={(name, p): 20 for p in range(6)})
    member.read(240)
    for _ in range(10):
        member.poll()
    assert sorted(member.listener.gaps, key=lambda gap: gap.partition) == [Gap(name, p, wanted=20, resumed=60) for p in range(6)]
    assert member.offsets == {(name, p): list(range(60, 100)) for p in range(6)}


def test_records_that_expire_before_they_are_read_are_told_as_a_gap(admin, join, topic, produce):
    name = topic(partitions=2)
    member = join([name])
    poll_until(lambda: member.source.assignment().complete, member)
    member.source.pause([(name, 0)])
    member.poll(1_000)
    produce(name, numbered(0, 100))
    admin.delete_records({TopicPartition(name, 0): 30})
    member.source.resume([(name, 0)])
    member.read(70)
    assert member.listener.gaps == [Gap(name, 0, wanted=0, resumed=30)]
    assert member.offsets == {(name, 0): list(range(30, 100))}


def test_a_gap_in_one_partition_does_not_wake_one_that_was_paused_at_its_assignment(admin, join, topic, produce):
    name = topic(partitions=2)
    for partition in (0, 1):
        produce(name, numbered(0, 20), partition=partition)
    admin.delete_records({TopicPartition(name, 0): 10})
    member = join([name], saved={(name, 0): 5})
    member.listener.on_assign = lambda: member.source.pause([(name, 1)])
    member.read(10)
    member.poll(1_000)
    assert member.listener.gaps == [Gap(name, 0, wanted=5, resumed=10)]
    assert member.offsets == {(name, 0): list(range(10, 20))}
    member.source.resume([(name, 1)])
    member.read(30)
    assert member.offsets[name, 1] == list(range(20))


def test_a_broker_killed_half_way_costs_no_record_and_repeats_none(broker, join, topic, produce):
    name = topic(partitions=2)
    for partition in (0, 1):
        produce(name, numbered(0, 2_000), partition=partition)
    time.sleep(broker.durable_after_s)
    saved: dict = {}
    member = join([name], saved, max_poll_records=250)
    member.read(1_000)
    broker.kill()
    for _ in range(5):
        member.poll()
    broker.start()
    for partition in (0, 1):
        produce(name, numbered(2_000, 2_500), partition=partition)
    member.read(5_000)
    assert member.offsets == {(name, partition): list(range(2_500)) for partition in (0, 1)}
    assert member.listener.gaps == []


@pytest.fixture
def undecided(kafka, topic):
    """A producer, and its topic, that holds five records of a transaction still open: readers of committed records are held back."""
    name = topic()
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=f"tx-{name}")
    producer.init_transactions()
    producer.begin_transaction()
    for value in numbered(0, 5):
        producer.send(name, value, partition=0)
    producer.flush()
    yield producer, name
    producer.close()


def test_a_partition_that_stands_still_gets_a_new_client(join, undecided):
    producer, name = undecided
    member = join([name], stuck_after="2s")
    member.source.read_out = lambda _: frozenset()  # as if the log had more
    poll_until(lambda: member.source.health().reconnects >= 1, member)
    assert f"{name}/0 stood still for 2000 ms of polling with more to read" in member.source.health().last_error
    assert [what for what, _ in member.listener.events][:2] == ["assigned", "revoked"]
    producer.commit_transaction()
    member.read(5)
    assert member.offsets == {(name, 0): list(range(5))}


def test_a_transaction_that_is_open_for_long_is_no_standstill(join, undecided):
    producer, name = undecided
    member = join([name], stuck_after="2s")
    poll_until(lambda: member.source.lag() == {(name, 0): 5}, member)
    deadline = time.monotonic() + 5
    poll_until(lambda: time.monotonic() > deadline, member)
    assert member.source.health().reconnects == 0
    producer.commit_transaction()
    member.read(5)
    assert member.offsets == {(name, 0): list(range(5))}


def test_a_topic_that_is_not_there_is_an_error_that_names_it(broker, join, topic):
    name = topic()
    with pytest.raises(SourceError, match=r"they are not there or hidden from this user: absent-topic; create them or check the names"):
        join([name, "absent-topic"])


@pytest.mark.parametrize("client", ["kafka-python"], indirect=True)
@pytest.mark.parametrize("fails", [True, False])
def test_a_broker_that_goes_while_a_topic_is_looked_for_is_an_error_in_time(join, topic, monkeypatch, fails):
    """The client asks again for one that is not there."""
    ask, asked = KafkaConsumer._fetch_all_topic_metadata, []

    def once(consumer):
        asked.append(consumer)
        if len(asked) == 1:
            ask(consumer)
        elif fails:
            raise KafkaConnectionError
        else:
            time.sleep(10)

    monkeypatch.setattr(KafkaConsumer, "_fetch_all_topic_metadata", once)
    began = time.monotonic()
    with pytest.raises(SourceError, match="cannot connect"):
        join([topic(), "absent-topic"], connect_timeout="2s")
    assert len(asked) == 2 and time.monotonic() - began < 6


def test_brokers_that_are_gone_are_told_in_the_health(broker, join, topic, produce):
    """The clients' own polls are just empty then."""
    name = topic()
    produce(name, numbered(0, 3))
    member = join([name], connect_timeout="1s")
    member.read(3)
    time.sleep(broker.durable_after_s)
    broker.kill()
    poll_until(lambda: "refused" in member.source.health().last_error, member)
    assert "refused" in member.source.health().unreachable
    broker.start()
    produce(name, numbered(3, 5))
    member.read(5)
    assert member.source.health().unreachable == ""
    assert member.offsets == {(name, 0): list(range(5))}


def test_brokers_that_fall_silent_with_more_to_read_end_nothing(broker, join, topic, produce):
    """A client that stands still is replaced, but a new one could not begin: the program would end, and read no more."""
    name = topic()
    produce(name, numbered(0, 3))
    member = join([name], stuck_after="1s", connect_timeout="1s")
    member.read(3)
    member.source._moving = lambda: {(name, 0): (3, 5)}
    until = time.monotonic() + 8
    with broker.frozen():
        poll_until(lambda: time.monotonic() > until, member)
    assert member.source.health().unreachable
    assert member.source.health().reconnects == 0
    del member.source._moving
    produce(name, numbered(3, 5))
    member.read(5)
    assert member.offsets == {(name, 0): list(range(5))}


def test_a_broker_that_does_not_answer_holds_up_no_close(broker, join, topic, produce):
    name = topic()
    produce(name, numbered(0, 3))
    member = join([name])
    member.read(3)
    with broker.frozen():
        member.source.commit({(name, 0): 3}, "")
        began = time.monotonic()
        member.source.close()
        assert time.monotonic() - began < 8
    assert [what for what, _ in member.listener.events][-1] in ("revoked", "lost")
    assert member.listener.owned == set()


def test_the_log_itself_says_what_is_read_out_and_one_that_does_not_answer_says_nothing(broker, join, topic, produce):
    name = topic()
    owned = frozenset({(name, 0)})
    produce(name, numbered(0, 3))
    member = join([name])
    member.read(3)
    poll_until(lambda: member.source.lag() == {(name, 0): 0}, member)
    poll_until(lambda: member.source.read_out(owned) == owned, member)  # a busy broker may not answer within a second
    produce(name, numbered(3, 5))
    assert member.source.read_out(owned) == frozenset()
    member.read(5)
    with broker.frozen():
        began = time.monotonic()
        assert member.source.read_out(owned) == frozenset()
        assert time.monotonic() - began < 5
    poll_until(lambda: member.source.read_out(owned) == owned, member)
