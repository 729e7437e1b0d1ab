"""Reliability, ECE, Brier score and log loss against raw rows, scipy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from sklearn import metrics
from sklearn.calibration import calibration_curve

from monitor.outcome.layout import OutcomeLayout
from monitor.performance import calibration
from monitor.profile.layout import SignalBins
from tests.performance.rows import BINARY, binary_rows, multiclass_rows

Z = 1.96


@given(st.integers(1, 400), st.floats(0.001, 0.999))
def test_the_mean_absolute_deviation_is_that_of_the_binomial(n: int, p: float) -> None:
    k = np.arange(n + 1)
    expected = (np.abs(k - n * p) * stats.binom.pmf(k, n, p)).sum()
    assert float(calibration.mean_absolute_deviation(np.array(n), np.array(p))) == pytest.approx(expected, rel=1e-7)


def test_factorials_are_scipys() -> None:
    n = np.array([0, 1, 2, 15, 16, 17, 100, 10**6, 10**9], float)
    assert calibration.log_factorial(n) == pytest.approx(special.gammaln(n + 1), rel=1e-10, abs=1e-10)


def test_losses_are_scikit_learns_on_raw_rows() -> None:
    rows = binary_rows(np.random.default_rng(1), 3000, segments=2)
    counts = rows.counts()
    for place, own in enumerate((rows.segment >= 0, rows.segment == 0, rows.segment == 1)):
        truth, score = rows.truth[own], rows.score[own]
        brier, log_loss = calibration.brier(counts, Z)[place], calibration.log_loss(counts, Z)[place]
        assert float(brier.value) == pytest.approx(metrics.brier_score_loss(truth, score), abs=1e-6)
        assert float(log_loss.value) == pytest.approx(metrics.log_loss(truth, score), abs=1e-6)
        terms = -np.log(np.where(truth == 1, score, 1 - score))
        assert float(log_loss.high - log_loss.low) == pytest.approx(2 * Z * terms.std() / np.sqrt(len(terms)), rel=0.02)
        assert int(brier.n) == len(truth)


def test_multiclass_losses_are_scikit_learns() -> None:
    rows = multiclass_rows(np.random.default_rng(2), 3000)
    counts = rows.counts()
    assert calibration.log_loss(counts, Z).value[0] == pytest.approx(metrics.log_loss(rows.truth, rows.probabilities), abs=2e-3)
    squared = ((rows.probabilities - np.eye(3)[rows.truth]) ** 2).sum(axis=1)
    assert calibration.brier(counts, Z).value[0] == pytest.approx(squared.mean(), abs=1e-3)


def test_reliability_is_scikit_learns_calibration_curve() -> None:
    rows = binary_rows(np.random.default_rng(3), 5000)
    cell = rows.layout.score_cell(rows.score)
    means = np.array([rows.score[cell == c].mean() if (cell == c).any() else np.nan for c in range(rows.layout.score_cells)])
    found = calibration.reliability(rows.counts(), Z, means)
    observed, foretold = calibration_curve(rows.truth, rows.score, n_bins=20)
    held = found.observed.n[0] > 0
    assert found.observed.value[0, held] == pytest.approx(observed)
    assert found.place[held] == pytest.approx(foretold)


def test_confidence_is_judged_by_how_often_the_predicted_class_was_right() -> None:
    rows = multiclass_rows(np.random.default_rng(4), 5000)
    found = calibration.reliability(rows.counts(), Z)
    observed, _ = calibration_curve(rows.truth == rows.predicted, rows.score.astype(np.float32), n_bins=20)
    assert found.observed.value[0, found.observed.n[0] > 0] == pytest.approx(observed)


def test_scores_stand_for_the_middle_of_their_part_of_0_to_1() -> None:
    layout = OutcomeLayout("binary", ("no", "yes"), SignalBins("score", "numeric", edges=(-1.0, 0.0, 0.2, 0.9, 1.0000001, 7.0)))
    assert calibration.score_places(layout, None) == pytest.approx([np.nan] * 5 + [0.1, 0.55, 0.95, np.nan, np.nan], nan_ok=True)
    means = np.array([np.nan] * 5 + [0.15, np.nan, 0.2, np.nan, 3.0])
    # A mean outside its cell is of no use beyond the cell's edge.
    assert calibration.score_places(layout, means) == pytest.approx([np.nan] * 5 + [0.15, 0.55, 0.9, np.nan, np.nan], nan_ok=True)
    with pytest.raises(ValueError, match="expected a mean for each of 10 score cells"):
        calibration.score_places(layout, np.zeros(3))


def test_a_cell_that_holds_nothing_but_1_is_a_probability() -> None:
    layout = OutcomeLayout("binary", ("no", "yes"), SignalBins("score", "numeric", edges=(0.5, 1.0)))
    assert calibration.score_places(layout, None)[3:].tolist() == [0.25, 0.75, 1.0]


def ece_of(tilt: float, n: int, runs: int) -> tuple[calibration.Reliability, np.ndarray, float]:
    """Many segments of n rows, from a model that is off by ``tilt`` in every other cell; the plain ECE of each, the true one."""
    random = np.random.default_rng(5)
    place = calibration.score_places(BINARY, None)[3:]
    weight = np.full(20, 1 / 20)
    truth = np.clip(place + tilt * (-1.0) ** np.arange(20), 0.001, 0.999)
    table = random.multinomial(n, weight, runs)
    happened = random.binomial(table, truth)
    rows = binary_rows(random, 10)
    counts = rows.counts()
    by_score = np.zeros((runs, BINARY.score_cells, 2), np.int64)
    by_score[:, 3:, 1], by_score[:, 3:, 0] = happened, table - happened
    many = type(counts)(
        BINARY, tuple(map(str, range(runs))), counts.predictions, counts.confusion, by_score, counts.right_wrong, counts.by_lag, counts.sums
    )
    plain = (table / n * np.abs(happened / np.maximum(table, 1) - place)).sum(axis=1)
    return calibration.reliability(many, Z), plain, float((weight * np.abs(truth - place)).sum())


def test_a_calibrated_model_has_no_calibration_error_but_the_noise_is_known() -> None:
    found, plain, _ = ece_of(0.0, 1000, 2000)
    assert found.noise.mean() == pytest.approx(plain.mean(), rel=0.01)
    assert np.median(found.ece.value) < 0.2 * plain.mean()
    assert (found.ece.low == 0).mean() > 0.99


@pytest.mark.parametrize(("tilt", "n"), [(0.0, 200), (0.05, 2000), (0.1, 1000), (0.2, 200)])
def test_the_interval_of_the_calibration_error_covers(tilt: float, n: int) -> None:
    found, plain, truth = ece_of(tilt, n, 2000)
    assert ((found.ece.low <= truth) & (truth <= found.ece.high)).mean() >= 0.95
    # On average off by less than a third of what noise alone would show.
    assert abs(found.ece.value.mean() - truth) < 0.33 * found.noise.mean()
    assert plain.mean() > found.ece.value.mean()


def test_without_rows_there_is_no_calibration_error() -> None:
    found = calibration.reliability(binary_rows(np.random.default_rng(6), 0).counts(), Z)
    assert np.isnan(found.ece.value).all()
    assert np.isnan(found.noise).all()
