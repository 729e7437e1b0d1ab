"""What members on both clients share."""

from __future__ import annotations

import time

import numpy as np
import pytest

from monitor.batch import RawBatch
from monitor.config.source import SourceConfig
from monitor.source.base import Assignment, Needs, SourceHealth
from monitor.source.kafka_python import KafkaPythonSource
from monitor.source.librdkafka import LibrdkafkaSource
from monitor.source.member import GroupMember


class Member(GroupMember):
    """A member whose client knows these ends, and never moves, though brokers answer."""

    def read_out(self, _partitions):
        return frozenset()

    def _ends(self):
        return {("t", 0): (5, 9), ("t", 1): (9, 9), ("t", 2): (12, 9)}

    _moving = _ends

    def _open(self):
        """Joined, and nothing assigned yet."""

    def _leave(self):
        self._owned.clear()

    def _brokers_answer(self):
        return True


def member(**config):
    return Member(SourceConfig.model_validate({"brokers": ["127.0.0.1:1"], **config}), ["t", "s", "t"], Needs())


def test_lag_is_what_lies_before_the_end_and_never_negative():
    assert member().lag() == {("t", 0): 4, ("t", 1): 0, ("t", 2): 0}


def test_what_is_owned_is_told_as_it_was_when_asked():
    one = member()
    one._owned, one._partitions = {("t", 0)}, {"s": 1, "t": 3}
    told = one.assignment()
    one._owned.add(("t", 1))
    assert told == Assignment(frozenset({("t", 0)}), {"s": 1, "t": 3})
    assert told.elsewhere == 3
    assert not one.finished()


def test_what_goes_wrong_is_counted_each_by_itself():
    one = member()
    for told in (one._failed, one._failed, one._commit_failed, one._reopen):
        told(told.__name__)
    assert one.health() == SourceHealth(commit_failures=1, transient_errors=2, reconnects=1, last_error="_reopen")


def test_what_a_poll_found_goes_with_a_client_that_stood_still():
    one = member(stuck_after="2s")
    one._owned = {("t", 0), ("t", 1)}
    found = [RawBatch("t", 1, [b"{}"], np.array([8]), np.array([0]))]
    second_ago = time.monotonic() - 1
    assert [one._polled(second_ago, found) for _ in range(4)] == [found, found, [], []]
    assert one.health().reconnects == 1


@pytest.mark.parametrize(("start", "kept"), [("latest", {("t", 0): 7, ("t", 1): 1}), ("earliest", {})])
def test_where_latest_was_is_remembered_from_the_first_time_on(start, kept):
    one = member(start=start)
    one._remember({("t", 0): 7})
    one._remember({("t", 0): 9, ("t", 1): 1})
    assert one._began == kept


@pytest.mark.parametrize("source", [KafkaPythonSource, LibrdkafkaSource])
@pytest.mark.parametrize(
    "name", ["lag", "assignment", "health", "finished", "_polled", "_reopen", "_remember", "_failed", "_commit_failed"]
)
def test_both_clients_take_it_from_one_place(source, name):
    assert getattr(source, name) is getattr(GroupMember, name)
