"""Metrics of a regression against scikit-learn and numpy on raw rows, and their intervals against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from monitor.outcome.layout import RESIDUAL_EDGES, OutcomeLayout
from monitor.performance import regression
from monitor.profile.layout import SignalBins
from tests.performance.rows import Rows

Z = 1.96
SCALE = 10.0
EDGES = tuple(np.linspace(-30, 230, 27).tolist())
LAYOUT = OutcomeLayout("regression", (), SignalBins("score", "numeric", edges=EDGES), scale=SCALE)


def regression_rows(random: np.random.Generator, n: int, segments: int = 1) -> Rows:
    prediction = random.normal(100, 40, n)
    truth = prediction + random.normal(3, 15, n) * random.choice([0.5, 2.0], n)
    return Rows(LAYOUT, prediction, np.zeros(n, int), truth, random.integers(0, segments, n))


def test_metrics_are_those_of_raw_rows() -> None:
    rows = regression_rows(np.random.default_rng(1), 4000, segments=2)
    counts = rows.counts()
    for place, own in enumerate((rows.segment >= 0, rows.segment == 0, rows.segment == 1)):
        truth, prediction = rows.truth[own], rows.score[own]
        assert regression.mae(counts, Z).value[place] == pytest.approx(metrics.mean_absolute_error(truth, prediction), rel=1e-5)
        assert regression.rmse(counts, Z).value[place] == pytest.approx(metrics.root_mean_squared_error(truth, prediction), rel=1e-5)
        assert regression.r2(counts, Z).value[place] == pytest.approx(metrics.r2_score(truth, prediction), abs=1e-5)
        assert regression.bias(counts, Z).value[place] == pytest.approx((prediction - truth).mean(), abs=1e-4)
        assert regression.label_mean(counts, Z).value[place] == pytest.approx(truth.mean(), abs=1e-4)
        error = prediction - truth
        for p in regression.ERROR_QUANTILES:
            assert regression.error_quantile(counts, p, Z).value[place] == pytest.approx(np.quantile(error, p), abs=0.25 * SCALE)
        for p in regression.ABSOLUTE_QUANTILES:
            found = regression.absolute_error_quantile(counts, p, Z).value[place]
            assert found == pytest.approx(np.quantile(np.abs(error), p), abs=0.25 * SCALE)


def test_quantiles_within_a_cell_are_interpolated() -> None:
    """Ten errors in [0.1, 0.2) x scale, ten in [0.2, 0.3): the median is their border, a quarter the middle of the first."""
    error = np.concatenate([np.full(10, 1.5), np.full(10, 2.5)])
    counts = Rows(LAYOUT, error, np.zeros(20, int), np.zeros(20)).counts()
    assert regression.error_quantile(counts, 0.5, Z).value[0] == pytest.approx(0.2 * SCALE)
    assert regression.absolute_error_quantile(counts, 0.25, Z).value[0] == pytest.approx(0.15 * SCALE)


def test_score_cells_stand_for_the_references_mean_or_their_middle() -> None:
    layout = OutcomeLayout("regression", (), SignalBins("score", "numeric", edges=(0.0, 10.0, 30.0)))
    assert regression.value_places(layout, None) == pytest.approx([np.nan] * 3 + [0.0, 5.0, 20.0, 30.0], nan_ok=True)
    means = np.array([9.0, np.nan, np.nan, -4.0, np.nan, 22.0, 41.0])
    assert regression.value_places(layout, means) == pytest.approx([np.nan] * 3 + [-4.0, 5.0, 22.0, 41.0], nan_ok=True)


def test_negative_errors_fold_onto_positive_ones() -> None:
    error = np.concatenate([np.full(10, -1.5), np.full(10, 2.5)])
    counts = Rows(LAYOUT, error, np.zeros(20, int), np.zeros(20)).counts()
    assert regression.error_quantile(counts, 0.25, Z).value[0] == pytest.approx(-0.15 * SCALE)
    assert regression.absolute_error_quantile(counts, 0.5, Z).value[0] == pytest.approx(0.2 * SCALE)


def test_a_quantile_in_an_open_cell_is_unknown() -> None:
    counts = Rows(LAYOUT, np.full(20, 25 * SCALE), np.zeros(20, int), np.zeros(20)).counts()
    assert np.isnan(regression.error_quantile(counts, 0.5, Z).value[0])
    assert np.isnan(regression.absolute_error_quantile(counts, 0.5, Z).value[0])


def test_rows_without_a_prediction_take_no_part() -> None:
    rows = Rows(LAYOUT, np.array([np.nan, 1.0, np.inf, 2.0]), np.zeros(4, int), np.array([0.0, 0.0, 0.0, 4.0]))
    counts = rows.counts()
    assert regression.residuals(counts)[0].sum() == 2
    assert regression.mae(counts, Z).value[0] == pytest.approx(1.5)
    assert int(regression.mae(counts, Z).n[0]) == 2


def test_without_rows_nothing_is_known() -> None:
    counts = Rows(LAYOUT, np.zeros(0), np.zeros(0, int), np.zeros(0), np.zeros(0, int)).counts()
    for metric in (regression.mae, regression.rmse, regression.bias, regression.r2, regression.label_mean):
        assert np.isnan(metric(counts, Z).value).all()


def test_equal_labels_have_no_explained_share() -> None:
    counts = Rows(LAYOUT, np.array([1.0, 2.0, 3.0]), np.zeros(3, int), np.full(3, 2.0)).counts()
    assert np.isnan(regression.r2(counts, Z).value[0])


def test_a_score_whose_cells_tell_nothing_leaves_r2_without_an_interval() -> None:
    coarse = OutcomeLayout("regression", (), scale=SCALE)  # cells of [0, 1] for predictions around 100
    rows = regression_rows(np.random.default_rng(2), 2000)
    found = regression.r2(Rows(coarse, rows.score, rows.predicted, rows.truth).counts(), Z)
    assert found.value[0] == pytest.approx(metrics.r2_score(rows.truth, rows.score), abs=1e-4)
    assert np.isnan(found.low[0])


def simulated(errors, runs: int = 1500, n: int = 300):
    """Segments of n rows each: predictions and errors drawn anew."""
    random = np.random.default_rng(3)
    prediction = random.normal(100, 40, runs * n)
    error = errors(random, runs * n)
    return Rows(LAYOUT, prediction, np.zeros(runs * n, int), prediction - error, np.repeat(np.arange(runs), n)).counts()


@pytest.mark.parametrize("name", ["normal", "mixed", "laplace"])
def test_intervals_cover(name: str) -> None:
    """Nominal 95 %; 1,500 runs: chance moves shares by 1.1 points."""
    errors, mean_square, mean_absolute = {
        "normal": (lambda random, k: random.normal(0, 20, k), 400.0, 20 * np.sqrt(2 / np.pi)),
        "mixed": (lambda random, k: random.normal(0, 10, k) * random.choice([1, 3], k), 500.0, 20 * np.sqrt(2 / np.pi)),
        "laplace": (lambda random, k: random.laplace(0, 15, k), 450.0, 15.0),
    }[name]
    counts = simulated(errors)
    truths = {
        regression.mae: mean_absolute,
        regression.rmse: np.sqrt(mean_square),
        regression.bias: 0.0,
        regression.r2: 1 - mean_square / (1600 + mean_square),
    }
    for metric, truth in truths.items():
        found = metric(counts, Z)[1:]
        covered = ((found.low <= truth) & (truth <= found.high)).mean()
        assert 0.925 <= covered <= 0.985, (metric.__name__, covered)


def test_intervals_of_quantiles_cover() -> None:
    random = np.random.default_rng(4)
    many = simulated(lambda _, k: random.normal(0, 20, k), runs=1000)
    whole = Rows(LAYOUT, np.zeros(400_000), np.zeros(400_000, int), random.normal(0, 20, 400_000)).counts()
    for p in (0.05, 0.5, 0.95):
        truth = float(regression.error_quantile(whole, p, Z).value[0])
        found = regression.error_quantile(many, p, Z)[1:]
        assert 0.92 <= ((found.low <= truth) & (truth <= found.high)).mean() <= 0.99


def test_the_cells_of_an_error_mirror() -> None:
    assert [-edge for edge in reversed(RESIDUAL_EDGES)] == list(RESIDUAL_EDGES)
