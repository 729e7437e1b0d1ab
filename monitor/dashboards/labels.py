"""Labels: where they went, how late they come, how many predictions have one, and which to collect."""

from __future__ import annotations

from monitor.dashboards.board import MODEL, Dashboard, dashboard
from monitor.dashboards.drift import VERSION
from monitor.dashboards.panel import ORANGE, RED, Panel, dashed, lines, over_time, pick, row, stat, steps, table
from monitor.dashboards.performance import SEGMENT

_MODEL = 'model=~"$model"'
_VERSION = 'model=~"$model",version=~"$version"'
_SEGMENT = f'{_VERSION},segment=~"$segment"'
_NAMED = "{{version}} {{segment}}"


def labels() -> Dashboard:
    """The dashboard."""
    return dashboard(
        "labels",
        "labels",
        "Where labels went, how late they come, how many predictions have one, whether those are like all, and which to collect next.",
        [MODEL, VERSION, SEGMENT],
        [*_state(), row("Where labels went"), *_flow(), row("How they come"), *_coming(), row("What waits"), *_kept()],
    )


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({pick(metric, _MODEL)}[$__rate_interval]))"


def _of_segment(metric: str, *more: str) -> str:
    return f"max by ({', '.join(('version', 'segment', *more))}) ({pick(metric, _SEGMENT)})"


def _state() -> list[Panel]:
    joined = f"max by (model) ({pick('driftgauge_labels_watermark_timestamp_seconds', _MODEL)})"
    return [
        stat(
            "Behind predictions",
            "Event time between what is judged of predictions and the labels that are joined.",
            f"max(max by (model) ({pick('driftgauge_watermark_timestamp_seconds', _MODEL)}) - {joined})",
            "s",
            steps((172_800, ORANGE)),
            6,
        ),
        stat(
            "Coverage",
            "Share of the window's predictions that have a label, of the model and version with the least.",
            f"min(max by (model, version) ({pick('driftgauge_label_coverage_ratio', _VERSION, segment='ALL')}))",
            "percentunit",
            steps((0.01, "green"), base=ORANGE),
            6,
        ),
        stat(
            "Waiting labels",
            "Labels that were read and wait for their predictions to be read.",
            f"sum({pick('driftgauge_labels_waiting', _MODEL)})",
            "short",
            steps((150_000, ORANGE)),
            6,
        ),
        stat(
            "Forgotten predictions",
            "Predictions forgotten before their label could come, for want of room, in the last 24 hours.",
            f"sum(increase({pick('driftgauge_predictions_evicted_total', _MODEL)}[24h]))",
            "short",
            steps((1, RED)),
            6,
        ),
    ]


def _flow() -> list[Panel]:
    return [
        lines(
            "Labels by outcome",
            "What became of labels; matched, revised and votes count.",
            [over_time(_rate("driftgauge_labels_total", "model, outcome"), "{{model}} {{outcome}}")],
            "cps",
            stacked=True,
        ),
        lines(
            "Label messages that yield no label",
            "Messages of the label topic that cannot be used, and why; tombstones.",
            [
                over_time(_rate("driftgauge_label_messages_rejected_total", "model, reason"), "{{model}} {{reason}}"),
                over_time(_rate("driftgauge_label_tombstones_total", "model"), "{{model}} tombstones"),
            ],
            "cps",
        ),
    ]


def _coming() -> list[Panel]:
    rate = "label_rate{}_ratio"
    return [
        lines(
            "Coverage by segment",
            "Share of the window's predictions that have a label.",
            [over_time(_of_segment("driftgauge_label_coverage_ratio"), _NAMED)],
            "percentunit",
        ),
        lines(
            "Coverage by age",
            "Share of predictions of the whole traffic that have a label by that age, estimated from those old enough.",
            [over_time(f"max by (version, age) ({pick('driftgauge_label_coverage_at_age_ratio', _VERSION)})", "{{version}} {{age}}")],
            "percentunit",
        ),
        lines(
            "Coverage, by that of the window before",
            "Labels that came, by those that had come at the same age the window before: 1 is as before.",
            [over_time(_of_segment("driftgauge_label_coverage_relative_ratio"), _NAMED)],
            "percentunit",
        ),
        lines(
            "Delay",
            "Quantiles of the delay after the prediction, of the labels that came in the window.",
            [over_time(_of_segment("driftgauge_label_delay_seconds", "probability"), f"{_NAMED} {{{{probability}}}}")],
            "s",
        ),
        lines(
            "Share of each class",
            "Share of the labels that are the class, by time of the label; dashed: in the reference.",
            [
                over_time(
                    f"max by (version, segment, class) ({pick('driftgauge_' + rate.format(''), _SEGMENT, view='label_time')})",
                    f"{_NAMED} {{{{class}}}}",
                ),
                over_time(
                    f"max by (version, segment, class) ({pick('driftgauge_' + rate.format('_reference'), _SEGMENT, view='label_time')})",
                    f"{_NAMED} {{{{class}}}} reference",
                ),
            ],
            "percentunit",
            overrides=[dashed("B", "text")],
        ),
        lines(
            "Labelled against all",
            "Share of labelled predictions that would have to have other scores for them to be like all; 0 by chance only nearly.",
            [over_time(_of_segment("driftgauge_label_selection_ratio"), _NAMED)],
            "percentunit",
        ),
        table(
            "Labels to collect",
            "Labels of predictions of the class that the wanted width of its precision's interval still needs.",
            {"Labels": ("short", f"topk(50, max by (model, version, segment, class) ({pick('driftgauge_labels_wanted', _VERSION)}) > 0)")},
            "Labels",
            (12, 8),
        ),
    ]


def _kept() -> list[Panel]:
    return [
        lines(
            "Predictions kept",
            "Predictions that wait for a label or for one that takes its place, and labels kept to tell later ones apart.",
            [
                over_time(f"max by (model) ({pick('driftgauge_predictions_pending', _MODEL)})", "{{model}} predictions"),
                over_time(f"max by (model) ({pick('driftgauge_labels_remembered', _MODEL)})", "{{model}} labels"),
            ],
            "short",
        ),
        lines(
            "What became of predictions",
            "Predictions that came, got a label, got none within the horizon, and were forgotten for want of room.",
            [
                over_time(_rate("driftgauge_predictions_remembered_total", "model"), "{{model}} remembered"),
                over_time(_rate("driftgauge_predictions_labelled_total", "model"), "{{model}} labelled"),
                over_time(_rate("driftgauge_predictions_expired_total", "model"), "{{model}} expired"),
                over_time(_rate("driftgauge_predictions_evicted_total", "model"), "{{model}} forgotten"),
            ],
            "cps",
        ),
        lines(
            "Restated labels",
            "Labels of predictions that took the place of another one.",
            [over_time(_rate("driftgauge_labels_restated_total", "model"), "{{model}}")],
            "cps",
        ),
        lines(
            "Without room",
            "Labels forgotten before the horizon, and predictions whose segment counts in __other__: both for want of room.",
            [
                over_time(_rate("driftgauge_labels_evicted_total", "model"), "{{model}} labels forgotten"),
                over_time(_rate("driftgauge_label_segments_folded_rows_total", "model"), "{{model}} predictions in __other__"),
            ],
            "cps",
        ),
        lines(
            "Size of the store",
            "What predictions and labels take on disk and in memory.",
            [over_time(f"max by (model, kind) ({pick('driftgauge_label_store_bytes', _MODEL)})", "{{model}} {{kind}}")],
            "bytes",
        ),
    ]
