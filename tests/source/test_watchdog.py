"""Laws of the stuck-partition detector."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.source.watchdog import Standstill, Watch, observe, stuck

P, Q = ("t", 0), ("t", 1)
LIMIT_MS = 1_000


def nothing(_partitions):
    """The log says that there is more to read."""
    return frozenset()


looks = st.lists(
    st.tuples(st.integers(1, 400), st.dictionaries(st.sampled_from([P, Q]), st.tuples(st.integers(0, 3), st.integers(0, 4)))),
    max_size=40,
)
"""Time since the last look, and what was seen: partition to (position, end)."""


def _replay(seen):
    now, standstills, trace = 0, {}, []
    for passed, positions in seen:
        now += passed
        standstills = observe(standstills, positions, now)
        trace.append((now, positions, standstills, stuck(standstills, now, LIMIT_MS)))
    return trace


@given(looks)
def test_what_is_stuck_was_seen_unmoved_with_more_to_read_for_the_whole_limit(seen):
    """An independent oracle: walk back through the looks from each verdict."""
    trace = _replay(seen)
    for place, (now, _, _, found) in enumerate(trace):
        for partition in (P, Q):
            since = None
            for then, positions, _, _ in reversed(trace[: place + 1]):
                at = positions.get(partition)
                if at is None or at[1] <= at[0] or at[0] != trace[place][1].get(partition, at)[0]:
                    break
                since = then
            assert (partition in found) == (since is not None and now - since >= LIMIT_MS)


@given(looks)
def test_looking_changes_neither_argument(seen):
    standstills = {P: Standstill(1, 0)}
    for _, positions in seen:
        before = dict(positions)
        observe(standstills, positions, 5)
        assert positions == before and standstills == {P: Standstill(1, 0)}


@given(looks)
def test_a_partition_that_moves_at_every_look_is_never_stuck(seen):
    moving = [(passed, {P: (place, place + 5)}) for place, (passed, _) in enumerate(seen)]
    assert not any(found for *_, found in _replay(moving))


def test_a_read_out_partition_is_not_stuck_however_long_it_waits():
    assert observe({P: Standstill(7, 0)}, {P: (7, 7)}, 10**9) == {}


def test_the_watch_counts_polled_time_alone_and_names_what_is_stuck():
    watch = Watch(LIMIT_MS, quiet_ms=10**9, look_every_ms=100)
    for _ in range(10):
        assert watch.polled(100.0, lambda: {Q: (3, 9), P: (5, 5)}, nothing) is None
    assert watch.polled(100.0, lambda: {Q: (3, 9), P: (5, 5)}, nothing) == "t/1 stood still for 1000 ms of polling with more to read"
    assert watch.polled(100.0, lambda: {Q: (3, 9)}, nothing) is None  # told once; then it starts anew


def test_what_the_log_calls_read_out_is_not_stuck():
    watch = Watch(LIMIT_MS, quiet_ms=10**9, look_every_ms=100)
    told = [watch.polled(100.0, lambda: {P: (3, 9), Q: (3, 9)}, lambda seeming: seeming - {Q}) for _ in range(11)]
    assert told == [None] * 10 + ["t/1 stood still for 1000 ms of polling with more to read"]
    assert {watch.polled(100.0, lambda: {P: (3, 9)}, frozenset) for _ in range(30)} == {None}


def test_the_watch_looks_no_more_often_than_it_should():
    watch, looked = Watch(LIMIT_MS, quiet_ms=10**9, look_every_ms=100), []
    for _ in range(100):
        watch.polled(10.0, lambda: looked.append(1) or {}, nothing)
    assert len(looked) == 10


def test_quiet_is_told_once_each_time_it_lasts():
    watch = Watch(LIMIT_MS, quiet_ms=300)
    told = []
    for heard in (False, False, False, False, True, False, False, False, False):
        watch.polled(100.0, dict, nothing)
        told.append(watch.quiet(heard))
    assert told == [False, False, True, False, False, False, False, True, False]


def test_what_is_known_to_be_out_of_reach_is_looked_at_every_second():
    watch = Watch(LIMIT_MS, quiet_ms=30_000, look_every_ms=1_000)
    told = []
    for second in range(1, 36):
        watch.polled(1_000.0, dict, nothing)
        if watch.quiet(False, known=30 <= second < 33):
            told.append(second)
    assert told == [30, 31, 32]
