"""A reference says of labelled rows, in every segment, what the monitor says of the same rows in production: for every task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from monitor.config import ModelConfig
from monitor.errors import SourceError
from monitor.evaluate.verdict import Status
from monitor.label_verdicts import LabelVerdicts
from monitor.labels import LabelsOwned
from monitor.performance.validation import validation
from monitor.pipeline import Owned, advance
from monitor.reference.build import Options, build_reference
from monitor.reference.format import decode, encode
from monitor.reference.mapping import data_model
from monitor.reference.outcomes import stored_tables
from monitor.reference.read import open_files
from monitor.reference.reference import Reference
from monitor.state import new_model_state
from tests.flow import world
from tests.flow.test_label_tasks import LABELS, play, times
from tests.flow.world import MINUTE

N = 1_200
NAMES = ("a", "b", "c")
Row = dict[str, Any]

MAPPINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "binary": ({"score": "score", "threshold": 0.45}, {}),
    "multiclass": (
        {"score": "conf", "predicted_class": "said", "probabilities": {name: f"p.{name}" for name in NAMES}},
        {"task": "multiclass", "classes": list(NAMES), "cost": {"matrix": {"a": {"b": 3}}}},
    ),
    "regression": ({"score": "score"}, {"task": "regression"}),
}


def config(task: str, **labels: Any) -> ModelConfig:
    predictions, own = MAPPINGS[task]
    plain = {"topic": "t", "id": "id", "time": {"path": "ts"}, "model_version": "v"}
    return world.model_config(predictions={**plain, **predictions}, labels={**LABELS, **own, **labels}, detectors=[])


def rows(task: str, seed: int = 1, worse: float = 0.0) -> list[Row]:
    """Predictions with their truth; with ``worse`` the answers tell less of it, or are off by so much."""
    random = np.random.default_rng(seed)
    made = []
    for i, ts in enumerate(times(N)):
        row: Row = {"id": f"p{i}", "ts": ts, "v": "1", "x": float(i % 7), "c": "a", "device": "ios"}
        row["country"] = str(random.choice(["FR", "DE"]))
        noise = 2.0 if row["country"] == "FR" else 5.0
        if task == "multiclass":
            p = random.dirichlet([1.5, 1.0, 0.5]).round(4)
            row |= {"p": dict(zip(NAMES, p.tolist(), strict=True)), "said": NAMES[p.argmax()], "conf": float(p.max())}
            mixed = p / p.sum() * (1 - worse) + worse / 3
            row["y"] = str(random.choice(NAMES, p=mixed))
        elif task == "binary":
            row["score"] = round(float(random.beta(1.2, 1.8)), 5)
            row["y"] = int(random.random() < 0.5 + (row["score"] - 0.5) * (1 - worse))
        else:
            row["score"] = round(float(random.normal(100, 20)), 3)
            row["y"] = round(row["score"] + float(random.normal(1 + 10 * worse, noise)), 3)
        made.append(row)
    return made


def build(folder: Path, model: ModelConfig, data: list[Row]) -> Reference:
    path = folder / "rows.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in data))
    built = build_reference(model, open_files([path], data_model(model), ["y"]), Options(label="y"))
    return decode(encode(built.reference), path)


def judged(folder: Path, model: ModelConfig, reference: Reference, data: list[Row]) -> LabelVerdicts:
    state = new_model_state(model, [reference], folder)
    advance(state, Owned(frozenset({0}), complete=True))
    advance(state, LabelsOwned(frozenset({0}), complete=True))
    labels = [{"id": row["id"], "ts": row["ts"] + MINUTE, "y": row["y"]} for row in data]
    return play(state, [{key: value for key, value in row.items() if key != "y"} for row in data], labels)


@pytest.mark.parametrize("task", MAPPINGS)
def test_on_the_same_rows_reference_and_production_agree_in_every_metric_of_every_segment(task: str, tmp_path: Path) -> None:
    model, data = config(task), rows(task)
    found = judged(tmp_path, model, build(tmp_path, model, [*data, *({**row, "y": None} for row in data[:50])]), data).by_prediction
    assert set(found.segments) >= {"ALL", "country=FR", "country=DE"}
    assert not np.isnan(found.value).any()
    assert found.reference == pytest.approx(found.value, rel=1e-9, abs=1e-9)
    assert (found.metric_status == Status.STABLE).all()


@pytest.mark.parametrize("task", MAPPINGS)
def test_what_a_reference_holds_is_what_scikit_learn_says_of_its_rows(task: str, tmp_path: Path) -> None:
    model, data = config(task), rows(task, seed=2)
    found = judged(tmp_path, model, build(tmp_path, model, data), rows(task, seed=3)).by_prediction
    for g, segment in enumerate(found.segments):
        own = [row for row in data if segment in ("ALL", "device=ios") or row["country"] in segment]
        for (metric, of), expected in expected_of(task, own).items():
            near = 0.02 if metric in ("roc_auc", "macro_roc_auc") else 1e-4
            assert found.reference[g, found.column(metric, of)] == pytest.approx(expected, abs=near), (segment, metric)


def expected_of(task: str, own: list[Row]) -> dict[tuple[str, str], float]:
    truth = np.array([row["y"] for row in own])
    if task == "regression":
        answer = np.array([row["score"] for row in own])
        return {
            ("mae", ""): metrics.mean_absolute_error(truth, answer),
            ("rmse", ""): metrics.root_mean_squared_error(truth, answer),
            ("r2", ""): metrics.r2_score(truth, answer),
            ("bias", ""): float((answer - truth).mean()),
        }
    if task == "binary":
        score = np.array([row["score"] for row in own])
        return {
            ("log_loss", ""): metrics.log_loss(truth, score),
            ("brier", ""): metrics.brier_score_loss(truth, score),
            ("recall", "1"): metrics.recall_score(truth, score >= 0.45),
        }
    p = np.array([[row["p"][name] for name in NAMES] for row in own])
    p /= p.sum(axis=1, keepdims=True)
    said = np.array([row["said"] for row in own])
    recalls = metrics.recall_score(truth, said, labels=NAMES, average=None)
    return {
        ("log_loss", ""): metrics.log_loss(truth, p, labels=NAMES),
        ("macro_roc_auc", ""): metrics.roc_auc_score(truth, p, multi_class="ovr", labels=NAMES),
        ("balanced_accuracy", ""): metrics.balanced_accuracy_score(truth, said),
        **{("recall", name): recall for name, recall in zip(NAMES, recalls, strict=True)},
    }


@pytest.mark.parametrize(("task", "metric"), [("binary", "log_loss"), ("multiclass", "log_loss"), ("regression", "mae")])
def test_a_model_that_got_worse_is_drifted_against_its_reference(task: str, metric: str, tmp_path: Path) -> None:
    model = config(task)
    one = judged(tmp_path, model, build(tmp_path, model, rows(task)), rows(task, seed=4, worse=0.7))
    found = one.by_prediction
    assert found.metric_status[found.segments.index("ALL"), found.column(metric)] == Status.DRIFTED
    assert found.status[found.segments.index("ALL")] == Status.DRIFTED
    assert not np.isnan(one.modes.reference_rate[:, :2]).any()  # what the reference had is no excess


def test_a_reference_of_a_regression_in_another_unit_is_not_compared(tmp_path: Path) -> None:
    data = rows("regression")
    reference = build(tmp_path, config("regression"), data)
    one = judged(tmp_path, config("regression", target_scale=3.0), reference, data)
    assert np.isnan(one.by_prediction.reference).all()
    assert set(one.by_prediction.status.tolist()) == {Status.NO_REFERENCE}
    again = build(tmp_path, config("regression", target_scale=3.0), data)
    assert judged(tmp_path, config("regression", target_scale=3.0), again, data).by_prediction.status[0] == Status.STABLE


def test_numbers_that_would_be_cut_are_refused_as_they_would_be_others(tmp_path: Path) -> None:
    whole = config("regression")
    short = whole.model_copy(update={"segments": whole.segments.model_copy(update={"max_value_length": 6})})
    data = [{**row, "y": row["y"] * 1e-9} for row in rows("regression")[:50]]  # 1.02345e-07 and the like
    with pytest.raises(SourceError, match=r"expected numbers at y within segments\.max_value_length, 6 letters.*to \d\d or more"):
        build(tmp_path, short, data)
    held = build(tmp_path, whole, data).labels
    assert held is not None
    errors = [row["score"] - row["y"] for row in data]
    assert held["performance"]["mae"] == pytest.approx(np.mean(np.abs(errors)), rel=1e-4)


def test_data_without_predicted_classes_tell_nothing_of_mistakes(tmp_path: Path) -> None:
    data = rows("multiclass")
    reference = build(tmp_path, config("multiclass"), [{**row, "said": None} for row in data])
    one = judged(tmp_path, config("multiclass"), reference, data)
    found = one.by_prediction
    assert np.isnan(found.reference[:, [found.column("accuracy"), found.column("recall", "a"), found.column("expected_cost")]]).all()
    assert np.isnan(one.modes.reference_rate).all()
    assert found.reference[:, found.column("log_loss")] == pytest.approx(found.value[:, found.column("log_loss")])


def test_a_reference_without_such_counts_is_compared_as_far_as_it_goes(tmp_path: Path) -> None:
    """As one is that an earlier version built: the whole traffic's losses, and a confusion table that follows from the threshold."""
    model, data = config("binary"), rows("binary")
    reference = build(tmp_path, model, data)
    assert reference.labels is not None
    earlier = {key: value for key, value in reference.labels.items() if key != "outcomes"}
    layout = judged(tmp_path, model, reference, data).by_prediction.counts.layout
    now, before = (validation(labels, layout, model.labels.class_indices) for labels in (reference.labels, earlier))  # type: ignore[union-attr]
    assert now is not None
    assert before is not None
    assert before.counts.confusion[:, :2].sum(axis=1).tolist() == now.counts.confusion[:, :2].sum(axis=1).tolist()
    assert before.counts.sums[1:].sum() == 0 < now.counts.sums[1:].sum()


def test_a_reference_of_predictions_that_labels_carry_has_the_cells_that_production_counts_them_in(tmp_path: Path) -> None:
    carried = {"score": "conf", "predicted_class": "said", "model_version": "v", "time": {"path": "at"}}
    model, data = config("multiclass", prediction=carried), rows("multiclass")
    reference = build(tmp_path, model, data)
    labels = new_model_state(model, [reference], tmp_path).labels
    assert labels is not None
    assert reference.labels is not None
    assert stored_tables(reference.labels, labels.layouts["1"]) is not None
