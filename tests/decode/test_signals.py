"""Signals: what becomes of each value, and where in an event it may stand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from monitor.batch import UNSEEN, Fault
from monitor.decode import Decoder, needs
from monitor.source.base import Needs
from tests.decode import decode, event, model, raw, reasons, texts

NAN = math.nan
FAULT = {None: None, "invalid": Fault.INVALID, "non_finite": Fault.NON_FINITE}


def cell(batch, row=0, column=0):
    """Value and fault of one cell."""
    found = [
        Fault(kind)
        for at, signal, kind in zip(batch.fault_rows.tolist(), batch.fault_columns.tolist(), batch.fault_kinds.tolist(), strict=True)
        if (at, signal) == (row, column)
    ]
    assert len(found) <= 1
    return batch.values[row, column].item(), found[0] if found else None


def same(left, right):
    return np.array_equal(np.array(left, float), np.array(right, float), equal_nan=True)


@pytest.mark.parametrize(
    ("written", "value", "fault"),
    [
        ("1", 1.0, None),
        ("-2.5e3", -2500.0, None),
        ("0.1", 0.1, None),
        ("9007199254740993", 9007199254740992.0, None),
        (str(2**80), float(2**80), None),
        ("1e-400", 0.0, None),
        ("null", NAN, None),
        ("NaN", NAN, "non_finite"),
        ("Infinity", NAN, "non_finite"),
        ("-Infinity", NAN, "non_finite"),
        ("1e999", NAN, "non_finite"),
        ("1" * 400, NAN, "non_finite"),
        ("1" * 5000, NAN, "non_finite"),
        ('"1"', NAN, "invalid"),
        ('""', NAN, "invalid"),
        ("true", NAN, "invalid"),
        ("[1]", NAN, "invalid"),
        ('{"a":1}', NAN, "invalid"),
    ],
)
def test_a_numeric_feature_is_a_number_or_says_why_not(written, value, fault):
    good = b'{"id":"b","ts":1,"x":5}'
    batch, rejections = decode(model(), good, f'{{"id":"a","ts":1,"x":{written}}}'.encode(), good)
    assert rejections == []
    assert same(batch.values[:, 0], [5.0, value, 5.0])
    assert cell(batch, 1)[1] == FAULT[fault]
    assert len(batch.fault_rows) == (fault is not None)


@pytest.mark.parametrize("values", ["string", "integer", "boolean"])
@pytest.mark.parametrize(
    ("written", "category", "fault"),
    [
        ('"3"', "3", None),
        ("3", "3", None),
        ("3.0", "3", None),
        ("30e-1", "3", None),
        ("-4", "-4", None),
        ("true", "true", None),
        ('"true"', "true", None),
        ("false", "false", None),
        ("1", "1", None),
        ("0", "unseen", None),
        ('"FR"', "FR", None),
        ('"\\u0046R"', "FR", None),
        ('"DE"', "unseen", None),
        ('"03"', "unseen", None),
        ("2.5", "unseen", None),
        (str(2**63), "unseen", None),
        (str(2**80), "unseen", None),
        ('"\\ud800"', "unseen", None),
        ('""', "unseen", None),
        ('"\\u0000"', "unseen", None),
        ("null", None, None),
        ("NaN", None, "non_finite"),
        ("1e999", None, "non_finite"),
        ("[3]", None, "invalid"),
        ('{"3":3}', None, "invalid"),
    ],
)
def test_a_categorical_feature_is_the_code_of_its_text_however_it_is_written(values, written, category, fault):
    known = ("-4", "1", "3", "FR", "true", "false")
    config = model([{"name": "c", "type": "categorical", "values": values}])
    batch, rejections = decode(config, f'{{"id":"a","ts":1,"c":{written}}}'.encode(), event(), vocabulary={"c": known})
    assert rejections == []
    expected = NAN if category is None else UNSEEN if category == "unseen" else float(known.index(category))
    assert same(batch.values[:, 0], [expected, NAN])
    assert cell(batch)[1] == FAULT[fault]
    assert len(batch.fault_rows) == (fault is not None)


def test_categories_that_are_integers_of_more_than_64_bits_are_known_too():
    known = tuple(sorted(str(2**63 + i) for i in range(3)))
    config = model([{"name": "c", "type": "categorical", "values": "integer"}])
    batch, _ = decode(config, *(event(c=int(text)) for text in known), event(c=1), vocabulary={"c": known})
    assert batch.values[:, 0].tolist() == [0.0, 1.0, 2.0, UNSEEN]


def test_an_integer_is_only_the_category_that_is_written_like_it():
    known = ("+4", "-0", "03", "3")
    config = model([{"name": "c", "type": "categorical", "values": "integer"}])
    batch, _ = decode(config, event(c=4), event(c=0), event(c=3), event(c="03"), vocabulary={"c": known})
    assert batch.values[:, 0].tolist() == [UNSEEN, UNSEEN, 3.0, 2.0]
    assert decode(config, event(c=3), vocabulary={"c": ("03",)})[0].values[0, 0] == UNSEEN


def test_without_a_vocabulary_every_category_is_unseen():
    config = model([{"name": "c", "type": "categorical"}, {"name": "d", "type": "categorical", "values": "integer"}])
    batch, _ = decode(config, event(c="a", d=0), event(c="b"))
    assert same(batch.values, [[UNSEEN, UNSEEN], [UNSEEN, NAN]])


def test_signals_are_features_then_score_then_predicted_class():
    config = model([{"name": "b", "type": "numeric"}, {"name": "a", "type": "numeric"}], score="p.score", predicted_class="p.class")
    vocabulary = {"predicted_class": ("no", "yes")}
    batch, _ = decode(config, event(a=1, b=2, p={"class": "yes", "score": 0.25}), event(p={"class": "maybe"}), vocabulary=vocabulary)
    assert same(batch.values, [[2, 1, 0.25, 1], [NAN, NAN, NAN, UNSEEN]])


@pytest.mark.parametrize(("held", "code"), [(0, 0.0), (1, 1.0), ("1", 1.0), (1.0, 1.0), (True, UNSEEN), (None, NAN), (2, UNSEEN)])
def test_a_predicted_class_may_be_written_as_text_or_number(held, code):
    config = model(predicted_class="y")
    batch, _ = decode(config, event(y=0), event(y=held), event(y=1), vocabulary={"predicted_class": ("0", "1")})
    assert same(batch.values[:, 1], [0.0, code, 1.0])


def test_a_class_without_a_path_is_whether_the_score_reaches_the_threshold():
    config = model(score="p", threshold=0.5)
    held = [0.5, 0.4999, 1, None, "high"]
    batch, _ = decode(config, *(event(p=value) for value in held), vocabulary={"predicted_class": ("0", "1")})
    assert same(batch.values[:, 2], [1, 0, 1, NAN, NAN])
    assert batch.fault_columns.tolist() == [1]  # the score's own fault; the class is missing
    assert same(decode(config, event(p=0.9))[0].values[:, 2], [UNSEEN])


def test_features_stand_anywhere_in_objects_and_arrays():
    config = model(
        [
            {"name": "a", "type": "numeric", "path": "in[2].v"},
            {"name": "b", "type": "numeric", "path": "in[0].v"},
            {"name": "c", "type": "categorical", "path": '"dotted.key"[1][0]'},
            {"name": "d", "type": "numeric", "path": "deep.er.est"},
            {"name": "x/y", "type": "numeric"},
        ],
        columns={"s": "in[1]"},
        id="meta[1].id",
        time={"path": "meta[0]"},
    )
    good = {
        "in": [{"v": 1}, "seg", {"v": 3, "w": 0}, 4],
        "dotted.key": [0, ["q"]],
        "deep": {"er": {"est": 5}},
        "x/y": 6,
        "meta": [7, {"id": "i"}],
    }
    short = {"in": [{"v": 1}], "dotted.key": [], "deep": {"er": {}}, "meta": [8, {"id": "j"}]}
    empty = short | {"in": None, "deep": None}  # null where an array is expected takes the general decode
    batch, rejections = decode(config, good, short, empty, good, vocabulary={"c": ("p", "q")})
    assert rejections == []
    full = [3, 1, 1, 5, 6]
    assert same(batch.values, [full, [NAN, 1, NAN, NAN, NAN], [NAN] * 5, full])
    assert len(batch.fault_rows) == 0
    assert batch.time_ms.tolist() == [7, 8, 8, 7]
    assert texts(batch) == ["seg", "__missing__", "__missing__", "seg"]


def test_elements_of_one_array_may_be_read_in_any_order_with_others_between():
    config = model(
        [{"name": f"e{i}", "type": "numeric", "path": f"v[{i}]"} for i in (6, 1, 3)]
        + [{"name": "again", "type": "numeric", "path": "v[3]"}],
        columns={"s": "v[2]"},
    )
    batch, _ = decode(config, event(v=[0, 10, "two", 30, {"four": 4}, None, 60, 70]), event(v=[0, 10, "zwei", 31]), event(v=[]))
    assert same(batch.values, [[60, 10, 30, 30], [NAN, 10, 31, 31], [NAN] * 4])
    assert texts(batch) == ["two", "zwei", "__missing__"]


def test_a_feature_below_something_that_has_no_parts_is_invalid_and_below_null_missing():
    config = model(
        [{"name": "a", "type": "numeric", "path": "f.a"}, {"name": "b", "type": "categorical", "path": "f.b"}], columns={"s": "f.s"}
    )
    for parent in ("text", 5, [1], True):
        batch, rejections = decode(config, event(f=parent))
        assert rejections == []
        assert [cell(batch, 0, column)[1] for column in (0, 1)] == [Fault.INVALID] * 2
        assert texts(batch) == ["__missing__"]
    batch, _ = decode(config, event(f=None), event())
    assert np.isnan(batch.values).all()
    assert len(batch.fault_rows) == 0


def test_one_place_may_feed_several_signals_and_a_segment():
    config = model(
        [
            {"name": "country", "type": "categorical", "path": "f.country"},
            {"name": "x", "type": "numeric", "path": "f.x"},
            {"name": "x_again", "type": "numeric", "path": "f.x"},
            {"name": "age", "type": "numeric", "path": "f.age"},
            {"name": "age_group", "type": "categorical", "path": "f.age"},
            {"name": "id_length", "type": "categorical", "path": "id"},
        ],
        columns={"country": "f.country", "age": "f.age", "nation": "f.country"},
    )
    vocabulary = {"country": ("DE", "FR"), "age_group": ("17", "18"), "id_length": ("a",)}
    values = [
        event(f={"country": "FR", "x": 2.5, "age": 18}),
        event(f={"country": "XX", "x": None, "age": "18"}, id="b"),
        event(f={"country": 7, "x": "bad", "age": [18]}),
    ]
    batch, rejections = decode(config, *values, vocabulary=vocabulary)
    assert rejections == []
    assert same(batch.values, [[1, 2.5, 2.5, 18, 1, 0], [UNSEEN, NAN, NAN, NAN, 1, UNSEEN], [UNSEEN, NAN, NAN, NAN, NAN, 0]])
    faults = list(zip(batch.fault_rows.tolist(), batch.fault_columns.tolist(), batch.fault_kinds.tolist(), strict=True))
    assert faults == [(1, 3, 1), (2, 1, 1), (2, 2, 1), (2, 3, 1), (2, 4, 1)]
    assert [texts(batch, column) for column in range(3)] == [["FR", "XX", "7"], ["18", "18", "__missing__"], ["FR", "XX", "7"]]


@pytest.mark.parametrize(
    "paths",
    [
        {"a": "p", "b": "p.q"},  # text and object
        {"a": "p[0]", "b": "p.q"},  # array and object
        {"a": "p[0]", "b": "p[0][1]"},
        {"a": 'p."q\\r"', "b": "q"},  # a key that the typed decode cannot match
        {"a": "p[9999]", "b": "q"},
    ],
)
def test_a_mapping_that_types_cannot_express_is_decoded_all_the_same(paths):
    config = model([{"name": name, "type": "numeric", "path": path} for name, path in paths.items()], columns={"s": "q"})
    events = [{"p": 1}, {"p": {"q": 2, "q\\r": 3}, "q": 4}, {"p": [5, 6]}, {"p": [[7, 8]]}, {"p": [0] * 9999 + [9]}, {}]
    batch, rejections = decode(config, *(event(**fields) for fields in events), *[b"broken"])
    assert reasons(rejections) == ["not_json"]

    def value(fields, path):
        steps = {
            "p": ["p"],
            "p.q": ["p", "q"],
            "p[0]": ["p", 0],
            "p[0][1]": ["p", 0, 1],
            'p."q\\r"': ["p", "q\\r"],
            "q": ["q"],
            "p[9999]": ["p", 9999],
        }
        found = fields
        try:
            for step in steps[path]:
                found = found[step]
        except (KeyError, IndexError, TypeError):
            return NAN
        return found if isinstance(found, int) else NAN

    assert same(batch.values, [[value(fields, path) for path in paths.values()] for fields in events])


def test_features_and_segments_may_stand_in_key_headers_and_timestamp():
    config = model(
        [
            {"name": "n", "type": "numeric", "path": "$header.n"},
            {"name": "c", "type": "categorical", "path": "$header.c"},
            {"name": "t", "type": "numeric", "path": "$timestamp"},
        ],
        columns={"k": "$key", "c": "$header.c"},
    )
    headers = [[("n", b"1.5"), ("c", b"u")], [("n", b"x"), ("c", b"\xff")], [("n", b"1e999")], [("n", b"null")]]
    batch, _ = decode(config, *[event()] * 4, keys=[b"k", None, b"", b"z"], headers=headers, vocabulary={"c": ("u",)}, timestamp_ms=5)
    assert same(batch.values, [[1.5, 0, 5], [NAN, UNSEEN, 5], [NAN, NAN, 5], [NAN, NAN, 5]])
    assert list(zip(batch.fault_rows.tolist(), batch.fault_kinds.tolist(), strict=True)) == [(1, 1), (2, 2), (3, 1)]
    assert texts(batch, 0) == ["k", "__missing__", "__missing__", "z"]
    assert texts(batch, 1) == ["u", "?", "__missing__", "__missing__"]


def test_a_source_reads_keys_and_headers_only_where_a_path_asks_for_them():
    assert needs(model()) == Needs(False, False)
    assert needs(model(id="$key")) == Needs(True, False)
    assert needs(model(columns={"s": "$header.s"})) == Needs(False, True)
    assert needs(model([{"name": "x", "type": "numeric", "path": "$header.x"}], id="$key", time={"path": "$timestamp"})) == Needs(
        True, True
    )


def test_nulls_change_no_value_of_the_rows_around_them():
    """The fast way of packing gives up at a null, and another way is taken for some chunks after it."""
    config = model([{"name": f"f{i}", "type": "numeric"} for i in range(3)])
    rows = [[float(i), float(-i), i / 2] for i in range(30_000)]
    for at in (0, 5_000, 29_999):
        rows[at][1] = None
    decoder = Decoder(config, {})
    for _ in range(2):
        batch, _ = decoder.decode([raw([event(**dict(zip(("f0", "f1", "f2"), row, strict=True))) for row in rows])])
        assert same(batch.values, [[NAN if v is None else v for v in row] for row in rows])


def test_the_last_of_repeated_keys_counts():
    text = b'{"id":"a","id":"b","ts":1,"x":"bad","x":2,"x":3,"f":{"y":1},"f":{"z":2}}'
    config = model([{"name": "x", "type": "numeric"}, {"name": "y", "type": "numeric", "path": "f.y"}])
    batch, _ = decode(config, text, json.dumps(event(id="b")).encode())
    assert same(batch.values, [[3, NAN], [1, NAN]])
    assert batch.ids[0].tolist() == batch.ids[1].tolist()


def test_rows_keep_the_order_of_the_log_within_their_partition():
    batches = [
        raw([event(ts=1), b"bad", event(ts=2)], partition=4, first_offset=100),
        raw([], partition=9),
        raw([None], partition=2, first_offset=7),
        raw([event(ts=3)] * 2_500, partition=1),
    ]
    batch, _ = Decoder(model(), {}).decode(batches)
    spans = [(span.partition, span.start, span.stop, span.next_offset) for span in batch.spans]
    assert spans == [(4, 0, 2, 103), (2, 2, 2, 8), (1, 2, 2_502, 2_500)]
    assert batch.time_ms[:3].tolist() == [1, 2, 3]
    assert (batch.model, batch.messages, len(batch)) == ("m", 2_504, 2_502)
