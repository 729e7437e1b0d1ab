"""Partitions that come and go, with each client, on a real group coordinator."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest
from kafka import KafkaProducer
from kafka.admin import MemberToRemove
from kafka.errors import KafkaConnectionError, KafkaTimeoutError
from kafka.future import Future
from kafka.protocol.consumer import SyncGroupRequest
from kafka.protocol.metadata import MetadataRequest

from monitor.errors import SourceError
from tests.source.conftest import CLIENTS, numbered, poll_until

PARTITIONS = 4

pytestmark = pytest.mark.usefixtures("kafka")  # noida-db does not hold a join open for members that poll in turn


@pytest.fixture
def filled(topic, produce):
    name = topic(partitions=PARTITIONS)
    for partition in range(PARTITIONS):
        produce(name, numbered(0, 200), partition=partition)
    return name


def test_two_members_share_the_partitions_and_hand_over_without_loss_or_repeat(join, filled, produce):
    saved: dict = {}
    first = join([filled], saved, max_poll_records=20)
    poll_until(lambda: first.count >= 100, first)
    second = join([filled], saved, max_poll_records=20)
    poll_until(lambda: len(first.listener.owned) == len(second.listener.owned) == 2, first, second)
    for partition in range(PARTITIONS):
        produce(filled, numbered(200, 300), partition=partition)
    poll_until(lambda: second.count >= 20, first, second)
    assert not first.source.assignment().complete
    assert first.listener.owned.isdisjoint(second.listener.owned)
    assert first.listener.owned == first.source.assignment().owned
    second.source.close()
    assert second.listener.events[-1][0] == "revoked"
    poll_until(lambda: first.count + second.count >= PARTITIONS * 300, first)
    for partition in range(PARTITIONS):
        read = first.offsets.get((filled, partition), []) + second.offsets.get((filled, partition), [])
        assert sorted(read) == list(range(300))
    assert [what for what, _ in first.listener.events] == ["assigned", "revoked", "assigned", "revoked", "assigned"]


def test_members_of_both_clients_share_one_group(join, filled, client):
    one = join([filled])
    other = join([filled], client=next(name for name in CLIENTS if name != client))
    poll_until(lambda: len(one.listener.owned) == len(other.listener.owned) == 2, one, other)
    assert one.listener.owned | other.listener.owned == {(filled, partition) for partition in range(PARTITIONS)}


def test_equal_partition_numbers_of_two_topics_go_to_one_member(join, topic):
    names = [topic(partitions=2), topic(partitions=2)]
    one, other = join(names), join(names)
    poll_until(lambda: len(one.listener.owned) == len(other.listener.owned) == 2, one, other)
    for member in (one, other):
        assert {name for name, _ in member.listener.owned} == set(names)
        assert len({partition for _, partition in member.listener.owned}) == 1


def test_a_static_member_that_restarts_moves_nothing(kafka, join, filled):
    stays = join([filled], static_member="stays")
    restarts = join([filled], static_member="restarts")
    poll_until(lambda: len(stays.listener.owned) == len(restarts.listener.owned) == 2, stays, restarts)
    before, events = restarts.source.assignment().owned, len(stays.listener.events)
    restarts.source.close()
    again = join([filled], static_member="restarts")
    poll_until(lambda: len(again.listener.owned) == 2, again, stays)
    assert again.listener.owned == before
    assert len(stays.listener.events) == events


def test_a_join_that_is_done_between_two_polls_counts(join, filled):
    """Thrown away and sent anew by the leader, it would be a new rebalance, and that might go on for ever."""
    leader = join([filled])
    poll_until(lambda: bool(leader.listener.owned), leader)
    second = join([filled])
    poll_until(lambda: len(leader.listener.owned) == len(second.listener.owned) == 2, leader, second)
    third = join([filled])
    poll_until(lambda: not leader.listener.owned, leader, third)
    poll_until(lambda: bool(second.listener.owned) and bool(third.listener.owned), second, third)
    poll_until(lambda: bool(leader.listener.owned), leader)
    settled = len(second.listener.events)
    until = time.monotonic() + 3  # longer than it takes until heartbeats tell of a rebalance
    poll_until(lambda: time.monotonic() > until, leader, second, third)
    assert len(second.listener.events) == settled
    assert len(leader.listener.owned | second.listener.owned | third.listener.owned) == PARTITIONS


def test_the_broker_may_go_while_partitions_are_taken_over(broker, join, filled):
    """What is to be told of that follows in the same call of the client."""
    member = join([filled])

    def restart() -> None:
        broker.kill()
        time.sleep(1)
        member.listener.on_assign = lambda: None

    member.listener.on_assign = restart
    poll_until(lambda: bool(member.listener.owned), member)
    broker.start()
    member.read(PARTITIONS * 200)
    poll_until(lambda: member.source.assignment().complete, member)


def test_the_listener_is_called_on_the_polling_thread_alone(join, filled):
    member = join([filled])
    member.read(10)
    member.source.close()
    assert [what for what, _ in member.listener.events] == ["assigned", "revoked"]
    assert member.listener.threads == {threading.get_ident()}


def test_saving_may_take_longer_than_the_session(kafka, join, filled):
    """Heartbeats go on while the listener works, so the member is not expelled and may still commit."""
    first = join([filled], session_timeout="2s")
    first.read(10)

    def save_slowly() -> None:
        time.sleep(4)
        first.source.commit({(filled, 0): 1}, "")

    first.listener.on_revoke = save_slowly
    second = join([filled], session_timeout="2s")
    joined = threading.Thread(target=lambda: poll_until(lambda: len(second.listener.owned) == 2, second))
    joined.start()
    poll_until(lambda: len(first.listener.owned) == 2, first)
    joined.join()
    assert [what for what, _ in first.listener.events] == ["assigned", "revoked", "assigned"]
    assert first.source.health().commit_failures == 0
    first.listener.on_revoke = lambda: None


def test_an_expelled_member_is_told_that_its_partitions_are_lost_and_comes_back(kafka, admin, join, filled, group):
    member = join([filled])
    member.read(10)
    [described] = admin.describe_groups([group]).values()
    admin.remove_group_members(group, [MemberToRemove(each["member_id"]) for each in described["members"]])
    poll_until(lambda: [what for what, _ in member.listener.events] == ["assigned", "lost", "assigned"], member)
    poll_until(lambda: member.count >= PARTITIONS * 200, member)


def test_what_the_listener_raises_reaches_the_caller(join, filled):
    member = join([filled])

    def refuse(partitions):
        raise LookupError("state cannot be read")

    member.listener.assigned = refuse
    with pytest.raises(LookupError, match="state cannot be read"):
        poll_until(lambda: False, member)


def test_partitions_that_are_added_are_read_and_counted(kafka, admin, broker, join, topic, produce):
    name = topic(partitions=1)
    member = join([name])
    poll_until(lambda: member.source.assignment().complete, member)
    admin.create_partitions({name: 3})
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    producer.close()
    produce(name, [b"late"], partition=2)
    fresh = join([name])  # a join makes the group look at its topics again
    poll_until(lambda: member.count + fresh.count >= 1, member, fresh)
    assert {(name, 2): [b"late"]} in (member.values, fresh.values)
    assert fresh.source.assignment().partitions == {name: 3}


@pytest.fixture
def alone(join, topic):
    """A member that reads the one partition of a topic."""
    member = join([topic(partitions=1)])
    poll_until(lambda: member.source.assignment().complete, member)
    return member


def _read_of_an_added_partition(member, admin, produce):
    [name] = member.source.assignment().partitions
    admin.create_partitions({name: 2})
    produce(name, [b"0"], partition=1)
    member.read(1)
    assert member.source.assignment().complete


@pytest.mark.parametrize("client", ["kafka-python"], indirect=True)
def test_a_rebalance_goes_on_when_a_poll_ends_between_its_two_requests(alone, admin, produce):
    """The leader has said who reads what, and the broker is slow to say so to the members."""
    _answer_late(alone.source._consumer._coordinator._manager, SyncGroupRequest, 0.5)
    _read_of_an_added_partition(alone, admin, produce)


@pytest.mark.parametrize("client", ["kafka-python"], indirect=True)
def test_a_rebalance_goes_on_when_the_connection_breaks_between_its_two_requests(alone, admin, produce):
    """The leader has said who reads what, and does not hear what it is to read itself."""
    broken = _break_once(alone.source._consumer._coordinator._manager, SyncGroupRequest)
    _read_of_an_added_partition(alone, admin, produce)
    assert broken


@pytest.mark.parametrize("client", ["kafka-python"], indirect=True)
def test_a_rebalance_goes_on_when_it_failed_for_want_of_time(alone, admin, produce):
    coordinator = alone.source._consumer._coordinator
    attempt, failed = coordinator._do_join_and_sync_async, []

    async def first_in_vain():
        if not failed:
            failed.append(True)
            await coordinator._manager._net.sleep(0.5)  # beyond the end of the poll that began it
            raise KafkaTimeoutError
        return await attempt()

    coordinator._do_join_and_sync_async = first_in_vain
    _read_of_an_added_partition(alone, admin, produce)
    assert failed


@pytest.mark.parametrize("client", ["librdkafka"], indirect=True)
def test_partitions_are_counted_again_when_brokers_were_silent(admin, broker, join, topic):
    name = topic(partitions=1)
    member = join([name], session_timeout="30s")
    poll_until(lambda: member.source.assignment().complete, member)
    with ExitStack() as silence:
        member.listener.on_assign = lambda: silence.enter_context(broker.frozen())
        admin.create_partitions({name: 2})
        poll_until(lambda: member.source.health().transient_errors > 0, member)
        assert member.source.assignment().partitions == {name: 1}
    poll_until(lambda: member.source.assignment().partitions == {name: 2}, member)


@pytest.mark.parametrize("client", ["kafka-python"], indirect=True)
def test_a_member_counts_partitions_that_it_heard_of_after_the_leader(admin, join, topic):
    name = topic(partitions=2)
    members = [join([name]), join([name])]
    poll_until(lambda: all(len(member.listener.owned) == 1 for member in members), *members)
    [leader] = (member for member in members if member.source._consumer._coordinator._is_leader)
    admin.create_partitions({name: 3})
    leader.source._consumer._cluster.request_update()  # as when it loses a connection
    poll_until(lambda: sum(len(member.listener.owned) for member in members) == 3, *members)
    poll_until(lambda: all(member.source.assignment().partitions == {name: 3} for member in members), *members)


@pytest.mark.parametrize("client", ["kafka-python"], indirect=True)
def test_partitions_are_taken_over_also_when_a_topic_is_gone_and_nobody_says_so(admin, join, topic, produce):
    name, gone = topic(partitions=1), topic(partitions=1)
    member = join([name, gone])
    poll_until(lambda: member.source.assignment().complete, member)
    manager = member.source._consumer._coordinator._manager
    send = manager.send

    def unanswered(request, node_id=None, **options):
        metadata = isinstance(request, MetadataRequest)
        return Future().failure(KafkaConnectionError()) if metadata else send(request, node_id, **options)

    member.listener.on_revoke = lambda: setattr(manager, "send", unanswered)
    member.listener.on_assign = lambda: setattr(manager, "send", send)
    admin.delete_topics([gone])
    poll_until(lambda: member.listener.owned == {(name, 0)}, member)
    produce(name, [b"0"])
    member.read(1)
    assert member.source.assignment().partitions == {name: 1, gone: 0}


def _break_once(manager, request_type):
    """The connection ends instead of an answer; returns a list of the requests of which that is true."""
    send, broken = manager.send, []

    def breaking(request, node_id=None, **options):
        answer = send(request, node_id, **options)
        if isinstance(request, request_type) and not broken:
            broken.append(request)
            manager.close(node_id)
        return answer

    manager.send = breaking
    return broken


def _answer_late(manager, request_type, delay_s):
    send = manager.send

    async def waited(*request, **options):
        await manager._net.sleep(delay_s)
        return await send(*request, **options)

    def late(request, *node, **options):
        return (waited if isinstance(request, request_type) else send)(request, *node, **options)

    manager.send = late


def test_a_member_whose_static_name_another_takes_is_told_and_ends(join, filled):
    first = join([filled], static_member="same")
    first.read(800)
    second = join([filled], static_member="same")
    poll_until(lambda: len(second.listener.owned) == PARTITIONS, second)
    with pytest.raises(SourceError, match="give each process its own"):
        poll_until(lambda: False, first)
    second.read(800)
    assert len(second.source.assignment().owned) == PARTITIONS
