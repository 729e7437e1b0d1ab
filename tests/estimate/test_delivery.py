"""Labels delivered in batches: what is known of when each became known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.estimate.counts import LabelledRows, PaneCounts, PredictionRows, total
from monitor.estimate.delivery import deliveries, spread_over_lags
from monitor.estimate.outcomes import label_instants_ms
from tests.estimate.world import CORRELATED, HOURLY, NIGHTLY_CORRELATED, Scenario, world

HOUR = 3_600_000
EDGES = tuple(HOUR << power for power in range(6))  # lags below one hour, two, …, 32, and more


def counts_of(made_ms: np.ndarray, lag_ms: np.ndarray, wrong: np.ndarray, every_ms: int, panes: int) -> PaneCounts:
    """One segment and cell, panes of an hour, labels at the first delivery after they were there; all panes are old enough for all."""
    pane = made_ms // HOUR
    known_ms = -(-(made_ms + lag_ms) // every_ms) * every_ms if every_ms else made_ms + lag_ms
    lag = np.searchsorted(EDGES, known_ms - made_ms, side="right")
    nothing = np.zeros(len(pane), np.int64)
    labelled = LabelledRows(pane, nothing, nothing, nothing, lag, (~wrong).astype(np.int64), wrong.astype(np.int64))
    predictions = PredictionRows(np.arange(panes), *np.zeros((3, panes), np.int64), np.bincount(pane, minlength=panes))
    start_ms = np.arange(panes) * HOUR
    return PaneCounts(("ALL",), start_ms, panes * HOUR, int(known_ms.max()), predictions, labelled, EDGES, np.unique(known_ms))


def drawn(every_ms: int, seed: int = 0, n: int = 60_000, days: int = 20) -> tuple[PaneCounts, np.ndarray, np.ndarray]:
    """Counts, and the true shares of lags of right and of wrong predictions, of which the latter are labelled twice as soon."""
    rng = np.random.default_rng(seed)
    made_ms = np.sort(rng.integers(0, days * 24 * HOUR, n))
    wrong = rng.random(n) < 0.3
    lag_ms = (np.where(wrong, 3, 6) * HOUR * np.exp(0.7 * rng.normal(size=n))).astype(np.int64)
    true = [
        np.bincount(np.searchsorted(EDGES, lag_ms[rows], side="right"), minlength=len(EDGES) + 1) / rows.sum() for rows in (~wrong, wrong)
    ]
    return counts_of(made_ms, lag_ms, wrong, every_ms, days * 24), true[0], true[1]


def test_deliveries_last_a_tenth_of_the_pause_before_them_at_most() -> None:
    instants = np.array([0, 1_000, 1_001, 1_090, 1_200, 2_150])
    # 1,000 comes after a pause of 1,000, so that all until 1,100 are one with it; 1,200 after 110.
    assert deliveries(instants, since_ms=0).tolist() == [[0, 0], [1_000, 1_090], [1_200, 1_200], [2_150, 2_150]]
    assert len(deliveries(np.zeros(0, np.int64), 0)) == 0


def test_labels_that_trickle_stay_as_they_are() -> None:
    counts, _, _ = drawn(every_ms=0)
    assert spread_over_lags(counts) is counts
    unknown = replace(drawn(every_ms=24 * HOUR)[0], label_instants_ms=np.zeros(0, np.int64))
    assert spread_over_lags(unknown) is unknown


@pytest.mark.parametrize("every_hours", [3, 24])
def test_lags_within_deliveries_are_found(every_hours: int) -> None:
    def shares(lag: np.ndarray, weights: np.ndarray) -> np.ndarray:
        found = total(lag, weights, len(EDGES) + 1) / weights.sum()
        return np.append(found[:2].sum(), found[2:])  # panes of an hour cannot tell what is within the first

    counts, right, wrong = drawn(every_ms=every_hours * HOUR)
    found = spread_over_lags(counts).labelled
    for weights, true in ((found.right, right), (found.wrong, wrong)):
        assert np.abs(shares(found.lag, weights) - np.append(true[:2].sum(), true[2:])).max() < 0.04
    # Taken at face value they are elsewhere altogether.
    seen = shares(counts.labelled.lag, counts.labelled.right)
    assert np.abs(seen - np.append(right[:2].sum(), right[2:])).max() > 0.1


@given(st.integers(2, 60), st.integers(0, 100))
def test_no_label_is_lost_or_moved_to_another_prediction(every_hours: int, seed: int) -> None:
    counts, _, _ = drawn(every_ms=every_hours * HOUR, seed=seed, n=400, days=6)
    found = spread_over_lags(counts)
    for before, after in ((counts.labelled.right, found.labelled.right), (counts.labelled.wrong, found.labelled.wrong)):
        spread = total(found.labelled.pane, after, counts.panes)
        assert np.allclose(spread, total(counts.labelled.pane, before, counts.panes), rtol=0, atol=1e-9)
        assert (np.asarray(after) >= 0).all()
    # Nothing is known of a label later than it was delivered: no lag beyond the bin that it was seen in.
    latest = np.zeros(counts.panes, np.int64)
    np.maximum.at(latest, counts.labelled.pane, counts.labelled.lag)
    assert (found.labelled.lag <= latest[found.labelled.pane]).all()


@pytest.mark.parametrize("scenario", [HOURLY, NIGHTLY_CORRELATED], ids=lambda scenario: scenario.name)
def test_wrong_predictions_labelled_sooner_do_not_look_like_a_change(scenario: Scenario) -> None:
    """Taken at face value, lags of such labels put the estimates off by points, outside their intervals."""
    held = 0
    for seed in range(3):
        stream = world(scenario, seed)
        for now, estimator in stream.play([141_000, 180_000]):
            found = estimator.estimate(estimator.newest(10_000))
            truth = 1 - stream.wrong[now - 10_000 : now].mean()
            held += found.low <= truth <= found.high
            assert abs(found.value - truth) < 0.01
    assert held >= 5


def test_deliveries_change_no_estimate_beyond_its_interval() -> None:
    """The same world with labels at once and by the hour."""
    at_once, hourly = (
        next(estimator.estimate(estimator.newest(10_000)) for _, estimator in world(scenario, 5).play([180_000]))
        for scenario in (CORRELATED, replace(CORRELATED, delivered=2_000))
    )
    assert abs(at_once.value - hourly.value) < 0.005


def test_panes_in_which_labels_came_tell_of_deliveries_where_panes_between_are_empty() -> None:
    assert label_instants_ms({7, 1, 4}, 1_000).tolist() == [2_000, 5_000, 8_000]
    assert label_instants_ms({1, 2, 4, 5}, 1_000).tolist() == []
    assert label_instants_ms((), 1_000).tolist() == []


def test_a_quiet_night_does_not_make_deliveries_of_labels_that_trickle() -> None:
    assert label_instants_ms({*range(20), *range(25, 45)}, 1_000).tolist() == []
