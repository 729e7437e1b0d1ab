"""Outcomes as counts, against plain loops over the rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.outcome.cells import PROBABILITY_SCALE, Outcomes, outcome_codes, prediction_codes, row_dtype
from monitor.outcome.combination import Combinations
from monitor.outcome.counts import OutcomeCounts, outcome_counts
from monitor.outcome.layout import LAG_EDGES_MS, LAGS, OutcomeLayout
from monitor.outcome.sparse import EMPTY, SparseCounts, add, pack_sparse, sparse, unpack_sparse

BINARY = OutcomeLayout("binary", ("0", "1"))
HOUR = 3_600_000

counts_strategy = st.lists(st.tuples(st.integers(0, 2**50), st.integers(-5, 5)), max_size=30).map(
    lambda pairs: sparse(np.array([c for c, _ in pairs], np.int64), np.array([w for _, w in pairs], np.int64))
)


@given(counts_strategy, counts_strategy, counts_strategy)
def test_sparse_counts_are_a_commutative_group(a: SparseCounts, b: SparseCounts, c: SparseCounts) -> None:
    assert add([a, b]) == add([b, a])
    assert add([add([a, b]), c]) == add([a, add([b, c])]) == add([a, b, c])
    assert add([a, EMPTY]) == a
    assert add([a, -a]) == EMPTY
    assert unpack_sparse(pack_sparse(a)) == a
    assert (np.diff(a.codes) > 0).all()
    assert (a.counts != 0).all()


def test_bytes_that_are_no_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="expected packed sparse counts, got 3 bytes"):
        unpack_sparse(b"abc")


def rows_of(layout: OutcomeLayout, scores: np.ndarray, predicted: np.ndarray, combination: np.ndarray) -> np.ndarray:
    rows = np.zeros(len(scores), row_dtype(layout, probabilities=False))
    rows["score"], rows["predicted"], rows["combination"] = scores, predicted, combination
    rows["score_cell"] = layout.score_cell(scores)
    return rows


def counted(layout: OutcomeLayout, outcomes: Outcomes, segments: tuple[str, ...], places: np.ndarray) -> OutcomeCounts:
    codes, weights, _ = outcome_codes(layout, outcomes)
    predicted = prediction_codes(layout, outcomes.rows)
    both = add([sparse(codes, weights), sparse(predicted, np.ones(len(predicted), np.int64))])
    return outcome_counts(layout, both, segments, places)


def test_binary_outcomes_equal_sums_over_the_rows() -> None:
    random = np.random.default_rng(5)
    n = 400
    scores = random.random(n)
    predicted, truth = (scores > 0.4).astype(int), (random.random(n) < scores).astype(float)
    country = random.integers(0, 2, n).astype(np.int32)
    combinations = Combinations(("country",), 10)
    number = combinations.number(country[:, None], [["FR", "DE"]])
    rows = rows_of(BINARY, scores, predicted, number)
    lag = random.integers(-HOUR, 30 * 24 * HOUR, n)
    outcomes = Outcomes(rows, np.full(n, 10**12), 10**12 + lag, truth, np.full(n, np.nan))
    segments, places = combinations.segments([(), ("country",)], np.bincount(number, minlength=3), {"country=FR"}, 5)
    counts = counted(BINARY, outcomes, segments, places)

    assert segments == ("ALL", "country=DE", "country=FR")
    for place, chosen in ((0, np.full(n, True)), (1, country == 1), (2, country == 0)):
        assert counts.labelled[place] == counts.predicted_rows[place] == chosen.sum()
        for p in range(2):
            for t in range(2):
                assert counts.confusion[place, p, t] == (chosen & (predicted == p) & (truth == t)).sum()
        assert counts.right_wrong[place, :, :, 1].sum() == (chosen & (predicted != truth)).sum()
        kept = rows["score"][chosen].astype(float)
        likelihood = np.where(truth[chosen] == 1, kept, 1 - kept)
        assert counts.sum_of("squared_error")[place] == pytest.approx(((1 - likelihood) ** 2).sum(), abs=1e-3)
        assert counts.sum_of("log_loss")[place] == pytest.approx(-np.log(likelihood).sum(), abs=1e-3)
        assert counts.sum_of("squared_error_squared")[place] == pytest.approx(((1 - likelihood) ** 4).sum(), abs=1e-3)
        assert counts.sum_of("log_loss_squared")[place] == pytest.approx((np.log(likelihood) ** 2).sum(), abs=1e-3)
        assert counts.sum_of("scored_rows")[place] == chosen.sum()
    edges = [-math.inf, *LAG_EDGES_MS, math.inf]
    for index in range(LAGS):
        assert counts.by_lag[0, index].sum() == ((lag >= edges[index]) & (lag < edges[index + 1])).sum()
    for cell in range(BINARY.score_cells):
        assert counts.by_score[0, cell, 1] == ((BINARY.score_cell(rows["score"].astype(float)) == cell) & (truth == 1)).sum()


def test_what_was_added_is_taken_back_to_the_bit() -> None:
    scores = np.array([0.1, 0.7, np.nan])
    rows = rows_of(BINARY, scores, np.array([0, 1, 2]), np.zeros(3, int))
    outcomes = Outcomes(rows, np.zeros(3, np.int64), np.full(3, HOUR), np.array([1.0, 1.0, 0.0]), np.array([3.5, np.nan, 2e9]))
    codes, weights, source = outcome_codes(BINARY, outcomes)
    assert add([sparse(codes, weights), sparse(codes, -weights)]) == EMPTY
    assert set(source.tolist()) == {0, 1, 2}


def test_a_class_that_is_none_of_them_is_wrong_and_has_a_cell_of_its_own() -> None:
    rows = rows_of(BINARY, np.array([0.5]), np.array([9]), np.zeros(1, int))
    outcomes = Outcomes(rows, np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([1.0]), np.array([np.nan]))
    counts = counted(BINARY, outcomes, ("ALL",), np.zeros((1, 1), np.intp))
    assert counts.confusion[0].tolist() == [[0, 0], [0, 0], [0, 1]]
    assert counts.right_wrong[0, :, :, 1].sum() == 1


def test_multiclass_losses_come_from_the_quantised_probabilities() -> None:
    layout = OutcomeLayout("multiclass", ("a", "b", "c"))
    rows = np.zeros(2, row_dtype(layout, probabilities=True))
    p = np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 0.0]])  # the second prediction had none
    rows["probabilities"] = np.rint(p * PROBABILITY_SCALE)
    rows["score_cell"], rows["predicted"] = layout.score_cell(np.array([0.7, np.nan])), [0, 1]
    outcomes = Outcomes(rows, np.zeros(2, np.int64), np.zeros(2, np.int64), np.array([1.0, 1.0]), np.full(2, np.nan))
    counts = counted(layout, outcomes, ("ALL",), np.zeros((1, 1), np.intp))
    assert counts.sum_of("scored_rows").tolist() == [1]
    assert counts.sum_of("log_loss")[0] == pytest.approx(-math.log(0.2), abs=1e-4)
    assert counts.sum_of("squared_error")[0] == pytest.approx(0.7**2 + 0.8**2 + 0.1**2, abs=1e-4)


def test_regression_errors_are_summed_in_units_of_the_scale_and_clipped_ones_are_counted() -> None:
    layout = OutcomeLayout("regression", (), scale=10.0)
    predictions, labels = np.array([100.0, 50.0, 1e9]), np.array([90.0, 55.0, 0.0])
    rows = rows_of(layout, predictions, np.zeros(3, int), np.zeros(3, int))
    outcomes = Outcomes(rows, np.zeros(3, np.int64), np.zeros(3, np.int64), labels, np.full(3, np.nan))
    counts = counted(layout, outcomes, ("ALL",), np.zeros((1, 1), np.intp))
    assert counts.sum_of("error")[0] == pytest.approx(1.0 - 0.5 + 64)
    assert counts.sum_of("squared_error")[0] == pytest.approx(1.0 + 0.25 + 64**2)
    assert counts.sum_of("clipped_rows").tolist() == [1]
    assert counts.by_lag.sum() == counts.right_wrong[..., 0].sum() == 3


def test_kpis_are_summed_and_those_too_large_are_clipped_and_counted() -> None:
    layout = OutcomeLayout("binary", ("0", "1"), kpi_max=100.0)
    rows = rows_of(layout, np.full(3, 0.5), np.ones(3, int), np.zeros(3, int))
    outcomes = Outcomes(rows, np.zeros(3, np.int64), np.zeros(3, np.int64), np.ones(3), np.array([50.0, np.nan, -300.0]))
    counts = counted(layout, outcomes, ("ALL",), np.zeros((1, 1), np.intp))
    assert counts.sum_of("kpi")[0] * layout.kpi_max == pytest.approx(50 - 100)
    assert counts.sum_of("kpi_rows").tolist() == [2]
    assert counts.sum_of("kpi_clipped_rows").tolist() == [1]


def test_small_kpis_keep_their_mean_and_spread_beside_a_large_limit() -> None:
    layout = OutcomeLayout("binary", ("0", "1"), kpi_max=1e6)
    kpi = np.linspace(-40, 60, 101)
    rows = rows_of(layout, np.full(101, 0.5), np.ones(101, int), np.zeros(101, int))
    counts = counted(
        layout, Outcomes(rows, np.zeros(101, np.int64), np.zeros(101, np.int64), np.ones(101), kpi), ("ALL",), np.zeros((1, 1), np.intp)
    )
    assert counts.sum_of("kpi")[0] * 1e6 == pytest.approx(kpi.sum(), rel=1e-4)
    assert counts.sum_of("kpi_squared")[0] * 1e12 == pytest.approx((kpi**2).sum(), rel=0.02)


def test_one_class_against_the_rest_by_confidence_equals_sums_over_the_rows() -> None:
    layout = OutcomeLayout("multiclass", ("a", "b", "c"))
    random = np.random.default_rng(8)
    n = 300
    score, predicted, truth = random.random(n), random.integers(0, 4, n), random.integers(0, 3, n)  # 3: none of the classes
    rows = rows_of(layout, score, predicted, np.zeros(n, int))
    outcomes = Outcomes(rows, np.zeros(n, np.int64), np.zeros(n, np.int64), truth.astype(float), np.full(n, np.nan))
    counts = counted(layout, outcomes, ("ALL",), np.zeros((1, 1), np.intp))
    cell = layout.score_cell(score.astype(np.float32).astype(float))
    assert counts.by_class is not None
    for s in range(layout.score_cells):
        for k in range(3):
            right, claimed = (predicted == k) & (truth == k), (predicted == k) & (truth != k)
            missed = (predicted != k) & (truth == k)
            assert counts.by_class[0, s, k].tolist() == [(x & (cell == s)).sum() for x in (right, claimed, missed)]


def test_combinations_beyond_the_limit_share_one_and_are_counted() -> None:
    combinations = Combinations(("a", "b"), 3)
    names = [["x", "y", "z"], ["1", "2"]]
    segments = np.array([[0, 0], [1, 1], [0, 0], [2, 0], [2, 1]], np.int32)
    assert combinations.number(segments, names).tolist() == [1, 2, 1, 0, 0]
    assert combinations.folded == 2
    assert combinations.values == [("__other__", "__other__"), ("x", "1"), ("y", "2")]


def test_segments_with_a_place_come_first_then_the_largest_and_the_rest_is_other():
    combinations = Combinations(("a", "b"), 10)
    combinations.number(np.array([[0, 0], [1, 0], [2, 1]], np.int32), [["x", "y", "z"], ["1", "2"]])
    rows = np.array([0, 1, 5, 9])
    keys, places = combinations.segments([(), ("a",), ("a", "b")], rows, {"a=x"}, 2)
    named = [[keys[place] for place in row[1:]] for row in places]
    assert named == [
        ["ALL", "ALL", "ALL"],
        ["a=x", "a=__other__", "a=z"],
        ["a=__other__,b=__other__", "a=__other__,b=__other__", "a=__other__,b=__other__"],
    ]
    assert keys == ("ALL", "a=__other__", "a=__other__,b=__other__", "a=x", "a=z")


def test_a_segment_without_rows_is_not_shown():
    combinations = Combinations(("a",), 10)
    combinations.number(np.array([[0], [1]], np.int32), [["x", "y"]])
    assert combinations.segments([(), ("a",)], np.array([0, 0, 4]), {"a=x"}, 5)[0] == ("ALL", "a=y")


def test_combinations_without_columns_are_one() -> None:
    combinations = Combinations((), 3)
    assert combinations.number(np.zeros((4, 0), np.int32), []).tolist() == [0, 0, 0, 0]
    assert combinations.folded == 0
