"""The typed and the general decode of labels agree on every event, and no message harms another."""

from __future__ import annotations

import itertools
import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.decode import LabelDecoder
from tests.decode import label_model, raw
from tests.decode.test_agreement import EVENTS, HOSTILE, UNITS
from tests.decode.test_labels import assert_conserved, columns

TASKS: dict[str, dict[str, Any]] = {
    "binary": {"label": "f.class", "positive": [1, True], "negative": ["FR", 3]},
    "multiclass": {"task": "multiclass", "label": "shared", "classes": [1, "FR", 3, "true", "a"]},
    "regression": {"task": "regression", "label": "n"},
}
CARRIED = {"score": "in[1]", "predicted_class": "f.age", "model_version": "v", "segments": {"device": "f.device", "text": "f.text"}}


@cache
def decoder(task: str, unit: str, typed: bool = True) -> LabelDecoder:
    """The decoder as it is, or one whose messages all take the general decode. What it saw before changes nothing."""
    carried = CARRIED | ({"time": {"path": "in[0]", "unit": unit}} if unit in ("s", "iso8601") else {})
    config = label_model(
        columns={"device": "d", "text": "t"},
        time={"path": "ts", "unit": unit},
        annotator="shared",
        confidence="f.n",
        label_version="v",
        source="f.text",
        kpi="flat",
        prediction=carried,
        max_depth=6,
        max_message_bytes=5_000,
        **TASKS[task],
    )
    made = LabelDecoder(config)
    if not typed:
        made.events.typed = None
    return made


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=6), UNITS)
def test_the_typed_decode_gives_what_the_general_one_gives(task, messages, unit):
    labels, rejections = decoder(task, unit).decode([raw(messages)])
    expected, expected_rejections = decoder(task, unit, typed=False).decode([raw(messages)])
    assert columns(labels) == columns(expected)
    assert rejections == expected_rejections
    assert_conserved(labels, len(rejections))


def test_both_ways_are_taken():
    """Guards the comparison above, which would hold for nothing if only one way were ever taken."""
    good = b'{"id":"a","ts":5,"shared":"FR","n":2,"f":{"class":1,"age":true,"device":"d"},"in":[7,0.5]}'
    for task, value in (("binary", 1.0), ("multiclass", 1.0), ("regression", 2.0)):
        assert decoder(task, "ms").events.typed is not None
        assert decoder(task, "ms", typed=False).events.typed is None
        for each in (decoder(task, "ms"), decoder(task, "ms", typed=False)):
            labels, _ = each.decode([raw([good])])
            assert columns(labels)["value"] == [value]
            assert columns(labels)["score"] == [0.5]


GOOD = [
    {"id": f"g{i}", "ts": i + 1, "n": i, "shared": ["FR", 1, True][i % 3], "v": i, "f": {"class": i % 2 or "FR", "n": 0.5, "text": f"s{i}"}}
    for i in range(8)
]


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=40, deadline=None)
@given(hostile=st.lists(st.tuples(st.integers(0, 20), HOSTILE), max_size=12), count=st.integers(1, 8), chunk=st.integers(1, 5))
def test_hostile_messages_change_nothing_about_the_labels_around_them(task, hostile, count, chunk):
    good = [json.dumps(event).encode() for event in GOOD[:count]]
    mixed: list[bytes | None] = list(good)
    mine = list(range(count))
    for place, message in hostile:
        at = min(place, len(mixed))
        mixed.insert(at, message)
        mine = [index + (index >= at) for index in mine]
    alone, none = decoder(task, "ms").decode([raw(good)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monitor.decode.decoder.CHUNK_MESSAGES", chunk)
        together, rejections = decoder(task, "ms").decode([raw(mixed)])
    assert none == []
    assert_conserved(together, len(rejections))
    refused = {rejection.offset for rejection in rejections} | {index for index, value in enumerate(mixed) if value is None}
    assert not refused & set(mine)
    row_of = {index: row for row, index in enumerate(index for index in range(len(mixed)) if index not in refused)}
    assert columns(together, [row_of[index] for index in mine]) == columns(alone)


@settings(max_examples=40, deadline=None)
@given(st.lists(HOSTILE, min_size=1, max_size=20), st.lists(st.integers(0, 20), max_size=3))
def test_cuts_change_neither_labels_nor_rejections(messages, places):
    whole, rejections = decoder("binary", "ms").decode([raw(messages)])
    edges = [0, *sorted(min(place, len(messages)) for place in places), len(messages)]
    parts = [decoder("binary", "ms").decode([raw(messages[a:b], first_offset=a)]) for a, b in itertools.pairwise(edges)]
    assert [rejection for _, found in parts for rejection in found] == rejections
    for name, column in columns(whole).items():
        if name != "segments":
            assert [row for labels, _ in parts for row in columns(labels)[name]] == column
