"""The typed and the general decode agree on every event, and no message harms another."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.batch import Batch, RawBatch, Rejection
from monitor.config.model import ModelConfig
from monitor.decode import Decoder
from monitor.decode.admit import admit
from monitor.decode.general import decode_any
from monitor.decode.refusal import Refusal
from tests.decode import model, raw

VOCABULARY = {
    "text": ("", "FR", "a", "é𝄞"),
    "integer": ("-4", "0", "1", "3", str(2**53 + 1), "FR"),
    "boolean": ("1", "false", "true"),
    "shared": ("1", "3", "FR", "true"),
    "group": ("-4", "0", "3"),
    "predicted_class": ("0", "1", "true"),
}


@cache
def mapping(unit: str) -> ModelConfig:
    """Every kind of place: typed and untyped, shared and alone, nested in objects and in arrays."""
    return model(
        [
            {"name": "n", "type": "numeric"},
            {"name": "twice", "type": "numeric", "path": "n"},
            {"name": "flat", "type": "numeric"},
            {"name": "nested", "type": "numeric", "path": "f.n"},
            {"name": "inner", "type": "numeric", "path": "f.g.n"},
            {"name": "element", "type": "numeric", "path": "in[1]"},
            {"name": "far", "type": "numeric", "path": "in[3].n"},
            {"name": "text", "type": "categorical", "path": "f.text"},
            {"name": "integer", "type": "categorical", "path": "f.integer", "values": "integer"},
            {"name": "boolean", "type": "categorical", "path": "f.boolean", "values": "boolean"},
            {"name": "shared", "type": "categorical"},
            {"name": "group", "type": "categorical", "path": "f.age"},
            {"name": "age", "type": "numeric", "path": "f.age"},
        ],
        columns={"shared": "shared", "device": "f.device", "id": "id", "zeroth": "in[0]"},
        segments={"max_value_length": 5},
        time={"path": "ts", "unit": unit},
        model_version="v",
        score="f.score",
        predicted_class="f.class",
        max_depth=6,
        max_message_bytes=5_000,
    )


@cache
def typed_first(unit: str) -> Decoder:
    """The decoder as it is. Shared by all examples: what it saw before changes nothing."""
    return Decoder(mapping(unit), VOCABULARY)


@cache
def general_only(unit: str) -> Decoder:
    """The same decoder, but every message takes the general decode."""
    decoder = Decoder(mapping(unit), VOCABULARY)
    decoder.events.typed = None
    return decoder


INTEGERS = st.one_of(
    st.integers(-5, 5),
    st.integers(),
    st.sampled_from([2**53 + 1, 2**63 - 1, 2**63, 2**64, 2**80 + 1, -(2**63), -(2**63) - 1, 10**308, 10**309, -(10**400)]),
).map(str) | st.sampled_from(["9" * 513, "9" * 4300, "9" * 4301, "-0"])
FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(
        ["1.0", "-0.0", "3.0", "1e5", "30e-1", "1E+2", "1e20", "1e308", "1.8e308", "-1e999", "1e-400", "4.9e-324", "0.1", "1.5e12"]
    ),
    st.sampled_from(["NaN", "Infinity", "-Infinity"]),
    st.decimals(0, 4_000_000_000, places=4).map(str),
)
STRINGS = st.one_of(
    st.sampled_from(["FR", "a", "", "1", "3", "-4", "true", "null", "NaN", "é𝄞", "__other__", "2013-03-01T05:15:30.1239Z", "abcdefgh"]),
    st.text(max_size=4),
    st.sampled_from(["x" * 512, "x" * 513]),
).map(json.dumps) | st.sampled_from(
    ['"\\ud800"', '"\\udc00\\ud800"', '"\\u0046\\u0052"', '"\\ud834\\udd1e"', '"\\/\\b"', '"é𝄞"', '"\\u0000"']
)
SCALARS = st.one_of(INTEGERS, FLOATS, STRINGS, st.sampled_from(["null", "true", "false"]))
KEYS = st.sampled_from(
    ["id", "ts", "v", "n", "flat", "f", "in", "shared", "text", "integer", "boolean", "age", "device", "score", "class", "g", "junk", "é"]
).map(json.dumps) | st.just('"\\u006e"')
SPACE = st.sampled_from(["", "", "", " ", "\n\t "])


@st.composite
def objects(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    """An object as text, keys repeated and in any order."""
    space = draw(SPACE)
    pairs = draw(st.lists(st.tuples(KEYS, values), max_size=6))
    return "{" + space + f"{space},{space}".join(f"{key}{space}:{space}{value}" for key, value in pairs) + space + "}"


def arrays(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=5).map(lambda items: "[" + ",".join(items) + "]")


VALUES = st.recursive(SCALARS, lambda inner: objects(inner) | arrays(inner), max_leaves=8)
TIMES = st.one_of(st.integers(0, 2 * 10**12).map(str), FLOATS, STRINGS, SCALARS)


@st.composite
def likely_events(draw: st.DrawFn) -> str:
    """An event that has most of what is read, mostly of the right type, so that also the typed decode accepts many."""
    number = draw(st.sampled_from(["1", "2.5", "null"]))
    feature = st.one_of(st.sampled_from(["1", "3", "null", '"FR"', "true"]), VALUES)
    numbers = st.one_of(st.just(number), st.just(number), FLOATS, INTEGERS, VALUES)
    fields = {
        "id": draw(st.one_of(STRINGS, INTEGERS)),
        "ts": draw(TIMES),
        "n": draw(numbers),
        "shared": draw(SCALARS),
        "v": draw(st.one_of(st.just('"1"'), SCALARS)),
        "f": "{" + f'"n":{draw(numbers)},"age":{draw(feature)},"text":{draw(STRINGS)},"integer":{draw(INTEGERS)},'
        f'"boolean":{draw(st.sampled_from(["true", "false", "null"]))},"class":{draw(feature)},"device":{draw(SCALARS)}' + "}",
        "in": f"[{draw(SCALARS)},{draw(numbers)},{draw(VALUES)}]",
        "junk": draw(VALUES),
    }
    kept = draw(st.lists(st.sampled_from(sorted(fields)), min_size=4, unique=True))
    return "{" + ",".join(f'"{key}":{fields[key]}' for key in kept) + "}"


EVENTS = st.one_of(likely_events(), objects(VALUES)).map(lambda text: text.encode("utf-8", "surrogatepass"))
UNITS = st.sampled_from(["ms", "s", "us", "ns", "iso8601"])


def columns(batch: Batch, keep: Sequence[int] | None = None) -> dict[str, object]:
    """All that a batch says of its rows, or of some of them, without codes that hold for the batch alone."""
    rows = list(range(len(batch))) if keep is None else list(keep)
    place = {row: index for index, row in enumerate(rows)}
    faults = zip(batch.fault_rows.tolist(), batch.fault_columns.tolist(), batch.fault_kinds.tolist(), strict=True)
    return {
        "time": batch.time_ms[rows].tolist(),
        "record": batch.record_time_ms[rows].tolist(),
        "ids": batch.ids[rows].tolist(),
        "values": [[None if value != value else value for value in row] for row in batch.values[rows].tolist()],
        "versions": [batch.versions[code] for code in batch.version[rows].tolist()],
        "segments": [[batch.segment_values[c][code] for c, code in enumerate(row)] for row in batch.segments[rows].tolist()],
        "faults": [(place[row], signal, kind) for row, signal, kind in faults if row in place],
    }


def assert_conserved(batch: Batch, rejections: Sequence[Rejection]) -> None:
    assert batch.messages == batch.tombstones + batch.rejected.sum() + len(batch)
    assert batch.rejected.sum() == len(rejections)
    assert sum(span.stop - span.start for span in batch.spans) == len(batch)


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=6), UNITS)
def test_the_typed_decode_gives_what_the_general_one_gives(messages, unit):
    batch, rejections = typed_first(unit).decode([raw(messages)])
    expected, expected_rejections = general_only(unit).decode([raw(messages)])
    assert columns(batch) == columns(expected)
    assert rejections == expected_rejections
    assert_conserved(batch, rejections)


@settings(max_examples=150, deadline=None)
@given(likely_events(), UNITS)
@example('{"id":1,"ts":1,"f":{"integer":-0,"text":"\\u0000"}}', "ms")
def test_an_event_that_the_typed_decode_accepts_has_no_faults_in_general(text, unit):
    """So a fault is never lost by being fast, and both fill the same structs with the same types."""
    decoder = typed_first(unit)
    message = text.encode("utf-8", "surrogatepass")
    if not admit([message], 0, 10**6, 6).messages:
        return
    try:
        typed = decoder.events.typed(message)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return
    general = decode_any(decoder.events.shape, message)
    assert not isinstance(general, Refusal)
    assert general.faults == []
    assert flat(typed) == flat(general.struct)


def flat(row: msgspec.Struct) -> list[object]:
    """The values of a struct and of those in it, with their types."""
    found: list[object] = []
    for value in msgspec.structs.astuple(row):
        if isinstance(value, msgspec.Struct):
            found += flat(value)
        elif value is None or (isinstance(value, float) and math.isnan(value)):
            found.append(None)  # a null among numbers, which becomes NaN where they are packed
        elif isinstance(value, float):
            found.append(("float", float(value)))
        elif not isinstance(value, msgspec.Raw):
            found.append((type(value).__name__, value))
    return found


def test_both_ways_are_taken():
    """Guards the comparisons above, which would hold for nothing if only one way were ever taken."""
    good = b'{"id":"a","ts":5,"n":1,"f":{"text":"FR","integer":3,"boolean":true},"in":["s",2,{},{"n":4}]}'
    values = [[1, 1, None, None, None, 2, 4, 1, 3, 2, None, None, None, None, None]]
    assert isinstance(typed_first("ms").events.typed(good), msgspec.Struct)
    assert general_only("ms").events.typed is None
    for decoder in (typed_first("ms"), general_only("ms")):
        assert columns(decoder.decode([raw([good])])[0])["values"] == values


HOSTILE = st.one_of(
    EVENTS,
    st.binary(max_size=40),
    st.none(),
    st.sampled_from(
        [
            b"", b"{", b"[]", b"{}", b'{"id":"a"}', b'{"id":"a","ts":1},{"id":"b","ts":1}', b'{"id":"\xff","ts":1}', b"\xff\xfe{\x00}\x00",
            b"[" * 50, b'{"a":' * 900 + b"1" + b"}" * 900, b'{"id":"a","ts":1,"z":' + b"[" * 2_000 + b"]" * 2_000 + b"}", b"x" * 6_000,
            b'{"id":"a","ts":1,"n":"wrong"}', b'{"id":"a","ts":NaN}', b'{"id":"a","ts":1,"n":Infinity}',
            b'{"id":"a","ts":' + b"9" * 500 + b"}",
        ]
    ),
)  # fmt: skip


@settings(max_examples=75, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), HOSTILE), max_size=12), st.integers(1, 8), st.integers(1, 5))
def test_hostile_messages_change_nothing_about_the_rows_around_them(hostile, count, chunk):
    good = [json.dumps({"id": f"g{i}", "ts": i + 1, "n": i / 2, "shared": f"s{i}", "f": {"text": "FR"}}).encode() for i in range(count)]
    mixed: list[bytes | None] = list(good)
    mine = list(range(len(good)))  # places of the good messages
    for place, message in hostile:
        at = min(place, len(mixed))
        mixed.insert(at, message)
        mine = [index + (index >= at) for index in mine]
    alone, _ = typed_first("ms").decode([raw(good)])
    together, rejections = in_chunks(mixed, chunk)
    assert_conserved(together, rejections)
    refused = {rejection.offset for rejection in rejections} | {index for index, value in enumerate(mixed) if value is None}
    assert not refused & set(mine)
    row_of = {index: row for row, index in enumerate(index for index in range(len(mixed)) if index not in refused)}
    assert columns(together, [row_of[index] for index in mine]) == columns(alone)


def in_chunks(messages: Sequence[bytes | None], chunk: int) -> tuple[Batch, list[Rejection]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monitor.decode.decoder.CHUNK_MESSAGES", chunk)
        return typed_first("ms").decode([raw(messages)])


@settings(max_examples=50, deadline=None)
@given(st.lists(HOSTILE, min_size=1, max_size=20), st.data())
def test_cuts_change_neither_rows_nor_rejections(messages, data):
    """One decoder over several batches, in chunks of any size, against all messages at once."""
    whole, rejections = typed_first("ms").decode([raw(messages)])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(messages)), max_size=3)))
    edges = [0, *cuts, len(messages)]
    parts = [typed_first("ms").decode([raw(messages[a:b], first_offset=a)]) for a, b in itertools.pairwise(edges)]
    assert [rejection for _, found in parts for rejection in found] == rejections
    for name in ("time", "ids", "values", "versions", "segments"):
        assert [row for batch, _ in parts for row in columns(batch)[name]] == columns(whole)[name]
    assert columns(in_chunks(messages, data.draw(st.integers(1, 7)))[0]) == columns(whole)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=60) | st.none(), max_size=10), UNITS)
def test_any_bytes_are_a_row_a_tombstone_or_a_rejection(messages, unit):
    values = np.zeros(len(messages), np.int64)
    keys = [message if message is None else message[:3] for message in messages]
    batch, rejections = typed_first(unit).decode([RawBatch("t", 0, messages, np.arange(len(messages)), values, keys)])
    assert_conserved(batch, rejections)
    assert batch.tombstones == sum(message is None for message in messages)
    for rejection in rejections:
        assert rejection.value == messages[rejection.offset]
        assert len(rejection.detail) <= 200
        assert rejection.detail.isprintable()
