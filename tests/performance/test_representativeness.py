"""Labelled against all predictions: what chance does, what a biased choice does, and how metrics are set right."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.evaluate.verdict import Status
from monitor.performance.representativeness import (
    Representativeness,
    representativeness,
    reweighted_accuracy,
    reweighted_positive_rate,
)  # fmt: skip
from tests.performance.rows import binary_rows, multiclass_rows
from tests.performance.test_regression import regression_rows

Z = 1.96


def compared(rows, **more) -> Representativeness:
    return representativeness(rows.counts(), noise_quantile=0.999, min_labelled=100, **more)


def test_shares_and_distance_are_those_of_the_rows() -> None:
    random = np.random.default_rng(1)
    rows = binary_rows(random, 4000, segments=2)
    rows.labelled = random.random(4000) < np.where(rows.score > 0.5, 0.8, 0.2)
    found = compared(rows)
    cell = rows.layout.score_cell(rows.score)
    for place, own in enumerate((rows.segment >= 0, rows.segment == 0, rows.segment == 1)):
        all_share = np.bincount(cell[own], minlength=23) / own.sum()
        labelled = np.bincount(cell[own & rows.labelled], minlength=23) / (own & rows.labelled).sum()
        assert found.all_share[place] == pytest.approx(all_share)
        assert found.labelled_share[place] == pytest.approx(labelled)
        assert found.distance[place] == pytest.approx(np.abs(all_share - labelled).sum() / 2)
        assert found.coverage.value[place] == pytest.approx((own & rows.labelled).sum() / own.sum())
    assert found.status.tolist() == [Status.DRIFTED] * 3
    assert found.coverage_status.tolist() == [Status.NOT_APPLICABLE, Status.STABLE, Status.STABLE]


def test_labels_by_chance_are_representative() -> None:
    """400 segments at quantile 0.99, none of which differs: 4 expected above, 13 have probability 0.0003."""
    random = np.random.default_rng(2)
    rows = binary_rows(random, 400 * 300, segments=400)
    rows.labelled = random.random(400 * 300) < 0.7
    found = representativeness(rows.counts(), noise_quantile=0.99, min_labelled=50, threshold=0.0)
    assert (found.status[1:] == Status.DRIFTED).sum() <= 12
    assert (found.coverage_status[1:] == Status.DRIFTED).sum() <= 12
    assert (found.distance[1:] > 0.3 * found.noise[1:]).all()  # the floor is near, not far above
    deviation = (found.coverage.value[1:] - found.overall_coverage).std()
    assert found.coverage_noise[1:].mean() == pytest.approx(2.576 * deviation + 0.5 / 300, rel=0.1)


def test_with_all_labelled_there_is_neither_distance_nor_noise() -> None:
    found = compared(binary_rows(np.random.default_rng(3), 1000, segments=2))
    assert found.distance == pytest.approx(np.zeros(3))
    assert found.noise == pytest.approx(np.zeros(3))
    assert found.status.tolist() == [Status.STABLE] * 3


def test_a_segment_that_is_labelled_less_is_found() -> None:
    random = np.random.default_rng(4)
    rows = binary_rows(random, 6000, segments=3)
    rows.labelled = random.random(6000) < np.where(rows.segment == 2, 0.3, 0.6)
    found = compared(rows)
    assert found.coverage_status[3] == Status.DRIFTED
    assert found.coverage.value[3] < found.overall_coverage - found.coverage_noise[3]
    assert found.status.tolist() == [Status.STABLE] * 4  # within each segment the labelled are like all


def test_what_cannot_be_concluded_is_said() -> None:
    rows = binary_rows(np.random.default_rng(5), 1000)
    rows.labelled = np.arange(1000) < 60
    assert compared(rows).status.tolist() == [Status.INSUFFICIENT_DATA] * 2
    rows.labelled = np.arange(1000) < 500
    assert compared(rows, partial=True).status.tolist() == [Status.PARTIAL] * 2
    rows.labelled = np.arange(1000) < 0
    none = compared(rows)
    assert np.isnan(none.distance).all()
    assert np.isnan(reweighted_accuracy(rows.counts(), Z).value).all()


def test_reweighting_takes_away_the_bias_of_the_choice() -> None:
    """Uncertain scores are labelled three times as often; the plain accuracy is too low, the reweighted one is right."""
    random = np.random.default_rng(6)
    plain, reweighted, rate = [], [], []
    for _ in range(200):
        rows = binary_rows(random, 3000)
        rows.labelled = random.random(3000) < np.where(np.abs(rows.score - 0.5) < 0.2, 0.6, 0.2)
        counts = rows.counts()
        truth = (rows.truth == rows.predicted).mean()
        judged = counts.right_wrong.sum(axis=(1, 2))[0]
        plain.append(judged[0] / judged.sum() - truth)
        estimate = reweighted_accuracy(counts, Z)
        reweighted.append(estimate.value[0] - truth)
        expected = np.where(rows.score >= 0.5, rows.score, 1 - rows.score).mean()
        rate.append(estimate.low[0] <= expected <= estimate.high[0])
    assert np.mean(plain) < -0.05
    assert abs(np.mean(reweighted)) < 0.004
    assert np.mean(rate) >= 0.93


def test_cells_without_labels_make_the_reweighted_rate_uncertain() -> None:
    rows = binary_rows(np.random.default_rng(9), 3000)
    rows.labelled = rows.score < 0.6  # nothing is known of a tenth of the traffic
    share = (rows.score >= 0.6).mean()
    found = reweighted_accuracy(rows.counts(), Z)
    assert found.high[0] - found.low[0] > share / np.sqrt(8)  # eight cells, each of which may be right always or never


def test_the_positive_rate_is_set_right_too() -> None:
    random = np.random.default_rng(7)
    rows = binary_rows(random, 50_000)
    rows.labelled = random.random(50_000) < 0.1 + 0.8 * rows.score
    counts = rows.counts()
    truth = rows.truth.mean()
    assert abs(counts.by_score[0, :, 1].sum() / counts.by_score[0].sum() - truth) > 0.05
    assert reweighted_positive_rate(counts, Z).value[0] == pytest.approx(truth, abs=0.01)


def test_tasks_without_the_rate_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a binary model, got task multiclass"):
        reweighted_positive_rate(multiclass_rows(np.random.default_rng(8), 10).counts(), Z)
    with pytest.raises(ValueError, match="expected a classification, got task regression"):
        reweighted_accuracy(regression_rows(np.random.default_rng(8), 10).counts(), Z)
