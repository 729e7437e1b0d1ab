"""Intervals against closed forms, published examples and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from monitor.performance.interval import Estimate, average, difference, mean, mean_of_positive, on_logits, student, wilson

Z = float(stats.norm.ppf(0.975))


@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_is_scipys(hits: int, n: int) -> None:
    hits = min(hits, n)
    expected = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    found = wilson(hits, n, Z)
    assert (float(found.low), float(found.high)) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_without_rows_nothing_is_known() -> None:
    for found in (wilson(0, 0, Z), mean_of_positive(0.0, 0.0, 0, Z, 1.0), mean(0.0, 0.0, 0, Z)):
        assert np.isnan([found.value, found.low, found.high]).all()
        assert found.n == 0


def test_the_mean_of_one_row_has_no_interval() -> None:
    found = mean(3.0, 9.0, 1, Z)
    assert float(found.value) == 3.0
    assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize("z", [1.645, 1.96, 3.09])
def test_students_quantile_is_scipys(z: float) -> None:
    free = np.array([5, 10, 30, 1000])
    assert student(z, free) == pytest.approx(stats.t.ppf(stats.norm.cdf(z), free), rel=0.012)


def test_the_mean_has_students_interval() -> None:
    x = np.array([-1.0, 4.0, 2.5, 0.0, -3.0, 8.0, 1.0, 1.5, 7.0, -2.0, 0.5])
    found = mean(x.sum(), (x**2).sum(), len(x), Z)
    low, high = stats.t.interval(0.95, len(x) - 1, x.mean(), stats.sem(x))
    assert (float(found.low), float(found.high)) == pytest.approx((low, high), rel=1e-3)


def test_newcombes_published_difference() -> None:
    """56/70 - 48/80: 0.2, from 0.0524 to 0.3339 (Newcombe 1998, method 10, example a)."""
    found = difference(wilson(56, 70, Z), wilson(48, 80, Z))
    assert [float(found.value), float(found.low), float(found.high)] == pytest.approx([0.2, 0.0524, 0.3339], abs=1e-4)
    assert int(found.n) == 70


def test_an_average_ignores_parts_without_weight() -> None:
    parts = Estimate(np.array([[0.5, np.nan]]), np.array([[0.4, np.nan]]), np.array([[0.7, np.nan]]), np.array([[10, 0]]))
    found = average(parts, np.array([2.0, 0.0]), axis=1)
    assert [found.value[0], found.low[0], found.high[0], found.n[0]] == pytest.approx([0.5, 0.4, 0.7, 10])
    assert np.isnan(average(parts, np.zeros(2), axis=1).value[0])


def test_two_equal_parts_average_to_a_narrower_interval() -> None:
    part = wilson(np.array([[40, 40]]), np.array([[100, 100]]), Z)
    found = average(part, np.ones(2), axis=1)
    assert found.value[0] - found.low[0] == pytest.approx((part.value[0, 0] - part.low[0, 0]) / np.sqrt(2))


@given(st.floats(0.01, 0.99), st.floats(0.001, 0.2))
def test_log_odds_stay_within_0_and_1_around_the_value(value: float, deviation: float) -> None:
    found = on_logits(value, deviation, 10, Z)
    assert 0 <= found.low < value < found.high <= 1


def test_constant_terms_have_an_interval_that_touches_them() -> None:
    found = mean_of_positive(30.0, 90.0, 10, Z, 1.0)  # ten times 3
    assert float(found.value) == float(found.high) == 3.0


def test_unseen_terms_widen_by_their_size() -> None:
    none = mean_of_positive(0.0, 0.0, 100, Z, 20.0)
    assert (float(none.value), float(none.low)) == (0.0, 0.0)
    t = float(student(Z, 99))
    assert float(none.high) == pytest.approx(20 * t**2 / (100 + t**2))


@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda random, shape: random.exponential(1, shape), 1.0),
        (lambda random, shape: random.normal(0, 1, shape) ** 2, 1.0),
        (lambda random, shape: (random.random(shape) < 0.03) * random.uniform(1, 2, shape), 0.045),
        (lambda random, shape: random.random(shape), 0.5),
    ],
    ids=["exponential", "squares", "rare", "even"],
)
def test_intervals_of_positive_terms_cover(draw, truth: float) -> None:
    """200 rows, nominal 95 %. In 4,000 runs chance moves the share by 0.7 points either way (two deviations)."""
    x = draw(np.random.default_rng(3), (4000, 200))
    found = mean_of_positive(x.sum(axis=1), (x**2).sum(axis=1), np.full(4000, 200), Z, 1.0)
    assert 0.93 <= ((found.low <= truth) & (truth <= found.high)).mean() <= 0.97


@pytest.mark.parametrize(("p", "n"), [(0.02, 100), (0.3, 30), (0.9, 200)])
def test_differences_of_shares_cover(p: float, n: int) -> None:
    random = np.random.default_rng(4)
    now, before = random.binomial(n, p, 4000), random.binomial(3 * n, p / 2, 4000)
    found = difference(wilson(now, n, Z), wilson(before, 3 * n, Z))
    assert ((found.low <= p / 2) & (p / 2 <= found.high)).mean() >= 0.93


def test_parts_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected value, low, high and n of one shape, got"):
        Estimate(np.zeros(2), np.zeros(2), np.zeros(3), np.zeros(2, np.int64))
