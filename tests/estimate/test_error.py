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
NOW = estimates(("ALL", "a", "b"), [100, 60, 40], [100, 60, 30], [0.77, 0.8, 0.725])


def test_the_error_is_the_estimate_less_what_labels_say_in_the_end():
    error = estimate_error(THEN, NOW)
    assert error.judged.tolist() == [True, True, False, False]
    assert error.error[:2] == pytest.approx([0.03, 0.1])
    assert error.absolute_error[:2] == pytest.approx([0.03, 0.1])
    assert np.isnan(error.error[2:]).all()
    assert error.covered.tolist() == [True, False, False, False]


def test_fewer_labels_may_be_enough_where_most_predictions_never_get_one():
    assert estimate_error(THEN, NOW, min_share=0.7).judged.tolist() == [True, True, True, False]


def test_a_track_adds_up_over_windows_whatever_their_segments():
    first = track(estimate_error(THEN, NOW))
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
