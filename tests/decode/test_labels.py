"""Labels: every spelling of a class, every kind of malformed event, and what an event carries beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest

from monitor.batch import Labels, RejectReason
from monitor.decode import Decoder, LabelDecoder, id_hash, needs
from monitor.source.base import Needs
from tests.decode import decode_labels, label, label_model, raw, reasons

NAN = math.nan
MULTICLASS = {"task": "multiclass", "classes": ["red", "2", "true", "-4"]}


def same(left: object, right: object) -> bool:
    return np.array_equal(np.array(left, float), np.array(right, float), equal_nan=True)


def named(names: Sequence[str], codes: np.ndarray) -> list[str]:
    assert sorted(set(codes.tolist())) == list(range(len(names))) or not len(codes)
    return [names[code] for code in codes.tolist()]


def columns(labels: Labels, rows: Sequence[int] | None = None) -> dict[str, object]:
    """All that a batch says of its rows, or of some of them, without codes that hold for the batch alone."""
    keep = list(range(len(labels))) if rows is None else list(rows)

    def floats(column: np.ndarray) -> list[float | None]:
        return [None if value != value else value for value in column[keep].tolist()]

    def texts(names: Sequence[str], codes: np.ndarray) -> list[str]:
        return [names[code] for code in codes[keep].tolist()]

    found: dict[str, object] = {
        "time": labels.time_ms[keep].tolist(),
        "record": labels.record_time_ms[keep].tolist(),
        "ids": labels.ids[keep].tolist(),
        "value": floats(labels.value),
        "annotator": texts(labels.annotators, labels.annotator),
        "version": texts(labels.versions, labels.version),
        "source": texts(labels.sources, labels.source),
        "confidence": floats(labels.confidence),
        "kpi": floats(labels.kpi),
    }
    carried = labels.carried
    if carried is not None:
        found |= {
            "model": texts(carried.versions, carried.version),
            "predicted at": carried.time_ms[keep].tolist(),
            "score": floats(carried.score),
            "predicted": floats(carried.predicted),
            "segments": [texts(names, carried.segments[:, column]) for column, names in enumerate(carried.segment_values)],
        }
    return found


def assert_conserved(labels: Labels, rejected: int) -> None:
    assert labels.messages == labels.tombstones + labels.rejected.sum() + len(labels)
    assert labels.rejected.sum() == rejected
    assert sum(span.stop - span.start for span in labels.spans) == len(labels)
    assert np.isfinite(labels.value).all()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1", 1), ("1.0", 1), ("10e-1", 1), ('"1"', 1), ("true", 1), ('"true"', 1), ('"\\u0031"', 1),
        ("0", 0), ("0.0", 0), ("-0.0", 0), ("-0", 0), ('"0"', 0), ("false", 0), ('"false"', 0),
        ("null", "no_label"),
        ("2", "bad_label"), ("-1", "bad_label"), ("0.5", "bad_label"), ("1.0000000000000002", "bad_label"), ('"1.0"', "bad_label"),
        ('"True"', "bad_label"), ('""', "bad_label"), ('" 1"', "bad_label"), ('"\\ud800"', "bad_label"), ("NaN", "bad_label"),
        ("-Infinity", "bad_label"), ("1e999", "bad_label"), ("1" * 400, "bad_label"), ("1" * 5_000, "bad_label"), ("[1]", "bad_label"),
        ('{"y":1}', "bad_label"), (str(2**64 + 1), "bad_label"),
    ],
)  # fmt: skip
def test_a_binary_label_is_a_class_however_it_is_written(written, expected):
    good = b'{"id":"b","ts":1,"y":true}'
    labels, rejections = decode_labels(label_model(), good, f'{{"id":"a","ts":1,"y":{written}}}'.encode(), good)
    if isinstance(expected, str):
        assert (reasons(rejections), labels.value.tolist()) == ([expected], [1, 1])
    else:
        assert (rejections, labels.value.tolist()) == ([], [1, expected, 1])
    assert_conserved(labels, len(rejections))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('"red"', 0), ("2", 1), ('"2"', 1), ("2.0", 1), ("true", 2), ('"true"', 2), ("-4", 3), ("-4.0", 3), ("null", "no_label"),
        ("1", "bad_label"), ('"Red"', "bad_label"), ("false", "bad_label"), ("0", "bad_label"), ("3", "bad_label"), ("2.5", "bad_label"),
    ],
)  # fmt: skip
def test_a_multiclass_label_is_the_place_of_its_class(written, expected):
    good = b'{"id":"b","ts":1,"y":"red"}'
    labels, rejections = decode_labels(label_model(**MULTICLASS), good, f'{{"id":"a","ts":1,"y":{written}}}'.encode(), good)
    if isinstance(expected, str):
        assert (reasons(rejections), labels.value.tolist()) == ([expected], [0, 0])
    else:
        assert (rejections, labels.value.tolist()) == ([], [0, expected, 0])


def test_several_spellings_may_mean_one_class():
    config = label_model(positive=["fraud", "chargeback", 1], negative=["ok", 0])
    labels, rejections = decode_labels(config, *(label(y=y) for y in ("ok", "chargeback", 0, "fraud", 1, "true", True)))
    assert labels.value.tolist() == [0, 1, 0, 1, 1]
    assert reasons(rejections) == ["bad_label"] * 2


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1", 1.0), ("-2.5e3", -2500.0), ("0", 0.0), ("0.1", 0.1), (str(2**80), float(2**80)), ("1e-400", 0.0), ("1.7e308", 1.7e308),
        ("null", "no_label"), ("NaN", "bad_label"), ("Infinity", "bad_label"), ("1e999", "bad_label"), ("9" * 400, "bad_label"),
        ("9" * 5_000, "bad_label"), ('"1"', "bad_label"), ("true", "bad_label"), ("[1]", "bad_label"), ("{}", "bad_label"),
        ('""', "bad_label"),
    ],
)  # fmt: skip
def test_a_regression_label_is_a_finite_number(written, expected):
    good = b'{"id":"b","ts":1,"y":-1}'  # the code of an unseen category is a number like any other here
    labels, rejections = decode_labels(label_model(task="regression"), good, f'{{"id":"a","ts":1,"y":{written}}}'.encode(), good)
    if isinstance(expected, str):
        assert (reasons(rejections), labels.value.tolist()) == ([expected], [-1, -1])
    else:
        assert (rejections, labels.value.tolist()) == ([], [-1, expected, -1])


def test_nothing_where_the_label_should_be_is_no_label():
    for task in ({}, MULTICLASS, {"task": "regression"}):
        config = label_model(confidence="c", kpi="k", **task)
        labels, rejections = decode_labels(config, {"id": "a", "ts": 1}, label(y=None), label(y=None, c="bad", k=[]))
        assert (len(labels), reasons(rejections)) == (0, ["no_label"] * 3)
        assert rejections[0].detail.endswith("at y, got nothing")


@pytest.mark.parametrize(
    ("labels", "value", "detail"),
    [
        ({}, "secret", "expected one of labels.positive or labels.negative at y, got another value"),
        ({}, ["secret"], "expected one of labels.positive or labels.negative at y, got another type"),
        (MULTICLASS, "secret", "expected one of labels.classes at y, got another value"),
        (MULTICLASS, math.inf, "expected one of labels.classes at y, got a number that is not finite"),
        ({"task": "regression"}, "secret", "expected a finite number at y, got another type"),
        ({"task": "regression"}, math.nan, "expected a finite number at y, got a number that is not finite"),
    ],
)
def test_the_reason_says_what_was_expected_and_never_the_payload(labels, value, detail):
    _, (rejection,) = decode_labels(label_model(**labels), label(y=value))
    assert (rejection.reason, rejection.detail) == (RejectReason.BAD_LABEL, detail)


def test_a_label_is_judged_after_id_and_time():
    _, rejections = decode_labels(label_model(), {}, {"id": "a"}, {"id": "a", "ts": 1}, {"id": "a", "ts": "x", "y": "x"})
    assert reasons(rejections) == ["no_id", "no_time", "no_label", "bad_time"]


def test_an_id_means_the_same_in_a_label_as_in_a_prediction():
    config = label_model()
    ids = ["a", 17, 17.0, "é𝄞", 2**70, "x" * 512]
    predictions, _ = Decoder(config, {}).decode([raw([{"id": value, "ts": 1} for value in ids])])
    labels, _ = decode_labels(config, *(label(id=value) for value in ids))
    assert labels.ids.tolist() == predictions.ids.tolist()
    assert tuple(labels.ids[0].tolist()) == id_hash("a")


def test_text_beside_the_label_is_cleaned_and_cut_and_nothing_is_empty():
    config = label_model(annotator="by", label_version="rev", source="how")
    held = ["ann", 3, 3.0, 2.5, True, "", None, {"a": 1}, "a\u0000b", "__missing__", "__other__", "x" * 100, 2**70]
    expected = ["ann", "3", "3", "2.5", "true", "", "", "", "a?b", "?_missing__", "?_other__", "x" * 64, str(2**70)]
    events = [label(by=value, rev=value, how=value) for value in held]
    labels, rejections = decode_labels(config, *events, label())
    assert rejections == []
    for names, codes in (
        (labels.annotators, labels.annotator),
        (labels.versions, labels.version),
        (labels.sources, labels.source),
    ):
        assert named(names, codes) == [*expected, ""]


def test_what_is_not_mapped_is_absent():
    labels, _ = decode_labels(label_model(), label(annotator="x", confidence=0.5, kpi=3), label())
    assert (labels.annotators, labels.versions, labels.sources) == (("",), ("",), ("",))
    assert labels.annotator.tolist() == labels.version.tolist() == labels.source.tolist() == [0, 0]
    assert np.isnan(labels.confidence).all() and np.isnan(labels.kpi).all()
    assert labels.carried is None
    assert (labels.model, labels.time_ms.tolist()) == ("m", [1_000, 1_000])


def test_a_confidence_lies_between_0_and_1():
    held = [0, 1, 0.25, -0.0, 1.0000001, -0.1, 87, "0.5", None, True, math.nan, math.inf, [0.5]]
    labels, rejections = decode_labels(label_model(confidence="c"), *(label(c=value) for value in held))
    assert rejections == []
    assert same(labels.confidence, [0, 1, 0.25, 0, *[NAN] * 9])


def test_a_kpi_is_any_finite_number():
    held = [0, -12.5, 1e300, 10**400, "3", None, True, math.inf]
    labels, rejections = decode_labels(label_model(kpi="k", kpi_max=10), *(label(k=value) for value in held))
    assert rejections == []
    assert same(labels.kpi, [0, -12.5, 1e300, *[NAN] * 5])


CARRYING = {
    "score": "p.score",
    "predicted_class": "p.class",
    "model_version": "p.version",
    "time": {"path": "p.at", "unit": "s"},
    "segments": {"country": "p.country"},
}


def test_a_label_carries_its_prediction():
    config = label_model(columns={"device": "d", "country": "c"}, prediction=CARRYING)
    events = [
        label(y=0, p={"score": 0.75, "class": 1, "version": "7", "at": 0.5, "country": "FR"}),
        label(p={"score": "high", "class": "maybe", "at": 0.25}),
        label(p={"score": None, "class": "false", "version": "7", "at": 2, "country": "x" * 100}),
    ]
    labels, rejections = decode_labels(config, *events)
    carried = labels.carried
    assert rejections == [] and carried is not None
    assert labels.time_ms.tolist() == [1_000] * 3
    assert carried.time_ms.tolist() == [500, 250, 2_000]
    assert same(carried.score, [0.75, NAN, NAN])
    assert same(carried.predicted, [1, NAN, 0])
    assert named(carried.versions, carried.version) == ["7", "configured", "7"]
    # Columns stand in the model's order; what the label does not carry is missing.
    assert carried.segment_values[0] == ("__missing__",)
    assert carried.segments.shape == (3, 2) and carried.segments.dtype == np.int32
    assert named(carried.segment_values[1], carried.segments[:, 1]) == ["FR", "__missing__", "x" * 64]


def test_a_carried_prediction_without_a_time_of_its_own_is_of_the_labels_time():
    labels, _ = decode_labels(label_model(prediction={"score": "s"}), label(s=0.5), label(ts=7))
    carried = labels.carried
    assert carried is not None
    assert carried.time_ms.tolist() == [1_000, 7]
    assert same(carried.score, [0.5, NAN]) and same(carried.predicted, [NAN, NAN])
    assert (carried.versions, carried.segment_values, carried.segments.shape) == (("configured",), (), (2, 0))


def test_the_class_of_a_carried_score_follows_from_the_threshold():
    config = label_model(threshold=0.5, prediction={"score": "s"})
    labels, _ = decode_labels(config, *(label(s=value) for value in (0.5, 0.4999, 1, 0, None, "x")))
    assert labels.carried is not None
    assert same(labels.carried.predicted, [1, 0, 1, 0, NAN, NAN])
    explicit = label_model(threshold=0.5, prediction={"score": "s", "predicted_class": "c"})
    labels, _ = decode_labels(explicit, label(s=0.9, c=0), label(s=0.9))
    assert labels.carried is not None
    assert same(labels.carried.predicted, [0, NAN])


def test_a_carried_class_is_an_index_of_the_classes_and_a_regression_has_none():
    config = label_model(**MULTICLASS, prediction={"predicted_class": "c"})
    labels, _ = decode_labels(config, *(label(y="red", c=value) for value in ("-4", True, 2.0, "red", 1, None)))
    assert labels.carried is not None
    assert same(labels.carried.predicted, [3, 2, 1, 0, NAN, NAN])
    labels, _ = decode_labels(label_model(task="regression", prediction={"score": "s", "predicted_class": "c"}), label(s=-1, c=0))
    assert labels.carried is not None
    assert same(labels.carried.score, [-1]) and same(labels.carried.predicted, [NAN])


@pytest.mark.parametrize(
    ("at", "reason", "detail"),
    [
        (None, "no_time", "expected a time at p.at, got nothing"),
        ("1", "bad_time", "expected a number of s since 1970 at p.at, got another type"),
        (-1, "bad_time", "expected a time from 1970 to 2999 at p.at, got one before 1970; is s its unit?"),
        (10**20, "bad_time", "expected a time from 1970 to 2999 at p.at, got one after the year 2999; is s its unit?"),
        (111, "future", "expected a time at most 10000 ms after the record's, got 11000 ms"),
    ],
)
def test_a_carried_time_must_be_one_too(at, reason, detail):
    config = label_model(prediction={"score": "s", "time": {"path": "p.at", "unit": "s"}}, future_tolerance="10s")
    good = label(p={"at": 110})
    labels, rejections = decode_labels(config, good, label(p={"at": at}), good, timestamp_ms=100_000)
    assert (reasons(rejections), [r.detail for r in rejections]) == ([reason], [detail])
    assert labels.carried is not None
    assert labels.carried.time_ms.tolist() == [110_000] * 2


def test_of_two_times_that_are_none_the_labels_own_is_the_reason():
    config = label_model(prediction={"score": "s", "time": {"path": "at"}})
    _, rejections = decode_labels(config, {"id": "a", "y": 1, "at": "x"}, {"id": "a", "y": 1, "ts": 5, "at": "x"})
    assert reasons(rejections) == ["no_time", "bad_time"]


def test_everything_may_stand_in_key_headers_and_timestamp():
    config = label_model(
        id="$key",
        time={"path": "$timestamp"},
        label="$header.truth",
        annotator="$header.by",
        confidence="$header.sure",
        prediction={"score": "$header.score", "time": {"path": "$header.at", "unit": "iso8601"}},
    )
    headers = [
        [("truth", b"1"), ("by", b"ann"), ("sure", b"0.5"), ("score", b"1e-1"), ("at", b"1970-01-01T00:00:01Z")],
        [("truth", b"false"), ("sure", b"2"), ("at", b"1970-01-01")],
        [("truth", b"maybe"), ("at", b"1970-01-01")],
        [("at", b"1970-01-01")],
        [("truth", b"1")],
    ]
    labels, rejections = decode_labels(config, *[{}] * 5, keys=[b"k", b"l", b"m", b"n", None], headers=headers, timestamp_ms=5_000)
    assert reasons(rejections) == ["bad_label", "no_label", "no_id"]
    assert labels.value.tolist() == [1, 0]
    assert labels.time_ms.tolist() == labels.record_time_ms.tolist() == [5_000] * 2
    assert named(labels.annotators, labels.annotator) == ["ann", ""]
    assert same(labels.confidence, [0.5, NAN])
    assert labels.carried is not None
    assert same(labels.carried.score, [0.1, NAN]) and labels.carried.time_ms.tolist() == [1_000, 0]
    regression = label_model(task="regression", label="$header.truth")
    labels, rejections = decode_labels(regression, *[label()] * 2, headers=[[("truth", b"-2.5")], [("truth", b"x")]])
    assert (labels.value.tolist(), reasons(rejections)) == ([-2.5], ["bad_label"])


def test_a_source_reads_what_labels_ask_for_too():
    assert needs(label_model()) == Needs(False, False)
    assert needs(label_model(id="$key")) == Needs(True, False)
    assert needs(label_model(annotator="$header.by")) == Needs(False, True)
    assert needs(label_model(prediction={"score": "$header.s", "time": {"path": "$timestamp"}})) == Needs(False, True)


def test_places_may_serve_several_uses():
    config = label_model(
        columns={"y": "y"}, annotator="id", kpi="y", confidence="y", label_version="ts", prediction={"score": "y", "segments": {"y": "y"}}
    )
    labels, rejections = decode_labels(config, label(), label(y="0"), label(y=0.0, id=7))
    assert rejections == [] and labels.carried is not None
    assert labels.value.tolist() == [1, 0, 0]
    for numbers in (labels.kpi, labels.confidence, labels.carried.score):
        assert same(numbers, [1, NAN, 0])
    assert named(labels.annotators, labels.annotator) == ["a", "a", "7"]
    assert named(labels.versions, labels.version) == ["1000"] * 3
    assert named(labels.carried.segment_values[0], labels.carried.segments[:, 0]) == ["1", "0", "0"]


def test_the_last_of_repeated_keys_counts():
    labels, _ = decode_labels(label_model(annotator="by"), b'{"id":"x","id":"a","ts":5,"y":7,"y":1,"by":"p","by":"q","ts":6}')
    assert (labels.value.tolist(), labels.annotators, labels.time_ms.tolist()) == ([1], ("q",), [6])
    assert tuple(labels.ids[0].tolist()) == id_hash("a")


def test_rows_keep_the_order_of_the_log_within_their_partition():
    batches = [
        raw([label(ts=1), b"bad", label(y="?"), label(ts=2)], partition=4, first_offset=100),
        raw([None, label(y=None)], partition=2, first_offset=7),
        raw([label(ts=3)] * 2_500, partition=1),
    ]
    labels, rejections = LabelDecoder(label_model()).decode(batches)
    spans = [(span.partition, span.start, span.stop, span.next_offset) for span in labels.spans]
    assert spans == [(4, 0, 2, 104), (2, 2, 2, 9), (1, 2, 2_502, 2_500)]
    assert labels.time_ms[:3].tolist() == [1, 2, 3]
    assert [(r.partition, r.offset, r.reason.label) for r in rejections] == [
        (4, 101, "not_json"),
        (4, 102, "bad_label"),
        (2, 8, "no_label"),
    ]
    assert (labels.messages, labels.tombstones) == (2_506, 1)
    assert_conserved(labels, 3)


def test_a_batch_of_nothing_has_no_rows():
    decoder = LabelDecoder(label_model(columns={"c": "c"}, prediction={"score": "s", "segments": {"c": "c"}}))
    for raws in ([], [raw([b"?", None, label(y="?")])]):
        labels, rejections = decoder.decode(raws)
        assert len(labels) == 0 and labels.carried is not None
        assert (labels.ids.shape, labels.annotators, labels.carried.segments.shape) == ((0, 2), (), (0, 1))
        assert_conserved(labels, len(rejections))


BOMB = b'{"id":"a","ts":1,"y":1,"z":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
MALFORMED: list[tuple[bytes, str]] = [
    (b"", "not_json"),
    (b"{", "not_json"),
    (b"\xff\xfe{}", "not_json"),
    (b'{"id":"\xff","ts":1,"y":1}', "not_json"),
    (b'{"id":"a","ts":1,"y":1} {}', "not_json"),
    (b'{"id":"a","ts":1,"y":01}', "not_json"),
    (b'{"id":"a","ts":1,"y":1,}', "not_json"),
    (b"[]", "not_an_object"),
    (b'"y"', "not_an_object"),
    (b'{"id":"a","ts":1,"y":1,"z":"' + b"z" * 20_000 + b'"}', "too_large"),
    (BOMB, "too_deep"),
    (b'{"ts":1,"y":1}', "no_id"),
    (b'{"id":null,"ts":1,"y":1}', "no_id"),
    (b'{"id":1.5,"ts":1,"y":1}', "bad_id"),
    (b'{"id":{"a":1},"ts":1,"y":1}', "bad_id"),
    (b'{"id":"' + b"i" * 513 + b'","ts":1,"y":1}', "bad_id"),
    (b'{"id":"a","y":1}', "no_time"),
    (b'{"id":"a","ts":"soon","y":1}', "bad_time"),
    (b'{"id":"a","ts":NaN,"y":1}', "bad_time"),
    (b'{"id":"a","ts":-5,"y":1}', "bad_time"),
    (b'{"id":"a","ts":' + b"9" * 5_000 + b',"y":1}', "bad_time"),
    (b'{"id":"a","ts":1700000700001,"y":1}', "future"),
    (b'{"id":"a","ts":1,"y":null}', "no_label"),
    (b'{"id":"a","ts":1}', "no_label"),
    (b'{"id":"a","ts":1,"y":"maybe"}', "bad_label"),
    (b'{"id":"a","ts":1,"y":[1]}', "bad_label"),
    (b'{"id":"a","ts":1,"y":' + b"9" * 5_000 + b"}", "bad_label"),
    (b'{"id":"a","ts":1,"y":Infinity}', "bad_label"),
]


def test_one_percent_of_malformed_labels_of_every_kind_harm_no_other():
    config = label_model(
        columns={"country": "country"},
        annotator="by",
        label_version="rev",
        source="how",
        confidence="sure",
        kpi="kpi",
        max_message_bytes=15_000,
        prediction={"score": "score", "predicted_class": "class", "segments": {"country": "country"}},
    )
    rng = np.random.default_rng(7)
    assert {reason for _, reason in MALFORMED} == {reason.label for reason in RejectReason}
    good: list[bytes | None] = [
        json.dumps(
            {
                "id": f"r{i}",
                "ts": 1_700_000_000_000 + i,
                "y": [0, 1, True, False, "1", "0", 1.0][i % 7],
                "by": f"ann{i % 5}",
                "rev": i % 3,
                "how": ["review", "audit", None][i % 3],
                "sure": i % 11 / 10,
                "kpi": i / 7,
                "score": i % 100 / 100,
                "class": i % 2,
                "country": ["FR", "DE"][i % 2],
            }
        ).encode()
        for i in range(100 * len(MALFORMED))
    ]
    mixed, mine = list(good), np.arange(len(good))
    wanted: dict[int, str] = {}
    places = np.sort(rng.choice(len(good), len(MALFORMED), replace=False)) + np.arange(len(MALFORMED))
    for place, which in zip(places.tolist(), rng.permutation(len(MALFORMED)).tolist(), strict=True):
        message, reason = MALFORMED[which]
        mixed.insert(place, message)
        mine[mine >= place] += 1
        wanted[place] = reason
    assert len(MALFORMED) == len(good) // 100
    alone, none = decode_labels(config, *good, timestamp_ms=1_700_000_000_000)
    together, rejections = decode_labels(config, *mixed, timestamp_ms=1_700_000_000_000)
    assert none == []
    assert {rejection.offset: rejection.reason.label for rejection in rejections} == wanted
    assert [rejection.value for rejection in rejections] == [mixed[rejection.offset] for rejection in rejections]
    assert columns(together) == columns(alone)
    assert alone.value.tolist() == [[0, 1, 1, 0, 1, 0, 1][i % 7] for i in range(len(good))]
    assert named(alone.annotators, alone.annotator) == [f"ann{i % 5}" for i in range(len(good))]
    assert_conserved(together, len(MALFORMED))
