"""Areas under curves against scikit-learn, and their intervals against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from sklearn import metrics

from monitor.performance import curves
from monitor.performance.metric import metric_columns
from tests.performance.rows import PROBABILITIES, Rows, binary_rows, multiclass_rows, probability_rows

Z = 1.96


def areas(rows, counts, place: int):
    positive, negative = (curves.value_cells(counts.by_score[place, :, k]) for k in (1, 0))
    return curves.roc_auc(positive, negative, Z), curves.average_precision(positive, negative, Z)


def test_areas_are_scikit_learns_on_the_cells_and_close_on_the_raw_scores() -> None:
    rows = binary_rows(np.random.default_rng(1), 20_000, segments=2)
    counts = rows.counts()
    for place, name in enumerate(counts.segments):
        own = np.full(20_000, True) if name == "ALL" else rows.segment == int(name[1:])
        truth, score = rows.truth[own], rows.score[own]
        cell = rows.layout.score_cell(score)
        area, precision = areas(rows, counts, place)
        assert float(area.value) == pytest.approx(metrics.roc_auc_score(truth, cell), abs=1e-12)
        shuffled = cell + np.random.default_rng(place).random(len(cell))
        assert float(precision.value) == pytest.approx(metrics.average_precision_score(truth, shuffled), abs=0.005)
        # 20 equal cells of the score lose little.
        assert float(area.value) == pytest.approx(metrics.roc_auc_score(truth, score), abs=0.002)
        assert float(precision.value) == pytest.approx(metrics.average_precision_score(truth, score), abs=0.005)


tables = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=8).map(np.array)


@given(tables)
def test_the_area_counts_pairs_and_its_variance_is_delongs(table: np.ndarray) -> None:
    positive, negative = table.T
    x, y = np.repeat(np.arange(len(table)), positive), np.repeat(np.arange(len(table)), negative)
    found = curves.roc_auc(positive, negative, Z)
    if not len(x) or not len(y):
        assert np.isnan(float(found.value))
        return
    order = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    assert float(found.value) == pytest.approx(order.mean())
    assert found.low <= found.value <= found.high
    assert 0 <= found.low <= found.high <= 1


def test_for_many_rows_the_interval_is_delongs() -> None:
    random = np.random.default_rng(2)
    x, y = random.binomial(15, 0.6, 3000), random.binomial(15, 0.4, 5000)
    order = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    deviation = np.sqrt(order.mean(axis=1).var(ddof=1) / 3000 + order.mean(axis=0).var(ddof=1) / 5000)
    found = curves.roc_auc(np.bincount(x, minlength=16), np.bincount(y, minlength=16), Z)
    assert float(found.high - found.low) == pytest.approx(2 * Z * deviation, rel=0.01)


def test_areas_without_an_error_are_not_certain() -> None:
    positive, negative = np.array([0, 0, 10]), np.array([30, 10, 0])
    area, precision = curves.roc_auc(positive, negative, Z), curves.average_precision(positive, negative, Z)
    for found in (area, precision):
        assert float(found.value) == float(found.high) == 1.0
        assert 0.6 < found.low < 0.99
    worst = curves.roc_auc(negative, positive, Z)
    assert float(worst.value) == float(worst.low) == 0.0
    assert worst.high > 0.01


def test_without_positives_or_negatives_areas_are_unknown() -> None:
    none, some = np.array([0, 0]), np.array([3, 4])
    assert np.isnan(float(curves.roc_auc(none, some, Z).value))
    assert np.isnan(float(curves.roc_auc(some, none, Z).high))
    assert np.isnan(float(curves.average_precision(none, some, Z).value))
    assert float(curves.average_precision(some, none, Z).value) == 1.0


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 40), st.integers(0, 40))
def test_mean_precision_and_its_derivatives_are_those_of_the_integral(a: int, b: int, p: int, q: int) -> None:
    def integral(p: float, q: float, a: float, b: float) -> float:
        if a + b == 0:
            return p / (p + q)
        return float(integrate.quad(lambda t: (a + p * t) / (a + b + (p + q) * t), 0, 1)[0])

    # Seen from the lower of two cells.
    found = [array[0] for array in curves._mean_precision(np.array([p, a], float), np.array([q, b], float))]
    assert found[0] == pytest.approx(integral(p, q, a, b), abs=1e-9)
    if a + b:
        step = 1e-4
        for derivative, (da, db, dp, dq) in zip(found[1:], np.eye(4) * step, strict=True):
            slope = (integral(p + dp, q + dq, a + da, b + db) - integral(p - dp, q - dq, a - da, b - db)) / (2 * step)
            assert derivative == pytest.approx(slope, abs=1e-5)


EDGES = np.arange(1, 20) / 20


@pytest.mark.parametrize(
    ("m", "n", "shift", "spread"), [(20, 200, 1.0, 1.0), (50, 500, 1.0, 2.0), (50, 500, 2.0, 0.5), (200, 200, 2.5, 1.0)]
)
def test_intervals_of_areas_cover(m: int, n: int, shift: float, spread: float) -> None:
    """Nominal 95 %; the true areas are those of the cells' own distributions. 2,000 runs: chance moves shares by a point."""
    random = np.random.default_rng(3)

    def cells(values: np.ndarray) -> np.ndarray:
        return np.searchsorted(EDGES, 1 / (1 + np.exp(-1.2 * (values - shift / 2))))

    def tables(of: np.ndarray) -> np.ndarray:
        return np.stack([(of == cell).sum(axis=1) for cell in range(20)], axis=1)

    many = 400_000
    whole = [np.bincount(cells(random.normal(a, b, many)), minlength=20) for a, b in ((shift, spread), (0, 1))]
    positive, negative = tables(cells(random.normal(shift, spread, (2000, m)))), tables(cells(random.normal(0, 1, (2000, n))))
    truth = float(curves.roc_auc(whole[0], whole[1], Z).value)
    found = curves.roc_auc(positive, negative, Z)
    assert 0.925 <= ((found.low <= truth) & (truth <= found.high)).mean() <= 0.97
    truth = float(curves.average_precision(whole[0] * m, whole[1] * n, Z).value)
    found = curves.average_precision(positive, negative, Z)
    assert ((found.low <= truth) & (truth <= found.high)).mean() >= 0.94


def test_for_many_rows_the_interval_of_average_precision_is_as_wide_as_it_varies() -> None:
    random = np.random.default_rng(5)
    p, q = np.linspace(1, 4, 20), np.linspace(2, 1, 20)
    p[-1] += 20
    # How many rows are positive is chance too.
    drawn = random.multinomial(80_000, np.concatenate([p / p.sum(), 3 * q / q.sum()]) / 4, 3000)
    found = curves.average_precision(drawn[:, :20], drawn[:, 20:], Z)
    assert (found.high - found.low).mean() == pytest.approx(2 * Z * found.value.std(), rel=0.06)


def test_one_against_the_rest_ranks_by_predicted_class_and_confidence() -> None:
    rows = multiclass_rows(np.random.default_rng(4), 2000, segments=2)
    counts = rows.counts()
    assert counts.by_class is not None
    positive, negative = curves.one_vs_rest(counts.by_class, counts.by_score)
    area, precision = curves.roc_auc(positive, negative, Z), curves.average_precision(positive, negative, Z)
    cell = rows.layout.score_cell(rows.score.astype(np.float32).astype(float)).astype(float)
    for place, name in enumerate(counts.segments):
        own = np.full(2000, True) if name == "ALL" else rows.segment == int(name[1:])
        for k in range(3):
            rank = np.where(rows.predicted == k, 100 + cell, -cell)[own]
            assert area.value[place, k] == pytest.approx(metrics.roc_auc_score(rows.truth[own] == k, rank))
            shuffled = rank + np.random.default_rng(k).random(len(rank))
            assert precision.value[place, k] == pytest.approx(metrics.average_precision_score(rows.truth[own] == k, shuffled), abs=0.02)


def area_of(counts, name: str, of: str, place: int = 0) -> np.ndarray:
    """Value, low, high and n of a metric of a segment."""
    found = metric_columns(counts, Z)
    column = list(zip(found.names, found.classes, strict=True)).index((name, of))
    return np.array([getattr(found.estimate, end)[place, column] for end in ("value", "low", "high", "n")], float)


@pytest.mark.parametrize("shares", [(1.0, 0.7, 0.4), (3.0, 1.0, 0.04)], ids=["common", "rare"])
def test_areas_of_classes_are_scikit_learns_on_the_probabilities(shares: tuple[float, ...]) -> None:
    rows = multiclass_rows(np.random.default_rng(5), 20_000, 2, PROBABILITIES, shares)
    counts = rows.counts()
    for place, name in enumerate(counts.segments):
        own = np.full(20_000, True) if name == "ALL" else rows.segment == int(name[1:])
        truth, p = rows.truth[own], rows.probabilities[own]
        for k, of in enumerate("abc"):
            value, low, high, n = area_of(counts, "roc_auc", of, place)
            assert value == pytest.approx(metrics.roc_auc_score(truth == k, p[:, k]), abs=0.002)
            assert low < value < high
            assert n == own.sum()
            precision = area_of(counts, "average_precision", of, place)[0]
            assert precision == pytest.approx(metrics.average_precision_score(truth == k, p[:, k]), abs=0.012)
        expected = metrics.roc_auc_score(truth, p, multi_class="ovr", average="macro")
        assert area_of(counts, "macro_roc_auc", "", place)[0] == pytest.approx(expected, abs=0.002)


def test_a_class_that_does_not_occur_has_no_area_and_no_part_in_the_macro_mean() -> None:
    rows = probability_rows(np.random.default_rng(6), 500)
    rows.truth = np.where(rows.truth == 2, 0, rows.truth)
    counts = rows.counts()
    a, b, c = (area_of(counts, "roc_auc", of) for of in "abc")
    assert np.isnan(c[:3]).all()
    assert area_of(counts, "macro_roc_auc", "")[:3] == pytest.approx((a[:3] + b[:3]) / 2)
    rows.truth[:] = 1
    assert np.isnan(area_of(rows.counts(), "macro_roc_auc", "")[:3]).all()


def test_rows_without_probabilities_have_no_part_in_areas_of_classes() -> None:
    rows = probability_rows(np.random.default_rng(7), 1000)
    with_some = Rows(PROBABILITIES, rows.score, rows.predicted, rows.truth, rows.segment, rows.probabilities.copy())
    with_some.probabilities[:400] = 0.0
    left = slice(400, None)
    alone = Rows(PROBABILITIES, rows.score[left], rows.predicted[left], rows.truth[left], rows.segment[left], rows.probabilities[left])
    assert area_of(with_some.counts(), "roc_auc", "a").tolist() == area_of(alone.counts(), "roc_auc", "a").tolist()


def test_the_interval_of_the_macro_mean_covers() -> None:
    random = np.random.default_rng(8)
    everything = probability_rows(random, 200_000)
    truth = metrics.roc_auc_score(everything.truth, everything.probabilities, multi_class="ovr", average="macro")
    covered, width, spread = [], [], []
    for _ in range(300):
        value, low, high, _ = area_of(probability_rows(random, 250).counts(), "macro_roc_auc", "")
        covered.append(low <= truth <= high)
        width.append(high - low)
        spread.append(value)
    assert np.mean(covered) >= 0.95
    assert np.mean(width) < 1.6 * 2 * Z * np.std(spread), "wide, but not useless"
