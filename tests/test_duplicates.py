"""The set of seen ids against a dictionary that does the same, one row at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.duplicates import SeenIds

HORIZON = 3


class OneByOne:
    """What ``SeenIds`` must do, said in the plainest way."""

    def __init__(self) -> None:
        self.ticks: dict[tuple[int, int], int] = {}

    def repeats(self, ids, ticks, newest) -> list[bool]:
        answers = []
        for key, tick, now in zip(ids, ticks, newest, strict=True):
            repeat = key in self.ticks and self.ticks[key] >= now - HORIZON
            if not repeat:
                self.ticks[key] = tick
            answers.append(repeat)
        return answers


@st.composite
def streams(draw):
    """Rows (id, tick, newest tick) of one partition, few ids, so that repeats abound; low words collide on purpose."""
    now, rows = 100, []
    for _ in range(draw(st.integers(1, 60))):
        tick = now + draw(st.integers(-2, 2))
        now = max(now, tick)
        key = draw(st.tuples(st.sampled_from([0, 1, 1 << 12, 2 << 12, 5]), st.integers(0, 2)))
        rows.append((key, tick, now))
    return rows


def ask(seen: SeenIds, rows, oldest: int) -> list[bool]:
    ids = np.array([key for key, _, _ in rows], np.uint64).reshape(-1, 2)
    ticks, newest = (np.array([row[i] for row in rows], np.int32) for i in (1, 2))
    return seen.repeats(ids, ticks, newest, oldest).tolist()


@settings(max_examples=300)
@given(rows=streams(), cuts=st.lists(st.integers(0, 60)), sweep=st.booleans())
def test_answers_equal_those_of_a_dictionary_for_any_batch_cut(rows, cuts, sweep):
    # Word 0 marks a free slot, so an id whose low word is 0 is kept under 1: the same id as far as the table knows.
    plain = OneByOne()
    expected = plain.repeats([(max(1, key[0]), key[1]) for key, _, _ in rows], [r[1] for r in rows], [r[2] for r in rows])
    seen, got, at = SeenIds(HORIZON, max_ids=10_000), [], 0
    for cut in [*sorted(min(cut, len(rows)) for cut in cuts), len(rows)]:
        part = rows[at:cut]
        if part:
            got += ask(seen, part, part[0][2] if sweep else 0)
        at = cut
    assert got == expected


def test_ids_survive_growth_of_the_table():
    seen = SeenIds(HORIZON, max_ids=1_000_000)
    random = np.random.default_rng(7)
    ids = random.integers(0, 2**63, (50_000, 2)).astype(np.uint64)
    now = np.full(len(ids), 9, np.int32)
    assert not seen.repeats(ids, now, now, 9).any()
    assert seen.repeats(ids[::-1], now, now, 9).all()
    assert seen.count == len(ids)


def test_memory_is_bounded_and_what_is_forgotten_is_counted():
    seen = SeenIds(HORIZON, max_ids=5_000)
    random = np.random.default_rng(7)
    for step in range(100):
        ids = random.integers(0, 2**63, (500, 2)).astype(np.uint64)
        tick = np.full(500, 10 + step // 50, np.int32)
        seen.repeats(ids, tick, tick, 10)
        assert seen.count <= 5_000
    assert seen.count + seen.evicted == 50_000
    assert len(seen.low) <= 16_384


def test_the_oldest_are_forgotten_first_however_they_came():
    seen = SeenIds(100, max_ids=1_000)
    random = np.random.default_rng(7)
    ids = random.integers(0, 2**63, (1_000, 2)).astype(np.uint64)
    ticks = random.permutation(np.repeat(np.arange(10), 100)).astype(np.int32)
    seen.repeats(ids, ticks, ticks, 0)
    seen.repeats(ids[:1] + np.uint64(1), ticks[:1], ticks[:1], 0)  # one more than fits: a tenth goes, and itself makes room
    assert (seen.evicted, seen.count) == (101, 900)
    left = seen.low[seen.low > 0]
    assert np.isin(ids[ticks >= 2, 0], left).all()
    second = ids[ticks == 1, 0]
    assert (~np.isin(second, left)).sum() == 1 and second.min() not in left
    assert seen.take_fresh().forgotten_below == (1, int(np.sort(second)[1]))
    assert seen.take_fresh().forgotten_below is None


def test_ids_older_than_the_horizon_of_every_partition_are_swept_out():
    seen = SeenIds(HORIZON, max_ids=1_000_000)
    random = np.random.default_rng(7)
    for tick in range(1_000):
        ids = random.integers(0, 2**63, (200, 2)).astype(np.uint64)
        at = np.full(200, tick, np.int32)
        seen.repeats(ids, at, at, tick)
    assert seen.evicted == 0
    assert len(seen.low) == 4_096, "four ticks of 200 ids never need a larger table"


def test_restored_ids_are_known_and_not_saved_again():
    seen = SeenIds(HORIZON, max_ids=10_000)
    rows = [((i, i), 5, 5) for i in range(1, 200)]
    ask(seen, rows, 5)
    again = SeenIds(HORIZON, max_ids=10_000)
    fresh = seen.take_fresh()
    again.restore(fresh.ids, fresh.ticks)
    assert ask(again, rows, 5) == [True] * 199
    assert len(again.take_fresh().ids) == 0
