"""Times of events, in whatever unit they are written, floored to milliseconds since 1970-01-01 UTC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np

from monitor.batch import Int64, RejectReason
from monitor.config.types import EventTime
from monitor.decode.refusal import Refusal, kind_of
from monitor.decode.scalar import Scalar

END_MS = 32_503_680_000_000
"""The first millisecond of the year 3000. A time lies in 0 ≤ t < END_MS."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_RECORD_TIME = EventTime.model_validate({})
_PER_MS = {"ms": 1, "us": 1_000, "ns": 1_000_000}


def event_times(column: Sequence[Scalar], time: EventTime) -> tuple[Int64, dict[int, Refusal]]:
    """[n] times, and why some are no times; those of refused rows mean nothing."""
    doubtful: Iterable[int]
    try:
        times = _all_times(column, time)
        doubtful = np.flatnonzero((times <= 0) | (times >= END_MS)).tolist()
    except (TypeError, ValueError, OverflowError):
        times, doubtful = np.zeros(len(column), np.int64), range(len(column))
    refused = {}
    for row in doubtful:
        judged = time_of(column[row], time)
        if isinstance(judged, Refusal):
            refused[row] = judged
        else:
            times[row] = judged
    return times, refused


def record_times(column: Int64) -> tuple[Int64, dict[int, Refusal]]:
    """[n] the records' own timestamps as event times; -1 stands for none."""
    outside = np.flatnonzero((column < 0) | (column >= END_MS)).tolist()
    judged = {row: time_of(None if column[row] == -1 else int(column[row]), _RECORD_TIME) for row in outside}
    return column, {row: refusal for row, refusal in judged.items() if isinstance(refusal, Refusal)}


def time_of(value: Scalar, time: EventTime) -> int | Refusal:
    """One time in milliseconds, or why it is none."""
    if value is None:
        return Refusal(RejectReason.NO_TIME, f"expected a time at {time.path}, got nothing")
    try:
        result = _time_ms(value, time)
    except (TypeError, ValueError, OverflowError):
        wanted = "a time as in ISO 8601" if time.unit == "iso8601" else f"a number of {time.unit} since 1970"
        return Refusal(RejectReason.BAD_TIME, f"expected {wanted} at {time.path}, got {kind_of(value)}")
    if not 0 <= result < END_MS:
        side = "before 1970" if result < 0 else "after the year 2999"
        return Refusal(RejectReason.BAD_TIME, f"expected a time from 1970 to 2999 at {time.path}, got one {side}; is {time.unit} its unit?")
    return result


def _time_ms(value: Scalar, time: EventTime) -> int:
    if time.unit == "iso8601":
        if not isinstance(value, str):
            raise TypeError
        # RFC 3339 allows t and z. Any letter may stand between date and time, and some beyond ASCII grow in upper case.
        return _iso_ms(datetime.fromisoformat(value.upper() if value.isascii() else value), _zone(time.zone))
    if type(value) is not int and type(value) is not float:
        raise TypeError
    if time.unit != "s":
        return int(value // _PER_MS[time.unit]) if isinstance(value, int) else _floor(value) // _PER_MS[time.unit]
    if isinstance(value, int):
        return value * 1_000
    nearest = round(value * 1_000)
    return nearest - (nearest / 1_000 > value)


def _floor(value: float) -> int:
    return int(value // 1)


def _all_times(column: Sequence[Scalar], time: EventTime) -> Int64:
    """The same at once. Raises when a value is no time; at most 0 for what may lie before 1970."""
    if time.unit == "iso8601":
        moments = map(datetime.fromisoformat, column)  # type: ignore[arg-type]
        return np.fromiter(map(partial(_iso_ms, zone=_zone(time.zone)), moments), np.int64, len(column))
    if isinstance(column, list) and str in map(type, column):
        # Only what stands beside the message, which comes as a list, can be text; numpy would read it as Python does, " 1_7" as 17.
        raise TypeError
    if time.unit != "s":
        # Truncated, which is floored for what is not negative.
        truncated = np.fromiter(column, np.int64, len(column))
        return truncated if time.unit == "ms" else truncated // _PER_MS[time.unit]
    # The last millisecond whose own float is not after the value: 1700000000.123 is stored as 1700000000.1229999 and means 123.
    seconds = np.fromiter(column, np.float64, len(column))
    seconds[~(np.abs(seconds) < END_MS)] = -1.0
    nearest = np.rint(seconds * 1_000)
    return (nearest - (nearest / 1_000 > seconds)).astype(np.int64)


def _iso_ms(moment: datetime, zone: tzinfo) -> int:
    return ((moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)) - _EPOCH) // _MILLISECOND


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)
