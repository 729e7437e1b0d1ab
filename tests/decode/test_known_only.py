"""Chunks of events that hold only what is mapped are decoded without a look at their depth, and give what all others give."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config.model import ModelConfig
from monitor.decode import Decoder
from monitor.decode.identity import MAX_ID_LENGTH
from tests.decode import event, model, raw, reasons
from tests.decode.test_agreement import FLOATS, INTEGERS, SCALARS, STRINGS, VALUES, VOCABULARY, assert_conserved, columns

DEEP = b'{"id":"a","ts":1,"x":2.0,"junk":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}"


NO_PLAIN_IDS = (
    b"{}", b'{"id":null}', b'{"id":""}', b'{"id":true}', b'{"id":1.0}', b'{"id":1.5}', b'{"id":9223372036854775808}',
    b'{"id":"' + b"a" * (MAX_ID_LENGTH + 1) + b'"}',
)  # fmt: skip
"""Events without an id, and those whose id has to be looked at."""


@cache
def mapping() -> ModelConfig:
    """Objects in objects, and no arrays."""
    return model(
        [
            {"name": "n", "type": "numeric", "path": "f.n"},
            {"name": "inner", "type": "numeric", "path": "f.g.n"},
            {"name": "text", "type": "categorical", "path": "f.text", "values": "string"},
            {"name": "integer", "type": "categorical", "path": "f.integer", "values": "integer"},
            {"name": "shared", "type": "categorical"},
        ],
        columns={"shared": "shared", "device": "f.device"},
        model_version="v",
        max_depth=4,
        max_message_bytes=1_000,
    )


@cache
def decoder(known_only: bool) -> Decoder:
    made = Decoder(mapping(), VOCABULARY)
    if not known_only:
        made.events.known_only.decode = None
    return made


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """Events of mapped keys, mostly with what is wanted below them, and seldom with another key."""
    any_value = st.one_of(SCALARS, SCALARS, VALUES)
    numbers = st.one_of(st.just("1.5"), FLOATS, INTEGERS, any_value)
    g = draw(st.one_of(numbers.map(lambda n: f'{{"n":{n}}}'), st.just("{}"), st.just("null"), any_value))
    f = draw(
        st.one_of(
            st.tuples(numbers, STRINGS, INTEGERS, SCALARS).map(
                lambda parts: '{{"n":{},"text":{},"integer":{},"device":{},"g":{}}}'.format(*parts, g)
            ),
            any_value,
        )
    )
    fields = {"id": draw(st.one_of(STRINGS, INTEGERS)), "ts": draw(INTEGERS), "shared": draw(SCALARS), "v": draw(SCALARS), "f": f}
    if draw(st.integers(0, 9)) == 0:
        fields["junk"] = draw(VALUES)
    kept = draw(st.lists(st.sampled_from(sorted(fields)), min_size=3, unique=True))
    return ("{" + ",".join(f'"{key}":{fields[key]}' for key in kept) + "}").encode("utf-8", "surrogatepass")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(events(), events(), st.none()), min_size=1, max_size=4))
def test_rows_and_refusals_are_the_same(messages):
    decoder(True).events.known_only.others_expected = 0
    batch, rejections = decoder(True).decode([raw(messages)])
    expected, expected_rejections = decoder(False).decode([raw(messages)])
    assert columns(batch) == columns(expected)
    assert rejections == expected_rejections
    assert_conserved(batch, rejections)


def test_a_chunk_of_known_events_is_taken_and_one_with_more_is_not():
    """Guards the comparison above, which would hold for nothing if no chunk were ever taken."""
    known = Decoder(model(), {}).events.known_only
    too_long = b'{"id":"c"' + b" " * known.max_bytes + b"}"
    good = [b'{"id":"a","ts":1,"x":2.0}', b'{"id":"b"}', b'{"id":3}']
    rows = known.rows(good)
    assert rows is not None
    assert all(isinstance(row, msgspec.Struct) for row in rows)
    for other in (b'{"id":"a","more":1}', b"{", b"[]", b"\xff", None, b'{"id":"c","x":"text"}', *NO_PLAIN_IDS, too_long):
        known.others_expected = 0
        assert known.rows([*good, other]) is None
        assert known.rows(good) is None, "what follows is not tried for a while"
    known.others_expected = 0
    assert known.rows(good) is not None
    assert known.rows([b'{"id":"a"}' + b" " * (known.max_bytes // 2)] * 3) is not None, "together they may be longer than one"


@pytest.mark.parametrize("path", ["id", "a.b.id"])
@pytest.mark.parametrize("with_ids", [True, False])
def test_ids_that_the_types_prove_are_those_that_a_look_at_them_finds(path, with_ids):
    """Also where the object that should hold the id is not there."""

    def written(value: str) -> bytes:
        return b'{"ts":1,"a":{"b":{"id":%b}}}' % value.encode() if path != "id" else b'{"ts":1,"id":%b}' % value.encode()

    plain = ['"a"', "3", "-0", "-9223372036854775808", '"' + "é" * MAX_ID_LENGTH + '"']
    others = ["null", '""', '"' + "é" * (MAX_ID_LENGTH + 1) + '"', "1.0", "1.5", "1e3", "true", "9223372036854775808", "[]", "{}"]
    made = [Decoder(model(id=path), {}, with_ids=with_ids) for _ in range(2)]
    made[1].events.known_only.decode = None
    assert made[0].events.known_only.rows([written(value) for value in plain]) is not None
    for message in [*map(written, [*plain, *others]), b'{"ts":1}', b'{"ts":1,"a":{}}', b'{"ts":1,"a":null}', b'{"ts":1,"a":{"b":{}}}']:
        made[0].events.known_only.others_expected = 0
        (batch, rejections), (expected, expected_rejections) = (each.decode([raw([message])]) for each in made)
        assert rejections == expected_rejections, message
        assert columns(batch) == columns(expected), message


def test_a_deep_message_is_refused_after_any_number_of_known_ones():
    made = Decoder(model(max_depth=32), {})
    for _ in range(3):
        batch, rejections = made.decode([raw([event(x=1.0)] * 2_500)])
        assert (len(batch), rejections) == (2_500, [])
    batch, rejections = made.decode([raw([*[event(x=1.0)] * 1_200, DEEP, *[event(x=1.0)] * 1_200])])
    assert len(batch) == 2_400
    assert [(r.offset, r.reason.label) for r in rejections] == [(1_200, "too_deep")]


def test_a_mapping_that_is_itself_too_deep_takes_no_chunk():
    nested = [{"name": "x", "type": "numeric", "path": "a.b.x"}]
    message = b'{"id":"a","ts":1,"a":{"b":{"x":1}}}'
    assert reasons(Decoder(model(nested, max_depth=2), {}).decode([raw([message])])[1]) == ["too_deep"]
    assert reasons(Decoder(model(nested, max_depth=3), {}).decode([raw([message])])[1]) == []


@pytest.mark.parametrize("path", ["a[1]", "a[0].x"])
def test_where_arrays_are_read_no_chunk_is_taken(path):
    """An element that nobody reads may hold anything."""
    made = Decoder(model([{"name": "x", "type": "numeric", "path": path}]), {})
    assert made.events.known_only.decode is None
