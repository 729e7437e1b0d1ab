"""Rules about whether one model's verdicts can be relied on: that it is evaluated, on enough rows, on all of them."""

from __future__ import annotations

from monitor.config import Alerts
from monitor.rules.rule import ONE_PROCESS, Alert, Record, query_template, series

BLIND = "model_version_window:driftgauge_segments_blind_per_segments:ratio"
"""Share of the segments that have too few rows to be judged."""

REJECTED = "model:driftgauge_messages_rejected_per_messages:ratio_rate10m"
"""Share of the messages that cannot be used."""

FEW_MESSAGES = 10
"""In a quiet topic one bad message is a large share; this many in ten minutes are no alert yet."""

_SETTLING_MS = 60 * 60_000
"""Windows start empty and are given this long to fill."""

_SLACK_MS = 60_000  # two scrapes at the usual interval
_ONE_STATUS = "without (instance, pod, status)"
_MODEL = "{{ $labels.model }} {{ $labels.version }}"


def trust_records(model: str) -> tuple[Record, ...]:
    """Recording rules of one model."""
    blind = series("driftgauge_segment_status", model=model, status="insufficient_data")
    segments = series("driftgauge_segment_status", model=model)
    rejected = series("driftgauge_messages_rejected_total", model=model)
    messages = series("driftgauge_messages_total", model=model)
    return (
        Record(BLIND, f"max {_ONE_STATUS} ({blind})\n/\nmax {ONE_PROCESS} (sum without (status) ({segments})) > 0"),
        Record(
            REJECTED,
            f"sum without (instance, pod, reason) (rate({rejected}[10m]))\n/\n"
            f"sum without (instance, pod, topic) (rate({messages}[10m])) > 0",
        ),
    )


def trust_alerts(model: str, settings: Alerts) -> tuple[Alert, ...]:
    """Alerts about one model's monitoring."""
    blind = (_blind_segments(model, settings),) if settings.blind_ratio < 1 else ()  # no share is larger than 1
    rejected = series("driftgauge_messages_rejected_total", model=model)
    return (
        Alert(
            "DriftgaugeStalled",
            _stalled(model, settings.stale_after_ms // 1_000),
            "critical",
            "A model has not been evaluated for too long, so its drift would go unseen.",
            f"{model}: no evaluation for {{{{ $value | humanizeDuration }}}}.",
            _SLACK_MS,
        ),
        Alert(
            "DriftgaugeNoReference",
            f"max {_ONE_STATUS} ({series('driftgauge_segment_status', model=model, status='no_reference')}) > 0",
            "warning",
            "A version of a model is served that has no reference to be compared with.",
            f"{_MODEL}, {{{{ $labels.window }}}} window: {{{{ $value }}}} segments cannot be judged for want of a reference.",
            settings.pending_ms,
        ),
        Alert(
            "DriftgaugePartialView",
            f"max {_ONE_STATUS} ({series('driftgauge_segment_status', model=model, status='partial')}) > 0",
            "warning",
            "A process judges a model by a part of its partitions only.",
            f"{_MODEL}, {{{{ $labels.window }}}} window: the verdicts about {{{{ $value }}}} segments are partial.",
            settings.pending_ms,
        ),
        *blind,
        Alert(
            "DriftgaugeRejectedRows",
            f"{series(REJECTED, model=model)} > {settings.max_rejected_ratio:.15g}\n"
            f"and on (job, model)\nsum without (instance, pod, reason) (increase({rejected}[10m])) > {FEW_MESSAGES}",
            "warning",
            "Too many messages about a model cannot be used.",
            "{{ $labels.model }}: {{ $value | humanizePercentage }} of the messages of the last 10 minutes were rejected. Reasons:"
            + query_template(
                "sort_desc(sum by (reason) (increase(driftgauge_messages_rejected_total{model=%q}[10m])) > 0)",
                "$labels.model",
                ' {{ .Labels.reason }} ({{ .Value | printf "%.0f" }})',
            ),
            settings.pending_ms,
        ),
    )


def settled_ms(settings: Alerts) -> int:
    """How long segments may stay blind before it is an alert."""
    return max(settings.pending_ms, _SETTLING_MS)


def _stalled(model: str, stale_s: int) -> str:
    """Expression: evaluated too long ago; or never, though the process has run that long."""
    evaluated = series("driftgauge_last_evaluation_timestamp_seconds", model=model)
    started = "process_start_time_seconds and on (job, instance) driftgauge_build_info"
    return (
        f"time() - max {ONE_PROCESS} ({evaluated}) > {stale_s}\nor\n"
        f"(time() - min {ONE_PROCESS} ({started}) > {stale_s} unless on (job) {evaluated})"
    )


def _blind_segments(model: str, settings: Alerts) -> Alert:
    return Alert(
        "DriftgaugeBlindSegments",
        f"{series(BLIND, model=model)} > {settings.blind_ratio:.15g}",
        "warning",
        "Too many segments of a model have too few rows to be judged.",
        f"{_MODEL}, {{{{ $labels.window }}}} window: {{{{ $value | humanizePercentage }}}} of the segments have too few rows.",
        settled_ms(settings),
    )
