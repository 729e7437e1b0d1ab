"""Every scenario at small scale, seeds fixed: the rectified estimate holds where the table alone does not.

`benchmarks/estimate.py` measures the same over many seeds. Here: three worlds of each, four windows of 10,000 predictions each, a quarter
of them labelled, from 30,000 events after the onset on. Chance alone is 0.26 to 0.3 points of mean absolute error then.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tests.estimate.world import (
    BOTH,
    CONCEPT,
    CORRELATED,
    CORRELATED_CONCEPT,
    COVARIATE,
    EVENT_MS,
    LARGE_CONCEPT,
    MISCALIBRATION,
    MIX,
    NIGHTLY_CORRELATED,
    NO_DRIFT,
    SCENARIOS,
    SEGMENTS_OFF,
    Scenario,
    world,
)  # fmt: skip

ONSET, WINDOW, STOPS = 50_000, 10_000, [80_000, 90_000, 100_000, 110_000]


@functools.cache
def errors(scenario: Scenario) -> dict[str, np.ndarray]:
    """Errors of the estimate and of the table alone, in points, and whether the truth lay in their intervals."""
    rows = []
    for seed in range(3):
        stream = world(scenario, seed, n=STOPS[-1], onset=ONSET)
        for stop, estimator in stream.play(STOPS):
            found = estimator.estimate(estimator.newest(WINDOW))
            truth = 1 - stream.wrong[stop - WINDOW : stop].mean()
            rows.append(
                (100 * (found.value - truth), found.low <= truth <= found.high, 100 * (found.table_value - truth),
                 found.table_low <= truth <= found.table_high, found.rectified)
            )  # fmt: skip
    return dict(zip(("error", "covered", "alone", "alone_covered", "rectified"), np.array(rows, float).T, strict=True))


# By night: the first delivery alone cannot tell who is labelled sooner; more of them are in test_delivery.
@pytest.mark.parametrize("scenario", [each for each in SCENARIOS if each is not NIGHTLY_CORRELATED], ids=lambda scenario: scenario.name)
def test_the_estimate_holds(scenario: Scenario):
    found = errors(scenario)
    # Twelve windows: the mean of their absolute errors has a standard deviation of 0.08 points.
    assert np.abs(found["error"]).mean() < 0.40 + 0.12
    assert found["covered"].sum() >= 10


@pytest.mark.parametrize("scenario", [CONCEPT, LARGE_CONCEPT, BOTH, MISCALIBRATION, SEGMENTS_OFF, CORRELATED_CONCEPT], ids=lambda s: s.name)
def test_the_table_alone_is_blind_to_what_labels_show(scenario: Scenario):
    found = errors(scenario)
    assert found["alone"].mean() > 1.5
    assert found["alone_covered"].sum() <= 1
    assert found["rectified"].sum() >= 10


@pytest.mark.parametrize("scenario", [NO_DRIFT, COVARIATE, MIX, CORRELATED], ids=lambda s: s.name)
def test_the_table_alone_suffices_where_only_inputs_move(scenario: Scenario):
    found = errors(scenario)
    assert found["alone_covered"].sum() >= 8
    assert np.abs(found["alone"]).mean() < 0.52


def test_wrong_predictions_labelled_sooner_are_not_taken_for_a_drift():
    # Of the labels that have come of the newest 10,000 predictions, a third more are wrong than of all.
    stream = world(CORRELATED, 0, n=STOPS[-1], onset=ONSET)
    newest = slice(STOPS[-1] - WINDOW, STOPS[-1])
    come = stream.arrival[newest] <= STOPS[-1]
    assert stream.wrong[newest][come].mean() > 1.3 * stream.wrong[newest].mean()
    assert abs(errors(CORRELATED)["error"].mean()) < 0.3


def test_on_the_first_day_the_lags_of_the_reference_tell_quick_wrong_labels_from_a_drift():
    known, unknown = [], []
    for seed in range(4):
        stream = world(CORRELATED, seed, n=10_000, onset=10_000)
        rows = stream.validation
        median = np.where(rows["predicted"] == rows["label"], 10_000, 10_000 / CORRELATED.wrong_sooner)
        lag_ms = EVENT_MS * median * np.exp(np.random.default_rng(seed).normal(0, 1, len(median)))
        truth = 1 - stream.wrong.mean()
        for found, lags in ((known, lag_ms), (unknown, None)):
            _, estimator = next(stream.play([10_000], batch=5_000, lag_ms=lags))
            estimate = estimator.estimate(estimator.newest(10_000))
            found.append((100 * abs(estimate.value - truth), estimate.low <= truth <= estimate.high, estimate.high - estimate.low))
    error, covered, width = np.array(known, float).T
    _, honest, wider = np.array(unknown, float).T
    assert error.mean() < 0.6
    assert covered.sum() >= 3
    # Who does not know says so.
    assert honest.all()
    assert wider.mean() > 2 * width.mean()
