"""What `driftgauge init` takes a column for: one rule a test, on events as real topics hold them."""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.cli import check
from monitor.cli import init as command
from monitor.config import Config, load_config, parse_config
from monitor.init.column import columns_of
from monitor.init.labels import LabelRoles, assign_labels
from monitor.init.roles import Roles, assign
from monitor.init.text import Origin, config_text

Event = dict[str, Any]
ROWS = 1_000


def events(n: int = ROWS, **more: Any) -> list[Event]:
    """Decisions on credits: the id below another key, a bureau's score among the inputs, the model's own in the output."""
    chance = random.Random(3)
    rows = []
    for i in range(n):
        pd = chance.uniform(0.05, 0.95)
        rows.append(
            {
                "meta": {"request-id": f"q-{i}", "at": f"2026-09-01T{i // 60:02}:{i % 60:02}:00Z", "model": {"version": "v1"}},
                "applicant": {"age": chance.randint(18, 80), "ext.score": chance.randint(300, 850), "currency": "EUR"},
                "output": {"pd": pd, "decision": "reject" if pd > 0.5 else "approve"},
                **more,
            }
        )
    return rows


def outcomes(n: int = ROWS, **more: Any) -> list[Event]:
    return [{"ref": f"q-{i}", "known_at": "2026-10-01T00:00:00Z", "outcome": {"paid_back": ["yes", "no"][i % 2]}, **more} for i in range(n)]


def roles(rows: list[Event], label: str | None = None) -> Roles:
    return assign(columns_of(rows), len(rows), label)


def labelled(rows: list[Event], predictions: list[Event] | None = None) -> LabelRoles:
    return assign_labels(columns_of(rows), len(rows), roles(events() if predictions is None else predictions))


def features(found: Roles) -> set[str]:
    return {feature.column.path for feature in found.features}


def left_out(found: Roles) -> dict[str, str]:
    return {each.column.path: each.why for each in found.left_out}


def run(tmp_path: Path, predictions: list[Event], labels: list[Event], *words: str, folder: str = "") -> tuple[Config, str]:
    data, label_file = tmp_path / "predictions.ndjson", tmp_path / folder / "labels.ndjson"
    label_file.parent.mkdir(exist_ok=True)
    for path, rows in ((data, predictions), (label_file, labels)):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / "config.yaml"
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["init", "--data", str(data), "--labels", str(label_file), "-o", str(output), *words])
    assert args.run(args) == 0
    return load_config(output), output.read_text(encoding="utf-8")


def test_an_id_may_come_again_and_be_missing_now_and_then() -> None:
    rows = events()
    found = roles([*rows, *rows[:6], {"meta": {}}, {"meta": {}}])
    assert found.id is not None and found.id.column.path == "meta.request-id"
    assert "1,000 different in 1,008 rows (6 repeat one, as deliveries may, 2 have none)" in found.id.why


def test_what_comes_again_often_is_no_id() -> None:
    rows = events()
    assert roles([*rows, *rows[:20]]).id is not None
    assert roles([*rows, *rows[:21]]).id is None


def test_an_id_is_rather_what_is_called_so() -> None:
    rows = [{"note": f"text {i}"} | event for i, event in enumerate(events())]
    found = roles([*rows, rows[0] | {"note": "another text"}])
    assert found.id is not None and found.id.column.path == "meta.request-id"


def test_lines_that_are_no_json_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, events(), outcomes())
    path = tmp_path / "predictions.ndjson"
    path.write_text(path.read_text() + 'not json\n[{"output": {"pd": 0.5}}]\n')
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["init", "--data", str(path), "-o", str(tmp_path / "other.yaml")])
    assert args.run(args) == 0
    assert f"note: 2 lines of {path} are no JSON objects and were left out" in capsys.readouterr().err
    assert load_config(tmp_path / "other.yaml").models[0].predictions.id == "meta.request-id"


def test_a_score_is_rather_a_probability_in_the_output_than_a_number_among_the_inputs() -> None:
    found = roles(events())
    assert found.score is not None and found.predicted_class is not None
    assert (found.score.column.path, found.score.detail, found.predicted_class.column.path) == (
        "output.pd",
        "probability",
        "output.decision",
    )
    assert features(found) == {"applicant.age", 'applicant."ext.score"'}


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({"a": {"score": (300.0, 850.0)}, "b": {"proba": (0.1, 0.9)}}, "b.proba"),
        ({"a": {"score": (0.1, 0.9)}, "output": {"score": (0.1, 0.9)}}, "output.score"),
        ({"a": {"p": (0.1, 0.9)}, "b": {"x": (0.1, 0.9)}}, "a.p"),
        ({"external": {"score": (0.1, 0.9)}}, None),
        ({"b": {"p_count": (0.1, 0.9)}}, None),
    ],
)
def test_scores_by_name_place_and_values(event: dict[str, dict[str, tuple[float, float]]], path: str | None) -> None:
    rows = [
        {top: {key: low + (high - low) * i / 99 for key, (low, high) in inner.items()} for top, inner in event.items()} for i in range(100)
    ]
    found = roles(rows).score
    assert (None if found is None else found.column.path) == path


def test_constants_are_no_features() -> None:
    found = roles(events())
    assert left_out(found)["applicant.currency"] == "always EUR in the sample: a constant tells a model nothing"
    # A few rows prove nothing, and a value that is often missing is no constant.
    assert "applicant.currency" in features(roles(events(19)))
    some = [event | ({"promotion": "spring"} if i % 2 else {}) for i, event in enumerate(events())]
    assert "promotion" in features(roles(some))


def test_the_truth_in_training_rows_is_neither_feature_nor_segment() -> None:
    rows = [event | {"defaulted": ["yes", "no"][i % 2], "region": "ab"[i % 2]} for i, event in enumerate(events())]
    found = roles(rows)
    assert found.truth is not None and found.truth.column.path == "defaulted"
    assert "defaulted" not in features(found) and "true outcome" in left_out(found)["defaulted"]
    assert [segment.column.path for segment in found.segments] == ["region"]
    # With more than two values it may be anything.
    assert "defaulted" in features(roles([row | {"defaulted": "abc"[i % 3]} for i, row in enumerate(rows)]))


def test_the_truth_is_also_what_label_events_call_so(tmp_path: Path) -> None:
    rows = [event | {"repaid_all": ["yes", "no"][i % 2]} for i, event in enumerate(events())]
    assert "repaid_all" in features(roles(rows))
    labels = [{"ref": f"q-{i}", "repaid_all": ["yes", "no"][i % 2]} for i in range(ROWS)]
    config, text = run(tmp_path, rows, labels)
    model = config.models[0]
    assert model.labels is not None and model.labels.label == "repaid_all"
    assert "repaid_all" not in [feature.name for feature in model.features] and "repaid_all" not in model.segments.columns
    assert "# left out: {name: repaid_all" in text


def test_the_truth_of_training_rows_is_proposed_as_label(tmp_path: Path) -> None:
    path = tmp_path / "train.ndjson"
    path.write_text("".join(json.dumps(event | {"defaulted": ["yes", "no"][i % 2]}) + "\n" for i, event in enumerate(events())))
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["init", "--data", str(path), "-o", str(tmp_path / "config.yaml")])
    assert args.run(args) == 0
    text = (tmp_path / "config.yaml").read_text()
    assert '    #   label: "defaulted"' in text and '    #   positive: ["yes"]' in text


def test_the_id_of_a_label_is_what_the_predictions_have_as_theirs() -> None:
    found = labelled([event | {"case_id": f"c-{i}"} for i, event in enumerate(outcomes())])
    assert found.id is not None and found.id.column.path == "ref"


def test_a_column_with_a_few_values_that_is_nothing_else_is_the_label() -> None:
    more = {"model_version": "v1", "source": "audit", "annotator": "ann"}
    rows = outcomes(**more)
    for i, row in enumerate(rows):
        row |= {"model_version": f"v{i % 2}", "source": "ab"[i % 2], "annotator": f"ann{i % 3}"}
        row["result"] = {"paid": row.pop("outcome")["paid_back"]}
    found = labelled(rows)
    assert found.label is not None and found.label.column.path == "result.paid"
    assert {key: chosen.column.path for key, chosen in found.others.items()} == {"source": "source", "annotator": "annotator"}
    many = labelled([row | {"result": i % 21} for i, row in enumerate(rows)])
    assert many.label is None


def test_of_several_with_few_values_the_one_below_outcome_is_the_label_and_the_others_are_named() -> None:
    found = labelled([{"flag": i % 2} | event for i, event in enumerate(outcomes())])
    assert found.label is not None and found.label.column.path == "outcome.paid_back"
    assert "also possible: flag" in found.label.why


def test_the_version_of_the_model_is_not_that_of_the_label() -> None:
    assert "label_version" not in labelled(outcomes(model_version=3, model_rev=2)).others
    for key, value, taken in (
        ("label_version", 2, True),
        ("revision", 2, True),
        ("rev", 2, True),
        ("version", 2, False),
        ("rev", "b", False),
    ):
        assert ("label_version" in labelled(outcomes(**{key: value})).others) == taken


def test_positive_is_spelled_as_labels_do_and_what_else_predictions_say_is_told(tmp_path: Path) -> None:
    config, text = run(tmp_path, events(), outcomes())
    labels = config.models[0].labels
    assert labels is not None
    assert (labels.task, labels.positive, labels.negative) == ("binary", ("yes",), ("no",))
    assert "# Predictions say approve or reject: add the one that means the positive class to positive" in text


@pytest.mark.parametrize("bad", ["yes", "no"])
def test_where_scores_tell_which_words_mean_the_same_both_are_listed(tmp_path: Path, bad: str) -> None:
    chance, good = random.Random(5), {"yes": "no", "no": "yes"}[bad]
    rows = events()
    labels = [{"ref": row["meta"]["request-id"], "outcome": bad if chance.random() < row["output"]["pd"] else good} for row in rows]
    config, text = run(tmp_path, rows, list(reversed(labels)))
    mapped = config.models[0].labels
    assert mapped is not None
    assert (mapped.positive, mapped.negative) == ((bad, "reject"), (good, "approve"))
    assert f"scores are high where labels say {bad} and predictions reject" in text
    # A few rows do not tell.
    (tmp_path / "config.yaml").unlink()
    few = [{"ref": row["meta"]["request-id"], "outcome": bad if row["output"]["pd"] > 0.5 else good} for row in rows[:30]]
    _, text = run(tmp_path, rows[:30], few)
    assert "Predictions say approve or reject" in text


def test_with_labels_in_the_same_folder_the_configuration_runs_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, text = run(tmp_path, events(), outcomes())
    model = config.models[0]
    assert config.source.client == "ndjson" and "runs as it is" in text
    assert model.labels is not None
    assert (model.predictions.topic, model.labels.topic) == ("predictions", "labels")
    parser = argparse.ArgumentParser()
    check.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["check", "-c", str(tmp_path / "config.yaml")])
    assert args.run(args) == 0
    assert "source ndjson reached" in capsys.readouterr().out


def test_with_labels_elsewhere_or_other_topics_it_is_said_what_to_do(tmp_path: Path) -> None:
    # A file of the same name beside the predictions holds other labels.
    (tmp_path / "labels.ndjson").write_text("{}\n")
    config, text = run(tmp_path, events(), outcomes(), folder="elsewhere")
    assert config.source.client == "kafka-python"
    assert "put the samples, as NDJSON, into one folder as predictions.ndjson and predictions.labels.ndjson" in text
    (tmp_path / "config.yaml").unlink()
    config, text = run(tmp_path, events(), outcomes(), "--topic", "p")
    assert config.source.client == "kafka-python"
    assert "put the samples, as NDJSON, into one folder as p.ndjson and p.labels.ndjson" in text


def test_a_folder_with_more_partitions_of_the_samples_is_not_read_in_their_stead(tmp_path: Path) -> None:
    (tmp_path / "labels-1.ndjson").write_text("{}\n")
    config, _ = run(tmp_path, events(), outcomes())
    assert config.source.client == "kafka-python"


CULTIVARS = ("barbera", "barolo", "grignolino")


def wines(*, flat: bool = False) -> tuple[list[Event], list[Event]]:
    """Predictions of three classes with their probabilities, a region beside them, and what turned out to be true."""
    chance = random.Random(5)
    events, truths = [], []
    for i in range(300):
        weights = [chance.random() + 0.1 for _ in CULTIVARS]
        probabilities = {name: round(weight / sum(weights), 4) for name, weight in zip(CULTIVARS, weights, strict=True)}
        said, true = max(probabilities, key=lambda name: probabilities[name]), chance.choice(CULTIVARS)
        event: Event = {"id": f"w-{i}", "at": f"2026-10-01T00:{i // 60:02}:{i % 60:02}Z", "region": chance.choice(["alba", "asti"])}
        if flat:
            event |= {"hue": chance.random() * 9, "predicted": said, **{f"p_{name}": p for name, p in probabilities.items()}, "grape": true}
        else:
            event |= {"inputs": {"hue": chance.random() * 9}, "answer": {"class": said, "probabilities": probabilities}}
        events.append(event)
        truths.append({"id": f"w-{i}", "at": "2026-10-02T00:00:00Z", "cultivar": true})
    return events, truths


def test_a_class_below_the_answer_and_the_probabilities_beside_it_are_the_models(tmp_path: Path) -> None:
    config, _ = run(tmp_path, *wines())
    model = config.models[0]
    assert model.predictions.predicted_class == "answer.class"
    assert model.predictions.probabilities == {name: f"answer.probabilities.{name}" for name in CULTIVARS}
    assert [feature.name for feature in model.features] == ["hue"]
    assert list(model.segments.columns) == ["region"]
    assert model.labels is not None
    assert (model.labels.task, model.labels.label, model.labels.classes) == ("multiclass", "cultivar", CULTIVARS)


def test_a_class_of_any_name_is_told_by_the_values_of_the_labels(tmp_path: Path) -> None:
    events, truths = wines()
    for event in events:
        event["verdict"] = event.pop("answer")["class"]
    config, _ = run(tmp_path, events, truths)
    assert config.models[0].predictions.predicted_class == "verdict"
    assert config.models[0].predictions.probabilities is None


def test_probabilities_wait_for_labels_of_the_same_classes() -> None:
    events, truths = wines()
    for truth in truths[:10]:
        truth["cultivar"] = "nebbiolo"
    found = roles(events)
    assert found.probabilities.keys() == set(CULTIVARS)
    text = config_text(found, Origin("d", None, "c", "m", "t", "t.labels"), labelled(truths, events))
    assert "# probabilities:" in text and "nebbiolo" in text
    assert uncommented_probabilities(text) is None


def uncommented_probabilities(text: str) -> Any:
    return parse_config(yaml.safe_load(text)).models[0].predictions.probabilities


def test_what_has_the_values_of_the_predicted_class_is_the_truth_of_training_rows() -> None:
    found = roles(wines(flat=True)[0])
    assert found.predicted_class is not None and found.predicted_class.column.path == "predicted"
    assert found.probabilities.keys() == set(CULTIVARS)
    assert found.truth is not None and found.truth.column.path == "grape"
    assert features(found) == {"region", "hue"}
    assert [each.column.path for each in found.segments] == ["region"]


def test_the_label_of_a_regression_is_the_column_that_is_left(tmp_path: Path) -> None:
    chance = random.Random(6)
    events = [
        {"id": f"p-{i}", "ts": 1_700_000_000 + i, "bmi": chance.random() * 30, "predicted_progression": 100 * chance.random()}
        for i in range(300)
    ]
    truths = [{"id": f"p-{i}", "at": 1_700_090_000 + i, "progression": 100 * chance.random()} for i in range(300)]
    config, _ = run(tmp_path, events, truths)
    assert config.models[0].labels is not None
    assert (config.models[0].labels.task, config.models[0].labels.label) == ("regression", "progression")
    found = labelled([{**truth, "weight": chance.random()} for truth in truths], events)
    assert found.label is None, "of two it is not known which"


def sorted_images() -> list[Event]:
    return [
        {
            "id": f"q-{i}",
            "ts_us": 1_790_000_000_000_000 + i,
            "image": {"width": 640 + i % 7},
            "result": {"label": "abc"[i % 3], "confidence": i % 97 / 97},
        }
        for i in range(ROWS)
    ]


def test_the_confidence_beside_a_predicted_class_of_several_is_the_score() -> None:
    found = roles(sorted_images())
    assert found.predicted_class is not None
    assert found.score is not None
    assert (found.predicted_class.column.path, found.score.column.path) == ("result.label", "result.confidence")
    assert features(found) == {"image.width"}


def test_columns_of_a_flattened_table_are_what_they_were_before() -> None:
    flat = [{f"{a}.{b}": value for a, b, value in parts(row)} | {"id": row["id"]} for row in sorted_images()]
    found = roles(flat)
    assert found.predicted_class is not None
    assert found.score is not None
    assert (found.predicted_class.column.path, found.score.column.path) == ('"result.label"', '"result.confidence"')
    assert features(found) == {'"image.width"'}


def parts(row: Event) -> list[tuple[str, str, Any]]:
    return [(outer, name, value) for outer, inner in row.items() if isinstance(inner, dict) for name, value in inner.items()]


def test_the_time_of_the_label_in_training_rows_is_neither_time_nor_feature() -> None:
    rows = [
        {**row, "created": {"at": f"2026-09-01T00:{i // 60 % 60:02}:{i % 60:02}Z"}, "y": i % 2, "y_time": "2026-10-01T00:00:00Z"}
        for i, row in enumerate({"id": f"q-{i}", "age": i % 80} for i in range(ROWS))
    ]
    found = roles(rows)
    assert found.time is not None
    assert found.time.column.path == "created.at"
    # With gaps, as a table has it: whole numbers are floats then.
    rows = [{**row, "truth_us": None if i % 3 else 1.79e15 + i} for i, row in enumerate(sorted_images())]
    assert left_out(roles(rows))["truth_us"] == "looks like another time"


def test_the_zone_of_labels_is_asked_for_too() -> None:
    text = config_text(roles(events()), Origin("d", None, "c", "m", "t", "t.labels"), labelled(outcomes()))
    assert text.count("zone: UTC  # of times that name none") == 2
