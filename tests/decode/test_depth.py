"""Depth is bounded by counting brackets, never by recursion."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.decode.depth import deeper_than, depth_of

VALUES = st.recursive(
    st.one_of(st.none(), st.integers(), st.text('[]{}"\\a', max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text('[{"\\', max_size=2), inner, max_size=3)),
    max_leaves=12,
)


def depth_by_recursion(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_by_recursion, value.values()), default=0)
    return 1 + max(map(depth_by_recursion, value), default=0) if isinstance(value, list) else 0


@given(VALUES)
def test_depth_is_that_of_the_parsed_value(value):
    assert depth_of(json.dumps(value).encode()) == depth_by_recursion(value)


@given(st.lists(VALUES, max_size=8), st.integers(1, 8))
@example([[[[]]]], 2)
@example([[[[], []], [[], []]], {"a": {"b": {}}}], 2)
@example([[], [[[[[[[[[]]]]]]]]], []], 8)
def test_exactly_the_messages_that_are_deeper_are_found(values, most):
    messages = [json.dumps(value, separators=(",", ":")).encode() for value in values]
    expected = [(index, depth) for index, depth in enumerate(map(depth_by_recursion, values)) if depth > most]
    assert deeper_than(messages, max(map(len, messages), default=0), most) == expected


@pytest.mark.parametrize("place", [0, 199, 200, 201, 999])
def test_a_deep_message_is_found_anywhere_in_a_chunk(place):
    messages = [b'{"id":"a","features":{"x":[1,2]}}'] * 1_000
    messages[place] = b'{"a":' * 33 + b"1" + b"}" * 33
    assert deeper_than(messages, max(map(len, messages)), 32) == [(place, 33)]


@pytest.mark.parametrize("hostile", [b'"' + b'\\"' * 300_000, b'"' * 600_001, b'\\"' * 300_000, b'"\\' * 300_000, b"]" * 600_000])
def test_hostile_quotes_cost_linear_time(hostile):
    """At quadratic cost this would take hours."""
    assert depth_of(hostile + b"[" * 3) in {0, 3}


@pytest.mark.parametrize("place", [0, 15, 16, 51, 52, 53, 99])
def test_a_deep_message_is_found_among_long_ones(place):
    messages = [b'{"id":"' + b"a" * 20_000 + b'"}'] * 100
    messages[place] = b'{"a":' * 33 + b"1" + b"}" * 33
    assert deeper_than(messages, max(map(len, messages)), 32) == [(place, 33)]
