"""Rules about what labels say of one model: that it is worse than it was, and that the world is another.

As with drift, the monitor has judged and counted; a rule compares with zero. Which metrics lost how much is read only by the description
of an alert that fires.
"""

from __future__ import annotations

from monitor.config import Alerts
from monitor.rules.rule import ONE_PROCESS, Alert, query_template, series

_VIEWS = 'view=~"prediction_time|label_time"'
"""By time of the prediction a loss shows where it happened, by time of the label sooner when labels take long."""

_ALL, _SEGMENTS = 'segment="ALL"', 'segment!="ALL"'
_MODEL = "{{ $labels.model }} {{ $labels.version }}"
_VALUES = "$labels.model $labels.version"
_METRIC = "{{ .Labels.metric }}{{ with .Labels.class }} of {{ . }}{{ end }} ({{ .Value | humanizePercentage }})"


def performance_alerts(model: str, settings: Alerts) -> tuple[Alert, ...]:
    """Alerts about one model's performance."""
    whole, parts = (f'driftgauge_performance_worse{{model="{model}",{which},{_VIEWS}}}' for which in (_ALL, _SEGMENTS))
    shifted = series("driftgauge_label_rate_shifted", model=model, view="label_time")

    def alert(name: str, expression: str, summary: str, description: str) -> Alert:
        return Alert(name, expression, "warning", summary, description, settings.pending_ms, settings.keep_firing_ms)

    return (
        alert(
            "DriftgaugePerformance",
            f"max without (instance, pod, view) ({whole}) > 0",
            "A model is worse than in its reference's validation, by labels.",
            f"{_MODEL}, all traffic. Largest losses, as parts of the reference's value:" + _losses("metric, class", _ALL, _METRIC),
        ),
        alert(
            "DriftgaugeSegmentPerformance",
            f"sum without (segment) (max without (instance, pod, view) ({parts})) > 0",
            "A model is worse than in its reference's validation in some segments, by labels.",
            f"{_MODEL}: {{{{ $value }}}} segments are worse. Largest losses, as parts of the reference's value:"
            + _losses("segment, metric, class", _SEGMENTS, "{{ .Labels.segment }} " + _METRIC),
        ),
        alert(
            "DriftgaugeLabelRate",
            f"sum without (segment) (max {ONE_PROCESS} ({shifted})) > 0",
            "The truth of a model's predictions is distributed differently than in its reference.",
            f"{_MODEL}: labels of {{{{ $value }}}} segments shifted. Largest shifts:" + _SHIFTS,
        ),
    )


def _losses(by: str, segments: str, shown: str) -> str:
    """Template: the largest losses; a reference of 0 has no parts."""
    chosen = f"model=%q,version=%q,{segments},{_VIEWS}"
    loss = f"driftgauge_performance_loss{{{chosen}}} / abs(driftgauge_performance_reference != 0)"
    return query_template(f"sort_desc(topk(5, max by ({by}) ({loss})))", _VALUES, f" {shown}")


def _shifts(by: str, value: str, chosen: str, reference: str, shown: str) -> str:
    """Template: the largest differences from the reference, of segments whose labels shifted."""
    return query_template(
        f"sort_desc(topk(5, max by ({by}) (abs({value}{{model=%q,version=%q,{chosen}}} - {reference}))"
        ' and on (segment) (max by (segment) (driftgauge_label_rate_shifted{model=%q,version=%q,view="label_time"}) == 1)))',
        f"{_VALUES} {_VALUES}",
        f" {{{{ .Labels.segment }}}} {shown}",
    )


_SHIFTS = _shifts(
    "segment, class",
    "driftgauge_label_rate_ratio",
    'view="label_time"',
    "driftgauge_label_rate_reference_ratio",
    "{{ .Labels.class }} (by {{ .Value | humanizePercentage }})",
) + _shifts(
    "segment",
    "driftgauge_performance",
    'view="label_time",metric="label_mean"',
    "driftgauge_performance_reference",
    'mean (by {{ .Value | printf "%.3g" }})',
)
"""Of classes their shares, of a regression the mean: a model has series of one of them."""
