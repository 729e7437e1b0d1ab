"""Edges: known mass in the tails, cells of their own for values with mass, declared ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.profile.layout import MAX_EDGES, Role, SignalBins
from monitor.reference.edges import LOGITS, QUANTILES, above, numeric_edges


def shares(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1) / len(values)


def test_cells_between_quantile_edges_hold_the_mass_of_their_quantiles() -> None:
    values = np.random.default_rng(3).permutation(np.arange(40_000, dtype=float))
    edges = numeric_edges(values, 0.0, 39_999.0)
    # The smallest value, 31 quantiles, just above the largest.
    assert len(edges) == 33
    mass = shares(values, edges)
    assert mass[0] == 0.0 and mass[-1] == 0.0
    cumulative = np.cumsum(mass)
    # A quantile of rank r is the r-th smallest value, and the cell below its edge ends before it.
    assert np.allclose(cumulative[1:-2], np.array(QUANTILES) - 1 / 40_000, atol=1e-12)


def test_production_can_fall_below_the_smallest_and_above_the_largest_value() -> None:
    edges = numeric_edges(np.linspace(1, 2, 1_000), 1.0, 2.0)
    assert edges[0] == 1.0
    assert edges[-1] == np.nextafter(2.0, 3.0)
    assert np.searchsorted(edges, [np.nextafter(1.0, 0.0), 1.0, 2.0, np.nextafter(2.0, 3.0)], side="right").tolist() == [
        0,
        1,
        len(edges) - 1,
        len(edges),
    ]


def test_a_spike_has_a_cell_that_holds_nothing_else() -> None:
    random = np.random.default_rng(4)
    values = np.where(random.random(20_000) < 0.3, 0.0, random.normal(0, 1, 20_000))
    edges = numeric_edges(values, float(values.min()), float(values.max()))
    at = edges.index(0.0)
    assert edges[at + 1] == above(0.0)
    assert shares(values, edges)[at + 1] == np.mean(values == 0.0)


def test_few_different_values_have_a_cell_each() -> None:
    values = np.array([0.0, 0.0, 1.0, 2.0, 7.0] * 10)
    edges = numeric_edges(values, 0.0, 7.0, distinct=np.unique(values))
    assert edges == (0.0, 1.0, 2.0, 7.0, above(7.0))
    assert shares(values, edges).tolist() == [0.0, 0.4, 0.2, 0.2, 0.2, 0.0]


def test_the_ends_of_a_declared_range_are_edges_and_what_lies_outside_is_out_of_range() -> None:
    edges = numeric_edges(np.array([5.0]), 5.0, 5.0, distinct=np.array([5.0]), declared=(0.0, 10.0))
    assert edges == (0.0, 5.0, above(5.0), above(10.0))
    bins = SignalBins("x", "numeric", edges=edges, range=(0.0, 10.0))
    assert bins.roles[3:] == [Role.OUT_OF_RANGE, Role.VALUE, Role.VALUE, Role.VALUE, Role.OUT_OF_RANGE]


def test_a_probability_has_equally_spaced_logits_among_its_edges() -> None:
    values = np.random.default_rng(5).random(5_000)
    plain = numeric_edges(values, 0.0, 1.0)
    edges = numeric_edges(values, 0.0, 1.0, probability=True)
    logits = [1 / (1 + math.exp(-logit)) for logit in LOGITS]
    assert set(edges) == set(plain) | set(logits)
    assert 0.5 in edges
    assert numeric_edges(values * 2, 0.0, 2.0, probability=True) == numeric_edges(values * 2, 0.0, 2.0)


@pytest.mark.parametrize(("declared", "edges"), [(None, ()), ((0.0, 1.0), (0.0, above(1.0)))])
def test_without_a_value_only_declared_edges_are_left(declared: tuple[float, float] | None, edges: tuple[float, ...]) -> None:
    assert numeric_edges(np.empty(0), math.inf, -math.inf, distinct=np.empty(0), declared=declared) == edges


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=300), st.booleans())
def test_any_finite_values_give_edges_that_a_layout_accepts(numbers: list[float], few: bool) -> None:
    values = np.array(numbers)
    distinct = np.unique(values)[:40] if few else None
    edges = numeric_edges(values, float(values.min()), float(values.max()), distinct=distinct, probability=True)
    assert SignalBins("x", "numeric", edges=edges).edges == edges
    assert len(edges) <= MAX_EDGES
    # Nothing that was in the data is below the first edge.
    assert edges[0] == values.min()
