"""Quiet hours by the clock of a place."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from monitor.config.retraining import QuietHours
from monitor.decide.quiet import is_quiet

NIGHTS = [{"days": ["Mon", "Tue", "Wed", "Thu", "Fri"], "start": "18:00", "end": "08:00"}, {"days": ["Sat", "Sun"]}]


@pytest.mark.parametrize(
    ("at", "quiet"),
    [
        ("2023-11-13T07:59", False),  # Monday morning: Sunday's stretch ended at midnight, Monday's begins at 18:00
        ("2023-11-13T17:59", False),
        ("2023-11-13T18:00", True),
        ("2023-11-14T07:59", True),  # Monday's night
        ("2023-11-14T08:00", False),
        ("2023-11-17T23:59", True),
        ("2023-11-18T07:00", True),
        ("2023-11-18T12:00", True),  # Saturday
        ("2023-11-19T23:59", True),
        ("2023-11-20T00:00", False),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata"])
def test_by_local_time(at, quiet, zone):
    event_ms = int(datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    assert is_quiet(event_ms, QuietHours.model_validate({"zone": zone, "windows": NIGHTS})) is quiet


def test_the_clock_follows_summer_time():
    hours = QuietHours.model_validate({"zone": "Europe/Paris", "windows": [{"start": "12:00", "end": "13:00"}]})
    noon_utc = int(datetime.fromisoformat("2023-07-01T12:30+00:00").timestamp() * 1000)
    assert not is_quiet(noon_utc, hours)
    assert is_quiet(noon_utc - 2 * 3_600_000, hours)
    assert not is_quiet(noon_utc - 3 * 3_600_000 // 2, hours), "at 13:00 sharp it is over"
    assert is_quiet(noon_utc - 3 * 3_600_000 // 2 - 1, hours)


@pytest.mark.parametrize("event_ms", [-(10**18), 10**18, 253_402_300_799_999, -62_135_596_800_000])
def test_a_time_beyond_any_calendar_is_not_quiet_and_no_error(event_ms):
    hours = QuietHours.model_validate({"zone": "Asia/Kolkata", "windows": [{"days": ["Tue"], "start": "00:00", "end": "00:01"}]})
    assert is_quiet(event_ms, hours) is False
