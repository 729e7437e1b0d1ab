"""Two answers to the same flights, against sums done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.demo.loop.comparison import DAY_MS, Answers, Costs, by_name, compare, saved

COSTS = Costs(threshold=0.3, false_positive=1.0, false_negative=4.0)
NAN = float("nan")


def answers(*rows: tuple[float, float, float, float]) -> Answers:
    """Rows of day, outcome, old score, new score."""
    day, outcomes, old, new = np.array(rows, np.float64).reshape(-1, 4).T
    return Answers((day * DAY_MS).astype(np.int64), outcomes, old, new)


def test_costs_and_recall_of_both_are_over_flights_with_a_known_outcome():
    found = compare(
        answers(
            (0, 1, 0.1, 0.3),  # missed by the old one: 4; warned of at the threshold itself: 0
            (0, 1, 0.9, 0.9),  # 0, 0
            (0, 0, 0.1, 0.8),  # 0; a false warning: 1
            (1, 0, 0.5, 0.1),  # 1; 0
            (1, NAN, 0.9, 0.1),  # cancelled
        ),
        COSTS,
    )
    assert found.flights == 4
    assert (found.cost_old, found.cost_new) == (5 / 4, 1 / 4)
    assert (found.recall_old, found.recall_new) == (1 / 2, 1.0)
    assert found.saved_in_all == 4.0
    assert found.saved.mean == 1.0


def test_the_interval_takes_days_as_its_sample():
    # Cochran 6.3 by hand: sums 3 and 1 over 2 flights each: mean 1, residuals 1 and -1, variance of the mean 2 / (1 · 2) / 2² = 1/4.
    found = saved(np.array([0, 1, DAY_MS, DAY_MS + 1]), np.array([1.0, 2.0, 0.0, 1.0]))
    assert found.mean == 1.0
    assert found.high - found.mean == pytest.approx(1.959964 * 0.5)
    assert found.mean - found.low == pytest.approx(1.959964 * 0.5)


def test_a_hundred_copies_of_a_flight_on_its_day_make_nothing_surer():
    once = saved(np.array([0, DAY_MS, 2 * DAY_MS]), np.array([1.0, 2.0, 6.0]))
    copies = saved(np.repeat([0, DAY_MS, 2 * DAY_MS], 100), np.repeat([1.0, 2.0, 6.0], 100))
    assert (copies.mean, copies.low, copies.high) == pytest.approx((once.mean, once.low, once.high))
    # With a flight a day it is the plain t-free interval of a mean.
    assert once.high - once.mean == pytest.approx(1.959964 * np.std([1.0, 2.0, 6.0], ddof=1) / math.sqrt(3))


@pytest.mark.parametrize("rows", [(), ((0, 1, 0.1, 0.9),), ((0, NAN, 0.1, 0.9), (1, NAN, 0.1, 0.9))])
def test_too_little_is_unknown_and_not_zero(rows: tuple[tuple[float, float, float, float], ...]):
    found = compare(answers(*rows), COSTS)
    assert math.isnan(found.saved.low)
    assert math.isnan(found.saved.high)
    if found.flights == 0:
        assert math.isnan(found.cost_old)
        assert math.isnan(found.recall_new)
        assert math.isnan(found.saved.mean)


def test_names_come_with_the_most_flights_first_and_add_up():
    rows = answers((0, 1, 0.1, 0.9), (0, 0, 0.1, 0.9), (1, 1, 0.9, 0.9), (1, 0, 0.9, 0.1))
    found = by_name(np.array(["WN", "AA", "WN", "UA"]), rows, COSTS)
    assert list(found) == ["WN", "AA", "UA"]
    assert found["WN"].saved_in_all == 4.0
    assert found["AA"].saved_in_all == -1.0
    assert sum(each.saved_in_all for each in found.values()) == compare(rows, COSTS).saved_in_all


flight = st.tuples(st.integers(0, 9), st.sampled_from([0.0, 1.0, NAN]), st.floats(0, 1), st.floats(0, 1))


@given(st.lists(flight, min_size=1, max_size=40))
def test_exchanging_the_versions_turns_the_sign_and_nothing_else(rows: list[tuple[float, float, float, float]]):
    one = compare(answers(*rows), COSTS)
    other = compare(answers(*((day, outcome, new, old) for day, outcome, old, new in rows)), COSTS)
    assert (one.cost_old, one.recall_old) == pytest.approx((other.cost_new, other.recall_new), nan_ok=True)
    assert one.saved.mean == pytest.approx(-other.saved.mean, nan_ok=True)
    assert (one.saved.low, one.saved.high) == pytest.approx((-other.saved.high, -other.saved.low), nan_ok=True, abs=1e-12)


@given(st.lists(flight, min_size=1, max_size=40))
def test_a_version_against_itself_saves_nothing(rows: list[tuple[float, float, float, float]]):
    found = compare(answers(*((day, outcome, old, old) for day, outcome, old, _ in rows)), COSTS)
    assert found.saved_in_all == 0 or math.isnan(found.saved_in_all)
    assert found.saved.mean == 0 or math.isnan(found.saved.mean)
