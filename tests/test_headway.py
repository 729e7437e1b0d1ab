"""How far reading has come: at most a line in half a minute, only while it is behind, and a word while no partition comes."""

from __future__ import annotations

import pytest

from monitor.expose.text import iso
from monitor.headway import EVERY_MS, MANY, WAITED_MS, Headway, reached_ms
from monitor.process_events import AssignmentAwaited, HistoryFinished, HistoryPassed
from monitor.stream import streams_of
from tests.flow import world
from tests.flow.world import START
from tests.test_app import Running, configured, filled, logs

__all__ = ["filled", "logs"]

OWNED = {("t", 0), ("t", 1)}


@pytest.fixture
def streams():
    state = world.fresh(partitions=2)
    state.clock.newest_ms.update({0: START, 1: START + 60_000})
    state.ledger[0] = 70_000
    return streams_of([state])


def test_a_long_history_is_said_each_half_minute_and_its_end_once(streams):
    headway, said = Headway(0), {}
    for second in range(150):
        unread = max(400_000 - second * 5_000, 0)
        for event in headway.turn(streams, OWNED, {("t", 0): unread, ("t", 1): 7}, 5_000 if unread else 10, second * 1_000):
            said.setdefault(second, []).append(event)
    assert list(said) == [30, 60]
    assert said[30] == [HistoryPassed(70_000, pytest.approx(5_000, rel=0.1), 250_007, iso(START))]
    assert said[60] == [HistoryFinished(iso(START))], "what is left takes less than the interval"


@pytest.mark.parametrize("read", [3, 400])
def test_traffic_that_is_kept_up_with_is_silent(streams, read):
    headway = Headway(0)
    events = [e for s in range(600) for e in headway.turn(streams, OWNED, {("t", 0): 2 * read, ("t", 1): 0}, read, s * 1_000)]
    assert events == []


def test_of_files_what_is_left_is_not_known(streams):
    headway = Headway(0)
    [event] = [e for s in range(31) for e in headway.turn(streams, OWNED, {("t", 0): 0}, MANY, s * 1_000)]
    assert event.unread is None
    assert event.messages == 70_000


def test_a_clock_that_was_set_back_does_not_silence_it(streams):
    headway = Headway(10**12)
    [event] = headway.turn(streams, OWNED, {("t", 0): 10**6, ("t", 1): 0}, 10, 0)
    assert isinstance(event, HistoryPassed)


def test_no_partition_is_said_after_some_seconds_and_then_each_half_minute(streams):
    headway, said = Headway(0), []
    for second in range(100):
        said += [(second, e) for e in headway.turn(streams, set(), {}, 0, second * 1_000)]
    first = WAITED_MS // 1_000
    assert said == [(s, AssignmentAwaited(("t",), float(s))) for s in range(first, 100, EVERY_MS // 1_000)]
    assert list(headway.turn(streams, OWNED, dict.fromkeys(OWNED, 5), 5, 101_000)) == []
    assert list(headway.turn(streams, set(), {}, 0, 102_000)) == [], "the next wait counts for itself"


@pytest.mark.broker
@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
def test_a_restart_after_a_kill_says_what_it_waits_for(broker, filled, tmp_path, client):
    path = configured(tmp_path, broker.bootstrap, filled, client)
    path.write_text(path.read_text().replace("poll_timeout: 200ms", "poll_timeout: 200ms\n  session_timeout: 20s"))
    with Running(path) as running:
        running.wait(lambda: running.counted() > 0)
        running.process.kill()
        running.process.wait(10)
    with Running(path) as running:
        running.wait(lambda: any(each["event"] == "AssignmentAwaited" for each in running.events()))
        running.wait(lambda: any(each["event"] == "PartitionsAssigned" for each in running.events()))


def test_event_time_is_that_of_the_last_partition_with_traffic(streams):
    assert reached_ms(streams) == START
    streams["t"].clock.idle.add(0)
    assert reached_ms(streams) == START + 60_000
    del streams["t"].clock.newest_ms[1]
    assert reached_ms(streams) is None
