"""All test cases of a configuration's rules."""

from __future__ import annotations

from monitor.config import Config
from monitor.rules.case import Case, RecordCase
from monitor.rules.drift_cases import drift_cases
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
    return tuple(found)


def record_cases(config: Config) -> tuple[RecordCase, ...]:
    """Cases of every recording rule."""
    return tuple(case for model in config.models for case in trust_record_cases(model.name))
