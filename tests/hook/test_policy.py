"""Cooldown and daily maximum: a decision from times alone."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from monitor.hook.config import Policy
from monitor.hook.policy import DAY_MS, Skipped, Starts, skip_reason

HOUR_MS = 3_600_000
NOW = 1_800_000_000_000
POLICY = Policy.model_validate({"cooldown": "6h", "daily_maximum": 2})


def test_the_first_trigger_may_start():
    assert skip_reason(POLICY, Starts(None, []), NOW) is None


def test_the_cooldown_ends_to_the_millisecond():
    starts = Starts(NOW - 6 * HOUR_MS, [])
    assert skip_reason(POLICY, starts, NOW) is None
    skip = skip_reason(POLICY, starts, NOW - 1)
    assert skip is not None
    assert (skip.reason, skip.detail) == (Skipped.COOLDOWN, "the model was last started less than 6h ago; 1s are left")


def test_the_maximum_is_over_any_24_hours():
    full = Starts(None, [NOW - DAY_MS + 1, NOW - HOUR_MS])
    skip = skip_reason(POLICY, full, NOW)
    assert skip is not None
    assert (skip.reason, skip.detail) == (Skipped.DAILY_MAXIMUM, "2 starts in the last 24 hours, and at most 2 are allowed")
    assert skip_reason(POLICY, full, NOW + 1) is None


def test_a_start_in_the_future_of_a_clock_that_was_set_back_holds():
    skip = skip_reason(POLICY, Starts(NOW + HOUR_MS, []), NOW)
    assert skip is not None
    assert skip.reason is Skipped.COOLDOWN


@given(st.lists(st.integers(0, 3 * DAY_MS // 60_000), max_size=60), st.integers(0, 30), st.integers(1, 5))
def test_no_24_hours_see_more_starts_than_allowed_and_no_two_are_closer_than_the_cooldown(minutes, cooldown_hours, maximum):
    policy = Policy.model_validate({"cooldown": f"{cooldown_hours}h", "daily_maximum": maximum})
    started: list[int] = []
    for minute in sorted(minutes):
        now = NOW + minute * 60_000
        if skip_reason(policy, Starts(started[-1] if started else None, started), now) is None:
            started.append(now)
    for start in started:
        assert sum(start <= other < start + DAY_MS for other in started) <= maximum
    assert all(later - earlier >= cooldown_hours * HOUR_MS for earlier, later in itertools.pairwise(started))
    assert bool(started) == bool(minutes)
