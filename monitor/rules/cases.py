"""All test cases of a configuration's rules."""

from __future__ import annotations

from monitor.config import Config, ModelConfig
from monitor.rules.canary_cases import canary_cases
from monitor.rules.case import Case, RecordCase
from monitor.rules.detection_cases import detection_cases
from monitor.rules.drift_cases import drift_cases
from monitor.rules.label_cases import label_cases
from monitor.rules.performance_cases import performance_cases
from monitor.rules.pipeline_cases import pipeline_cases
from monitor.rules.retraining_cases import retraining_cases
from monitor.rules.trust_cases import trust_cases, trust_record_cases


def cases(config: Config) -> tuple[Case, ...]:
    """Cases of every alert."""
    settings = config.alerts
    found = list(pipeline_cases(settings))
    for model in config.models:
        others = [other.name for other in config.models if other is not model]
        found += [*retraining_cases(model.name), *drift_cases(model.name, settings), *trust_cases(model.name, others, settings)]
        if model.detection.enabled:
            found += detection_cases(model.name, settings)
        if model.labels is not None:
            topics = model.predictions.topic, model.labels.topic
            found += [*performance_cases(model.name, settings), *canary_cases(model.name, settings)]
            found += label_cases(model.name, topics, _others(config, model), settings)
    return tuple(found)


def _others(config: Config, model: ModelConfig) -> dict[str, str]:
    """Label topic of each other model that has one."""
    return {other.name: other.labels.topic for other in config.models if other is not model and other.labels is not None}


def record_cases(config: Config) -> tuple[RecordCase, ...]:
    """Cases of every recording rule."""
    return tuple(case for model in config.models for case in trust_record_cases(model.name))
