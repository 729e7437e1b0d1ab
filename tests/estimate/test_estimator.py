"""The estimate in process: laws that any stream must obey."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.estimate.estimator import Estimate, Estimator
from tests.estimate.world import CONCEPT, EVENT_MS, World, world

N = 30_000


@pytest.fixture(scope="module")
def small() -> World:
    return world(CONCEPT, seed=1, n=N, onset=12_000, validation=20_000)


def feed(stream: World, cuts: int, *, shuffle: bool = False, repeat: bool = False, labels_first: bool = False) -> Estimator:
    """All predictions and the labels that come until event N, in ``cuts`` calls."""
    rng = np.random.default_rng(cuts)
    estimator = stream.estimator()
    events = np.arange(N)
    come = np.flatnonzero(stream.arrival < N)
    order = rng.permutation(come) if shuffle else come[np.argsort(stream.arrival[come])]

    def predict(part: np.ndarray) -> None:
        estimator.predictions(part, part * EVENT_MS, stream.segment[part], stream.score[part], stream.predicted[part])

    def label(part: np.ndarray) -> None:
        estimator.labels(part, (stream.arrival[part] * EVENT_MS).astype(np.int64), stream.label[part])

    steps = [(predict, part) for part in np.array_split(events, cuts)] + [(label, part) for part in np.array_split(order, cuts)]
    if labels_first:
        steps = steps[cuts:] + steps[:cuts]
    for step, part in steps:
        step(part)
        if repeat and rng.random() < 0.5:
            step(part)
    return estimator


@pytest.fixture(scope="module")
def whole(small: World) -> Estimate:
    estimator = feed(small, 1)
    return estimator.estimate(estimator.newest(8_000))


@pytest.mark.parametrize(
    "how",
    [{"cuts": 7}, {"cuts": 100}, {"cuts": 3, "shuffle": True}, {"cuts": 5, "repeat": True}, {"cuts": 4, "labels_first": True}],
    ids=str,
)
def test_the_cut_into_calls_order_of_labels_and_repeats_change_nothing(small: World, whole: Estimate, how: dict):
    estimator = feed(small, **how)
    assert estimator.estimate(estimator.newest(8_000)) == whole


def test_the_window_holds_the_newest_predictions(small: World, whole: Estimate):
    assert whole.n == 8_000
    assert whole.labelled == (small.arrival[N - 8_000 :] < N).sum()
    assert whole.low < whole.value < whole.high


def test_a_second_label_for_a_prediction_replaces_the_first_however_they_come():
    first, second = ("a", 1_000, 0), ("a", 2_000, 1)
    found = []
    for order in ([first, second], [second, first], [second, first, second]):
        estimator = Estimator(np.array([0.2, 0.8] * 50), labels=[0, 1] * 50)
        estimator.predictions(["a", "b"], [500, 600], None, [0.9, 0.9])
        for name, time, value in order:
            estimator.labels([name], [time], [value])
        found.append(estimator.estimate())
    assert found[0] == found[1] == found[2]
    assert found[0].labelled == 1
    assert found[0].high == 1.0  # "a" is right after all


def test_a_repeated_prediction_counts_once():
    estimator = Estimator([0.2, 0.8] * 50, labels=[0, 1] * 50)
    estimator.predictions(["a", "a"], [500, 500], None, [0.9, 0.9])
    estimator.predictions(["a", "b"], [500, 700], None, [0.9, 0.1])
    assert estimator.estimate().n == 2


def test_a_score_that_is_missing_has_a_cell_of_its_own():
    estimator = Estimator([0.2, np.nan, 0.8, np.inf] * 50, labels=[0, 1, 1, 1] * 50)
    estimator.predictions(["a", "b"], [0, 1], None, [np.nan, 0.2])
    assert 0.3 < estimator.estimate().value < 0.7  # the one is always wrong, the other never


def test_classes_may_be_words_and_more_than_two():
    rng = np.random.default_rng(0)
    words = np.array(["cat", "dog", "fish"])
    truth = rng.choice(words, 6_000)
    predicted = np.where(rng.random(6_000) < 0.7, truth, "cat")
    score = rng.random(6_000)
    estimator = Estimator(score[:3_000], labels=truth[:3_000], predicted=predicted[:3_000])
    ids = [f"id{i}" for i in range(3_000)]
    estimator.predictions(ids, np.arange(3_000), None, score[3_000:], predicted[3_000:])
    estimator.labels(ids[:1_000], np.arange(1_000) + 500, truth[3_000:4_000])
    found = estimator.estimate()
    assert found.low < (truth[3_000:] == predicted[3_000:]).mean() < found.high
    assert found.labelled == 1_000


def test_a_segment_that_validation_did_not_have_is_reported_too():
    estimator = Estimator([0.2, 0.8] * 500, ["a"] * 1_000, labels=[0, 1] * 500)
    estimator.predictions(range(20), range(20), ["a"] * 10 + ["new"] * 10, [0.9] * 20)
    found = estimator.estimates()
    assert found.segments == ("ALL", "a", "new")
    assert found.n.tolist() == [20, 10, 10]
    assert found.high[2] - found.low[2] >= found.high[1] - found.low[1]


def test_scales_of_time_do_not_matter():
    stream = world(CONCEPT, seed=2, n=20_000, onset=8_000, validation=10_000)
    found = []
    for unit in (1, 16_384):
        estimator = stream.estimator()
        estimator.predictions(range(20_000), np.arange(20_000) * unit, stream.segment, stream.score, stream.predicted)
        come = np.flatnonzero(stream.arrival < 20_000)
        estimator.labels(come, np.floor(stream.arrival[come]).astype(np.int64) * unit, stream.label[come])
        found.append(estimator.estimate(estimator.newest(5_000)))
    assert found[0].n == found[1].n
    assert found[0].value == pytest.approx(found[1].value, abs=2e-3)


def test_what_is_forgotten_no_longer_counts_and_the_rest_does(small: World, whole: Estimate):
    estimator = feed(small, 2)
    assert estimator.forget(10_000 * EVENT_MS) == 10_000
    after = estimator.estimate(estimator.newest(8_000))
    assert (after.n, after.labelled) == (whole.n, whole.labelled)
    assert after.low < whole.value < after.high
    estimator.labels([5, N - 1], [N * EVENT_MS, N * EVENT_MS], [1, 1])  # of a forgotten prediction, and of the last one
    assert estimator.estimate(estimator.newest(8_000)).labelled == whole.labelled + (small.arrival[N - 1] >= N)


def test_binary_metrics_cover_the_truth(small: World):
    estimator = feed(small, 1)
    window = slice(N - 8_000, N)
    predicted, label = small.predicted[window], small.label[window]
    found = estimator.class_metrics(estimator.newest(8_000))
    tp = (predicted & label).sum()
    for name, truth in (("precision", tp / predicted.sum()), ("recall", tp / label.sum()), ("label_rate", label.mean())):
        assert found[name].low[0] < truth < found[name].high[0], name


def test_columns_must_be_as_long_as_one_another():
    with pytest.raises(ValueError, match="expected either wrong, or labels"):
        Estimator([0.1, 0.2])
    with pytest.raises(ValueError, match=r"expected wrong \[2\], one number for each row, got an array of the shape \(1,\)"):
        Estimator([0.1, 0.2], wrong=[True])
    with pytest.raises(ValueError, match=r"expected lag_ms \[2\]"):
        Estimator([0.1, 0.2], wrong=[True, False], lag_ms=[1])
    with pytest.raises(ValueError, match="expected one value of labels for each of the 2 rows, got 3 values"):
        Estimator([0.1, 0.2], labels=[0, 1, 1])
    estimator = Estimator([0.1, 0.9], wrong=[True, False])
    with pytest.raises(ValueError, match=r"expected time_ms \[2\], one time for each row, got an array of the shape \(1,\)"):
        estimator.predictions([1, 2], [0], None, [0.1, 0.2])
    with pytest.raises(ValueError, match=r"expected a column of segments, one for each row, got 'de'"):
        estimator.predictions([1, 2], [0, 1], "de", [0.1, 0.2])
    with pytest.raises(ValueError, match="expected one value of ids for each of the 2 rows, got 1 values"):
        estimator.labels([1], [0], [1, 0])
    with pytest.raises(ValueError, match="expected predictions, and to be asked for one at least, got 0"):
        estimator.estimate()


BINARY = {"scores": [0.1, 0.9, 0.8, 0.3] * 50, "labels": ["no", "yes", "no", "no"] * 50}


def test_a_label_that_is_none_is_no_label():
    estimator = Estimator(**BINARY)
    estimator.predictions([*"abcd"], [0, 1, 2, 3], None, [0.9, 0.9, 0.1, 0.1])
    estimator.labels([*"abcd"], [5, 5, 5, 5], ["yes", None, float("nan"), "yes"])
    found = estimator.estimate()
    assert found.labelled == 2
    everywhere = Estimator(scores=[*BINARY["scores"], 0.5], labels=[*BINARY["labels"], None])
    assert everywhere.table.rows.sum() == 200


def test_a_label_that_is_neither_of_two_classes_is_refused_and_nothing_taken_in():
    """Else each would be a wrong answer: 1 for yes, and no accuracy is left."""
    estimator = Estimator(**BINARY)
    estimator.predictions([0, 1], [0, 1], None, [0.9, 0.1])
    with pytest.raises(ValueError, match="expected labels that are 'no', 'yes', got 1"):
        estimator.labels([0, 1], [5, 5], ["yes", 1])
    with pytest.raises(ValueError, match="expected predicted that are 'no', 'yes', got 'maybe'"):
        estimator.predictions([2], [2], None, [0.9], ["maybe"])
    assert (estimator.estimate().n, estimator.estimate().labelled) == (2, 0)


@pytest.mark.parametrize("labels", [["a", "b", "c", "a"], ["a"] * 4, [0] * 4])
def test_labels_that_a_threshold_cannot_give_are_refused(labels: list):
    with pytest.raises(ValueError, match=r"expected (predicted, or labels of two classes or 0 and 1|labels of two classes at least), got"):
        Estimator([0.1, 0.2, 0.8, 0.9], labels=labels)


def test_times_may_be_datetimes_and_none_may_lack():
    whole = []
    times = np.datetime64("2026-01-01", "ms") + np.arange(4)
    for of_kind in (times.astype(np.int64), times, times.astype("datetime64[ns]"), times.tolist()):
        estimator = Estimator(**BINARY)
        estimator.predictions(range(4), of_kind, None, [0.9, 0.9, 0.1, 0.1])
        estimator.labels(range(4), of_kind, ["yes"] * 4)
        whole.append((estimator.newest(4), estimator.estimate()))
    assert whole[1:] == whole[:1] * 3
    with pytest.raises(ValueError, match="expected a time in every row, got none in row 1 of time_ms"):
        estimator.predictions([8, 9], [0.0, np.nan], None, [0.1, 0.2])


def test_segments_that_validation_had_are_asked_for():
    estimator = Estimator(**BINARY, segments=["de", "fr"] * 100)
    with pytest.raises(ValueError, match="expected segments, as the validation rows have them, got None"):
        estimator.predictions([0], [0], None, [0.9])


def test_labels_without_prediction_are_forgotten_too():
    """Else a stream whose labels are of another model's ids grows for ever."""
    kept, none = Estimator(**BINARY), Estimator(**BINARY)
    for estimator, before_ms in ((kept, 50), (none, 51)):
        estimator.labels(["later"], [50], ["yes"])
        assert estimator.forget(before_ms) == 0
        estimator.predictions(["later"], [60], None, [0.9])
    assert (kept.estimate().labelled, none.estimate().labelled) == (1, 0)


def test_a_few_rows_without_a_mistake_do_not_say_that_there_are_none():
    """20 validation rows, of which each had a chance of 3 % to be wrong; the interval holds the truth of 500 more."""
    covered = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        estimator = Estimator(rng.random(20), wrong=rng.random(20) < 0.03)
        estimator.predictions(range(500), range(500), None, rng.random(500))
        found, truth = estimator.estimate(), 1 - (rng.random(500) < 0.03).mean()
        covered += found.low <= truth <= found.high
    assert covered >= 18
