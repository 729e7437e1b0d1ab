"""Lateness depends on a partition's own order, closing on the slowest partition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.batch import Span
from monitor.clock import EventClock

PANE, LATENESS = 10, 25


def arrive(clock: EventClock, *parts: tuple[int, list[int]]):
    spans, times = [], []
    for partition, events in parts:
        spans.append(Span(partition, len(times), len(times) + len(events), 0))
        times += events
    return clock.arrive(np.array(times, np.int64), tuple(spans))


def owning(*partitions: int) -> EventClock:
    return EventClock(PANE, LATENESS, owned=set(partitions))


def test_a_row_is_late_once_its_pane_ended_before_the_newest_event_less_the_lateness():
    # pane of 4 is [0, 10): late from a newest event of 35 on.
    clock = owning(0)
    assert arrive(clock, (0, [0, 34, 4, 35, 4])).late.tolist() == [False, False, False, False, True]


def test_panes_close_at_the_slowest_partition():
    clock = owning(0, 1)
    arrive(clock, (0, [100]))
    assert clock.horizon_pane() is None, "partition 1 has sent nothing"
    arrive(clock, (1, [50]))
    assert clock.horizon_pane() == (50 - LATENESS) // PANE


def test_an_idle_partition_no_longer_holds_the_others_up_and_returns_as_late():
    clock = owning(0, 1)
    arrive(clock, (0, [100]), (1, [30]))
    clock.idle.add(1)
    assert clock.horizon_pane() == 7
    clock.closed_panes = 7
    back = arrive(clock, (1, [40, 75]))
    assert clock.idle == set()
    assert back.late.tolist() == [False, False]
    assert back.closed.tolist() == [True, False]


def test_when_all_are_idle_nothing_closes():
    clock = owning(0)
    arrive(clock, (0, [100]))
    clock.idle.add(0)
    assert clock.horizon_pane() is None


def test_partitions_far_ahead_of_what_can_close_are_named():
    clock = owning(0, 1, 2)
    arrive(clock, (0, [1000]), (1, [100]), (2, [990]))
    clock.closed_panes = clock.horizon_pane()  # 7: 100 - 25
    # Held back beyond pane 7, the pane that is being filled, the lateness and the allowance: (7 + 1 + n) * 10 + 25.
    assert clock.ahead(90) == set()
    assert clock.ahead(89) == {0}
    assert clock.ahead(88) == {0, 2}
    clock.idle |= {0}
    assert clock.ahead(88) == {2}, "an idle partition sends nothing that could be held back"


def test_a_partition_is_held_back_also_while_another_has_sent_nothing_yet():
    clock = owning(0, 1)
    arrive(clock, (0, [100]))
    assert clock.ahead(3) == set()
    arrive(clock, (0, [200]))
    assert clock.horizon_pane() is None
    assert clock.ahead(3) == {0}


@given(st.lists(st.lists(st.integers(0, 2000), min_size=1, max_size=20), min_size=1, max_size=4), st.integers(0, 5))
def test_a_pause_always_ends_because_the_slowest_partition_is_never_paused(streams, max_panes):
    clock = owning(*range(len(streams)))
    for partition, events in enumerate(streams):
        arrive(clock, (partition, events))
    clock.closed_panes = clock.horizon_pane()
    slowest = min(clock.owned, key=lambda p: clock.newest_ms[p])
    assert slowest not in clock.ahead(max_panes)


@given(
    streams=st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=30), min_size=1, max_size=3),
    data=st.data(),
)
def test_lateness_does_not_depend_on_batch_cuts_or_interleaving(streams, data):
    whole = owning(*range(len(streams)))
    expected = []
    for partition, events in enumerate(streams):
        expected.append(arrive(whole, (partition, events)).late.tolist())

    cut = owning(*range(len(streams)))
    got: list[list[bool]] = [[] for _ in streams]
    at = [0] * len(streams)
    while any(at[p] < len(events) for p, events in enumerate(streams)):
        p = data.draw(st.sampled_from([p for p, events in enumerate(streams) if at[p] < len(events)]))
        size = data.draw(st.integers(1, 5))
        got[p] += arrive(cut, (p, streams[p][at[p] : at[p] + size])).late.tolist()
        at[p] += size
    assert got == expected
    assert cut.horizon_pane() == whole.horizon_pane()


@given(st.lists(st.integers(0, 300), min_size=1, max_size=60))
def test_a_row_that_is_not_late_finds_its_pane_open(events):
    clock = owning(0)
    for event in events:
        clock.closed_panes = clock.horizon_pane()
        arrived = arrive(clock, (0, [event]))
        assert not arrived.closed.any(), "one partition alone never closes a pane that it still fills"


def test_no_row_is_counted_before_the_closed_panes_nor_before_the_first_pane_while_none_is_closed():
    clock = owning(0, 1)
    assert clock.no_row_before_ms() == 0
    arrive(clock, (0, [25, 101]))
    assert clock.no_row_before_ms() == 20
    clock.closed_panes = 7
    assert clock.no_row_before_ms() == 70
