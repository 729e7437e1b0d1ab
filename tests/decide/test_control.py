"""Messages of the control topic: what is a control, and why anything else is not."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decide.control import KINDS, MAX_BYTES, ControlError, control_message, control_schema, kind_of, parse_control
from tests.decide.make import PATIENT, control

EVERY = {
    "hold": {"until_ms": 5},
    "release": {},
    "accept": {"version": "1", "signal": "x", "segment": "country=FR", "until_ms": 7},
    "withdraw": {"control": "abcdefgh"},
    "rebaseline": {"signal": "x"},
    "ack": {"trigger_id": "a" * 32},
    "switch_reference": {"version": "2", "reference": "0123abcd"},
    "assign": {"failure_mode": "f1", "owner": "bob", "fix_version": "2"},
}
GOOD: dict[str, Any] = {"kind": "hold", "id": "abcdefgh", "model": "m", "by": "ann", "time_ms": 1, "why": "because"}


def test_every_kind_has_an_example_here():
    assert set(EVERY) == {kind_of(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", EVERY)
def test_a_control_is_the_same_after_it_was_written_and_read_and_fits_the_schema(kind):
    made = control(kind, **EVERY[kind])
    message = control_message(made)
    assert parse_control(message) == made
    jsonschema.validate(json.loads(message), control_schema())


@pytest.mark.parametrize("changes", [{"kind": "explode"}, {"by": ""}, {"more": 1}, {"time_ms": -1}, {"why": "x" * 501}, {"id": "short"}])
def test_the_schema_refuses_what_the_parser_refuses(changes):
    tree = {**GOOD, **changes}
    parse_control(json.dumps(GOOD).encode())
    with pytest.raises(ControlError):
        parse_control(json.dumps(tree).encode())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tree, control_schema())


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (None, "expected a JSON object, got an empty message"),
        (b"", "expected a JSON object, got an empty message"),
        (b" " * (MAX_BYTES + 1), f"expected at most {MAX_BYTES} bytes, got {MAX_BYTES + 1}"),
        (b"[" * 16_000, "expected a control"),
        (b'{"a":' * 3_000, "expected a control"),
        (b"\xff\xfe", "expected a control"),
        (b"hold", "expected a control"),
        (b"{}", "Object missing required field `kind`"),
        (b'{"kind": "hold"}', "Object missing required field `id`"),
        ({"kind": "explode"}, "Invalid value 'explode' - at `$.kind`"),
        ({"by": None}, "Expected `str`, got `null` - at `$.by`"),
        ({"why": ""}, "Expected `str` of length >= 1 - at `$.why`"),
        ({"until": 5}, "Object contains unknown field `until`"),
        ({"time_ms": 10**18}, "Expected `int` <= 253402300799999 - at `$.time_ms`"),
        ({"time_ms": 1.5}, "Expected `int`, got `float` - at `$.time_ms`"),
        ({"id": "../../etc/passwd"}, "Expected `str` matching regex"),
        ({"model": "m" * 101}, "Expected `str` of length <= 100 - at `$.model`"),
        ({"kind": "ack"}, "Object missing required field `trigger_id`"),
        ({"kind": "assign", "failure_mode": "f"}, "expected owner, fix_version or both"),
        ({"kind": "assign", "failure_mode": "f", "owner": ""}, "Expected `str` of length >= 1 - at `$.owner`"),
    ],
)
def test_a_refusal_says_what_was_expected_and_where(message, said):
    if isinstance(message, dict):
        message = json.dumps({**GOOD, **message}).encode()
    with pytest.raises(ControlError) as refused:
        parse_control(message)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 400


@PATIENT
@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_whatever_else_stands_in_the_topic_is_refused_and_breaks_nothing(value):
    message = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(ControlError):
        parse_control(message)


def test_text_that_is_no_text_is_refused():
    with pytest.raises(ControlError):
        parse_control(json.dumps({**GOOD, "why": "\ud800"}).encode())
    assert msgspec.json.decode(control_message(parse_control(json.dumps({**GOOD, "why": "ü<b>"}).encode())))["why"] == "ü<b>"
