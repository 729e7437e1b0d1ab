"""A reference built from rows says of their labels what the monitor says of the same rows in production, however classes are spelled."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

from monitor.config import ModelConfig
from monitor.errors import SourceError
from monitor.labels import LabelsOwned
from monitor.pipeline import Owned, advance
from monitor.reference.build import Built, Options, build_reference
from monitor.reference.fit import misfits
from monitor.reference.mapping import data_model
from monitor.reference.read import open_files
from monitor.state import new_model_state
from tests.flow import world
from tests.flow.test_label_tasks import LABELS, play, times, value
from tests.flow.world import MINUTE

PATH = Path("r.json.gz")
N = 600


def config(positive: list[str], negative: list[str], of_score: bool = False, **segments: Any) -> ModelConfig:
    predictions = {"topic": "t", "id": "id", "time": {"path": "ts"}, "model_version": "v", "score": "score"}
    predictions |= {"threshold": 0.45} if of_score else {"predicted_class": "said"}
    labels = {**LABELS, "positive": positive, "negative": negative}
    return world.model_config(
        predictions=predictions, labels=labels, detectors=[], segments={**world.CONFIG["models"][0]["segments"], **segments}
    )


def plain() -> ModelConfig:
    return config(["1"], ["0"]).model_copy(update={"labels": None})


def rows(
    positive: list[str], negative: list[str], said: tuple[list[str], list[str]] | None = None
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Rows whose label and predicted class are spelled now so, now so; and their truth."""
    random = np.random.default_rng(5)
    score = random.beta(2, 3, N).round(3)
    truth = (random.random(N) < score).astype(int)
    spelled, told = (negative, positive), said or (negative, positive)
    made = []
    for i, ts in enumerate(times(N)):
        true, predicted = spelled[truth[i]], told[1 if score[i] >= 0.45 else 0]
        row = {"id": f"p{i}", "ts": ts, "v": "1", "score": score[i], "said": predicted[i % len(predicted)], "y": true[i // 2 % len(true)]}
        made.append(row | {"x": float(i % 7), "c": "a", "country": "FR" if i % 3 else "DE", "device": "ios"})
    return made, truth


def build(folder: Path, model: ModelConfig, data: list[dict[str, Any]], label: str = "y") -> Built:
    path = folder / "rows.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in data))
    return build_reference(model, open_files([path], data_model(model), [label]), Options(label=label))


def performance(built: Built) -> dict[str, float]:
    assert built.reference.labels is not None
    return built.reference.labels["performance"]


CASES = [
    (["bad"], ["good"], None),
    (["good"], ["bad"], None),
    (["yes", "reject"], ["no", "approve"], None),
    (["a", "reject"], ["no", "z"], (["no"], ["reject"])),
    (["yes"], ["no"], (["approve"], ["reject"])),
]


@pytest.mark.parametrize(("positive", "negative", "said"), CASES)
@pytest.mark.parametrize("of_score", [False, True])
def test_reference_and_production_say_the_same_of_the_same_rows(tmp_path, positive, negative, said, of_score) -> None:
    data, truth = rows(positive, negative, said)
    known = [*positive, *(said[1] if said else [])], [*negative, *(said[0] if said else [])]
    names = tuple(list(dict.fromkeys(each)) for each in known)
    model = config(names[0], names[1], of_score)
    built = build(tmp_path, model, data)
    score = np.array([row["score"] for row in data])
    expected = {
        "accuracy": accuracy_score(truth, score >= 0.45),
        "brier": brier_score_loss(truth, score),
        "log_loss": log_loss(truth, score),
        "positive_rate": truth.mean(),
    }
    found = performance(built)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert found["auc"] == pytest.approx(roc_auc_score(truth, score), abs=0.003)  # pairs within a cell of the score count half
    assert not misfits(model, built.reference, PATH, "here")

    state = new_model_state(model, [built.reference], tmp_path)
    advance(state, Owned(frozenset({0}), complete=True))
    advance(state, LabelsOwned(frozenset({0}), complete=True))
    labels = [{"id": row["id"], "ts": row["ts"] + 5 * MINUTE, "y": row["y"]} for row in data]
    one = play(state, data, labels)
    view = one.by_prediction
    of = {"label_rate": positive[0], "roc_auc": positive[0]}
    keys = {"accuracy": "accuracy", "brier": "brier", "log_loss": "log_loss", "label_rate": "positive_rate", "roc_auc": "auc"}
    for metric, key in keys.items():
        before = float(view.reference[0, view.column(metric, of.get(metric, ""))])
        assert before == pytest.approx(value(one, metric, of.get(metric, "")), abs=1e-5), metric
        assert before == pytest.approx(found[key], abs=1e-5), metric


def test_without_configured_classes_the_name_decides(tmp_path) -> None:
    data, truth = rows(["good"], ["bad"])
    built = build(tmp_path, plain(), data)
    assert performance(built)["positive_rate"] == pytest.approx(truth.mean())
    assert "spellings" not in (built.reference.labels or {})


def test_classes_that_share_no_name_are_said(tmp_path) -> None:
    data, _ = rows(["yes"], ["no"], (["approve"], ["reject"]))
    assert any("they share no name, so every answer counts as wrong" in note for note in build(tmp_path, plain(), data).notes)
    with pytest.raises(SourceError, match=r"expected predicted classes at said out of .*got only 'approve', 'reject'"):
        build(tmp_path, config(["yes"], ["no"]), data)
    with pytest.raises(SourceError, match=r"expected labels at y out of .*got only 'no', 'yes'"):
        build(tmp_path, config(["reject"], ["approve"]), data)


def test_a_label_that_is_no_class_is_left_out_and_said(tmp_path) -> None:
    data, truth = rows(["bad"], ["good"])
    data = [row | ({"y": "perhaps"} if i < 60 else {}) for i, row in enumerate(data)]
    built = build(tmp_path, config(["bad"], ["good"]), data)
    assert built.reference.labels is not None
    assert (built.reference.labels["rows"], built.reference.labels["unlabelled"]) == (N - 60, 60)
    assert performance(built)["positive_rate"] == pytest.approx(truth[60:].mean())
    assert any(note.startswith("60 rows with labels at y outside") for note in built.notes)


def test_a_label_that_is_nowhere_is_an_error(tmp_path) -> None:
    data, _ = rows(["bad"], ["good"])
    for model in (plain(), config(["bad"], ["good"])):
        with pytest.raises(SourceError, match=r"expected labels at truth\.y, got none in any row"):
            build(tmp_path, model, data, "truth.y")


def test_spellings_longer_than_segment_values_are_told_apart_or_refused(tmp_path) -> None:
    data, truth = rows(["late_payment"], ["on_time_payment"])
    built = build(tmp_path, config(["late_payment"], ["on_time_payment"], max_value_length=8), data)
    assert performance(built)["positive_rate"] == pytest.approx(truth.mean())
    data, _ = rows(["payment_late"], ["payment_on_time"])
    with pytest.raises(SourceError, match=r"set segments\.max_value_length higher"):
        build(tmp_path, config(["payment_late"], ["payment_on_time"], max_value_length=8), data)


def test_a_grouping_whose_columns_have_another_order_is_refused_since_none_of_its_segments_would_be_found() -> None:
    groupings = [["country"], ["device", "country"]]
    model = world.model_config(segments={"columns": {"country": "country", "device": "device"}, "groupings": groupings})
    (mistake,) = misfits(model, world.reference(), PATH, "here")
    assert mistake.message.startswith(
        "expected the columns of the grouping ['device', 'country'] in this order, which names its segments, got ['country', 'device']"
    )


def test_references_that_mean_something_else_are_refused(tmp_path) -> None:
    """Built without the classes, as references of before are: those of the same meaning are read, others are to be built again."""

    def said(model: ModelConfig, reference) -> str:
        return "".join(mistake.message for mistake in misfits(model, reference, PATH, "here"))

    data, _ = rows(["bad"], ["good"])
    old = build(tmp_path, plain(), data).reference
    assert "expected labels with the positive class 'bad', got performance for 'good'; build it again" in said(
        config(["bad"], ["good"]), old
    )
    assert not said(config(["good"], ["bad"]), old)
    assert not said(plain(), old)
    new = build(tmp_path, config(["bad"], ["good"]), data).reference
    assert "positive class 'good', got performance for 'bad'" in said(config(["good"], ["bad"]), new)

    spelled, _ = rows(["yes", "reject"], ["no", "approve"])
    mixed = build(tmp_path, plain(), spelled).reference
    assert "expected predicted classes spelled as the labels" in said(config(["yes", "reject"], ["no", "approve"]), mixed)
    apart = build(tmp_path, plain(), rows(["yes"], ["no"], (["approve"], ["reject"]))[0]).reference
    assert "with other spellings for" in said(config(["yes", "reject"], ["no", "approve"]), apart)
    turned = build(tmp_path, config(["yes", "reject"], ["no", "approve"]), spelled).reference
    assert "expected labels with 'approve' as labels.positive, got the opposite" in said(
        config(["yes", "approve"], ["no", "reject"]), turned
    )
    assert not said(config(["yes", "reject"], ["no", "approve"]), replace(turned, labels=None))
