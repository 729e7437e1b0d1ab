"""Labels in the configuration: what is taken, what is said of what cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import jsonschema
import pytest
import yaml

from monitor.config import Config, Labels, ModelConfig, parse_config
from monitor.errors import ConfigError

MODEL = """
name: m
predictions: {topic: p, id: id, score: s, predicted_class: c}
features: [{name: x, type: numeric}]
segments: {columns: {country: country}}
"""
DAY = 86_400_000


def tree(labels: str, source: str = "brokers: [b:9092]", **model: Any) -> dict[str, Any]:
    """A configuration whose labels are written as in YAML; keys of ``predictions`` are added to its own."""
    base = yaml.safe_load(MODEL)
    base["predictions"] |= model.pop("predictions", {})
    return {
        "source": yaml.safe_load(source),
        "models": [base | model | {"labels": {"topic": "l", "id": "id", "label": "y"} | (yaml.safe_load(labels) or {})}],
    }


def parsed(labels: str = "", **model: Any) -> ModelConfig:
    return parse_config(tree(labels, **model)).models[0]


def labels_of(text: str = "", **model: Any) -> Labels:
    found = parsed(text, **model).labels
    assert found is not None
    return found


def mistakes(labels: str, **model: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(tree(labels, **model))
    return [str(mistake) for mistake in caught.value.mistakes]


MULTI = "{task: multiclass, classes: [red, 2, true]}"


def test_a_model_without_labels_has_none():
    base = yaml.safe_load(MODEL)
    assert parse_config({"source": {"brokers": ["b:1"]}, "models": [base]}).models[0].labels is None


def test_defaults_are_those_of_a_binary_model():
    labels = labels_of()
    assert (labels.task, labels.class_names, labels.costs) == ("binary", ("0", "1"), ((0.0, 1.0), (1.0, 0.0)))
    assert (labels.horizon_ms, labels.lateness_ms, labels.early_allowance_ms) == (30 * DAY, DAY, DAY // 24)
    assert (labels.pane_ms, labels.window_ms, labels.idle_after_ms) == (DAY // 24, 7 * DAY, 60_000)
    assert (labels.max_pending_rows, labels.max_label_rows, labels.max_inbox_rows) == (50_000_000, 50_000_000, 200_000)
    assert (labels.review_sources, labels.audit_sources, labels.consensus) == (("review",), ("audit",), "latest")
    assert (labels.min_labelled, labels.interval_width, labels.target_scale, labels.kpi_max) == (200, 0.05, None, 1e6)
    assert (labels.time.path, labels.prediction, labels.dead_letter_topic) == ("$timestamp", None, None)
    assert (labels.max_message_bytes, labels.max_depth, labels.future_tolerance_ms) == (1_000_000, 32, 600_000)


def test_classes_may_be_written_in_yaml_as_texts_numbers_and_truth_values():
    binary = labels_of("{positive: [1, 'on', true, -7], negative: [0.0, off]}")
    assert binary.positive == ("1", "on", "true", "-7")
    assert binary.negative == ("0", "false")  # a bare off is false to YAML
    assert binary.class_names == ("0", "1")
    assert binary.class_indices == {"0": 0, "false": 0, "1": 1, "on": 1, "true": 1, "-7": 1}
    multiclass = labels_of("{task: multiclass, classes: [red, 2, 3.0, 2.5x]}")
    assert multiclass.class_names == ("red", "2", "3", "2.5x")
    assert multiclass.class_indices == {"red": 0, "2": 1, "3": 2, "2.5x": 3}


def test_costs_are_a_matrix_of_true_by_predicted_class():
    assert labels_of("cost: {false_positive: 2, false_negative: 50, true_positive: -3}").costs == ((0, 2), (50, -3))
    assert labels_of("{task: multiclass, classes: [a, b, 3], cost: {matrix: {a: {3: 9, a: -1}, 3: {b: 4}}}}").costs == (
        (-1, 1, 9),
        (1, 0, 1),
        (1, 4, 0),
    )
    assert labels_of("task: regression").costs == ()


def test_a_regression_has_no_classes():
    assert labels_of("task: regression").class_names == ()
    assert labels_of("task: regression").class_indices == {}
    assert labels_of("{task: regression, target_scale: 12.5}").target_scale == 12.5


def test_probabilities_have_a_path_for_each_class():
    model = parsed(MULTI, predictions={"probabilities": {"red": "p.r", 2: "p[1]", True: "p.t"}})
    assert model.predictions.probabilities == {"red": "p.r", "2": "p[1]", "true": "p.t"}


def test_a_label_may_carry_its_prediction():
    labels = labels_of("prediction: {score: p.s, time: {path: p.t, unit: s}, segments: {country: p.c}, model_version: v}", predictions={})
    assert labels.prediction is not None
    assert (labels.prediction.time.path, labels.prediction.segments) == ("p.t", {"country": "p.c"})


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("horizon: 30", "models[0].labels.horizon: expected a duration with a unit such as 30s, 5m, 1h or 30d, got 30"),
        ("horizn: 30d", "models[0].labels.horizn: unknown key; did you mean 'horizon'?"),
        ("label: a..b", "models[0].labels.label: expected a path such as a.b, inputs[0].x, $key, $timestamp or $header.name"),
        ("task: ranking", "models[0].labels.task: expected binary, multiclass or regression, got 'ranking'"),
        ("consensus: vote", "models[0].labels.consensus: expected latest, majority or confidence, got 'vote'"),
        ("horizon: 0s", "models[0].labels: expected horizon and pane above 0, and window a multiple of pane"),
        ("pane: 0s", "models[0].labels: expected horizon and pane above 0, and window a multiple of pane"),
        ("{pane: 5h, window: 24h}", "models[0].labels: expected horizon and pane above 0, and window a multiple of pane"),
        ("{pane: 7m, window: 7h}", "models[0]: labels.pane: expected a multiple of windows.pane"),
        ("positive: []", "models[0].labels.positive: expected at least 1 item, got 0"),
        ("positive: [[1]]", "models[0].labels.positive[0]: expected text, got [1]"),
        ("positive: [2.5]", "models[0].labels.positive[0]: expected text, got 2.5"),
        ('positive: ["a\\u202e"]', "models[0].labels.positive[0]: expected printable characters, got 'a\\u202e'"),
        ("{positive: [1, 2], negative: [0, 2]}", "models[0].labels: expected each class only once, got '2' again"),
        ("classes: [a, b, c]", "models[0].labels: expected classes only with task multiclass, got task binary"),
        ("task: multiclass", "models[0].labels: expected 3 to 50 classes with task multiclass, got 0"),
        ("{task: multiclass, classes: [a, b]}", "models[0].labels: expected 3 to 50 classes with task multiclass, got 2"),
        (f"{{task: multiclass, classes: {list(range(51))}}}", "models[0].labels: expected 3 to 50 classes with task multiclass, got 51"),
        ("{task: multiclass, classes: [a, b, 1, '1']}", "models[0].labels: expected each class only once, got '1' again"),
        (
            "{task: multiclass, classes: [a, b, c], positive: [1]}",
            "models[0].labels: expected positive only with task binary, got task multiclass",
        ),
        ("{task: regression, negative: [0]}", "models[0].labels: expected negative only with task binary, got task regression"),
        ("target_scale: 1", "models[0].labels: expected target_scale only with task regression, got task binary"),
        ("{task: regression, target_scale: 0}", "models[0].labels.target_scale: expected greater than 0, got 0"),
        ("{task: regression, cost: {false_positive: 2}}", "models[0].labels: cost: expected none with task regression"),
        ("cost: {matrix: {a: {b: 1}}}", "models[0].labels: cost: expected false_positive and false_negative with task binary, got matrix"),
        ("cost: {false_positive: .inf}", "models[0].labels.cost.false_positive: expected a finite number, got inf"),
        ("cost: {false_positive: -1}", "models[0].labels.cost: expected a wrong prediction to cost more than a right one"),
        (
            "cost: {false_positive: 0, false_negative: 0}",
            "models[0].labels.cost: expected a wrong prediction to cost more than a right one",
        ),
        (
            "{task: multiclass, classes: [a, b, c], cost: {false_positive: 2}}",
            "models[0].labels: cost: expected matrix with task multiclass, got false_positive or the like",
        ),
        (
            "{task: multiclass, classes: [a, b, c], cost: {matrix: {a: {d: 1}}}}",
            "models[0].labels: cost.matrix: expected classes out of a, b, c, got 'd'",
        ),
        (
            "{task: multiclass, classes: [a, b, c], cost: {matrix: {z: {a: 1}}}}",
            "models[0].labels: cost.matrix: expected classes out of a, b, c, got 'z'",
        ),
        (
            "{task: multiclass, classes: [a, b, c], cost: {matrix: {}, true_positive: 2}}",
            "models[0].labels.cost: expected either matrix (multiclass) or false_positive and the like (binary), got both",
        ),
        (
            "{review_sources: [a, b], audit_sources: [b]}",
            "models[0].labels: expected a source to be of review or of audit, got 'b' in both",
        ),
        ("consensus: confidence", "models[0].labels: expected the path of confidence with consensus confidence"),
        ("consensus: majority", "models[0].labels: expected the path of annotator with consensus majority"),
        ("interval_width: 1", "models[0].labels.interval_width: expected less than 1, got 1"),
        ("min_labelled: 0", "models[0].labels.min_labelled: expected greater than or equal to 1, got 0"),
        ("max_depth: 1000", "models[0].labels.max_depth: expected less than or equal to 500, got 1000"),
        ("kpi_max: .nan", "models[0].labels.kpi_max: expected a finite number, got nan"),
        ("time: {zone: Mars/Base}", "models[0].labels.time: expected an IANA time zone such as UTC or Europe/Paris, got 'Mars/Base'"),
        (
            "prediction: {}",
            "models[0]: labels.task: expected labels.prediction with score or predicted_class for task binary, or there is",
        ),
        (
            "prediction: {score: s, segments: {device: d}}",
            "models[0]: labels.prediction.segments: expected columns out of segments.columns ['country'], got 'device'",
        ),
        (
            "{task: multiclass, classes: [a, b, c], prediction: {score: s}}",
            "models[0]: labels.task: expected labels.prediction with predicted_class for task multiclass",
        ),
        (
            "{task: regression, prediction: {predicted_class: s}}",
            "models[0]: labels.task: expected labels.prediction with score for task regression",
        ),
        ("topic: p", "models[0].labels.topic: expected each only once, got 'p' again, which is models[0].predictions.topic"),
        ("dead_letter_topic: p", "models[0].labels.dead_letter_topic: expected a topic that is not read, got 'p', which is models[0].pred"),
        (
            "dead_letter_topic: l",
            "models[0].labels.dead_letter_topic: expected a topic that is not read, got 'l', which is models[0].labels",
        ),
    ],
)
def test_a_mistake_is_said_with_its_path(labels, said):
    (mistake,) = mistakes(labels)
    assert mistake.startswith(said)


@pytest.mark.parametrize(
    ("labels", "predictions", "said"),
    [
        ("", {"score": None, "predicted_class": None}, "labels.task: expected predictions with score or predicted_class for task binary"),
        (MULTI, {"predicted_class": None}, "labels.task: expected predictions with predicted_class for task multiclass"),
        ("task: regression", {"score": None}, "labels.task: expected predictions with score for task regression"),
        ("", {"probabilities": {"a": "a"}}, "predictions.probabilities: expected only beside labels with task multiclass"),
        (
            MULTI,
            {"probabilities": {"red": "r", "2": "t"}},
            "predictions.probabilities: expected exactly the classes of labels.classes, red, 2, true, got red, 2",
        ),
    ],
)
def test_labels_and_predictions_must_fit(labels, predictions, said):
    (mistake,) = mistakes(labels, predictions=predictions)
    assert mistake.startswith(f"models[0]: {said}")


@pytest.mark.parametrize("given", [{"score": None}, {"predicted_class": None}, {"predicted_class": None, "threshold": 0.5}])
def test_a_binary_model_needs_a_score_or_a_class(given):
    assert labels_of("", predictions=given).task == "binary"


def test_each_topic_is_read_for_one_thing_over_all_models():
    one = tree("")["models"][0]

    def said(predictions: str, labels: str, letters: str | None = None) -> str:
        two = {
            **one,
            "name": "n",
            "predictions": {**one["predictions"], "topic": predictions, "dead_letter_topic": letters},
            "labels": {**one["labels"], "topic": labels},
        }
        try:
            parse_config({"source": {"brokers": ["b:1"]}, "models": [one, two]})
        except ConfigError as error:
            return str(error.mistakes[0])
        return ""

    assert said("q", "m", "letters") == ""
    assert said("p", "m") == "models[1].predictions.topic: expected each only once, got 'p' again, which is models[0].predictions.topic"
    assert said("q", "l") == "models[1].labels.topic: expected each only once, got 'l' again, which is models[0].labels.topic"
    assert said("l", "m") == "models[1].predictions.topic: expected each only once, got 'l' again, which is models[0].labels.topic"
    assert said("q", "m", "l") == (
        "models[1].predictions.dead_letter_topic: expected a topic that is not read, got 'l', which is models[0].labels.topic"
    )


def test_dead_letters_of_labels_need_a_broker():
    (mistake,) = mistakes("dead_letter_topic: x", source="{client: ndjson, path: f}")
    assert mistake == "models[0].labels.dead_letter_topic: expected source.brokers to send it to, got none"


def test_the_schema_takes_what_the_program_takes():
    schema = Config.model_json_schema(by_alias=True)
    for labels in (
        "",
        "{positive: [1, true, x], horizon: 1h30m}",
        "{task: multiclass, classes: [a, 2, true], cost: {matrix: {a: {b: 1}}}}",
    ):
        jsonschema.validate(tree(labels), schema)
    for labels in ("horizon: 30", "horizn: 30d", "cost: {matrix: {a: {b: x}}}", "positive: [[1]]"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(tree(labels), schema)


def test_the_command_prints_a_schema_with_labels():
    done = subprocess.run([sys.executable, "-m", "monitor", "schema"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    properties = json.loads(done.stdout)["$defs"]["Labels"]["properties"]
    assert properties["horizon"]["default"] == "30d"
    assert {"horizon", "early_allowance", "idle_after", "prediction", "cost"} <= set(properties)
    assert not any(name.endswith("_ms") for name in properties)


def test_a_canary_needs_predictions_that_can_be_wrong():
    [said] = mistakes("", canary={}, predictions={"predicted_class": None})
    assert said == (
        "models[0]: canary: expected predictions that name a class (predicted_class, or score with predictions.threshold), got none: all"
        " would be wrong, of both versions"
    )
    parsed("", canary={}, predictions={"predicted_class": None, "threshold": 0.5})
