"""Changes of unit: named where they happened, and not named where something else did."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.config.evaluation import STATISTICS
from monitor.evaluate.unit import FACTORS, LOCATION_STATISTICS
from monitor.evaluate.verdict import Status
from monitor.profile.layout import Layout
from tests.evaluate.make import count, judge, numeric, one_signal, quantile_edges, reference_of

Sample = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Sample]

SHAPES: dict[str, Draw] = {
    "normal, far from zero": lambda rng, n: rng.normal(100, 15, n),
    "normal around zero": lambda rng, n: rng.normal(0, 1, n),
    "lognormal": lambda rng, n: rng.lognormal(3, 0.8, n),
    "exponential": lambda rng, n: rng.exponential(5, n),
    "whole hours": lambda rng, n: rng.integers(1, 25, n).astype(float),
    "many zeros": lambda rng, n: np.where(rng.random(n) < 0.6, 0.0, rng.lognormal(2, 0.5, n)),
    "two groups": lambda rng, n: np.where(rng.random(n) < 0.5, rng.normal(20, 2, n), rng.normal(60, 5, n)),
}
ROWS = 4_000

# Shrunk by so much, all values lie in one cell next to zero: there is no telling by which factor, and a wrong one must not be named.
UNTOLD = {"normal around zero": 1 / 100_000, "many zeros": 1 / 10}
DIFFICULT = {"normal around zero": 1 / 9, "many zeros": 1 / 3}


def named(draw: Draw, change: Callable[[Sample], Sample], rows: int = ROWS, seed: int = 0) -> tuple[float, float, bool]:
    """Factor and offset that are named, and whether the location drifted at all."""
    rng = np.random.default_rng(seed)
    sample = draw(rng, 50_000)
    verdicts = judge(*one_signal(quantile_edges(sample), sample, change(draw(rng, rows))))
    assert verdicts.unit_offset is not None
    places = [STATISTICS.index(name) for name in LOCATION_STATISTICS]
    moved = bool((verdicts.status[0, 0, places] == Status.DRIFTED).any())
    return float(verdicts.unit_factor[0, 0]), float(verdicts.unit_offset[0, 0]), moved


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("text", FACTORS)
@pytest.mark.parametrize("inverse", [False, True])
def test_a_round_factor_is_named(shape: str, text: str, inverse: bool) -> None:
    factor = 1 / float(text) if inverse else float(text)
    found, offset, moved = named(SHAPES[shape], lambda x: x * factor)
    assert moved
    if factor < UNTOLD.get(shape, 0.0):
        assert np.isnan(found)
    elif factor < DIFFICULT.get(shape, 0.0):
        assert np.isnan(found) or found == pytest.approx(factor, rel=1e-9)
    else:
        assert found == pytest.approx(factor, rel=1e-9)
        assert offset == 0.0


@pytest.mark.parametrize(("factor", "feet"), [(12.0, "inches"), (30.48, "centimetres")])
def test_feet_as_inches_or_centimetres_are_named_and_what_is_a_tenth_off_is_not(factor: float, feet: str) -> None:
    heights: Draw = lambda rng, n: rng.normal(5.6, 0.3, n)  # noqa: E731
    assert named(heights, lambda x: x * factor)[0] == factor, feet
    assert named(heights, lambda x: x / factor)[0] == pytest.approx(1 / factor)
    for off in (0.9, 1.1):
        assert np.isnan(named(heights, lambda x, off=off: x * factor * off)[0])  # type: ignore[misc]


def test_a_scaling_that_is_seven_percent_off_is_seldom_named_and_the_factor_itself_always() -> None:
    """Values that vary by a factor of 2.7: their mean logarithm is known to 2 %."""
    wide: Draw = lambda rng, n: rng.lognormal(10, 1, n)  # noqa: E731
    near, exact = ([named(wide, lambda x, k=k: x * k, seed=seed)[0] for seed in range(30)] for k in (1.5, 1.609344))  # type: ignore[misc]
    assert np.isfinite(near).sum() <= 3
    assert exact == [1.609344] * 30


@pytest.mark.parametrize("factor", [9.0, 11.0, 28.0])
def test_how_many_values_are_zero_does_not_blur_by_how_much_the_others_moved(factor: float) -> None:
    assert all(np.isnan(named(SHAPES["many zeros"], lambda x: x * factor, seed=seed)[0]) for seed in range(5))


@pytest.mark.parametrize("factor", [60.0, 1 / 1000, 2.54])
def test_it_is_named_in_a_segment_of_300_rows(factor: float) -> None:
    assert named(SHAPES["lognormal"], lambda x: x * factor, rows=300)[0] == pytest.approx(factor)


def celsius(rng: np.random.Generator, n: int) -> Sample:
    return rng.normal(14, 9, n)


def test_celsius_and_fahrenheit_are_named_with_their_offset() -> None:
    assert named(celsius, lambda x: x * 1.8 + 32)[:2] == pytest.approx((1.8, 32.0))
    fahrenheit: Draw = lambda rng, n: celsius(rng, n) * 1.8 + 32  # noqa: E731
    assert named(fahrenheit, lambda x: (x - 32) / 1.8)[:2] == pytest.approx((5 / 9, -160 / 9))


ORDINARY: dict[str, Callable[[Sample], Sample]] = {
    "shift by half a deviation": lambda x: x + 0.5 * x.std(),
    "shift by two deviations": lambda x: x + 2 * x.std(),
    "shift by minus three deviations": lambda x: x - 3 * x.std(),
    "wider by 1.3": lambda x: (x - x.mean()) * 1.3 + x.mean(),
    "wider by 10 around its mean": lambda x: (x - x.mean()) * 10 + x.mean(),
    "scaled by 1.3": lambda x: x * 1.3,
    "scaled by 2": lambda x: x * 2,
    "scaled by 5": lambda x: x * 5,
    "scaled by 1/5": lambda x: x / 5,
    "scaled by 40": lambda x: x * 40,
    "half of the values scaled by 60": lambda x: np.where(np.arange(len(x)) % 2, x, x * 60),
    "all at one place": lambda x: np.full(len(x), np.quantile(x, 0.9)),
    "turned round": lambda x: x.max() + x.min() - x,
}


@pytest.mark.parametrize("change", ORDINARY)
@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "normal around zero"])
def test_an_ordinary_change_is_not_called_one_of_unit(shape: str, change: str) -> None:
    assert np.isnan(named(SHAPES[shape], ORDINARY[change])[0])


@pytest.mark.parametrize("change", [name for name in ORDINARY if "around its mean" not in name])
def test_an_ordinary_change_around_zero_is_not_either(change: str) -> None:
    """Around zero "wider by 10" is the factor 10, so that one is left out."""
    assert np.isnan(named(SHAPES["normal around zero"], ORDINARY[change])[0])


@pytest.mark.parametrize("default", [0.0, 1.0, -1.0])
@pytest.mark.parametrize("centre", [10.0, 60.0, 100.0, 1000.0])
def test_a_default_put_in_for_every_value_is_not_called_one_of_unit(centre: float, default: float) -> None:
    """Of values beyond the edges only the size is known, and 0 counts as 1 in it: a hundredth of 100."""
    factor, _, moved = named(lambda rng, n: rng.normal(centre, centre / 10, n), lambda x: np.full(len(x), default))
    assert moved
    assert np.isnan(factor)


@pytest.mark.parametrize("shape", SHAPES)
def test_without_change_nothing_is_named(shape: str) -> None:
    for seed in range(5):
        factor, _, moved = named(SHAPES[shape], lambda x: x, seed=seed)
        assert np.isnan(factor)
        assert not moved


def test_a_factor_that_takes_values_out_of_the_declared_range_is_named() -> None:
    rng = np.random.default_rng(0)
    sample = rng.uniform(10, 90, 20_000)
    edges = sorted({0.0, *quantile_edges(sample), float(np.nextafter(100.0, 200.0))})
    layout = Layout((numeric("x", edges, range=(0.0, 100.0)),))
    reference = reference_of(count(layout, {"ALL": {"x": sample}}), samples={"x": sample})
    verdicts = judge(count(layout, {"ALL": {"x": rng.uniform(10, 90, 2_000) * 1000}}), reference)
    assert verdicts.status[0, 0, STATISTICS.index("out_of_range_rate")] == Status.DRIFTED
    assert verdicts.unit_factor[0, 0] == 1000.0


def test_it_is_named_only_in_the_segment_where_it_happened() -> None:
    rng = np.random.default_rng(0)
    sample = rng.lognormal(0, 1, 60_000)
    layout = Layout((numeric("x", quantile_edges(sample)), numeric("y", quantile_edges(sample))))
    thirds = dict(zip(("country=DE", "country=FR", "country=US"), np.split(sample, 3), strict=True))
    whole = {"ALL": sample, **thirds}
    reference = reference_of(count(layout, {key: {"x": x, "y": x} for key, x in whole.items()}), samples={"x": sample, "y": sample})
    now = {key: {"x": rng.lognormal(0, 1, 3_000), "y": rng.lognormal(0, 1, 3_000)} for key in whole}
    now["country=FR"]["y"] = now["country=FR"]["y"] * 3600
    verdicts = judge(count(layout, now), reference)
    expected = np.full((4, 2), np.nan)
    expected[verdicts.table.index["country=FR"], 1] = 3600.0
    np.testing.assert_array_equal(verdicts.unit_factor, expected)


def test_a_partial_view_names_nothing() -> None:
    rng = np.random.default_rng(0)
    sample = rng.lognormal(0, 1, 20_000)
    table, reference = one_signal(quantile_edges(sample), sample, sample[:4_000] * 60)
    assert judge(table, reference).unit_factor[0, 0] == 60.0
    assert np.isnan(judge(table, reference, partial=True).unit_factor[0, 0])


@pytest.mark.parametrize("low", [-1.7e308, 1.2e308])
def test_values_near_the_largest_number_are_compared_without_a_warning(low: float) -> None:
    rng = np.random.default_rng(0)
    sample = np.where(rng.random(50_000) < 0.5, low, 1.7e308) * rng.uniform(0.7, 1.0, 50_000)
    with np.errstate(all="ignore"):  # plain sums of them and of their squares
        table, reference = one_signal(quantile_edges(sample), sample, sample[:ROWS] * 1e-3)
    reference = replace(reference, stds=np.array([1e308]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = judge(table, reference).unit_factor[0, 0]
    assert np.isnan(found) or found == pytest.approx(1e-3)
