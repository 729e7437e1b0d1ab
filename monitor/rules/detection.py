"""Rules about what the sequential detectors of one model say: that a drift was detected, or is suspected.

They fire at once: the evidence is gathered until false alarms are as rare as was asked for, and is right at whatever time one looks. One
alert per version and kind of stream, since a drift that moves everything moves hundreds of streams; its description names some.
"""

from __future__ import annotations

from monitor.config import Alerts
from monitor.rules.rule import ONE_PROCESS, Alert, query_template, series

_WHERE = "{{ $labels.model }} {{ $labels.version }}: {{ $value }} streams of kind {{ $labels.kind }}"
_VALUES = "$labels.model $labels.version $labels.kind"
_EVIDENCE = "Everything known is at /api/v1/alarms of the process"


def detection_alerts(model: str, settings: Alerts) -> tuple[Alert, ...]:
    """Alerts about one model's streams. For a model without detection they never fire."""

    def standing(level: str) -> str:
        return f"max {ONE_PROCESS} ({series('driftgauge_alarms_standing', model=model, level=level)}) > 0"

    return (
        Alert(
            "DriftgaugeDriftDetected",
            standing("trigger"),
            "warning",
            "Sequential detectors have enough evidence of a drift to act on.",
            f"{_WHERE} triggered. Largest effects:{_effects('trigger')}. {_EVIDENCE}; a trigger stands until it is re-armed with:"
            ' driftgauge control rebaseline -c config.yaml --model {{ $labels.model }} --why "..."',
            keep_firing_ms=settings.keep_firing_ms,
        ),
        Alert(
            "DriftgaugeDriftSuspected",
            standing("warning"),
            "info",
            "Sequential detectors have some evidence of a drift.",
            f"{_WHERE} warned. Largest effects:{_effects('warning')}. {_EVIDENCE}.",
            keep_firing_ms=settings.keep_firing_ms,
        ),
    )


def _effects(level: str) -> str:
    chosen = f'driftgauge_alarm_effect{{model=%q,version=%q,kind=%q,level="{level}"}}'
    return query_template(
        f"sort_desc(topk(5, max by (segment, signal, unit) (abs({chosen}))))",
        _VALUES,
        ' {{ .Labels.signal }} in {{ .Labels.segment }} (by {{ printf "%.3g" .Value }} {{ .Labels.unit }})',
    )
