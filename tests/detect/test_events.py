"""Columns that do not fit are refused with what was expected and what came; columns that do may be of any kind."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from monitor.detect.detector import Detector
from monitor.detect.rows import Events
from tests.detect.make import triggers

START, DAY, STEP = 1_700_006_400_000, 86_400_000, 15_000
ROWS = 3_000


def rows(n: int, first: int = 0, seed: int = 0, shift: float = 0.0, **columns: Any) -> Events:
    random = np.random.default_rng([seed, first])
    usual = {
        "time_ms": START + (first > 0) * 3 * DAY + np.arange(n) * STEP,
        "features": {"x": random.normal(shift, 1.0, n), "c": random.choice(["a", "b", "d"], n)},
        "segments": {"shop": random.choice(["u", "v"], n)},
        "score": random.random(n),
        "ids": np.arange(first, first + n),
    }
    return Events(**usual | columns)


@cache
def reference(labelled: bool = False) -> Detector:
    events = rows(ROWS)
    truth = (np.asarray(events.score) >= 0.5).astype(int) ^ (np.random.default_rng(1).random(ROWS) < 0.05)
    labels = (truth, events.time_ms + 3_600_000) if labelled else (None, None)
    return Detector.learn(events, *labels, threshold=0.5)


def detector(labelled: bool = False) -> Detector:
    learnt = reference(labelled)
    return Detector.of(learnt.reference, learnt.model)


X, C = np.zeros(5), np.array(["a"] * 5)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"time_ms": None}, "expected time_ms"),
        ({"time_ms": np.array([0.0, 1.0, np.nan, 2.0, 3.0])}, "none in row 2 of time_ms"),
        ({"time_ms": np.array(["2026-01-01", "NaT", "2026-01-02", "NaT", "2026-01-03"], "datetime64[D]")}, "none in row 1"),
        ({"time_ms": np.array(["x"] * 5)}, "milliseconds since 1970"),
        ({"score": np.zeros(4)}, r"score for each of the 5 rows, got an array of the shape \(4,\)"),
        ({"ids": [1]}, "ids for each of the 5 rows"),
        ({"features": {"x": np.zeros((5, 2)), "c": C}}, r"x for each of the 5 rows, got an array of the shape \(5, 2\)"),
        ({"features": {"x": X}}, "none for c; fill with NaN or None"),
        ({"segments": {}}, "none for shop"),
        ({"score": None}, "none for score"),
        ({"features": {"x": np.array(["1", "2", "3", "4", "much"]), "c": C}}, "expected numbers in x"),
        ({"ids": None}, "expected ids"),
        ({"partition": np.array([0, 0, 7, 7, 0])}, r"partitions \[0\], got \[7\]"),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_name(columns: dict[str, Any], message: str) -> None:
    found = detector()
    with pytest.raises(ValueError, match=message):
        found.predictions(rows(5, ROWS, **columns))
    assert found.ledger == {"counted": 0, "late": 0, "duplicate": 0}


@pytest.mark.parametrize(
    ("labels", "times", "message"),
    [
        (["1"], None, "labels for each of the 50 rows"),
        (["1"] * 50, [1], "label_time_ms for each"),
        (None, [1] * 50, "expected labels with"),
    ],
)
def test_labels_of_a_reference_that_do_not_fit_are_refused(labels: Any, times: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Detector.learn(rows(50), labels, times, threshold=0.5)


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="classes for each of the 2 rows"):
        detector(labelled=True).labels([1, 2], ["1"], [1, 2])
    with pytest.raises(ValueError, match="none in row 1 of time_ms"):
        detector(labelled=True).labels([1, 2], ["1", "0"], [1.0, np.nan])
    with pytest.raises(ValueError, match="expected labels in the reference"):
        detector().labels([1], ["1"], [1])


def test_a_label_without_a_class_is_left_out() -> None:
    found = detector(labelled=True)
    first = rows(40, ROWS)
    found.predictions(first)
    known = first.time_ms + 60_000
    found.labels(first.ids, [None, np.nan, *["1"] * 38], known)
    found.finish()
    assert found.arrived.matched == 38


def test_times_may_be_datetimes_and_columns_lists() -> None:
    plain = rows(1_000, ROWS, shift=1.0)
    other = replace(
        plain,
        time_ms=np.asarray(plain.time_ms).astype("datetime64[ms]"),
        features={name: np.asarray(column).tolist() for name, column in plain.features.items()},
        score=np.asarray(plain.score).tolist(),
    )
    first, second = detector(), detector()
    alarms = first.predictions(plain) + first.finish()
    assert triggers(alarms)
    assert second.predictions(other) + second.finish() == alarms


@pytest.mark.parametrize("n", [1, 20, 199])
def test_a_reference_of_a_few_rows_says_nothing(n: int) -> None:
    events = rows(n)
    found = Detector.learn(events, np.ones(n, int), events.time_ms + 1, threshold=0.5)
    assert found.predictions(rows(2_000, ROWS, shift=3.0)) + found.finish() == []
    assert found.ledger["counted"] == 2_000


@pytest.mark.parametrize("value", [7.0, np.nan])
def test_a_constant_is_quiet_and_another_one_is_not(value: float) -> None:
    def column(n: int, first: int, constant: float) -> Events:
        return rows(n, first, features={"x": np.full(n, constant)}, score=None)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learnt = Detector.learn(column(ROWS, 0, value))
        assert learnt.predictions(column(2_000, ROWS, value)) == []
        alarms = learnt.predictions(replace(column(1_000, ROWS + 2_000, 8.0), time_ms=START + 4 * DAY + np.arange(1_000) * STEP))
    assert {alarm.stream.segment for alarm in triggers(alarms)} >= {"ALL"}
    assert triggers(alarms)[0].stream.kind == ("missing" if np.isnan(value) else "values")


def test_an_alarm_says_what_where_since_when_and_how_much() -> None:
    found = detector()
    first = rows(1_000, ROWS)
    drifted = replace(rows(1_000, ROWS + 1_000, shift=0.7), time_ms=int(first.time_ms[-1]) + STEP * np.arange(1, 1_001))
    alarms = found.predictions(first) + found.predictions(drifted) + found.finish()
    found_first = triggers(alarms)[0]
    assert (found_first.stream.segment, found_first.stream.signal, found_first.stream.kind) == ("ALL", "x", "values")
    assert found_first.evidence >= found_first.threshold
    change = int(drifted.time_ms[0])
    assert change < found_first.time_ms <= change + 500 * STEP
    assert abs(found_first.start_ms - change) <= 100 * STEP
    assert found_first.effect is not None and found_first.effect.low < 0.7 < found_first.effect.high
    assert found_first.worst and found_first.direction.what


@pytest.mark.parametrize("sizes", [[7, 0, 1, 250], [2_000]])
def test_how_rows_are_cut_changes_no_alarm(sizes: list[int]) -> None:
    events = rows(1_200, ROWS, shift=0.5)
    whole = detector()
    expected = whole.predictions(events) + whole.finish()
    assert triggers(expected)
    cut, found, start, turn = detector(), [], 0, 0
    while start < len(events):
        size = sizes[turn % len(sizes)]
        found += cut.predictions(events.rows(slice(start, start + size)))
        start, turn = start + size, turn + 1
    assert found + cut.finish() == expected


def learnt_with(names: tuple[str, str], **more: Any) -> Detector:
    """A reference of labels with these names of the negative and the positive class."""
    events = rows(ROWS)
    truth = np.random.default_rng(1).random(ROWS) < np.asarray(events.score)
    return Detector.learn(events, np.array(names, object)[truth.astype(int)], events.time_ms + 3_600_000, threshold=0.5, **more)


def test_the_positive_class_is_the_one_that_is_named() -> None:
    """Of good and bad the guess is good; the score is the probability of bad."""
    score = np.asarray(rows(ROWS).score)
    truth = np.random.default_rng(1).random(ROWS) < score
    plain, named, guessed = learnt_with(("0", "1")), learnt_with(("good", "bad"), positive="bad"), learnt_with(("good", "bad"))
    held = named.reference.labels
    assert held is not None and guessed.reference.labels is not None
    assert (held["positive"], guessed.reference.labels["positive"]) == ("bad", "good")
    assert held["performance"]["brier"] == pytest.approx(float(((score - truth) ** 2).mean()), rel=1e-6)
    assert guessed.reference.labels["performance"]["brier"] > 1.5 * held["performance"]["brier"]

    fresh = rows(3_000, ROWS)
    worse = np.random.default_rng(2).random(3_000) < 0.9  # bad nine times in ten, whatever the score
    alarms = []
    for detector_, names in ((plain, ("0", "1")), (named, ("good", "bad"))):
        found = detector_.predictions(fresh)
        found += detector_.labels(fresh.ids, np.array(names, object)[worse.astype(int)], fresh.time_ms + 60_000) + detector_.finish()
        alarms.append(found)
    assert triggers(alarms[0])
    assert {alarm.stream.kind for alarm in triggers(alarms[0])} >= {"error", "label"}
    assert alarms[0] == alarms[1], "names of classes change nothing"


@pytest.mark.parametrize(
    ("labels", "positive", "message"),
    [
        (None, "bad", "expected labels with positive, got None"),
        (["good", "bad"] * 25, "ugly", "one of the two classes of labels, got 'ugly'; labels are 'bad', 'good'"),
        (["good", "bad", "ugly", None, "bad"] * 10, "bad", "labels are 'bad', 'good', 'ugly'"),
    ],
)
def test_a_positive_class_that_is_none_of_two_is_refused(labels: Any, positive: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Detector.learn(rows(50), labels, threshold=0.5, positive=positive)


def test_a_number_or_a_truth_may_name_the_positive_class() -> None:
    events = rows(50)
    for labels, positive, said in (([0, 1] * 25, 0, "0"), ([True, False] * 25, False, "false")):
        learnt = Detector.learn(events, labels, threshold=0.5, positive=positive).reference.labels
        assert learnt is not None and learnt["positive"] == said


def written(values: Any, how: str) -> Any:
    """0 and 1 as the kinds of arrays in which a frame or an export may hold them."""
    kinds = {"ints": int, "floats": float, "truths": bool, "texts": str}
    if how == "objects":
        return np.array([[int(v), float(v), bool(v), str(int(v))][i % 4] for i, v in enumerate(values)], object)
    return np.asarray(values, int).astype(kinds[how])


KINDS = ("ints", "floats", "truths", "texts", "objects")
# The text 1 is another value than true.
PAIRS = [
    (learnt, live)
    for learnt in KINDS[:4]
    for live in KINDS
    if not ((learnt == "truths" and live in KINDS[3:]) or {learnt, live} == {*KINDS[2:4]})
]


@pytest.mark.parametrize(("learnt", "live"), PAIRS)
def test_classes_ids_and_categories_are_the_same_in_whatever_array_they_come(learnt: str, live: str) -> None:
    """A missing value makes floats of whole numbers, and a condition numbers of truths; neither is a drift, nor another prediction."""
    random = np.random.default_rng(5)
    flag, predicted = random.random((2, 2 * ROWS)) < 0.3
    truth = predicted ^ (random.random(2 * ROWS) < 0.05)

    def part(first: int, how: str) -> tuple[Events, Any]:
        mine = slice(first, first + ROWS)
        features = {"x": random.normal(size=ROWS), "flag": written(flag[mine], how if how != "floats" or first else "ints")}
        ids = np.arange(first, first + ROWS).astype(float if how == "floats" else int)
        shop = written(flag[mine], how if how != "truths" and learnt != "truths" else learnt)
        found = rows(ROWS, first, features=features, predicted=written(predicted[mine], how), score=None, ids=ids, segments={"shop": shop})
        return found, written(truth[mine], how)

    events, labels = part(0, learnt)
    if learnt in ("ints", "floats"):  # numbers are a numeric feature
        events = replace(events, features={"x": events.features["x"], "flag": np.asarray(events.features["flag"]).astype(str)})
    watched = Detector.learn(events, written(truth[:ROWS], learnt), events.time_ms + 3_600_000)
    held = watched.reference.labels
    assert held is not None
    assert np.trace(held["confusion"]["counts"]) == np.count_nonzero(predicted[:ROWS] == truth[:ROWS])
    fresh, labels = part(ROWS, live)
    found = watched.predictions(fresh)
    found += watched.labels(np.arange(ROWS, 2 * ROWS), labels, fresh.time_ms + 60_000) + watched.finish()
    assert watched.arrived.matched == ROWS
    assert [alarm.stream for alarm in triggers(found)] == []


def test_numbers_with_missing_ones_are_numeric_in_an_array_of_objects_too() -> None:
    plain = rows(ROWS)
    holes = np.where(np.arange(ROWS) % 50 == 0, None, plain.features["x"].astype(object))
    learnt = Detector.learn(replace(plain, features={"x": holes, "c": plain.features["c"]}), threshold=0.5)
    assert [feature.type for feature in learnt.model.features] == ["numeric", "categorical"]
    moved = rows(ROWS, ROWS, shift=1.0)
    assert ("x", "values") in {(alarm.stream.signal, alarm.stream.kind) for alarm in triggers(learnt.predictions(moved) + learnt.finish())}


def test_a_missing_value_among_texts_of_a_list_is_missing() -> None:
    columns = [["a", float("nan")][i % 2] for i in range(ROWS)]
    learnt = Detector.learn(rows(ROWS, features={"x": X.repeat(ROWS // 5), "c": columns}), threshold=0.5)
    assert learnt.known["c"] == ("a",)


def test_labels_that_share_no_class_with_the_predicted_ones_are_refused() -> None:
    predicted = np.array(["yes", "no"] * 25)
    with pytest.raises(ValueError, match="expected the classes of predicted in labels, got '0', '1'; those of predicted are 'no', 'yes'"):
        Detector.learn(rows(50, predicted=predicted), [0, 1] * 25)


@pytest.mark.parametrize("ids", [[1, None, 2], np.array([1.0, np.nan, 2.0])])
def test_a_row_without_an_id_is_refused(ids: Any) -> None:
    with pytest.raises(ValueError, match="none in row 1 of ids"):
        detector().predictions(rows(3, ROWS, ids=ids))
