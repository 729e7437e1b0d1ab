"""Metrics of the confusion table against scikit-learn on raw rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from monitor.performance import classes, cost
from tests.performance.rows import BINARY, Rows, binary_rows, multiclass_rows

Z = 1.96


@pytest.mark.parametrize("make", [binary_rows, multiclass_rows])
def test_metrics_are_scikit_learns_in_every_segment(make) -> None:
    rows = make(np.random.default_rng(1), 3000, segments=3)
    counts = rows.counts()
    labels = range(len(rows.layout.classes))
    for place, name in enumerate(counts.segments):
        own = np.full(3000, True) if name == "ALL" else rows.segment == int(name[1:])
        truth, predicted = rows.truth[own], rows.predicted[own]
        confusion = counts.confusion[place]
        assert confusion[:-1].T.tolist() == metrics.confusion_matrix(truth, predicted, labels=labels).tolist()
        precision, recall, f1, support = metrics.precision_recall_fscore_support(truth, predicted, labels=labels)
        assert classes.precision(counts.confusion, Z).value[place] == pytest.approx(precision)
        assert classes.recall(counts.confusion, Z).value[place] == pytest.approx(recall)
        assert classes.recall(counts.confusion, Z).n[place].tolist() == support.tolist()
        assert classes.f1(counts.confusion, Z).value[place] == pytest.approx(f1)
        judged = counts.right_wrong.sum(axis=(1, 2))
        assert classes.accuracy(judged, Z).value[place] == pytest.approx(metrics.accuracy_score(truth, predicted))
        assert classes.balanced_accuracy(counts.confusion, Z).value[place] == pytest.approx(
            metrics.balanced_accuracy_score(truth, predicted)
        )
        rate = classes.label_rate(counts.by_lag.sum(axis=1), Z)
        assert rate.value[place] == pytest.approx(np.bincount(truth, minlength=len(labels)) / len(truth))


def test_an_unpredicted_class_has_no_precision_and_an_absent_one_no_recall() -> None:
    confusion = np.array([[[5, 5], [0, 0], [0, 0]], [[5, 0], [5, 0], [0, 0]]])
    assert np.isnan(classes.precision(confusion, Z).value[0, 1])
    assert np.isnan(classes.recall(confusion, Z).value[1, 1])
    assert classes.recall(confusion, Z).value[0].tolist() == [1.0, 0.0]
    assert classes.balanced_accuracy(confusion, Z).value.tolist() == [0.5, 0.5]


def test_a_prediction_that_is_no_class_is_missed_but_claims_nothing() -> None:
    confusion = np.array([[[8, 1], [0, 9], [0, 2]]])
    assert classes.precision(confusion, Z).value[0, 1] == 1.0
    assert classes.recall(confusion, Z).value[0, 1] == pytest.approx(9 / 12)
    assert classes.f1(confusion, Z).value[0, 1] == pytest.approx(2 * 9 / (2 * 9 + 3))


def test_without_any_predicted_class_nothing_is_known() -> None:
    confusion = np.array([[[0, 0], [0, 0], [30, 20]]])
    for metric in (classes.precision, classes.recall, classes.f1, classes.balanced_accuracy):
        assert np.isnan(metric(confusion, Z).value).all()


def test_intervals_of_f1_and_balanced_accuracy_cover() -> None:
    shares = np.array([0.8, 0.05, 0.05, 0.1])  # TN, FN, FP, TP
    drawn = np.random.default_rng(2).multinomial(150, shares, 4000)
    confusion = np.zeros((4000, 3, 2), np.int64)
    confusion[:, 0, 0], confusion[:, 0, 1], confusion[:, 1, 0], confusion[:, 1, 1] = drawn.T
    f1, balanced = classes.f1(confusion, Z)[:, 1], classes.balanced_accuracy(confusion, Z)
    for found, truth in ((f1, 2 / 3), (balanced, (0.8 / 0.85 + 0.1 / 0.15) / 2)):
        assert 0.93 <= ((found.low <= truth) & (truth <= found.high)).mean() <= 0.975


COSTS = cost.cost_table(((0.0, 1.0), (20.0, 0.0)))


def test_the_expected_cost_is_the_mean_over_the_rows() -> None:
    rows = binary_rows(np.random.default_rng(5), 1000, segments=2)
    found = cost.expected_cost(rows.counts().confusion, COSTS, Z)
    paid = np.where(rows.truth == 1, 20.0 * (rows.predicted == 0), 1.0 * (rows.predicted == 1))
    assert found.value == pytest.approx([paid.mean(), paid[rows.segment == 0].mean(), paid[rows.segment == 1].mean()])


def test_gains_are_negative_costs() -> None:
    gains = cost.cost_table(((0.0, 1.0), (20.0, -5.0)))
    found = cost.expected_cost(np.array([[[50, 1], [4, 45], [0, 0]]]), gains, Z)
    assert found.value[0] == pytest.approx((4 * 1 + 1 * 20 - 45 * 5) / 100)
    assert found.low[0] < found.value[0] < found.high[0]


def test_the_interval_of_the_cost_covers_rare_and_dear_mistakes() -> None:
    shares = np.array([0.9, 0.005, 0.02, 0.075])  # one false negative of cost 20 in 200 rows
    drawn = np.random.default_rng(6).multinomial(200, shares, 4000)
    confusion = np.zeros((4000, 3, 2), np.int64)
    confusion[:, 0, 0], confusion[:, 0, 1], confusion[:, 1, 0], confusion[:, 1, 1] = drawn.T
    found = cost.expected_cost(confusion, COSTS, Z)
    assert ((found.low <= 0.12) & (found.high >= 0.12)).mean() >= 0.94


def test_costs_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected costs of shape \(3, 2\), got \(4, 3\)"):
        cost.expected_cost(np.zeros((1, 3, 2), np.int64), cost.cost_table(np.ones((3, 3)).tolist()), Z)
    with pytest.raises(ValueError, match=r"expected a cost for each pair of classes, got \(1, 2\)"):
        cost.cost_table(((0.0, 1.0),))


def test_accuracy_counts_a_row_of_an_unknown_class_as_wrong() -> None:
    counts = Rows(BINARY, np.full(4, 0.5), np.array([0, 1, 1, 7]), np.array([0, 1, 0, 1])).counts()
    assert classes.accuracy(counts.right_wrong.sum(axis=(1, 2)), Z).value[0] == 0.5
