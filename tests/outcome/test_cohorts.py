"""Predictions that leave the panes: none is lost, and labels that come later are counted with them, until the horizon has passed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.outcome.cohorts import Cohorts, cohort_lags
from monitor.outcome.layout import LAGS, OutcomeLayout
from monitor.outcome.panes import OutcomePanes
from monitor.performance.delay import pane_lags

LAYOUT = OutcomeLayout("binary", ("0", "1"))
PLACES = np.array([[0, 0, 0], [1, 2, 1]])  # ALL, and segments of three combinations
MINUTE = 60_000

row = st.tuples(st.integers(0, 60), st.integers(0, 2), st.integers(-1, LAGS - 1), st.integers(-2, 3))
step = st.one_of(st.lists(row, min_size=1, max_size=6), st.integers(0, 70))


def codes_of(combination: np.ndarray, lag: np.ndarray) -> np.ndarray:
    """Some cell of a prediction where the lag is -1, else of a label with that lag."""
    of_lag = LAYOUT.score_cells * LAYOUT.predicted * LAYOUT.truth
    cell = np.where(lag < 0, 7, LAYOUT.first_outcome + lag * of_lag + 11)
    return combination * LAYOUT.cells + cell


@given(st.lists(step, max_size=25))
def test_panes_and_cohorts_together_hold_every_row_once(steps):
    cohorts = Cohorts.empty(LAYOUT, MINUTE, horizon_ms=640 * MINUTE)  # ten panes each, none leaves here
    panes = OutcomePanes(3, 6, leave=cohorts.add)
    expected = np.zeros((3, 1 + LAGS), np.int64)
    for each in steps:
        if isinstance(each, int):
            panes.move_to(each)
            cohorts.move_to(each)
            continue
        pane, combination, lag, weight = np.array(each, np.int64).T
        panes.add(pane, codes_of(combination, lag), weight)
        for place in PLACES:
            np.add.at(expected, (place[combination], 1 + lag), weight)
    found = [pane_lags(LAYOUT, 0, counts, list(PLACES), 3) for counts in panes.settle().values()]
    found_old = [cohort_lags(counts, PLACES, 3) for counts in cohorts.counts.settle().values()]
    predictions = sum([each.predictions for each in found] + [each for each, _ in found_old], np.zeros(3, np.int64))
    labelled = sum([each.labelled for each in found] + [each for _, each in found_old], np.zeros((3, LAGS), np.int64))
    assert predictions.tolist() == expected[:, 0].tolist()
    assert labelled.tolist() == expected[:, 1:].tolist()


def test_sums_that_are_not_rows_are_left_behind():
    cohorts = Cohorts.empty(LAYOUT, MINUTE, horizon_ms=640 * MINUTE)
    cohorts.add(np.array([3]), np.array([LAYOUT.first_sum]), np.array([5]))
    assert not cohorts.counts.settle()


def test_cohorts_are_kept_for_the_horizon_and_a_quarter_more():
    cohorts = Cohorts.empty(LAYOUT, MINUTE, horizon_ms=640 * MINUTE)
    cohorts.add(np.array([9, 10]), np.array([7, 7]), np.array([1, 1]))
    assert sorted(cohorts.counts.settle()) == [0, 1]
    cohorts.move_to(800)
    assert sorted(cohorts.counts.settle()) == [0, 1]
    cohorts.move_to(830)
    assert sorted(cohorts.counts.settle()) == [1]
    cohorts.move_to(840)
    assert not cohorts.counts.settle()
