"""The e-detector: its recursion, and the bound that everything rests on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.detect import budget
from monitor.detect.sr import MOST, step, within_block


def test_the_recursion_is_the_sum_over_starts_of_the_evidence_since() -> None:
    random = np.random.default_rng(1)
    increments, rows = random.normal(size=12), random.integers(1, 5, 12).astype(float)
    evidence = np.zeros((1, 1))
    for increment, n in zip(increments, rows, strict=True):
        evidence = step(evidence, np.array([[n]]), np.array([[increment]]))
    # Each of a pane's n events is a start; all of the pane's evidence counts for each of them.
    expected = sum(n * np.exp(increments[start:].sum()) for start, n in enumerate(rows))
    assert evidence[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("p", [0.05, 0.5])
def test_under_the_null_the_mean_of_r_is_exactly_the_number_of_events(p: float) -> None:
    """Enumerated over all sequences of ten Bernoulli events, with the exact normaliser."""
    odds = 3.0
    psi = np.log(1 - p + p * odds)
    mean = 0.0
    for outcome in itertools.product((0, 1), repeat=10):
        evidence, chance = np.zeros(1), 1.0
        for event in outcome:
            evidence = step(evidence, np.ones(1), np.array([event * np.log(odds) - psi]))
            chance *= p if event else 1 - p
        mean += chance * evidence[0]
    assert mean == pytest.approx(10.0)


def test_a_smaller_increment_never_gives_more_evidence() -> None:
    high = step(np.array([5.0]), np.array([1.0]), np.array([0.3]))
    low = step(np.array([5.0]), np.array([1.0]), np.array([0.2]))
    assert low[0] < high[0]


def test_evidence_neither_overflows_nor_becomes_nan() -> None:
    evidence = np.zeros(1)
    for _ in range(100):
        evidence = step(evidence, np.ones(1), np.array([1e6]))
    assert evidence[0] == MOST
    assert step(evidence, np.ones(1), np.array([-1e6]))[0] == 0.0


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(0.5, 10))
def test_a_block_adds_its_sum_or_its_bound_whichever_is_less(increments: list[float], most: float) -> None:
    spent, counted = np.zeros(1), 0.0
    for increment in increments:
        spent, part = within_block(spent, np.array([increment]), np.array([most]))
        counted += float(part[0])
    assert counted == pytest.approx(min(sum(increments), most), abs=1e-9)


@given(st.lists(st.floats(1e3, 1e9), min_size=1, max_size=30), st.integers(1, 200), st.floats(0.01, 100))
def test_expected_false_alarms_over_all_streams_are_what_was_asked_for(events: list[float], kinds: int, at_most: float) -> None:
    whole = np.array([True] + [False] * len(events))
    counted = np.array([sum(events), *events])
    c = budget.thresholds(counted, whole, kinds, at_most)
    assert (kinds * counted / c).sum() <= at_most * (1 + 1e-9)
    if (c > budget.LEAST_THRESHOLD).all():
        assert (kinds * counted / c).sum() == pytest.approx(at_most)
