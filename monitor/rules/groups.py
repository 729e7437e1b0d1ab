"""All rules of a configuration: a group for the process and one for each model."""

from __future__ import annotations

from dataclasses import replace

from monitor.config import Alerts, Config, ModelConfig
from monitor.rules.canary import canary_alerts
from monitor.rules.detection import detection_alerts
from monitor.rules.drift import drift_alerts
from monitor.rules.labels import label_alerts
from monitor.rules.performance import performance_alerts
from monitor.rules.pipeline import pipeline_alerts
from monitor.rules.retraining import retraining_alerts
from monitor.rules.rule import Alert, Group, Record
from monitor.rules.trust import trust_alerts, trust_records


def rule_groups(config: Config) -> tuple[Group, ...]:
    """Groups in the order of the file."""
    settings = config.alerts
    return (Group("driftgauge", pipeline_alerts(settings)), *(_of_model(model, settings) for model in config.models))


def _of_model(model: ModelConfig, settings: Alerts) -> Group:
    # The model is a label of its series already; on the rule it tells the rules of two models apart.
    label = {"model": model.name}
    about = [*retraining_alerts(model.name), *drift_alerts(model.name, settings), *trust_alerts(model.name, settings)]
    if model.detection.enabled:
        about += detection_alerts(model.name, settings)
    if model.labels is not None:
        about += [
            *performance_alerts(model.name, settings),
            *canary_alerts(model.name, settings),
            *label_alerts(model.name, (model.predictions.topic, model.labels.topic), settings),
        ]
    records = (replace(record, labels=label) for record in trust_records(model.name))
    rules: tuple[Record | Alert, ...] = (*records, *(replace(alert, labels={**alert.labels, **label}) for alert in about))
    return Group(f"driftgauge-model-{model.name}", rules)


def alerts(config: Config) -> tuple[Alert, ...]:
    """Every alert, in the order of the file; those about a model once for each model."""
    return tuple(rule for group in rule_groups(config) for rule in group.rules if isinstance(rule, Alert))
