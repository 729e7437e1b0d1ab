"""Every task through the whole flow, from JSON to metrics: binary labels that carry their prediction, multiclass, regression."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from monitor.batch import RawBatch
from monitor.decode import Decoder, LabelDecoder
from monitor.join.state import LabelEntry
from monitor.label_verdicts import LabelVerdicts
from monitor.labels import LabelsEvaluated, LabelsOwned
from monitor.pipeline import Owned, advance
from monitor.state import ModelState, new_model_state
from tests.flow import world
from tests.flow.world import MINUTE, START

LABELS: dict[str, Any] = {
    "topic": "l", "id": "id", "time": {"path": "ts"}, "label": "y", "horizon": "1h", "lateness": "1m", "early_allowance": "0s",
    "pane": "10m", "window": "2h", "min_labelled": 20,
}  # fmt: skip


def model(folder, predictions: dict[str, Any], labels: dict[str, Any]) -> ModelState:
    plain = {"topic": "t", "id": "id", "time": {"path": "ts"}, "model_version": "v"}
    config = world.model_config(predictions={**plain, **predictions}, labels={**LABELS, **labels}, detectors=[])
    state = new_model_state(config, [], folder)
    advance(state, Owned(frozenset({0}), complete=True))
    advance(state, LabelsOwned(frozenset({0}), complete=True))
    return state


def raw(topic: str, events: list[dict[str, Any]]) -> RawBatch:
    values = [json.dumps(event).encode() for event in events]
    return RawBatch(topic, 0, values, np.arange(len(values)), np.full(len(values), START + 10**9))


def play(state: ModelState, predictions: list[dict[str, Any]], labels: list[dict[str, Any]]) -> LabelVerdicts:
    """Everything at once, and a last event of each topic an hour later that lets time pass."""
    later = START + 150 * MINUTE
    end = predictions[-1] | {"id": "end", "ts": later}
    advance(state, Decoder(state.config, state.vocabulary).decode([raw("t", [*predictions, end])])[0])
    labels.sort(key=lambda each: each["ts"])
    batch, rejections = LabelDecoder(state.config).decode([raw("l", [*labels, labels[-1] | {"id": "none", "ts": START + 110 * MINUTE}])])
    assert not rejections
    [evaluated] = [each for each in advance(state, batch) if isinstance(each, LabelsEvaluated)]
    return evaluated.verdicts[0]  # its window still holds everything


def value(one: LabelVerdicts, metric: str, of: str = "") -> float:
    return float(one.by_prediction.value[0, one.by_prediction.column(metric, of)])


def times(n: int) -> list[int]:
    return [START + int(i * 40 * MINUTE / n) for i in range(n)]


def test_labels_that_carry_their_prediction_need_no_predictions_kept(tmp_path):
    random = np.random.default_rng(1)
    n = 300
    scores, truth = random.random(n).round(4), random.integers(0, 2, n)
    carried = {"score": "s", "model_version": "v", "time": {"path": "at"}, "segments": {"country": "country"}}
    state = model(tmp_path, {"score": "score", "threshold": 0.5}, {"prediction": carried})
    predictions = [
        {"id": f"p{i}", "ts": ts, "v": "1", "score": score, "country": "FR"}
        for i, (ts, score) in enumerate(zip(times(n), scores, strict=True))
    ]
    labels = [
        {"id": f"p{i}", "ts": ts + 5 * MINUTE, "at": ts, "y": int(y), "s": score, "v": "1", "country": "FR" if i % 2 else "DE"}
        for i, (ts, y, score) in enumerate(zip(times(n), truth, scores, strict=True))
    ]
    labels.append(labels[7] | {"ts": labels[7]["ts"] + MINUTE, "y": 1 - labels[7]["y"]})  # and one is revised
    one = play(state, predictions, labels)
    assert state.labels.predictions == n, "only what labels carried is kept"
    assert state.labels.ledger[LabelEntry.MATCHED] == n
    assert state.labels.ledger[LabelEntry.REVISED] == 1
    truth[7] = 1 - truth[7]
    assert value(one, "accuracy") == pytest.approx(((scores >= 0.5) == truth).mean())
    assert value(one, "brier") == pytest.approx(((scores - truth) ** 2).mean(), abs=1e-5)
    segments = dict(zip(one.by_prediction.segments, one.by_prediction.labelled.tolist(), strict=True))
    assert (segments["country=DE"], segments["country=FR"]) == (n // 2, n // 2)
    assert one.by_prediction.predictions[0] == n


def test_predictions_that_labels_carry_are_judged_without_the_probabilities_that_predictions_have(tmp_path):
    random = np.random.default_rng(2)
    n, classes = 300, ("red", "green", "blue")
    predicted, truth, scores = random.integers(0, 3, n), random.integers(0, 3, n), random.random(n).round(4)
    carried = {"score": "s", "predicted_class": "class", "model_version": "v", "time": {"path": "at"}}
    mapped = {"predicted_class": "class", "probabilities": {name: f"p.{name}" for name in classes}}
    state = model(tmp_path, mapped, {"task": "multiclass", "classes": list(classes), "prediction": carried})
    even = dict.fromkeys(classes, 1 / 3)
    predictions = [{"id": f"p{i}", "ts": ts, "v": "1", "class": "red", "p": even} for i, ts in enumerate(times(n))]
    labels = [
        {"id": f"p{i}", "ts": ts, "at": ts, "y": classes[truth[i]], "s": scores[i], "class": classes[predicted[i]], "v": "1"}
        for i, ts in enumerate(times(n))
    ]
    one = play(state, predictions, labels)
    assert value(one, "accuracy") == pytest.approx((predicted == truth).mean())
    assert 0.3 < value(one, "roc_auc", "red") < 0.7, "guessed, but known"


def test_multiclass_is_judged_by_class_and_by_the_probabilities_kept(tmp_path):
    random = np.random.default_rng(2)
    n, classes = 400, ("red", "green", "blue")
    p = random.dirichlet(np.ones(3), n).round(5)
    truth = np.array([random.choice(3, p=row / row.sum()) for row in p])
    predicted = p.argmax(axis=1)
    mapped = {"predicted_class": "class", "probabilities": {name: f"p.{name}" for name in classes}}
    state = model(tmp_path, mapped, {"task": "multiclass", "classes": list(classes)})
    predictions = [
        {"id": f"p{i}", "ts": ts, "v": "1", "class": classes[predicted[i]], "p": dict(zip(classes, p[i].tolist(), strict=True))}
        for i, ts in enumerate(times(n))
    ]
    labels = [{"id": f"p{i}", "ts": ts + 3 * MINUTE, "y": classes[truth[i]]} for i, ts in enumerate(times(n))]
    one = play(state, predictions, labels)
    assert value(one, "accuracy") == pytest.approx((predicted == truth).mean())
    for index, name in enumerate(classes):
        assert value(one, "recall", name) == pytest.approx((predicted == index)[truth == index].mean())
        assert value(one, "roc_auc", name) == pytest.approx(roc_auc_score(truth == index, p[:, index]), abs=0.005)
    assert value(one, "macro_roc_auc") == pytest.approx(
        roc_auc_score(truth, p / p.sum(axis=1, keepdims=True), multi_class="ovr"), abs=0.005
    )
    likelihood = (p / p.sum(axis=1, keepdims=True))[np.arange(n), truth]
    assert value(one, "log_loss") == pytest.approx(-np.log(likelihood).mean(), abs=1e-3)


def test_a_regression_is_judged_by_its_errors(tmp_path):
    random = np.random.default_rng(3)
    n = 400
    truth = random.normal(100, 20, n).round(3)
    predicted = (truth + random.normal(2, 5, n)).round(3)
    state = model(tmp_path, {"score": "score"}, {"task": "regression", "target_scale": 5.0})
    predictions = [{"id": f"p{i}", "ts": ts, "v": "1", "score": predicted[i]} for i, ts in enumerate(times(n))]
    labels = [{"id": f"p{i}", "ts": ts + 3 * MINUTE, "y": truth[i]} for i, ts in enumerate(times(n))]
    one = play(state, predictions, labels)
    error = predicted - truth
    assert value(one, "mae") == pytest.approx(np.abs(error).mean(), abs=1e-4)
    assert value(one, "rmse") == pytest.approx(np.sqrt((error**2).mean()), abs=1e-4)
    assert value(one, "bias") == pytest.approx(error.mean(), abs=1e-4)
    assert one.estimate is None
    assert one.wanted is None


def test_failure_modes_of_a_regression_show_ids_that_are_off_so(tmp_path):
    """Of the second half all labels are taken back: they were right."""
    n = 400
    off = np.where(np.arange(n) % 4 == 0, 30.0, np.where(np.arange(n) % 4 == 1, -30.0, 1.0))
    state = model(tmp_path, {"score": "score"}, {"task": "regression", "target_scale": 5.0})
    predictions = [{"id": f"p{i}", "ts": ts, "v": "1", "score": 100 + off[i], "country": "FR"} for i, ts in enumerate(times(n))]
    labels = [{"id": f"p{i}", "ts": ts + 3 * MINUTE, "y": 100.0} for i, ts in enumerate(times(n))]
    again = [{"id": f"p{i}", "ts": START + 60 * MINUTE, "y": 100 + off[i]} for i in range(n // 2, n)]
    play(state, predictions, [*labels, *again])
    modes = {mode.key: mode.sample_ids for mode in state.backlog.values()}
    assert {("country=FR", "", "over"), ("country=FR", "", "under")} <= set(modes)
    for (_, _, kind), ids in modes.items():
        assert ids
        assert {int(id_[1:]) % 4 for id_ in ids} == {0 if kind == "over" else 1}
        assert all(int(id_[1:]) < n // 2 for id_ in ids)
