"""Rules about whether one model's labels can be relied on: that they come, in time, for most predictions, and fit them."""

from __future__ import annotations

from monitor.config import Alerts
from monitor.rules.rule import ONE_PROCESS, Alert, query_template, series
from monitor.rules.trust import FEW_MESSAGES

WINDOW = "6h"
"""Labels come in bursts; their outcomes are looked at over this long."""

_ONE_TOPIC = "without (instance, pod, topic, partition)"
_ONE_OUTCOME = "without (instance, pod, outcome)"


def label_alerts(model: str, topics: tuple[str, str], settings: Alerts) -> tuple[Alert, ...]:
    """Alerts about one model's labels; ``topics`` of predictions and of labels."""
    return (
        *_flow(model, topics, settings),
        *(_coverage(model, settings) if settings.min_label_coverage else ()),
        *(_coverage_drop(model, settings) if settings.max_label_coverage_drop < 1 else ()),
        _outcome(
            model, settings, "DriftgaugeLabelOrphans", 'outcome="orphan"', settings.max_orphan_ratio,
            "Too many labels belong to no prediction.", "have an id that no prediction had",
        ),
        _outcome(
            model, settings, "DriftgaugeLabelsLate", 'outcome=~"late|late_arrival"', settings.max_late_label_ratio,
            "Too many labels come too late to count.", "came too late",
        ),
        _rejected(model, settings),
        Alert(
            "DriftgaugePredictionsEvicted",
            f"sum {ONE_PROCESS} (increase({series('driftgauge_predictions_evicted_total', model=model)}[1h])) > 0",
            "warning",
            "Predictions are forgotten before their label can come, for want of room.",
            '{{ $labels.model }}: {{ $value | printf "%.0f" }} predictions were forgotten in the last hour.',
        ),
    )  # fmt: skip


def _flow(model: str, topics: tuple[str, str], settings: Alerts) -> tuple[Alert, ...]:
    stale_s = settings.labels_stale_after_ms // 1_000
    joined = series("driftgauge_labels_watermark_timestamp_seconds", model=model)
    predicted = series("driftgauge_watermark_timestamp_seconds", model=model)
    newest, newest_label = (series("driftgauge_partition_newest_event_timestamp_seconds", model=model, topic=topic) for topic in topics)
    started = "process_start_time_seconds and on (job, instance) driftgauge_build_info"
    return (
        Alert(
            "DriftgaugeLabelsBehind",
            f"max {ONE_PROCESS} ({predicted}) - max {ONE_PROCESS} ({joined}) > {stale_s}",
            "warning",
            "Labels are joined far behind the predictions, so performance is about the past.",
            f"{model}: labels are joined {{{{ $value | humanizeDuration }}}} behind the predictions.",
            settings.pending_ms,
        ),
        Alert(
            "DriftgaugeLabelsSilent",
            f"max {_ONE_TOPIC} ({newest}) - max {_ONE_TOPIC} ({newest_label}) > {stale_s}\nor\n"
            f"(time() - min {ONE_PROCESS} ({started}) > {stale_s} unless on (job) {newest_label})",
            "warning",
            "No label has come for too long, so performance is not known any more.",
            f"{model}: no label for {{{{ $value | humanizeDuration }}}}.",
            settings.pending_ms,
        ),
    )


def _coverage(model: str, settings: Alerts) -> tuple[Alert, ...]:
    covered = series("driftgauge_label_coverage_ratio", model=model, segment="ALL")
    return (
        Alert(
            "DriftgaugeLabelCoverage",
            f"max {ONE_PROCESS} ({covered}) < {settings.min_label_coverage:.15g}",
            "warning",
            "Too few predictions of a model get a label.",
            "{{ $labels.model }} {{ $labels.version }}: {{ $value | humanizePercentage }} of the window's predictions have a label.",
            settings.pending_ms,
            settings.keep_firing_ms,
        ),
    )


def _coverage_drop(model: str, settings: Alerts) -> tuple[Alert, ...]:
    relative = series("driftgauge_label_coverage_relative_ratio", model=model, segment="ALL")
    return (
        Alert(
            "DriftgaugeLabelCoverageFell",
            f"max {ONE_PROCESS} ({relative}) < {1 - settings.max_label_coverage_drop:.15g}",
            "warning",
            "Fewer predictions of a model get a label than before.",
            "{{ $labels.model }} {{ $labels.version }}: {{ $value | humanizePercentage }} of the labels have come that had at the same age"
            " the window before.",
            settings.pending_ms,
            settings.keep_firing_ms,
        ),
    )


def _outcome(model: str, settings: Alerts, name: str, chosen: str, limit: float, summary: str, said: str) -> Alert:
    every = series("driftgauge_labels_total", model=model)
    some = f'driftgauge_labels_total{{model="{model}",{chosen}}}'
    return Alert(
        name,
        f"sum {_ONE_OUTCOME} (increase({some}[{WINDOW}]))\n/\nsum {_ONE_OUTCOME} (increase({every}[{WINDOW}])) > {limit:.15g}\n"
        f"and on (job, model)\nsum {_ONE_OUTCOME} (increase({some}[{WINDOW}])) > {FEW_MESSAGES}",
        "warning",
        summary,
        f"{{{{ $labels.model }}}}: {{{{ $value | humanizePercentage }}}} of the labels of the last {WINDOW} {said}.",
        settings.pending_ms,
    )


def _rejected(model: str, settings: Alerts) -> Alert:
    rejected = f"sum without (instance, pod, reason) (increase({series('driftgauge_label_messages_rejected_total', model=model)}[10m]))"
    read = f"sum without (instance, pod, topic) (increase({series('driftgauge_label_messages_total', model=model)}[10m]))"
    return Alert(
        "DriftgaugeRejectedLabels",
        f"{rejected}\n/\n{read} > {settings.max_rejected_ratio:.15g}\nand on (job, model)\n{rejected} > {FEW_MESSAGES}",
        "warning",
        "Too many messages of a label topic cannot be used.",
        "{{ $labels.model }}: {{ $value | humanizePercentage }} of the label messages of the last 10 minutes were rejected. Reasons:"
        + query_template(
            "sort_desc(sum by (reason) (increase(driftgauge_label_messages_rejected_total{model=%q}[10m])) > 0)",
            "$labels.model",
            ' {{ .Labels.reason }} ({{ .Value | printf "%.0f" }})',
        ),
        settings.pending_ms,
    )
