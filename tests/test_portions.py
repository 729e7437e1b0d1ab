"""A poll is taken in portions that last seconds; nothing is lost, doubled or reordered by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.batch import RawBatch
from monitor.portions import FIRST, LEAST, QUICK_MS, SLOW_MS, Portions


def batch(partition: int, count: int) -> RawBatch:
    offsets = np.arange(count, dtype=np.int64) * 3
    values = [b"%d" % n for n in range(count)]
    return RawBatch(
        "t", partition, values, offsets, offsets + 7, [b"k%d" % n for n in range(count)], [[("h", b"%d" % n)] for n in range(count)]
    )


class Clock:
    """Wall time that passes only while a portion is worked on."""

    now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


def taken(portions: Portions, clock: Clock, raws: Sequence[RawBatch], took_ms: Callable[[int], int]) -> list[Sequence[RawBatch]]:
    found = []
    for portion in portions.of(raws):
        found.append(portion)
        clock.now_ms += took_ms(sum(map(len, portion)))
    return found


@given(st.lists(st.integers(1, 400), max_size=4), st.integers(1, 900), st.integers(0, 2_000))
def test_portions_are_the_poll_in_the_order_of_each_partition(sizes: list[int], messages: int, each_ms: int) -> None:
    clock = Clock()
    portions = Portions(clock)
    portions.messages = messages
    raws = [batch(partition, size) for partition, size in enumerate(sizes)]
    found = taken(portions, clock, raws, lambda _: each_ms)
    for raw in raws:
        mine = [part for portion in found for part in portion if part.partition == raw.partition]
        assert all(len(part) for part in mine)
        assert [value for part in mine for value in part.values] == raw.values
        assert np.concatenate([part.offsets for part in mine]).tolist() == raw.offsets.tolist()
        assert np.concatenate([part.timestamps_ms for part in mine]).tolist() == raw.timestamps_ms.tolist()
        assert [key for part in mine for key in part.keys] == raw.keys  # type: ignore[union-attr]
        assert [header for part in mine for header in part.headers] == raw.headers  # type: ignore[union-attr]
    assert len(found) >= 1, "an empty poll is a turn too"


def test_what_is_quick_is_soon_taken_whole() -> None:
    clock = Clock()
    portions, raws = Portions(clock), [batch(0, 5_000), batch(1, 5_000)]
    for _ in range(3):
        found = taken(portions, clock, raws, lambda messages: messages // 100)
    assert len(found) == 1 and found[0] is raws, "not even copied"


def test_what_takes_long_is_cut_until_a_portion_takes_about_a_second() -> None:
    clock, per_message_ms = Clock(), 25  # of a quiet model: an evaluation every few messages
    portions = Portions(clock)
    found = taken(portions, clock, [batch(0, 6_000)], lambda messages: messages * per_message_ms)
    sizes = [sum(map(len, portion)) for portion in found]
    assert sizes[0] == FIRST
    assert all(QUICK_MS <= size * per_message_ms <= SLOW_MS for size in sizes[1:-1])
    assert len(taken(portions, clock, [batch(0, 100)], lambda _: 60_000)) >= 1
    assert portions.messages >= LEAST


def test_empty_portions_come_while_what_the_last_one_led_to_is_unfinished():
    left = [2]
    portions = Portions(lambda: 0).of([], lambda: left[0] > 0)
    assert next(portions) == []
    for _ in range(2):
        assert next(portions) == ()
        left[0] -= 1
    assert list(portions) == []
