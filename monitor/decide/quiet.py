"""Quiet hours: when a trigger waits, by the clock of a place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from monitor.config.retraining import DAYS, QuietHours, minutes_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_quiet(event_ms: int, hours: QuietHours) -> bool:
    """Whether an event time lies in a quiet stretch.

    >>> nights = QuietHours.model_validate({"zone": "Europe/Paris", "windows": [{"start": "18:00", "end": "08:00"}]})
    >>> is_quiet(1_700_000_000_000, nights)  # 2023-11-14 22:13 UTC, 23:13 in Paris
    True
    """
    try:
        local = (_EPOCH + timedelta(milliseconds=event_ms)).astimezone(ZoneInfo(hours.zone))
    except (OverflowError, ValueError):  # beyond any calendar
        return False
    minute = 60 * local.hour + local.minute
    today, yesterday = DAYS[local.weekday()], DAYS[local.weekday() - 1]
    for window in hours.windows:
        start, end = minutes_of(window.start), minutes_of(window.end)
        if start < end:
            if today in window.days and start <= minute < end:
                return True
        elif (today in window.days and minute >= start) or (yesterday in window.days and minute < end):
            return True
    return False
