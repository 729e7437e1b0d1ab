"""Performance verdicts: what is concluded, and that segments do not touch each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.evaluate.verdict import Status
from monitor.outcome.counts import OutcomeCounts, outcome_counts
from monitor.outcome.layout import OutcomeLayout
from monitor.outcome.sparse import EMPTY
from monitor.performance.metric import METRICS
from monitor.performance.validation import Validation
from monitor.performance.verdict import Performance, PerformanceSettings, nothing_judged, performance
from monitor.profile.layout import SignalBins
from monitor.window import Window
from tests.performance.rows import Rows, binary_rows, multiclass_rows, probability_rows
from tests.performance.test_regression import regression_rows

WINDOW = Window("7d", 0, 7 * 86_400_000)
SETTINGS = PerformanceSettings(costs=((0.0, 1.0), (5.0, 0.0)))


def judged(counts: OutcomeCounts, validation: OutcomeCounts | None = None, settings: PerformanceSettings = SETTINGS, **more) -> Performance:
    given = None if validation is None else Validation(validation, None)
    return performance(counts, settings, model="m", version="1", view="prediction_time", window=WINDOW, validation=given, **more)


def only(counts: OutcomeCounts, places: list[int]) -> OutcomeCounts:
    by_class, class_scores = (None if each is None else each[places] for each in (counts.by_class, counts.class_scores))
    return OutcomeCounts(
        counts.layout, tuple(counts.segments[place] for place in places), counts.predictions[places], counts.confusion[places],
        counts.by_score[places], counts.right_wrong[places], counts.by_lag[places], counts.sums[places], by_class,
        class_scores,
    )  # fmt: skip


MULTICLASS = PerformanceSettings(costs=tuple(tuple(float(i != j) for j in range(3)) for i in range(3)), with_kpi=True)


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (binary_rows, SETTINGS),
        (multiclass_rows, MULTICLASS),
        (probability_rows, MULTICLASS),
        (regression_rows, PerformanceSettings(with_kpi=True)),
    ],
)
def test_all_segments_at_once_are_each_by_itself(make, settings: PerformanceSettings) -> None:
    rows = make(np.random.default_rng(1), 3000, segments=4)
    rows.kpi = np.random.default_rng(2).normal(20, 5, 3000)
    rows.segment[rows.segment == 3] = 0
    rows.segment[:7] = 3  # a small one
    counts, reference = rows.counts(), make(np.random.default_rng(3), 3000, segments=4).counts()
    every = judged(counts, reference, settings)
    assert set(every.metrics) <= set(METRICS)
    assert every.value.shape == (5, len(every.metrics))
    for place in range(5):
        alone = judged(only(counts, [place]), reference, settings)
        for name in ("value", "low", "high", "n", "reference", "metric_status"):
            assert getattr(alone, name)[0].tolist() == pytest.approx(getattr(every, name)[place].tolist(), nan_ok=True, rel=1e-12), name
        assert alone.status[0] == every.status[place]
    assert every.status[4] == Status.INSUFFICIENT_DATA
    assert (every.metric_status[4] == Status.INSUFFICIENT_DATA).all()


BLOCKS = ("predictions", "confusion", "by_score", "right_wrong", "by_lag", "sums")


@pytest.mark.parametrize("make", [binary_rows, multiclass_rows, regression_rows])
def test_counts_of_parts_add_up_to_the_performance_of_all_rows(make) -> None:
    whole = make(np.random.default_rng(18), 2000, segments=2)
    counts = []
    for part in (np.arange(2000) < 700, np.arange(2000) >= 700):
        probabilities = None if whole.probabilities is None else whole.probabilities[part]
        counts.append(
            Rows(whole.layout, whole.score[part], whole.predicted[part], whole.truth[part], whole.segment[part], probabilities).counts()
        )
    one, two = counts
    by_class = None if one.by_class is None or two.by_class is None else one.by_class + two.by_class
    total = replace(one, **{name: getattr(one, name) + getattr(two, name) for name in BLOCKS}, by_class=by_class)
    found, expected = judged(total, settings=PerformanceSettings()), judged(whole.counts(), settings=PerformanceSettings())
    for name in ("value", "low", "high", "n", "status"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()


def test_every_interval_holds_its_value() -> None:
    for make, settings in (
        (binary_rows, SETTINGS),
        (multiclass_rows, replace(MULTICLASS, with_kpi=False)),
        (regression_rows, PerformanceSettings()),
    ):
        found = judged(make(np.random.default_rng(4), 2000, segments=3).counts(), settings=settings)
        assert not np.isnan(found.value).any()
        assert ((found.low <= found.value) & (found.value <= found.high)).all()


def test_an_unchanged_model_is_stable_and_a_worse_one_drifts() -> None:
    random = np.random.default_rng(5)
    reference = binary_rows(random, 20_000).counts()
    same = judged(binary_rows(random, 5000).counts(), reference)
    assert same.status.tolist() == [Status.STABLE] * 2
    worse = judged(binary_rows(random, 5000, tilt=0.25).counts(), reference)
    assert worse.status.tolist() == [Status.DRIFTED] * 2
    column = worse.column("label_rate", "yes")
    assert worse.metric_status[0, column] == Status.DRIFTED
    assert worse.reference[0, column] == same.reference[0, column] < worse.low[0, column]


def test_a_better_model_does_not_drift_though_its_labels_may() -> None:
    random = np.random.default_rng(6)
    reference = binary_rows(random, 20_000, tilt=0.25).counts()
    better = judged(binary_rows(random, 20_000).counts(), reference)
    assert better.status[0] != Status.DRIFTED or better.metric_status[0, better.column("precision", "yes")] == Status.DRIFTED
    assert better.metric_status[0, better.column("accuracy")] == Status.STABLE
    assert better.metric_status[0, better.column("label_rate", "yes")] == Status.DRIFTED


def test_a_change_below_the_smallest_that_matters_is_stable() -> None:
    random = np.random.default_rng(7)
    reference, now = binary_rows(random, 50_000).counts(), binary_rows(random, 50_000, tilt=0.04).counts()
    column = judged(now, reference).column("ece")
    assert judged(now, reference).metric_status[0, column] == Status.DRIFTED
    lenient = judged(now, reference, replace(SETTINGS, least_changes={"ece": 0.1}))
    assert lenient.metric_status[0, column] == Status.STABLE


def test_false_findings_stay_within_the_noise_quantile() -> None:
    """300 segments, nothing changed, one in a hundred allowed: 3 expected, more than 10 have probability 0.0003."""
    random = np.random.default_rng(8)
    settings = replace(SETTINGS, noise_quantile=0.99)
    now = binary_rows(random, 300 * 400, segments=300).counts()
    reference = binary_rows(random, 300 * 400, segments=300).counts()
    assert (judged(now, reference, settings).status == Status.DRIFTED).sum() <= 10


def test_what_cannot_be_concluded_is_said() -> None:
    counts = binary_rows(np.random.default_rng(9), 1000).counts()
    assert judged(counts).status.tolist() == [Status.NO_REFERENCE] * 2
    assert judged(counts, counts, partial=True).status.tolist() == [Status.PARTIAL] * 2
    elsewhere = replace(counts, segments=("ALL", "unknown"))
    assert judged(elsewhere, counts).status.tolist() == [Status.STABLE, Status.NO_REFERENCE]
    few = replace(SETTINGS, min_labelled=1001)
    assert judged(counts, counts, few, partial=True).status.tolist() == [Status.INSUFFICIENT_DATA] * 2


def test_a_score_without_classes_is_judged_as_a_score() -> None:
    rows = binary_rows(np.random.default_rng(10), 1000)
    rows.predicted[:] = 2  # none
    found = judged(rows.counts(), rows.counts())
    for metric, of in (("accuracy", ""), ("recall", "yes"), ("expected_cost", "")):
        assert np.isnan(found.value[0, found.column(metric, of)])
        assert found.metric_status[0, found.column(metric, of)] in (Status.NOT_APPLICABLE, Status.INSUFFICIENT_DATA)
    assert found.metric_status[0, found.column("roc_auc", "yes")] == Status.STABLE
    assert found.status[0] == Status.STABLE


def test_a_class_that_is_rare_is_not_judged_by_a_handful() -> None:
    score = np.concatenate([np.full(990, 0.1), np.full(10, 0.9)])
    rows = Rows(binary_rows(np.random.default_rng(0), 1).layout, score, (score > 0.5).astype(int), (score > 0.5).astype(int))
    found = judged(rows.counts(), rows.counts())
    assert found.value[0, found.column("recall", "yes")] == 1.0
    assert found.metric_status[0, found.column("recall", "yes")] == Status.INSUFFICIENT_DATA
    assert found.metric_status[0, found.column("recall", "no")] == Status.STABLE


def test_coverage_is_the_share_labelled_so_far() -> None:
    rows = binary_rows(np.random.default_rng(11), 1000, segments=2)
    rows.labelled = np.arange(1000) < 250
    found = judged(rows.counts())
    assert found.coverage[0] == 0.25
    assert (found.coverage * found.predictions).round().astype(int).tolist() == found.labelled.tolist()
    by_arrival = replace(rows.counts(), predictions=np.zeros_like(rows.counts().predictions))
    assert np.isnan(judged(by_arrival).coverage).all()


def test_a_column_that_is_not_there_names_those_that_are() -> None:
    found = judged(binary_rows(np.random.default_rng(12), 100).counts())
    with pytest.raises(KeyError, match=r"expected one of accuracy, .*recall\[yes\].*, got rmse\[\]"):
        found.column("rmse")


def test_the_kpi_has_a_mean_and_a_sum() -> None:
    rows = binary_rows(np.random.default_rng(13), 2000)
    kpi = np.where(np.arange(2000) % 2, np.nan, np.random.default_rng(14).exponential(30, 2000))
    rows.kpi = kpi
    found = judged(rows.counts(), settings=replace(SETTINGS, with_kpi=True))
    mean, total = found.column("kpi_mean"), found.column("kpi_sum")
    present = kpi[~np.isnan(kpi)]
    assert found.n[0, mean] == found.n[0, total] == 1000
    assert found.value[0, mean] == pytest.approx(present.mean(), rel=1e-4)
    assert found.value[0, total] == pytest.approx(present.sum(), rel=1e-4)
    assert found.high[0, mean] - found.low[0, mean] == pytest.approx(2 * 1.96 * present.std() / np.sqrt(1000), rel=0.15)
    assert found.high[0, total] - found.low[0, total] == pytest.approx(2 * 1.96 * np.sqrt((present**2).sum()), rel=0.15)


def test_figures_far_below_the_largest_are_not_taken_for_certain() -> None:
    """Their squares round to 0 beside a ``kpi_max`` of a million; the interval then is that of the rounding, not of no spread."""
    rows = binary_rows(np.random.default_rng(16), 1000)
    rows.kpi = np.random.default_rng(17).uniform(0, 0.02, 1000)
    found = judged(rows.counts(), settings=replace(SETTINGS, with_kpi=True))
    column = found.column("kpi_mean")
    assert found.value[0, column] == pytest.approx(rows.kpi.mean(), rel=0.05)
    assert found.high[0, column] - found.low[0, column] >= 2 * 1.96 * rows.kpi.std() / np.sqrt(1000)


def test_kpi_sums_of_other_windows_fall_within_the_interval() -> None:
    """Rows come by a Poisson process: 95 % of the intervals hold the expected sum."""
    random = np.random.default_rng(15)
    rows = random.poisson(300, 1500)
    segment = np.repeat(np.arange(1500), rows)
    made = binary_rows(random, len(segment))
    made.segment, made.kpi = segment, random.exponential(40, len(segment))
    made.layout = replace(made.layout, kpi_max=2000.0)
    found = judged(made.counts(), settings=replace(SETTINGS, with_kpi=True))
    column = found.column("kpi_sum")
    covered = (found.low[1:, column] <= 12_000) & (found.high[1:, column] >= 12_000)
    assert 0.93 <= covered.mean() <= 0.97


def test_without_a_labelled_row_nothing_is_judged_and_nothing_computed():
    counts = outcome_counts(OutcomeLayout("binary", ("0", "1")), EMPTY, ("ALL",), [np.zeros(1, np.intp)])
    asked = {"model": "m", "version": "1", "window": Window("labels", 0, 1)}
    whole = performance(counts, PerformanceSettings(), view="audit", **asked)
    short = nothing_judged(performance(counts, PerformanceSettings(), view="label_time", **asked), "audit", counts)
    assert (short.view, short.metrics, short.classes) == (whole.view, whole.metrics, whole.classes)
    assert np.isnan(short.value).all()
    for name in ("n", "status", "labelled", "predictions"):
        assert np.array_equal(getattr(short, name), getattr(whole, name)), name
    assert (short.metric_status == Status.INSUFFICIENT_DATA).all()


def test_nothing_is_concluded_of_a_metric_without_an_interval() -> None:
    """Score cells at 1, 2 and 3 do not tell labels that spread over a hundred: R² is exact, how sure it is nobody knows."""
    layout = OutcomeLayout("regression", (), SignalBins("score", "numeric", (1.0, 2.0, 3.0)), scale=1.0)
    random = np.random.default_rng(1)
    score = random.normal(50, 20, 400)
    counts = Rows(layout, score, np.zeros(400, int), score + random.normal(0, 1, 400)).counts()
    one = judged(counts, counts, PerformanceSettings())
    r2, mae = one.column("r2"), one.column("mae")
    assert one.value[0, r2] > 0.99
    assert np.isnan(one.low[0, r2])
    assert one.metric_status[0, r2] == Status.NOT_APPLICABLE
    assert one.metric_status[0, mae] == one.status[0] == Status.STABLE
