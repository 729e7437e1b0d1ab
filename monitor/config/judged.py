"""What a policy needs of the rest of its model: a condition without it would be accepted, and be unknown for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from monitor.segment import wrong_segment

if TYPE_CHECKING:
    from monitor.config.labels import Labels
    from monitor.config.model import ModelConfig
    from monitor.config.retraining import Retraining, Where

CLASSED = "predictions that name a class (predicted_class, or score with predictions.threshold)"
"""What it takes for an answer to be right or wrong, in the words of a mistake."""

_OF_CLASSES = ("cost", "concept_drift", "estimated_loss")
"""Conditions about right and wrong answers, which a regression has not."""


def names_a_class(model: ModelConfig) -> bool:
    """Whether a labelled prediction has a class that can be right or wrong."""
    carried = None if model.labels is None else model.labels.prediction
    if carried is None:
        return model.predictions.has_class
    return carried.predicted_class is not None or (carried.score is not None and model.predictions.threshold is not None)


def _known_features(model: ModelConfig) -> Iterator[str]:
    policy = model.retraining
    if policy is None or policy.data_drift is None:
        return
    from monitor.profile.bare import signal_names

    names = signal_names(model)
    for name in policy.data_drift.features:
        if name not in names:
            yield f"retraining.data_drift.features: expected configured features, got {name!r}"


def _known_segments(model: ModelConfig) -> Iterator[str]:
    for path, where in _places(model.retraining) if model.retraining is not None else ():
        for index, segment in enumerate(where.segments):
            if (wrong := wrong_segment(segment, model.segments.groupings)) is not None:
                yield f"retraining.{path}.segments[{index}]: {wrong}"


def _places(policy: Retraining) -> Iterator[tuple[str, Where]]:
    for name in ("performance", "estimated_loss"):
        yield from ((f"{name}[{index}]", each) for index, each in enumerate(getattr(policy, name)))
    for name in ("cost", "concept_drift", "data_drift"):
        if (each := getattr(policy, name)) is not None:
            yield name, each


def _detectors_for_alarms(model: ModelConfig) -> Iterator[str]:
    for name in ("concept_drift", "data_drift") if model.retraining is not None else ():
        if getattr(model.retraining, name) is not None and not model.detection.enabled:
            yield f"retraining.{name}: expected detection.enabled, since it rests on the alarms of sequential detectors, got false"


def _labels_for_what_needs_them(model: ModelConfig) -> Iterator[str]:
    policy = model.retraining
    if policy is None or model.labels is not None:
        return
    for key in ("performance", "cost", "concept_drift", "estimated_loss", "label_quality", "min_fresh_labels"):
        if getattr(policy, key):
            yield f"retraining.{key}: expected labels to be configured, or {'0' if key == 'min_fresh_labels' else 'none'} here"


def _fitting_labels(model: ModelConfig) -> Iterator[str]:
    policy, labels = model.retraining, model.labels
    if policy is None or labels is None:
        return
    for key in _OF_CLASSES:
        if getattr(policy, key) and labels.task == "regression":
            yield f"retraining.{key}: expected labels with task binary or multiclass, got regression"
        elif getattr(policy, key) and key != "concept_drift" and not names_a_class(model):  # the rate of a label drifts without one
            yield f"retraining.{key}: expected {CLASSED}, got none"
    if policy.view == "audit" and labels.source is None:
        yield "retraining.view: expected labels.source, by which labels of the audit sample are known, got none"
    for index, limit in enumerate(policy.label_quality):
        needed = _needed_for(limit.measure, labels)
        if needed:
            yield f"retraining.label_quality[{index}].measure: expected {needed} to be configured for {limit.measure}, got none"


def _needed_for(measure: str, labels: Labels) -> str:
    """What labels lack for a measure of their quality."""
    if measure in ("disagreement_ratio", "alpha") and labels.annotator is None:
        return "labels.annotator"
    if measure == "flip_ratio" and (labels.annotator, labels.label_version, labels.confidence) == (None, None, None):
        return "labels.label_version, labels.annotator or labels.confidence"
    return ""


def _told_metrics(model: ModelConfig) -> Iterator[str]:
    policy, labels = model.retraining, model.labels
    if policy is None or not policy.performance or labels is None:
        return
    from monitor.outcome.layout import OutcomeLayout  # none of these is needed to read any other section
    from monitor.performance.metric import METRICS
    from monitor.performance.told import told_metrics

    given = model.predictions if labels.prediction is None else labels.prediction
    layout = OutcomeLayout(labels.task, labels.class_names, probabilities=model.keeps_probabilities)
    told = told_metrics(layout, scored=given.score is not None, classed=names_a_class(model), with_kpi=labels.kpi is not None)
    for index, limit in enumerate(policy.performance):
        path, base = f"retraining.performance[{index}].metric", limit.metric.partition("[")[0]
        if base not in METRICS:
            yield f"{path}: expected one of {', '.join(METRICS)}, got {limit.metric!r}"
        elif limit.metric not in told:
            near = [name for name in told if name.partition("[")[0] == base]
            known = ", ".join(near[:10] or [name for name in told if "[" not in name] or told[:10])
            yield f"{path}: expected one that predictions and labels of this model can tell, such as {known}, got {limit.metric!r}"


RETRAINING_CHECKS = (
    _known_features, _known_segments, _detectors_for_alarms, _labels_for_what_needs_them, _fitting_labels, _told_metrics,
)  # fmt: skip
"""See ``Section.checks``."""
