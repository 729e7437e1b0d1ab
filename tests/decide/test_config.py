"""The configuration of a policy, and its mistakes with their paths."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from monitor.config import Config, parse_config
from monitor.errors import ConfigError

MODEL: dict[str, Any] = {
    "name": "m",
    "predictions": {"topic": "t", "id": "id", "score": "score", "threshold": 0.5},
    "labels": {"topic": "l", "id": "id", "label": "label", "annotator": "by"},
    "features": [{"name": "x", "type": "numeric"}],
}
LIMIT = {"metric": "recall", "floor": 0.7}


def config(retraining: Any = None, **more: Any) -> Config:
    model = MODEL if retraining is None else {**MODEL, "retraining": retraining}
    return parse_config({"source": {"brokers": ["localhost:9092"]}, "models": [model], **more})


def test_a_policy_as_a_user_writes_it():
    text = """
    performance: [{metric: recall, floor: 0.6, clear: 0.65, min_share: 0.05}]
    cost: {ceiling: 1.5}
    data_drift: {features: [x, score], min_effect: 0.2}
    persistence: {lasting: 6h}
    cooldown: 7d
    at_most: 2
    period: 30d
    min_fresh_labels: 5000
    label_quality: [{measure: disagreement_ratio, at_most: 0.1}]
    quiet_hours: {zone: Europe/Paris, windows: [{days: [Sat, Sun]}, {start: 18:30, end: 08:00}]}
    topic: retraining
    """
    retraining = config(yaml.safe_load(text), controls={"topic": "controls"}).models[0].retraining
    assert retraining.persistence.lasting_ms == 6 * 3_600_000
    # YAML makes a number of a bare 18:30 and text of 08:00.
    assert [(w.start, w.end) for w in retraining.quiet_hours.windows] == [("00:00", "24:00"), ("18:30", "08:00")]
    assert retraining.expire_after_ms == 3 * 86_400_000


@pytest.mark.parametrize(
    ("retraining", "path", "said"),
    [
        ({}, "retraining", "expected one of performance, cost, concept_drift, data_drift, estimated_loss"),
        ({"performance": [{"metric": "recall"}]}, "retraining.performance[0]", "expected exactly one of floor, ceiling"),
        ({"performance": [{**LIMIT, "ceiling": 1}]}, "retraining.performance[0]", "expected exactly one of floor, ceiling"),
        (
            {"performance": [{**LIMIT, "clear": 0.6}]},
            "retraining.performance[0]",
            "clear: expected a value on the good side of the limit 0.7, got 0.6",
        ),
        (
            {"performance": [{"metric": "log_loss", "ceiling": 2, "clear": 3}]},
            "retraining.performance[0]",
            "clear: expected a value on the good side of the limit 2, got 3",
        ),
        ({"performance": [{"metric": "recall", "floor": float("nan")}]}, "retraining.performance[0].floor", "finite number"),
        (
            {"performance": [LIMIT, {"metric": "recal", "floor": 0.5}]},
            "",
            "retraining.performance[1].metric: expected one of accuracy, balanced_accuracy, precision, recall,",
        ),
        ({"cost": {"ceiling": 1, "clear": 2}}, "retraining.cost", "clear: expected at most the ceiling 1, got 2"),
        (
            {"estimated_loss": [{"metric": "accuracy", "loss": 0.1, "clear": 0.2}]},
            "retraining.estimated_loss[0]",
            "expected at most the loss",
        ),
        ({"data_drift": {}}, "retraining.data_drift", "expected features, segments or min_share"),
        ({"data_drift": {"features": ["y"]}}, "", "retraining.data_drift.features: expected configured features, got 'y'"),
        (
            {"concept_drift": {"min_effect": 0.1, "clear_effect": 0.2}},
            "retraining.concept_drift",
            "clear_effect: expected at most min_effect 0.1, got 0.2",
        ),
        ({"performance": [LIMIT], "persistence": {}}, "retraining.persistence", "expected exactly one of evaluations, lasting"),
        (
            {"performance": [LIMIT], "persistence": {"evaluations": 3, "of": 2}},
            "retraining.persistence",
            "of: expected at least as many as evaluations, got 2 with evaluations 3",
        ),
        ({"performance": [LIMIT], "persistence": {"lasting": "1h", "of": 2}}, "retraining.persistence", "of: expected at least as many"),
        ({"performance": [LIMIT], "cooldown": "0s"}, "retraining", "cooldown: expected at least 1s"),
        ({"performance": [LIMIT], "at_most": 0}, "retraining.at_most", "greater than or equal to 1"),
        ({"performance": [LIMIT], "colldown": "1d"}, "retraining.colldown", "unknown key; did you mean 'cooldown'?"),
        (
            {"performance": [LIMIT], "label_quality": [{"measure": "flip_ratio"}]},
            "retraining.label_quality[0]",
            "exactly one of at_most, at_least",
        ),
        (
            {"performance": [LIMIT], "label_quality": [{"measure": "conflict_ratio", "at_most": 0.1}]},
            "retraining.label_quality[0].measure",
            "expected coverage_ratio, selection_distance, disagreement_ratio, flip_ratio or alpha, got 'conflict_ratio'",
        ),
        (
            {"performance": [LIMIT], "quiet_hours": {"windows": [{"start": "8am"}]}},
            "retraining.quiet_hours.windows[0].start",
            "expected a time of day from 00:00 to 24:00, got '8am'",
        ),
        ({"performance": [LIMIT], "quiet_hours": {"windows": [{"start": 9_999}]}}, "windows[0].start", "expected a time of day"),
        ({"performance": [LIMIT], "quiet_hours": {"windows": [{"start": "24:30"}]}}, "windows[0].start", "expected a time of day"),
        ({"performance": [LIMIT], "quiet_hours": {"windows": [{"start": "08:00", "end": "08:00"}]}}, "windows[0]", "expected another end"),
        ({"performance": [LIMIT], "quiet_hours": {"windows": [{"days": ["Monday"]}]}}, "windows[0].days[0]", "expected Mon, Tue"),
        (
            {"performance": [LIMIT], "quiet_hours": {"zone": "Mars", "windows": [{}]}},
            "retraining.quiet_hours",
            "expected an IANA time zone",
        ),
    ],
)
def test_a_mistake_is_said_with_its_path(retraining, path, said):
    with pytest.raises(ConfigError) as wrong:
        config(retraining)
    [mistake] = wrong.value.mistakes
    assert path in mistake.path
    assert mistake.path.startswith("models[0]")
    assert said in mistake.message


@pytest.mark.parametrize(
    ("retraining", "said"),
    [
        ({"performance": [LIMIT]}, "retraining.performance: expected labels to be configured, or none here"),
        ({"cost": {"ceiling": 1}}, "retraining.cost: expected labels to be configured, or none here"),
        ({"concept_drift": {}}, "retraining.concept_drift: expected labels to be configured, or none here"),
        ({"estimated_loss": [{"loss": 0.1}]}, "retraining.estimated_loss: expected labels to be configured, or none here"),
        ({"data_drift": {"features": ["x"]}}, "retraining.min_fresh_labels: expected labels to be configured, or 0 here"),
    ],
)
def test_a_policy_over_labels_needs_labels(retraining, said):
    model = {key: value for key, value in MODEL.items() if key != "labels"}
    with pytest.raises(ConfigError, match=said):
        parse_config({"source": {"brokers": ["b:1"]}, "models": [{**model, "retraining": retraining}]})
    fine = {"data_drift": {"features": ["x"]}, "min_fresh_labels": 0}
    parse_config({"source": {"brokers": ["b:1"]}, "models": [{**model, "retraining": fine}]})


SCORE_ALONE = {"predictions": {"topic": "t", "id": "id", "score": "score"}}
REGRESSION = SCORE_ALONE | {"labels": {"topic": "l", "id": "id", "label": "label", "task": "regression"}}
MULTICLASS = {
    "predictions": {"topic": "t", "id": "id", "predicted_class": "class"},
    "labels": {"topic": "l", "id": "id", "label": "label", "task": "multiclass", "classes": ["a", "b", "c"]},
}
UNNAMED = {"labels": {"topic": "l", "id": "id", "label": "label"}}
LOSS = {"estimated_loss": [{"loss": 0.1}]}
NO_CLASS = "expected predictions that name a class (predicted_class, or score with predictions.threshold), got none"


@pytest.mark.parametrize(
    ("model", "retraining", "said"),
    [
        (REGRESSION, {"concept_drift": {}}, "concept_drift: expected labels with task binary or multiclass, got regression"),
        (REGRESSION, LOSS, "estimated_loss: expected labels with task binary or multiclass, got regression"),
        (REGRESSION, {"cost": {"ceiling": 1}}, "cost: expected labels with task binary or multiclass, got regression"),
        (SCORE_ALONE, {"cost": {"ceiling": 1}}, f"cost: {NO_CLASS}"),
        (SCORE_ALONE, LOSS, f"estimated_loss: {NO_CLASS}"),
        ({"detection": {"enabled": False}}, {"concept_drift": {}}, "concept_drift: expected detection.enabled"),
        ({"detection": {"enabled": False}}, {"data_drift": {"features": ["x"]}}, "data_drift: expected detection.enabled"),
        (MULTICLASS, {"data_drift": {"features": ["score"]}}, "data_drift.features: expected configured features, got 'score'"),
        (SCORE_ALONE, {"data_drift": {"features": ["predicted_class"]}}, "features: expected configured features, got 'predicted_class'"),
        (
            {},
            {"performance": [LIMIT], "view": "audit"},
            "retraining.view: expected labels.source, by which labels of the audit sample are known",
        ),
        ({}, {"performance": [LIMIT | {"segments": ["country=FR"]}]}, "performance[0].segments[0]: expected ALL, by the groupings"),
        (
            {},
            {"data_drift": {"segments": ["ALL", "x=1"]}},
            "data_drift.segments[1]: expected ALL, by the groupings of the model, got 'x=1'",
        ),
        (
            UNNAMED,
            {"performance": [LIMIT], "label_quality": [{"measure": "alpha", "at_least": 0.6}]},
            "label_quality[0].measure: expected labels.annotator to be configured for alpha, got none",
        ),
        (
            UNNAMED,
            {"performance": [LIMIT], "label_quality": [{"measure": "flip_ratio", "at_most": 0.6}]},
            "label_quality[0].measure: expected labels.label_version, labels.annotator or labels.confidence to be configured",
        ),
        (
            SCORE_ALONE,
            {"performance": [LIMIT]},
            "performance[0].metric: expected one that predictions and labels of this model can tell, such as roc_auc, average_precision,",
        ),
        (
            MULTICLASS,
            {"performance": [LIMIT]},
            "performance[0].metric: expected one that predictions and labels of this model can tell, such as recall[a], recall[b],"
            " recall[c], got 'recall'",
        ),
        (MULTICLASS, {"performance": [LIMIT | {"metric": "recall[d]"}]}, "such as recall[a], recall[b], recall[c], got 'recall[d]'"),
        (MULTICLASS, {"performance": [{"metric": "log_loss", "ceiling": 1}]}, "such as accuracy, balanced_accuracy, expected_cost, got"),
        (REGRESSION, {"performance": [LIMIT]}, "such as mae, rmse, bias, r2, label_mean, got 'recall'"),
        ({}, {"performance": [{"metric": "kpi_mean", "floor": 1}]}, "got 'kpi_mean'"),
        ({}, {"performance": [{"metric": "mae", "ceiling": 1}]}, "got 'mae'"),
    ],
)
def test_a_condition_that_could_never_be_judged_is_a_mistake(model, retraining, said):
    with pytest.raises(ConfigError) as wrong:
        parse_config({"source": {"brokers": ["b:1"]}, "models": [MODEL | model | {"retraining": retraining}]})
    [mistake] = wrong.value.mistakes
    assert said in str(mistake)
    assert str(mistake).startswith("models[0]: retraining.") or str(mistake).startswith("models[0].retraining.")


@pytest.mark.parametrize(
    ("model", "metric"),
    [
        ({}, "recall"),
        ({}, "recall[1]"),
        ({}, "recall[0]"),
        (SCORE_ALONE, "log_loss"),
        (MULTICLASS, "recall[c]"),
        (REGRESSION, "mae"),
        (REGRESSION, "absolute_error_quantile[0.9]"),
        ({"labels": {**MODEL["labels"], "kpi": "revenue"}}, "kpi_mean"),
        ({"labels": {**MODEL["labels"], "prediction": {"predicted_class": "c"}}}, "recall"),
    ],
)
def test_a_metric_that_the_model_has_is_taken(model, metric):
    retraining = {"performance": [{"metric": metric, "floor": 0}]}
    parse_config({"source": {"brokers": ["b:1"]}, "models": [MODEL | model | {"retraining": retraining}]})


@pytest.mark.parametrize("topic", ["t", "l", "dead", "triggers"])
def test_the_control_topic_is_its_own(topic):
    model = {**MODEL, "predictions": {**MODEL["predictions"], "dead_letter_topic": "dead"}}
    model |= {"retraining": {"performance": [LIMIT], "topic": "triggers"}}
    with pytest.raises(
        ConfigError, match=rf"expected .* got '{topic}'.*, which is (controls\.topic|models\[0\]\.(predictions|labels)\.topic)"
    ):
        parse_config({"source": {"brokers": ["localhost:9092"]}, "models": [model], "controls": {"topic": topic}})


def test_triggers_need_a_broker_to_be_sent_to():
    model = {**MODEL, "retraining": {"performance": [LIMIT], "topic": "triggers"}}
    with pytest.raises(ConfigError, match=r"models\[0\]\.retraining\.topic: expected source\.brokers to send it to, got none"):
        parse_config({"source": {"client": "ndjson", "path": "x"}, "models": [model]})


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        ({"feature": "y", "shift": 0.5}, "got shift of feature y"),
        ({"feature": "x", "unseen": 0.5}, "got unseen of feature x"),
        ({"model": "n", "shift": 0.5}, "got shift of model n"),
    ],
)
def test_a_drift_that_fits_no_model_is_a_mistake(drift, said):
    with pytest.raises(ConfigError, match=rf"drill\.drifts\[1\]: expected a drift that fits a model's features or its labels, {said}$"):
        config(drill={"drifts": [{"name": "a", "shift": 1}, {"name": "b"} | drift]})
    config(drill={})  # of the standard ones those that fit are planted, whatever the model
