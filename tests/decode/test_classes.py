"""Predicted classes and their probabilities, as labels count them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.batch import Fault
from monitor.config import ModelConfig
from monitor.decode import PROBABILITIES, Decoder, class_index, class_texts, indices_of
from monitor.state import new_model_state
from tests.decode import event, model, raw

NAN = math.nan
LABELS = {"topic": "l", "id": "id", "label": "y"}
MULTICLASS = LABELS | {"task": "multiclass", "classes": ["b", "a", 3]}
PATHS = {"a": "p.a", "3": "p.three", "b": "p.b"}


def same(left: object, right: object) -> bool:
    return np.array_equal(np.array(left, float), np.array(right, float), equal_nan=True)


def predicted(config: ModelConfig, *classes: Any, key: str = "c") -> list[float]:
    """Class indices of events, decoded with the vocabulary of a model that has no reference."""
    vocabulary = new_model_state(config, [], Path("nothing is kept")).vocabulary
    batch, rejections = Decoder(config, vocabulary).decode([raw([event(**{key: value}) for value in classes])])
    assert rejections == []
    return indices_of(batch.values[:, -1], class_index(config, vocabulary)).tolist()


def test_a_predicted_class_has_the_index_of_the_label_that_is_spelled_alike():
    binary = model(predicted_class="c", labels=LABELS | {"positive": ["yes", 1], "negative": ["no", 0, "maybe"]})
    assert same(predicted(binary, "no", "yes", 1, 0, "maybe", "other", None, [1]), [0, 1, 1, 0, 0, NAN, NAN, NAN])
    assert same(predicted(model(predicted_class="c", labels=MULTICLASS), "b", "a", 3, "3", 3.0, "c", None), [0, 1, 2, 2, 2, NAN, NAN])


def test_a_class_from_a_threshold_is_positive_or_negative_whatever_labels_call_it():
    for labels in (LABELS, LABELS | {"positive": ["yes"], "negative": ["no"]}, LABELS | {"positive": ["0"], "negative": ["1"]}):
        config = model(score="s", threshold=0.5, labels=labels)
        assert same(predicted(config, 0.5, 0.49, 1, None, "x", key="s"), [1, 0, 1, NAN, NAN])


def test_classes_of_a_reference_keep_their_index_beside_others():
    config = model(predicted_class="c", labels=MULTICLASS)
    index = class_index(config, {"predicted_class": ("3", "a", "z")})
    assert same(index, [2, 1, NAN, NAN])
    assert same(indices_of(np.array([0, 1, 2, -1, NAN]), index), [2, 1, NAN, NAN, NAN])


@pytest.mark.parametrize(
    ("config", "texts"),
    [
        (model(predicted_class="c"), {}),
        (model(score="s", labels=LABELS), {}),
        (model(score="s", labels=LABELS | {"task": "regression"}), {}),
        (model(score="s", threshold=0.5, labels=LABELS | {"task": "regression"}), {}),
        (model(score="s", threshold=0.5, labels=LABELS), {"0": 0, "1": 1}),
        (model(predicted_class="c", threshold=0.5, score="s", labels=LABELS | {"positive": ["x"]}), {"0": 0, "false": 0, "x": 1}),
        (model(predicted_class="c", labels=MULTICLASS), {"b": 0, "a": 1, "3": 2}),
    ],
)
def test_classes_are_known_beside_a_reference_only_where_labels_ask(config, texts):
    assert class_texts(config) == texts
    assert set(new_model_state(config, [], Path("nothing is kept")).vocabulary.get("predicted_class", ())) == set(texts)


def test_probabilities_stand_in_the_order_of_the_classes():
    config = model(predicted_class="c", labels=MULTICLASS, probabilities=PATHS, columns={"country": "country"})
    good = {"a": 0.1, "b": 0.2, "three": 0.7}
    held: list[Any] = [
        good, good | {"a": 0}, good | {"b": None}, {"a": 1, "b": 0}, good | {"three": "x"}, good | {"three": 10**400}, None, "x", good,
    ]  # fmt: skip
    batch, rejections = Decoder(config, {"predicted_class": ("a",)}).decode([raw([event(p=p, c="a", country="FR") for p in held])])
    assert rejections == []
    none = [NAN] * 3
    assert same(batch.extra[PROBABILITIES], [[0.2, 0.1, 0.7], [0.2, 0, 0.7], none, none, none, none, none, none, [0.2, 0.1, 0.7]])
    # They are no signals: neither columns nor faults.
    assert same(batch.values, [[1, 0]] * len(held))
    assert batch.values.flags.f_contiguous
    assert len(batch.fault_rows) == 0
    assert batch.segment_values == (("FR",),)


def test_faults_of_signals_are_kept_beside_those_of_probabilities():
    config = model(predicted_class="c", labels=MULTICLASS, probabilities=PATHS)
    batch, _ = Decoder(config, {}).decode([raw([event(), event(x="bad", p={"a": "bad"}, c=[])])])
    faults = list(zip(batch.fault_rows.tolist(), batch.fault_columns.tolist(), batch.fault_kinds.tolist(), strict=True))
    assert faults == [(1, 0, Fault.INVALID), (1, 1, Fault.INVALID)]


def test_a_probability_may_share_its_place_and_stand_in_a_header():
    paths = {"a": "x", "3": "$header.q", "b": "s"}
    config = model(predicted_class="c", score="s", labels=MULTICLASS, probabilities=paths)
    headers = [[("q", b"0.25")], [("q", b"?")]]
    batch, _ = Decoder(config, {}).decode([raw([event(x=0.5, s=0.25)] * 2, headers=headers)])
    assert same(batch.extra[PROBABILITIES], [[0.25, 0.5, 0.25], [NAN] * 3])
    assert same(batch.values, [[0.5, 0.25, NAN]] * 2)
    assert len(batch.fault_rows) == 0


def test_a_model_without_probabilities_has_no_such_column():
    batch, _ = Decoder(model(predicted_class="c", labels=MULTICLASS), {}).decode([raw([event()])])
    assert batch.extra == {}
