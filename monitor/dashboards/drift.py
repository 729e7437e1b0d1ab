"""Drift: the statistics of chosen segments and signals, against their thresholds."""

from __future__ import annotations

from monitor.dashboards.board import MODEL, Dashboard, Variable, dashboard
from monitor.dashboards.overview import DISTANCES, WINDOW
from monitor.dashboards.panel import ORANGE, dashed, lines, over_time, pick, row, states, steps, table

_MODEL = 'model=~"$model"'
_VERSION = 'model=~"$model",version=~"$version"'
_WINDOW = 'model=~"$model",version=~"$version",window=~"$window"'
_SEGMENT = f'{_WINDOW},segment=~"$segment"'
_SIGNAL = f'{_SEGMENT},signal=~"$signal"'
_CHOSEN = 'model=~"$model",signal=~"$signal",statistic=~"$statistic"'

VERSION = Variable("version", "Version", pick("driftgauge_model_info", _MODEL))
SEGMENT = Variable("segment", "Segment", pick("driftgauge_window_rows", _WINDOW), preset="ALL")
SIGNAL = Variable("signal", "Signal", pick("driftgauge_drift_threshold", _MODEL))
STATISTIC = Variable("statistic", "Statistic", pick("driftgauge_drift_threshold", _MODEL), multi=False, preset="psi")


def drift() -> Dashboard:
    """The dashboard."""
    statistic = pick("driftgauge_drift_statistic", _SIGNAL, 'statistic=~"$statistic"')
    by = "by (model, version, window, segment, signal, statistic)"
    threshold = f"max by (model, signal, statistic) ({pick('driftgauge_drift_threshold', _CHOSEN)})"
    value = f"max {by} ({statistic})"
    limit = f"{value} * 0 + on (model, signal, statistic) group_left () {threshold}"
    since = f"max by (model, version, window, segment, signal) ({pick('driftgauge_drift_since_timestamp_seconds', _SIGNAL)})"
    return dashboard(
        "drift",
        "drift",
        "How far chosen segments and signals are from the reference, against the thresholds.",
        [MODEL, VERSION, WINDOW, SEGMENT, SIGNAL, STATISTIC],
        [
            row("Which segments"),
            states(
                "Drifted signals by segment",
                "Number of signals whose distribution drifted. Where a segment has too few rows to be judged, its band is broken.",
                over_time(
                    "sum by (version, segment) (max by (version, segment, kind)"
                    f" ({pick('driftgauge_signals_drifted', _SEGMENT, DISTANCES)}))",
                    "{{version}} {{segment}}",
                ),
                "none",
                steps((1, ORANGE)),
                (12, 8),
            ),
            lines(
                "Rows in the window",
                "Rows that the verdicts rest on. Below the configured minimum there is no verdict.",
                [over_time(f"max by (version, segment) ({pick('driftgauge_window_rows', _SEGMENT)})", "{{version}} {{segment}}")],
                "short",
            ),
            lines(
                "Share of the traffic",
                "Each segment's share of its grouping; dashed: in the reference.",
                [
                    over_time(f"max by (segment) ({pick('driftgauge_segment_share_ratio', _SEGMENT)})", "{{segment}}"),
                    over_time(f"max by (segment) ({pick('driftgauge_segment_reference_share_ratio', _SEGMENT)})", "{{segment}} reference"),
                ],
                "percentunit",
                overrides=[dashed("B", "text")],
            ),
            lines(
                "Alarms of river's detectors",
                "Alarms within the interval, by signal and detector. Empty where none is configured.",
                [
                    over_time(
                        "sum by (signal, detector, segment)"
                        f" (increase({pick('driftgauge_river_drift_total', _VERSION)}[$__rate_interval]))",
                        "{{signal}} {{segment}} {{detector}}",
                    )
                ],
                "none",
            ),
            row("Segment $segment", repeat="segment"),
            lines(
                "$statistic by signal",
                "The chosen statistic; dashed: from here on the effect matters. It counts as drift only above chance too.",
                [
                    over_time(f"max by (version, signal) ({statistic})", "{{version}} {{signal}}"),
                    over_time(f"max by (signal) ({pick('driftgauge_drift_threshold', _CHOSEN)})", "{{signal}} threshold"),
                ],
                "none",
                (24, 9),
                overrides=[dashed("B")],
            ),
            row("Now"),
            table(
                "Signals now",
                "The chosen statistic of each signal, its threshold, and since when the signal has drifted, if it has.",
                {
                    "Value": ("none", value),
                    "Threshold": ("none", limit),
                    "Drifted since": (
                        "dateTimeFromNow",
                        f"({since} * 1000) * on (model, version, window, segment, signal) group_right () ({value} * 0 + 1)",
                    ),
                },
                "Value",
            ),
        ],
    )
