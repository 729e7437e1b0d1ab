"""When a signal was over its threshold, put together from looks now and then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from monitor.demo.account import year
from monitor.demo.terminal import Ink
from monitor.demo.year import Look, Period, merge, timelines
from tests.demo.answers import verdict

FIRST = datetime(2013, 3, 2, tzinfo=UTC)


def day(number: int) -> datetime:
    return FIRST + timedelta(days=number)


def iso(time: datetime) -> str:
    return time.isoformat()


def look(at: int, **since: int) -> Look:
    """A look at a day; for each signal the day since when it was drifted."""
    return Look(day(at), tuple(verdict(signal=name, since=iso(day(start)), window_end=iso(day(at))) for name, start in since.items()))


def test_an_episode_lasts_from_where_the_monitor_says_to_the_last_look_that_saw_it() -> None:
    #        0    5    10        20
    # rain   ·    4====10        ·
    [rain] = timelines([look(0), look(5, rain=4), look(10, rain=4), look(20)], "short")
    assert rain.over == ((day(4), day(10)),)


def test_between_two_looks_the_monitors_since_tells_one_episode_from_two() -> None:
    [unbroken] = timelines([look(0), look(5, rain=4), look(12, rain=4)], "short")
    assert unbroken.over == ((day(4), day(12)),)
    [twice] = timelines([look(0), look(5, rain=4), look(12, rain=11)], "short")
    assert twice.over == ((day(4), day(5)), (day(11), day(12)))


def test_statistics_that_take_turns_make_one_episode() -> None:
    psi, ks = (verdict(signal="rain", statistic=name, since=iso(day(start))) for name, start in (("psi", 1), ("ks", 4)))
    [rain] = timelines([Look(day(0), ()), Look(day(5), (psi, ks)), Look(day(9), (ks,))], "short")
    assert rain.over == ((day(1), day(9)),)


def test_weeks_show_the_most_and_a_week_without_a_look_that_a_later_one_tells_of() -> None:
    mild, wild = (verdict(signal="rain", since=iso(day(1)), value=value) for value in (0.2, 0.9))
    looks = [Look(day(0), ()), Look(day(3), (mild,)), Look(day(6), (wild,)), Look(day(15), (mild,)), Look(day(22), ())]
    [rain] = timelines(looks, "short")
    assert [round(times, 6) for times in rain.weeks] == [9.0, 1.0, 2.0, 0.0]
    assert rain.peak == wild


def test_only_the_window_asked_for_counts() -> None:
    assert timelines([look(0), look(5, rain=4)], "long") == []
    assert timelines([], "short") == []


def test_the_year_is_a_line_a_signal_the_highest_peak_first() -> None:
    wild = Look(day(13), (*look(13, rain=4).drifted, verdict(signal="wind", since=iso(day(13)), value=9.0, window_end=iso(day(13)))))
    lines = year([look(0), look(5, rain=4), wild, look(21)], Ink(False))
    assert lines[3:5] == [
        "  wind                  ·█··  03-15 to 03-15      90 × on 03-15, PSI 9.00",
        "  rain                  ██··  03-06 to 03-15      12 × on 03-07, PSI 1.25",
    ]
    assert lines[-1].strip() == "as seen at 4 of the evaluations of 21 days; ends may be a look late"
    assert year([look(0)], Ink(False))[-1] == "  nothing was, at any of the 1 evaluations looked at"


periods = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 10)).map(lambda pair: (day(pair[0]), day(sum(pair)))), max_size=12)


@given(periods, st.randoms(use_true_random=False))
def test_a_union_covers_what_its_parts_cover_in_any_order_and_is_disjoint(parts: list[Period], random: object) -> None:
    union = merge(parts)
    for number in range(62):
        for time in (day(number), day(number) + timedelta(hours=12)):
            assert any(a <= time <= b for a, b in parts) == any(a <= time <= b for a, b in union)
    assert all(one[1] < other[0] for one, other in pairwise(union))
    shuffled = list(parts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert merge(shuffled) == merge(union) == union
