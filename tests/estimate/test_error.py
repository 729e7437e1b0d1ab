"""The estimator's own error: what was said against what came."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.estimate.accuracy import Estimates
from monitor.estimate.error import estimate_error, track


def estimates(segments: tuple[str, ...], n, labelled, value, half=0.0) -> Estimates:
    value, half = np.array(value, float), np.array(half, float)
    rest = (value - half, value + half)
    size = len(segments)
    return Estimates(segments, np.array(n), np.array(labelled), value, *rest, value, *rest, np.zeros(size, bool), np.zeros(size, np.int64))


THEN = estimates(("ALL", "a", "b", "gone"), [100, 60, 40, 5], [10, 6, 4, 0], [0.80, 0.9, 0.65, 0.5], [0.05, 0.05, 0.05, 0.5])


def now(value: tuple[float, float, float], half: float) -> Estimates:
    return estimates(("b", "ALL", "a"), [40, 100, 60], [38, 95, 57], value, half)


def test_the_error_is_the_estimate_less_what_labels_say_in_the_end():
    error = estimate_error(THEN, now((0.7, 0.77, 0.8), 0.0))
    assert error.judged.tolist() == [True, True, True, False]
    assert error.error[:3] == pytest.approx([0.03, 0.1, -0.05])
    assert error.absolute_error[:3] == pytest.approx([0.03, 0.1, 0.05])
    assert np.isnan(error.error[3])
    assert error.covered.tolist() == [True, False, True, False]
    assert error.tolerance[:3].tolist() == [0, 0, 0]


def test_what_stays_open_is_taken_off_the_interval():
    # Four fifths of the half width, 16/25 of the variance, are still open: 3/5 of the half width remain, 0.03.
    error = estimate_error(THEN, now((0.681, 0.771, 0.9), 0.04))
    assert error.judged.tolist() == [True, True, True, False]
    assert error.covered.tolist() == [True, True, False, False]


def test_an_estimate_is_not_judged_while_labels_have_told_little():
    assert not estimate_error(THEN, now((0.65, 0.8, 0.9), 0.0495)).judged.any()


def test_in_repeated_worlds_as_many_estimates_are_covered_as_they_say():
    # Normal truths of which a part becomes known early, a part late, and the rest never.
    rng = np.random.default_rng(0)
    early, late, never = (rng.normal(0, sd, 4_000) for sd in (1.0, 1.0, 0.7))
    keys = tuple(str(i) for i in range(4_000))
    ones = np.ones(4_000, int)
    first = estimates(keys, ones, 0 * ones, early, 1.96 * np.hypot(1.0, 0.7) * ones)
    then = estimate_error(first, estimates(keys, ones, 0 * ones, early + late, 1.96 * 0.7 * ones))
    assert then.judged.all()
    assert then.covered.mean() == pytest.approx(0.95, abs=0.01)
    in_the_end = estimate_error(first, estimates(keys, ones, ones, early + late + never, 0.0))
    assert in_the_end.covered.mean() == pytest.approx(0.95, abs=0.01)


def test_a_track_adds_up_over_windows_whatever_their_segments():
    first = track(estimate_error(THEN, estimates(("ALL", "a", "b"), [100, 60, 40], [100, 60, 30], [0.77, 0.8, 0.725], [0, 0, 0.05])))
    other = track(
        estimate_error(estimates(("ALL", "c"), [10, 10], [0, 0], [0.5, 0.5]), estimates(("ALL", "c"), [10, 10], [10, 10], [0.6, 0.6]))
    )
    both = first.merge(other)
    assert both.segments == ("ALL", "a", "b", "gone", "c")
    assert both.windows.tolist() == [2, 1, 0, 0, 1]
    assert both.mean_error[0] == pytest.approx((0.03 - 0.1) / 2)
    assert both.mean_absolute_error[0] == pytest.approx((0.03 + 0.1) / 2)
    assert both.coverage[0] == 0.5
    assert np.isnan(both.mean_error[2])
    turned = other.merge(first)
    assert sorted(turned.segments) == sorted(both.segments)
    assert turned.mean_error[0] == pytest.approx(both.mean_error[0])
