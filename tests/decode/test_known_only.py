"""Chunks of events that hold only what is mapped are decoded without a look at their depth, and give what all others give."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config.model import ModelConfig
from monitor.decode import Decoder
from tests.decode import event, model, raw, reasons
from tests.decode.test_agreement import FLOATS, INTEGERS, SCALARS, STRINGS, VALUES, VOCABULARY, assert_conserved, columns

DEEP = b'{"id":"a","ts":1,"x":2.0,"junk":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}"


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
    good = [b'{"id":"a","ts":1,"x":2.0}', b'{"id":"b"}', b"{}"]
    rows = known.rows(good)
    assert rows is not None
    assert all(isinstance(row, msgspec.Struct) for row in rows)
    for other in (b'{"id":"a","more":1}', b"{", b"[]", b"\xff", None, b'{"x":"text"}', b'{"id":"' + b"a" * known.max_bytes + b'"}'):
        known.others_expected = 0
        assert known.rows([*good, other]) is None
        assert known.rows(good) is None, "what follows is not tried for a while"
    known.others_expected = 0
    assert known.rows(good) is not None


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
