"""What lags say, from expected counts: closed forms without noise."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.estimate.lag import LagEffect, bin_fractions, lag_effect, lag_shares, leaning, still_ahead
from monitor.estimate.tables import expit

EDGES = np.array([0.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0])
LAGS = len(EDGES) + 1
RIGHT = np.array([0.0, 0.1, 0.2, 0.4, 0.3, 0.0])
WRONG = np.array([0.0, 0.4, 0.3, 0.2, 0.1, 0.0])
AGES = np.array([9_000.0, 8_000.0, 4_000.0, 2_000.0, 1_000.0, 500.0])


def come(shares: np.ndarray, rows: float) -> np.ndarray:
    """[T, L] labels that have come to panes of these ages: only bins the pane is through."""
    return rows * shares * (AGES[:, None] >= np.append(EDGES[1:], np.inf).take(np.maximum(np.arange(LAGS) - 1, 0)))


def test_cut_off_lags_are_completed_from_older_panes():
    labelled = come(RIGHT, 1e6)
    found = lag_shares(labelled[:, None], labelled, np.full(len(AGES), 1e6), AGES, EDGES)
    assert found[0] == pytest.approx(np.append(RIGHT, 0.0), abs=1e-3)


def test_lags_beyond_the_oldest_pane_are_as_many_as_predictions_without_label_at_most():
    keep = AGES <= 4_000  # no pane is through the bin that holds 30 % of the labels
    labelled = come(RIGHT, 1e6)[keep]
    found = lag_shares(labelled[:, None], labelled, np.full(keep.sum(), 1e6), AGES[keep], EDGES)[0]
    # Bins double in what they hold, so they are taken to halve at best: 0.4 beyond 0.7, cut to the 0.3 that have no label.
    assert found[LAGS] == pytest.approx(0.3, abs=0.01)
    assert found[:4] == pytest.approx(RIGHT[:4], abs=0.01)


def test_before_any_bin_is_complete_most_of_the_line_is_still_ahead():
    labelled = np.array([[0.0, 50.0, 0, 0, 0, 0]])
    found = lag_shares(labelled[:, None], labelled, np.array([1_000.0]), np.array([500.0]), EDGES)[0]
    assert found[LAGS] == pytest.approx(0.95)


def test_effects_are_the_log_ratio_of_the_shares_of_wrong_and_right():
    rate, rows = 0.2, 1e6
    wrong, right = come(WRONG, rows * rate), come(RIGHT, rows * (1 - rate))
    n = wrong + right
    effect = LagEffect(np.zeros(LAGS + 1), np.zeros((LAGS + 1, LAGS + 1)), np.append(RIGHT, 0.0)[None])
    for _ in range(8):
        level = np.log(rate / (1 - rate))
        p = expit(level + effect.effect[:LAGS] - effect.neutral[0])
        effect = lag_effect(wrong - n * p, n * p * (1 - p), effect.effect, effect.right)
    seen = slice(1, 5)
    assert (effect.effect - effect.neutral[0])[seen] == pytest.approx(np.log(WRONG[seen] / RIGHT[seen]), abs=0.01)
    assert effect.wrong[0][seen] == pytest.approx(WRONG[seen], abs=0.005)


def test_a_drift_of_whole_panes_is_no_effect_of_the_lag():
    rows, rate = 1e5, np.array([0.1, 0.1, 0.1, 0.3, 0.3, 0.3])
    n = come(RIGHT, rows)
    expected = n * 0.15
    found = lag_effect(n * rate[:, None] - expected, expected * 0.85, np.zeros(LAGS + 1), np.append(RIGHT, 0.0)[None])
    assert np.ptp(found.effect) < 0.01


def test_the_trend_goes_on_into_bins_not_seen_yet_but_unsurely():
    rate, rows = 0.2, 1e4
    young = AGES <= 2_000
    wrong, right = come(WRONG, rows * rate)[young], come(RIGHT, rows * (1 - rate))[young]
    n = wrong + right
    p = n / n.sum() * wrong.sum()
    p = np.where(n > 0, wrong.sum() / n.sum(), 0.0)
    found = lag_effect(wrong - n * p, n * p * (1 - p), np.zeros(LAGS + 1), np.append(RIGHT, 0.0)[None])
    assert found.effect[2] < found.effect[1] - 0.3
    step = found.effect[2] - found.effect[1]
    assert found.effect[2] + 3 * step < found.effect[5] < found.effect[2] + 0.3 * step
    spread = np.sqrt(np.diag(found.covariance + found.covariance[2, 2] - 2 * found.covariance[2]))
    assert spread[2] == pytest.approx(0, abs=1e-6)
    assert 0.2 < spread[3] < spread[4] < spread[5]
    # Lags beyond the oldest pane lie two bins beyond the last one seen, whatever bins there are that nothing was seen of.
    assert spread[LAGS] == pytest.approx(spread[4])


def test_panes_are_through_bins_on_the_scale_of_log_lag():
    fraction = bin_fractions(np.array([500.0, 2_828.427, 9_000.0]), EDGES)
    assert fraction[0].tolist() == [1, fraction[0, 1], 0, 0, 0, 0]
    assert fraction[1, :3] == pytest.approx([1, 1, 1])
    assert fraction[1, 3] == pytest.approx(0.5, abs=1e-3)
    assert fraction[2].tolist() == [1, 1, 1, 1, 1, 1]


def test_a_bin_half_over_holds_the_labels_of_its_beginning():
    effect = LagEffect(np.array([0.0, 0.0, -1.0, -2.0, -3.0, -4.0, -5.0]), np.zeros((7, 7)), np.full((1, 7), 1 / 7))
    lag = np.array([3, 3, 3])
    behind = effect.behind(lag, np.array([1.0, 0.5, 0.0]), np.zeros(3, int))
    assert effect.of(lag, behind) == pytest.approx([-2.0, -1.75, -1.5])


def test_where_lags_are_evenly_spread_they_are_ahead_evenly():
    share = np.array([[0.0, 0.2, 0.2, 0.2, 0.2, 0.2, 0.0]])
    assert leaning(share)[0, 2:5] == pytest.approx(1.0)
    fraction = np.array([[1.0, 1, 1, 0.25, 0, 0]])
    assert still_ahead(share, fraction)[0, 0] == pytest.approx(1 - 0.45)


def test_lags_are_denser_in_a_bin_towards_its_fuller_neighbour():
    # A density that falls straight over four bins, 4 - x: 3.5, 2.5, 1.5 and 0.5 of 8. In the third bin it falls from 2 to 1.
    share = np.array([[0.0, 3.5, 2.5, 1.5, 0.5, 0.0, 0.0]]) / 8
    assert leaning(share)[0, 3] == pytest.approx(2 / 1.5)
    fraction = np.array([[1.0, 1, 1, 0.5, 0, 0]])
    assert still_ahead(share, fraction)[0, 0] == pytest.approx(1.5**2 / 2 / 8)
    # Of a bin half over, the labels lie at 5/21 of it on the average, of the whole bin at 4/9.
    effect = LagEffect(np.array([0.0, 0.0, -1.0, -2.0, -3.0, -4.0, -5.0]), np.zeros((7, 7)), share)
    lag = np.array([3, 3])
    shift = effect.of(lag, effect.behind(lag, np.array([0.5, 1.0]), np.zeros(2, int))) - (-2.0)
    assert shift == pytest.approx([4 / 9 - 5 / 21, 0.0])


@pytest.mark.filterwarnings("error")
def test_a_lag_that_no_right_prediction_has_counts_for_nothing_however_large_its_effect():
    effect = LagEffect(np.array([0.0, 800.0, 0.0]), np.zeros((3, 3)), np.array([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]]))
    assert effect.neutral.tolist() == [0.0, 0.0]
    assert effect.wrong.tolist() == [[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]]
