"""Times in every unit, floored to the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.config.types import EventTime
from monitor.decode.event_time import END_MS, event_times, time_of
from monitor.decode.refusal import Refusal
from tests.decode import decode, event, model, raw, reasons

# 2013-03-01 05:15:30 UTC is 15765 days and 18930 s after 1970-01-01.
SECONDS = 15_765 * 86_400 + 18_930
MS = SECONDS * 1_000


def times(unit: str, *values: object, zone: str = "UTC") -> list[int]:
    batch, rejections = decode(model(time={"path": "ts", "unit": unit, "zone": zone}), *(event(ts=value) for value in values))
    assert rejections == []
    return batch.time_ms.tolist()


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [
        ("s", SECONDS, MS),
        ("s", SECONDS + 0.123, MS + 123),
        ("s", SECONDS + 0.1239, MS + 123),
        ("s", 0.001, 1),
        ("s", 0.0009, 0),
        ("ms", MS, MS),
        ("ms", MS + 0.75, MS),
        ("ms", float(MS), MS),
        ("us", MS * 1_000 + 999, MS),
        ("us", MS * 1_000 + 1_000, MS + 1),
        ("ns", MS * 1_000_000 + 999_999, MS),
        ("ns", MS * 1_000_000 + 1_000_000, MS + 1),
        ("ns", 32_503_679_999_999 * 1_000_000 + 999_999, 32_503_679_999_999),  # more than 64 bits
        ("iso8601", "2013-03-01T05:15:30Z", MS),
        ("iso8601", "2013-03-01T05:15:30z", MS),
        ("iso8601", "2013-03-01 05:15:30", MS),
        ("iso8601", "2013-03-01T06:15:30+01:00", MS),
        ("iso8601", "2013-03-01T05:15:30.123999999Z", MS + 123),
        ("iso8601", "2013-03-01", 15_765 * 86_400_000),
        ("iso8601", "1970-01-01T00:00:00Z", 0),
    ],
)
def test_a_time_is_floored_to_the_millisecond_in_its_unit(unit, value, expected):
    assert times(unit, value) == [expected]
    assert times(unit, 1 if unit != "iso8601" else "2000-01-01T00:00:00Z", value, value)[1:] == [expected] * 2


def test_a_time_without_offset_is_of_the_configured_zone():
    # Paris is an hour ahead of UTC in winter and two in summer.
    winter, summer, own = times("iso8601", "2013-03-01T06:15:30", "2013-07-01T12:00:00", "2013-03-01T05:15:30+00:00", zone="Europe/Paris")
    assert winter == own == MS
    assert summer == int(datetime(2013, 7, 1, 10, tzinfo=UTC).timestamp()) * 1_000


def test_the_hour_that_clocks_repeat_is_its_first_unless_an_offset_says_otherwise():
    before, repeated, second, after = times(
        "iso8601", "2026-10-25T01:30:00", "2026-10-25T02:30:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00", zone="Europe/Paris"
    )
    assert (repeated - before, second - before, after - before) == (3_600_000, 7_200_000, 10_800_000)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("value", ["2013-03-01T05:15:30Z", "5", [5], {"a": 5}, True])
def test_what_is_no_number_is_no_time_in_a_numeric_unit(unit, value):
    _, rejections = decode(model(time={"path": "ts", "unit": unit}), event(ts=value))
    assert reasons(rejections) == ["bad_time"]


@pytest.mark.parametrize(
    "value", ["yesterday", "", "2013-13-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", 5, 5.0, True, "\ud800"]
)
def test_what_is_no_date_is_no_time_in_iso8601(value):
    _, rejections = decode(model(time={"path": "ts", "unit": "iso8601"}), event(ts=value))
    assert reasons(rejections) == ["bad_time"]


def test_the_wrong_unit_is_suspected_when_times_are_out_of_bounds():
    _, rejections = decode(model(time={"path": "ts", "unit": "s"}), event(ts=MS))
    assert rejections[0].detail == "expected a time from 1970 to 2999 at ts, got one after the year 2999; is s its unit?"


def test_the_records_own_timestamp_can_be_the_time():
    config = model(time={"path": "$timestamp", "unit": "s"})
    batch, rejections = decode(config, {"id": "a"}, timestamp_ms=MS)
    assert (batch.time_ms.tolist(), batch.record_time_ms.tolist(), rejections) == ([MS], [MS], [])
    assert reasons(decode(config, {"id": "a"}, timestamp_ms=-1)[1]) == ["no_time"]
    assert reasons(decode(config, {"id": "a"}, timestamp_ms=-2)[1]) == ["bad_time"]
    assert reasons(decode(config, {"id": "a"}, timestamp_ms=END_MS)[1]) == ["bad_time"]


def test_a_time_in_a_header_is_read_from_its_text():
    config = model(time={"path": "$header.at", "unit": "s"})
    headers = [[("at", b"1.5")], [("at", b"now")], [], [("at", b"7"), ("at", b"2")]]
    batch, rejections = decode(config, *[{"id": "a"}] * 4, headers=headers)
    assert batch.time_ms.tolist() == [1_500, 2_000]
    assert reasons(rejections) == ["bad_time", "no_time"]
    iso = model(time={"path": "$header.at", "unit": "iso8601"})
    assert decode(iso, {"id": "a"}, headers=[[("at", b"2013-03-01T05:15:30Z")]])[0].time_ms.tolist() == [MS]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("written", [b"1_700_000_000", b" 1700000000", b"+17", "\u0661\u0667".encode(), b"017", b"nan"])
def test_what_python_alone_takes_for_a_number_is_no_time_whatever_stands_beside_it(unit, written):
    config = model(time={"path": "$header.at", "unit": unit})
    alone = decode(config, {"id": "a"}, headers=[[("at", written)]])[1]
    headers = [[("at", value)] for value in (written, b"now", b"1700000000")]
    beside = decode(config, {"id": "a"}, {"id": "b"}, {"id": "c"}, headers=headers)[1]
    assert reasons(alone) == ["bad_time"]
    assert reasons(beside) == ["bad_time", "bad_time"]


@pytest.mark.parametrize("written", ["2013-03-01ß05:15:30", "2013-03-01ŉ05:15:30", "2013-03-01t05:15:30z"])
def test_a_date_is_the_same_time_whatever_stands_beside_it(written):
    config = model(time={"path": "ts", "unit": "iso8601"})
    assert decode(config, event(ts=written))[0].time_ms.tolist() == [MS]
    assert decode(config, event(ts=written), event(ts="soon"))[0].time_ms.tolist() == [MS]


@given(st.integers(0, END_MS - 1), st.integers(0, 3))
@example(1_001, 3)  # 1.001 * 1000 is 1000.9999999999999
@example(4_035, 3)
@example(END_MS - 1, 3)
def test_seconds_written_with_up_to_three_decimals_are_exact(ms, places):
    written = (Decimal(ms) / 1_000).quantize(Decimal(1).scaleb(-places), ROUND_FLOOR)
    exact = int(written * 1_000)
    assert time_of(float(written), EventTime(path="ts", unit="s")) == exact
    assert event_times([float(written)], EventTime(path="ts", unit="s"))[0].tolist() == [exact]


_NUMBERS = st.one_of(
    st.none(), st.integers(-(10**3), 10**3), st.integers(0, 2**70), st.integers(0, END_MS * 2),
    st.floats(), st.floats(-1, 1), st.floats(0, 2.0 * END_MS),
)  # fmt: skip


@given(st.lists(_NUMBERS), st.sampled_from(["s", "ms", "us", "ns"]))
def test_a_column_at_once_is_the_same_as_value_by_value(column, unit):
    time = EventTime(path="ts", unit=unit)
    together, refused = event_times(column, time)
    for row, value in enumerate(column):
        alone = time_of(value, time)
        assert (refused[row] if row in refused else together[row]) == alone
        assert isinstance(alone, Refusal) == (row in refused)


def test_a_far_time_in_one_row_changes_no_other():
    batch, rejections = decode(model(time={"path": "ts", "unit": "ns"}), event(ts=5_000_000), event(ts=2**80), event(ts=6_000_000))
    assert batch.time_ms.tolist() == [5, 6]
    assert reasons(rejections) == ["bad_time"]
    assert raw([]).values == []
