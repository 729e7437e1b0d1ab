"""Rules about what drifted in one model.

The monitor counts what it concluded, so a rule compares a number per segment with zero and knows no threshold: joining
100,000 statistics with their thresholds takes Prometheus over two seconds an evaluation. The statistics themselves are
read only by the description of an alert that fires, for its own segment.

Drift is a warning. It says that the data changed, not that the model got worse, and never asks for retraining.
"""

from __future__ import annotations

from monitor.config import Alerts
from monitor.config.model import RESERVED
from monitor.rules.rule import ONE_PROCESS, Alert, query_template, series

_WHERE = "{{ $labels.model }} {{ $labels.version }}, segment {{ $labels.segment }}, {{ $labels.window }} window"
_VALUES = "$labels.model $labels.version $labels.window $labels.segment"
_SIGNAL_VALUES = "$labels.model $labels.version $labels.signal"
_PREDICTIONS = "|".join(RESERVED)
_RATES = ".+_rate"


def drift_alerts(model: str, settings: Alerts) -> tuple[Alert, ...]:
    """Alerts about one model's data."""

    def alert(name: str, expression: str, summary: str, description: str) -> Alert:
        return Alert(name, expression, "warning", summary, description, settings.pending_ms, settings.keep_firing_ms)

    return (
        alert(
            "DriftgaugeDataDrift",
            f"max {ONE_PROCESS} ({series('driftgauge_signals_drifted', model=model, kind='distribution')}) > 0",
            "Inputs of a model are distributed differently than in its reference.",
            f"{_WHERE}: {{{{ $value }}}} signals drifted. Largest effects, as multiples of their thresholds:"
            + _largest(f'statistic!~"{_RATES}"', f'signal!~"{_PREDICTIONS}"'),
        ),
        alert(
            "DriftgaugeScoreDrift",
            f"max {ONE_PROCESS} ({series('driftgauge_signals_drifted', model=model, kind='prediction')}) > 0",
            "Predictions of a model are distributed differently than in its reference.",
            f"{_WHERE}: the predictions drifted. Largest effects, as multiples of their thresholds:"
            + _largest(f'statistic!~"{_RATES}"', f'signal=~"{_PREDICTIONS}"'),
        ),
        alert(
            "DriftgaugeDataQuality",
            f"max {ONE_PROCESS} ({series('driftgauge_signals_drifted', model=model, kind='quality')}) > 0",
            "More or fewer values of a model's inputs are missing or unusable than in its reference.",
            f"{_WHERE}: {{{{ $value }}}} signals changed. Largest changes, as multiples of their thresholds:"
            + _largest(f'statistic=~"{_RATES}"', 'signal!=""', "signal, statistic", "{{ .Labels.signal }} {{ .Labels.statistic }}"),
        ),
        alert(
            "DriftgaugeUnitChange",
            f"max without (instance, pod, segment, window) ({series('driftgauge_unit_change_factor', model=model)})",
            "An input of a model looks as if its unit had changed.",
            '{{ $labels.model }} {{ $labels.version }}: values of {{ $labels.signal }} are about {{ $value | printf "%.4g" }} times'
            " those of the reference. Seen in"
            + query_template(
                "count(max by (segment) (driftgauge_unit_change_factor{model=%q,version=%q,signal=%q}))",
                _SIGNAL_VALUES,
                " {{ .Value }}",
            )
            + " segments, the largest of them"
            + query_template(
                "topk(1, max by (segment) (driftgauge_window_rows{model=%q,version=%q})"
                " and on (segment) driftgauge_unit_change_factor{model=%q,version=%q,signal=%q})",
                f"$labels.model $labels.version {_SIGNAL_VALUES}",
                " {{ .Labels.segment }}",
            )
            + ".",
        ),
        alert(
            "DriftgaugeSegmentShare",
            f"sum without (segment) (max {ONE_PROCESS} ({series('driftgauge_segment_share_drifted', model=model)})) > 0",
            "The traffic of a model is composed differently than in its reference.",
            "{{ $labels.model }} {{ $labels.version }}, {{ $labels.window }} window: {{ $value }} segments have another share of"
            " the traffic. Largest shifts:" + _SHIFTS,
        ),
    )


def _largest(statistics: str, signals: str, by: str = "signal", shown: str = "{{ .Labels.signal }}") -> str:
    """Template: the signals that drifted most, effect over threshold.

    The time since when a signal drifted is exposed only while it does. So a noisy one, above its threshold but within
    its noise, is not named.
    """
    chosen = "model=%q,version=%q,window=%q,segment=%q"
    effect = f"driftgauge_drift_statistic{{{chosen},{signals},{statistics}}}"
    threshold = "max by (job, model, signal, statistic) (driftgauge_drift_threshold{model=%q})"
    over = f"{effect} / on (job, model, signal, statistic) group_left () {threshold}"
    drifted = f"(max by (signal) (driftgauge_drift_since_timestamp_seconds{{{chosen}}}))"
    ratio = f"max by ({by}) ({over}) and on (signal) {drifted}"
    return query_template(
        f"sort_desc(topk(5, {ratio}))",
        f"{_VALUES} $labels.model {_VALUES}",
        f' {shown} ({{{{ .Value | printf "%.1f" }}}}x)',
    )


_SHIFTS = query_template(
    "sort_desc(topk(5, abs(max by (segment) (driftgauge_segment_share_ratio{model=%q,version=%q,window=%q}"
    " - driftgauge_segment_reference_share_ratio) and on (segment)"
    " (max by (segment) (driftgauge_segment_share_drifted{model=%q,version=%q,window=%q}) == 1))))",
    " ".join(["$labels.model $labels.version $labels.window"] * 2),
    " {{ .Labels.segment }} (by {{ .Value | humanizePercentage }})",
)
