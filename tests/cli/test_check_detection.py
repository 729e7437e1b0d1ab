"""``driftgauge check`` on detection: what will be watched, and what cannot be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from monitor.cli.check import detection_lines, policy_lines
from monitor.config import ModelConfig, parse_config
from monitor.reference.reference import Reference
from tests.detect.make import PLAIN, THRESHOLD, reference
from tests.flow import world

BUDGET = "detection, at most 1 false trigger in 30d over all streams of a version"


def model(groupings: tuple[list[str], ...] = (["segment"],), **sections: Any) -> ModelConfig:
    section = {
        "name": "m",
        "predictions": {"topic": "t", "id": "id", "score": "score", "threshold": THRESHOLD},
        "features": [{"name": "x0", "type": "numeric"}],
        "segments": {"columns": {"segment": "segment"}, "groupings": list(groupings)},
        **sections,
    }
    return parse_config({"source": {"client": "ndjson", "path": "none"}, "models": [section]}).models[0]


def said(config: ModelConfig, *references: Reference) -> list[str]:
    return list(detection_lines(config, references))


def test_what_will_be_watched_is_said_for_each_version() -> None:
    first, second = (replace(reference(PLAIN), model_version=version) for version in ("1", "2"))
    watched = "is watched in all traffic and 4 segments: 5 signals, their missing values"
    assert len(first.layout.signals) == 5
    assert said(model(), first, second) == [BUDGET, f"version 1 {watched}", f"version 2 {watched}"]


def test_error_and_label_rates_are_watched_where_the_reference_has_labels_and_the_model_too() -> None:
    labelled, labels = reference(PLAIN, sooner=1.0), {"topic": "l", "id": "id", "label": "y"}
    assert said(model(labels=labels), labelled)[1].endswith("5 signals, their missing values, error rate and label rate")
    for config, of in ((model(), labelled), (model(labels=labels), reference(PLAIN))):
        assert said(config, of)[1].endswith("their missing values")


def test_segments_of_groupings_that_are_not_counted_are_not_watched() -> None:
    assert "is watched in all traffic: 5 signals" in said(model(groupings=()), reference(PLAIN))[1]


def test_segments_beyond_the_most_streams_are_said() -> None:
    watched, told = "5 signals, their missing values", "detection.max_streams is"
    for most, expected in (
        (50, f"all traffic and 4 segments: {watched}"),
        (49, f"all traffic and 3 segments: {watched}; 1 smaller segment is not, as {told} 49"),
        (1, f"all traffic: {watched}; 4 smaller segments are not, as {told} 1"),
    ):
        assert said(model(detection={"max_streams": most}), reference(PLAIN))[1].endswith(f"is watched in {expected}")


def test_what_cannot_be_watched_or_has_no_threshold_yet_is_said() -> None:
    few = replace(world.reference(), table=replace(world.reference().table, counts=world.reference().table.counts // 10))
    assert said(model(), few)[1] == "version 1 is not watched: its reference has fewer than 200 rows"
    timeless = replace(reference(PLAIN), start_ms=None, end_ms=None)
    assert said(model(), timeless)[1].endswith("; its reference has no times, so thresholds are known only after an hour of rows")


def test_nothing_is_said_without_a_reference_or_where_it_is_switched_off() -> None:
    assert said(model()) == said(model(detection={"enabled": False}), reference(PLAIN)) == []
    budget = said(model(detection={"false_alarms": {"at_most": 0.5, "per": "7d"}}), reference(PLAIN))[0]
    assert budget == "detection, at most 0.5 false triggers in 7d over all streams of a version"


def test_conditions_that_a_reference_without_labels_cannot_judge_are_said() -> None:
    policy = {"estimated_loss": [{"loss": 0.05}], "concept_drift": {}, "data_drift": {"features": ["x0"]}}
    config = model(labels={"topic": "l", "id": "id", "label": "y"}, retraining=policy)
    assert list(policy_lines(config, [replace(reference(PLAIN), model_version="1")])) == [
        "retraining.concept_drift and retraining.estimated_loss are not judged of version 1: its reference has no labels; reference build"
        " --label makes one with them"
    ]
    assert list(policy_lines(config, [reference(PLAIN, sooner=1.0)])) == []
    assert list(policy_lines(config, [])) == [
        "retraining.concept_drift, retraining.data_drift and retraining.estimated_loss are not judged of any version until it has a"
        " reference"
    ]
    assert list(policy_lines(model(), [])) == []
