"""The estimate in closed form: without labels, with all of them, and in between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.estimate.accuracy import Estimates, estimate_accuracy
from monitor.estimate.classes import Costs, class_metrics
from monitor.estimate.counts import LabelledRows, PaneCounts, PredictionRows
from monitor.estimate.estimate import wrong_predictions
from monitor.estimate.lag import LagEffect
from monitor.estimate.rectifier import Settings, rectify
from monitor.estimate.tables import ReferenceLags, error_table

HOUR = 3_600_000
EDGES = (0, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR)
SEGMENTS = ("a", "b")
RATE = np.array([[0.05, 0.2, 0.4], [0.1, 0.3, 0.5]])
TABLE = error_table(SEGMENTS, np.full((2, 3), 10**9), np.rint(10**9 * RATE).astype(int))
NONE = np.zeros(0, np.int64)


def counts(n: np.ndarray, right: np.ndarray | None = None, wrong: np.ndarray | None = None, panes: int = 1, lag: int = 2) -> PaneCounts:
    """``n``, ``right`` and ``wrong`` [T, G, S, P], in panes of an hour; labels have been read up to 100 hours later."""
    at = np.argwhere(n > 0)
    predictions = PredictionRows(*at.T, n[tuple(at.T)])
    labelled = LabelledRows(NONE, NONE, NONE, NONE, NONE, NONE, NONE)
    if right is not None and wrong is not None:
        at = np.argwhere(right + wrong > 0)
        place = tuple(at.T)
        labelled = LabelledRows(*at.T, np.full(len(at), lag), right[place], wrong[place])
    return PaneCounts(SEGMENTS, np.arange(panes) * HOUR, panes * HOUR, (panes + 100) * HOUR, predictions, labelled, EDGES)


def of_window(made: PaneCounts) -> Estimates:
    return estimate_accuracy(TABLE, made, np.full(made.panes, True))


def array(*values: float) -> np.ndarray:
    """[1, 2, 3, 1] counts."""
    return np.array(values, np.int64).reshape(1, 2, 3, 1)


def test_without_labels_the_estimate_is_the_poisson_binomial_mean_of_the_table():
    n = array(600, 300, 100, 50, 150, 800)
    found = of_window(counts(n))
    wrong = (n[0, :, :, 0] * RATE).sum(axis=1)
    rows = np.array([1_000, 1_000])
    assert found.value == pytest.approx([1 - wrong.sum() / 2_000, *(1 - wrong / rows)], abs=1e-6)
    assert found.table_value == pytest.approx(found.value, abs=1e-6)
    assert not found.rectified.any()
    assert found.n.tolist() == [2_000, 1_000, 1_000]
    # The table is as good as exact: its interval is chance alone, and half a row.
    sd = np.sqrt((n[0, :, :, 0] * RATE * (1 - RATE)).sum())
    assert found.table_high[0] - found.table_low[0] == pytest.approx((2 * 1.96 * sd + 1) / 2_000, rel=1e-3)


def test_a_mix_shift_by_hand():
    before, after = of_window(counts(array(0, 1000, 0, 0, 1000, 0))), of_window(counts(array(0, 200, 0, 0, 1800, 0)))
    assert before.value[0] == pytest.approx(0.75, abs=1e-6)  # 80 % and 70 %, half of each
    assert after.value[0] == pytest.approx(0.71, abs=1e-6)  # a tenth of the one, nine tenths of the other


def test_when_all_labels_are_in_the_estimate_is_the_truth():
    right, wrong = array(500, 200, 60, 40, 100, 500), array(100, 100, 40, 10, 50, 300)
    found = of_window(counts(right + wrong, right, wrong))
    assert found.value == pytest.approx([1 - 600 / 2_000, 1 - 240 / 1_000, 1 - 360 / 1_000])
    assert found.low == pytest.approx(found.value)
    assert found.high == pytest.approx(found.value)
    assert found.labelled.tolist() == found.n.tolist()


def test_labels_that_agree_with_the_table_leave_it_and_narrow_the_interval():
    n = array(0, 10_000, 0, 0, 10_000, 0)
    found = of_window(counts(n, array(0, 4_000, 0, 0, 3_500, 0), array(0, 1_000, 0, 0, 1_500, 0)))
    alone = of_window(counts(n))
    assert found.value == pytest.approx([0.75, 0.8, 0.7], abs=0.002)
    assert not found.rectified.any()
    assert found.high[0] - found.low[0] < 0.9 * (alone.high[0] - alone.low[0])


def test_the_unlabelled_are_taken_to_be_as_wrong_as_the_labelled():
    # Half of the labels have come, and say 30 % and 40 % where the table has 20 % and 30 %.
    n = array(0, 20_000, 0, 0, 20_000, 0)
    found = of_window(counts(n, array(0, 7_000, 0, 0, 6_000, 0), array(0, 3_000, 0, 0, 4_000, 0)))
    assert found.value == pytest.approx([0.65, 0.7, 0.6], abs=0.003)
    assert found.rectified.tolist() == [True, True, True]
    assert found.table_value == pytest.approx([0.75, 0.8, 0.7], abs=1e-6)


def test_a_segment_that_is_off_alone_is_rectified_alone():
    n = array(0, 20_000, 0, 0, 20_000, 0)
    found = of_window(counts(n, array(0, 8_000, 0, 0, 5_000, 0), array(0, 2_000, 0, 0, 5_000, 0)))
    assert found.value == pytest.approx([0.65, 0.8, 0.5], abs=0.012)
    assert found.rectified[2]


def test_a_range_of_the_score_that_is_off_is_rectified_where_the_window_lies_in_it():
    # Of the first pane all labels have come: the second cell is wrong as often as expected, the third in 60 %, not 40 %.
    n, right, wrong = (np.zeros((2, 2, 3, 1), np.int64) for _ in range(3))
    right[0, 0, :, 0], wrong[0, 0, :, 0] = [0, 16_000, 8_000], [0, 4_000, 12_000]
    n[0] = right[0] + wrong[0]
    for cell, truth in ((1, 0.8), (2, 0.4)):
        moved = n.copy()
        moved[1, 0, cell, 0] = 5_000
        made = counts(moved, right, wrong, panes=2)
        found = estimate_accuracy(TABLE, made, np.array([False, True]))
        assert found.value[0] == pytest.approx(truth, abs=0.015)


def test_while_the_table_holds_for_all_traffic_its_segments_leave_it_unsure():
    n = array(0, 20_000, 0, 0, 20_000, 0)
    made = counts(n, array(0, 800, 0, 0, 700, 0), array(0, 200, 0, 0, 300, 0))
    fit = rectify(TABLE, made, Settings())
    wrong = wrong_predictions(made, np.array([True]), fit)
    moved = wrong.sensitivity[1:].sum(axis=1)
    assert fit.failed < 0.2
    assert wrong.other[0] >= (1 - fit.failed) * (moved**2 @ fit.segment_variance)


def test_having_no_label_yet_follows_from_bayes_rule():
    made = counts(array(0, 1_000, 0, 0, 0, 0))
    right, wrong = np.array([0.0, 0.2, 0.3, 0.5, 0.0, 0.0, 0.0]), np.array([0.0, 0.6, 0.3, 0.1, 0.0, 0.0, 0.0])
    effect = np.log(np.maximum(wrong, 1e-9) / np.maximum(right, 1e-9))
    fit = rectify(TABLE, made, Settings())
    strata = len(fit.stratum)
    lag = LagEffect(effect, np.zeros((7, 7)), np.tile(right, (strata, 1)))
    fit = replace(fit, lag=lag, fraction=np.array([[1.0, 1.0, 0.5, 0.0, 0.0, 0.0]]), label_share=0.8)
    # Half through a bin whose density begins at (0.2 + 0.3) / 2 and ends at (0.3 + 0.5) / 2 of the right ones, at 0.45 and 0.2 of the wrong
    # ones: 23/52 and 31/52 of it are over. A fifth of either never gets a label.
    ahead = 0.1 + 0.3 * 21 / 52, 0.5 + 0.3 * 29 / 52
    assert fit.unlabelled()[0] == pytest.approx(np.log((0.2 + 0.8 * ahead[0]) / (0.2 + 0.8 * ahead[1])))


def test_all_traffic_is_the_sum_of_its_segments():
    n = array(900, 300, 100, 50, 150, 1_800)
    made = counts(n, array(100, 30, 10, 5, 15, 100), array(5, 10, 5, 1, 5, 120))
    fit = rectify(TABLE, made, Settings())
    wrong = wrong_predictions(made, np.array([True]), fit)
    for name in ("n", "labelled", "known", "expected", "table_alone", "sensitivity", "chance"):
        value = getattr(wrong, name)
        assert value[0] == pytest.approx(value[1:].sum(axis=0)), name


def test_the_interval_stays_within_what_labels_leave_open():
    right, wrong = array(0, 700, 0, 0, 0, 0), array(0, 298, 0, 0, 0, 0)
    found = of_window(counts(right + wrong + array(0, 2, 0, 0, 0, 0), right, wrong))
    assert found.low[0] == pytest.approx(1 - 300 / 1_000)
    assert found.high[0] == pytest.approx(1 - 298 / 1_000)


def test_a_segment_without_predictions_is_unknown_and_not_perfect():
    found = of_window(counts(array(0, 100, 0, 0, 0, 0)))
    assert np.isnan([found.value[2], found.low[2], found.high[2]]).all()
    assert not found.rectified[2]


def test_panes_before_the_look_back_have_the_level_of_their_own_labels():
    # 100 panes of 2,000 predictions, 90 % labelled; 40 % wrong in the first half, 20 % (as in the table) in the second.
    n = np.zeros((100, 2, 3, 1), np.int64)
    n[:, 0, 1, 0] = 2_000
    wrong = np.where(np.arange(100)[:, None, None, None] < 50, 0.4, 0.2) * 0.9 * n
    made = counts(n, (0.9 * n - wrong).astype(int), wrong.astype(int), panes=100)
    old = estimate_accuracy(TABLE, made, np.arange(100) < 50, Settings(lookback_rows=40_000))
    new = estimate_accuracy(TABLE, made, np.arange(100) >= 50, Settings(lookback_rows=40_000))
    assert old.value[0] == pytest.approx(0.6, abs=0.003)
    assert new.value[0] == pytest.approx(0.8, abs=0.003)
    assert new.lookback[0] < 42_000


def test_what_the_reference_knows_of_lags_tells_quick_wrong_labels_from_a_drift():
    # The first labels: 40 % wrong instead of 20 %, all within the hour. Either a drift, or wrong predictions are labelled sooner.
    n = array(0, 20_000, 0, 0, 0, 0)
    made = replace(counts(n, array(0, 2_400, 0, 0, 0, 0), array(0, 1_600, 0, 0, 0, 0), lag=1), labels_to_ms=2 * HOUR)
    shape = (len(EDGES) + 1, 3)
    right, wrong = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    right[[1, 3], 1], wrong[[1, 3], 1] = [1_200, 6_800], [800, 1_200]  # in the reference, too, 40 % of the quick ones are wrong
    told = estimate_accuracy(replace(TABLE, lags=ReferenceLags(right, wrong, EDGES)), made, np.array([True]))
    assert told.value[0] == pytest.approx(0.8, abs=0.02)
    right[[1, 3], 1], wrong[[1, 3], 1] = [1_600, 6_400], [400, 1_600]  # there, quick ones are like the others
    drifted = estimate_accuracy(replace(TABLE, lags=ReferenceLags(right, wrong, EDGES)), made, np.array([True]))
    assert drifted.value[0] == pytest.approx(0.6, abs=0.03)
    # Lags in other bins are not used.
    other = estimate_accuracy(replace(TABLE, lags=ReferenceLags(right, wrong, EDGES[1:])), made, np.array([True]))
    assert other.value[0] == estimate_accuracy(TABLE, made, np.array([True])).value[0]


def test_predictions_that_are_never_labelled_are_as_the_rest():
    # A tenth of the predictions is ever labelled, wrong ones as often as right ones, at all lags alike.
    n = np.zeros((40, 2, 3, 1), np.int64)
    n[:, 0, 1, 0] = 5_000
    made = counts(n, (0.06 * n).astype(int), (0.04 * n).astype(int), panes=40)
    found = estimate_accuracy(TABLE, made, np.full(40, True))
    assert found.value[0] == pytest.approx(0.6, abs=0.005)
    assert rectify(TABLE, made, Settings()).label_share == pytest.approx(0.1, abs=0.001)


def test_panes_must_follow_one_another():
    made = counts(array(1, 1, 1, 1, 1, 1))
    with pytest.raises(ValueError, match=r"expected panes that follow one another, got starts \[0\] and the end 0"):
        replace(made, end_ms=0)


def test_binary_metrics_follow_from_wrong_predictions_by_class():
    # 600 predicted negative in a cell that is wrong in 5 %, 400 predicted positive in one that is wrong in 40 %.
    n = np.zeros((1, 2, 3, 2), np.int64)
    n[0, 0, 0, 0], n[0, 0, 2, 1] = 600, 400
    made = counts(n)
    wrong = wrong_predictions(made, np.array([True]), rectify(TABLE, made, Settings()))
    found = class_metrics(wrong, Costs(false_positive=2, false_negative=10, true_positive=-1))
    fn, fp, tp, tn = 30, 160, 240, 570
    expected = {
        "precision": tp / 400,
        "recall": tp / (tp + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "label_rate": (tp + fn) / 1_000,
        "cost": (2 * fp + 10 * fn - tp) / 1_000,
    }
    for name, value in expected.items():
        assert found[name].value[0] == pytest.approx(value, abs=1e-6), name
        assert found[name].low[0] < value < found[name].high[0]
    assert tn == 600 - fn
    assert np.isnan(found["precision"].value[2])


def test_the_intervals_of_binary_metrics_are_those_of_drawn_truths():
    rng = np.random.default_rng(5)
    n = np.zeros((1, 2, 3, 2), np.int64)
    n[0, 0, :, 0], n[0, 0, :, 1] = [2_000, 800, 300], [100, 600, 900]
    made = counts(n)
    wrong = wrong_predictions(made, np.array([True]), rectify(TABLE, made, Settings()))
    # Of chance alone: the table is as good as exact here.
    alone = class_metrics(replace(wrong, level=0 * wrong.level, other=0 * wrong.other))
    drawn = rng.binomial(n[0, 0].T[None], RATE[0], (4_000, 2, 3)).sum(axis=2)
    fn, fp = drawn.T
    tp = 1_600 - fp
    truths = {"precision": tp / 1_600, "recall": tp / (tp + fn), "f1": 2 * tp / (2 * tp + fp + fn), "label_rate": (tp + fn) / 4_700}
    for name, truth in truths.items():
        inside = (truth >= alone[name].low[0]) & (truth <= alone[name].high[0])
        assert inside.mean() == pytest.approx(0.95, abs=0.015), name


def test_binary_metrics_move_with_the_level_as_their_intervals_say():
    n = np.zeros((1, 2, 3, 2), np.int64)
    n[0, 0, :, 0], n[0, 0, :, 1] = [2_000, 800, 300], [100, 600, 900]
    made = counts(n)
    wrong = wrong_predictions(made, np.array([True]), rectify(TABLE, made, Settings()))
    sure = replace(wrong, chance=0 * wrong.chance, other=0 * wrong.other, level=np.full(3, 1e-3**2))
    moved = class_metrics(replace(sure, expected=wrong.expected + 1e-3 * wrong.sensitivity))
    for name, metric in class_metrics(sure).items():
        shift = abs(moved[name].value[0] - metric.value[0])
        assert metric.high[0] - metric.value[0] == pytest.approx(1.96 * shift, rel=1e-2), name


def test_more_than_two_classes_have_no_binary_metrics():
    n = np.zeros((1, 2, 3, 3), np.int64)
    n[0, 0, 0, 2] = 5
    made = counts(n)
    wrong = wrong_predictions(made, np.array([True]), rectify(TABLE, made, Settings()))
    with pytest.raises(ValueError, match=r"expected predicted classes 0 \(negative\) and 1 \(positive\), got 3 classes"):
        class_metrics(wrong)
