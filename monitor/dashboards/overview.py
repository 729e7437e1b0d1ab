"""Overview: is the monitor well, and what drifted, in numbers that cost little to query."""

from __future__ import annotations

from monitor.dashboards.board import MODEL, Dashboard, Variable, dashboard
from monitor.dashboards.panel import BLUE, ORANGE, RED, lines, over_time, pick, row, stat, states, steps, table

_MODEL = 'model=~"$model"'
_WINDOW = 'model=~"$model",window=~"$window"'
_UNKNOWN = 'status=~"insufficient_data|partial|no_reference"'
DISTANCES = 'kind=~"distribution|prediction"'
"""Counts of drifted features and of drifted predictions."""
_DETAILS = (
    "/d/driftgauge-drift?var-model=${__data.fields.model:percentencode}&var-version=${__data.fields.version:percentencode}"
    "&var-window=${__data.fields.window:percentencode}&var-segment=${__data.fields.segment:percentencode}&${__url_time_range}"
)
WINDOW = Variable("window", "Window", pick("driftgauge_segment_status", _MODEL), multi=False, preset="short")


def overview() -> Dashboard:
    """The dashboard."""
    drifted = (
        "sum by (model, version, window, segment) (max by (model, version, window, segment, kind)"
        f" ({pick('driftgauge_signals_drifted', _WINDOW, DISTANCES)}))"
    )
    degraded = f"max by (model, version, window, segment) ({pick('driftgauge_signals_drifted', _WINDOW, kind='quality')})"
    rows = f"max by (model, version, window, segment) ({pick('driftgauge_window_rows', _WINDOW)})"
    effect = (
        "sort_desc(topk(20, max by (model, version, window, segment, signal, statistic)"
        f" ({pick('driftgauge_drift_statistic', _WINDOW, segment='ALL')}"
        " / on (job, instance, model, signal, statistic) group_left ()"
        f" {pick('driftgauge_drift_threshold', _MODEL)})))"
    )
    return dashboard(
        "overview",
        "overview",
        "Is the monitor well, how far behind is it, and what drifted.",
        [MODEL, WINDOW],
        [
            *_health(),
            row("What drifted"),
            lines(
                "Segments by conclusion",
                "How many segments drifted, are stable, or cannot be judged and why. Unknown is not stable.",
                [
                    over_time(
                        f"max by (model, version, status) ({pick('driftgauge_segment_status', _WINDOW)})",
                        "{{model}} {{version}} {{status}}",
                    )
                ],
                "none",
                stacked=True,
            ),
            states(
                "Drifted signals in the whole traffic",
                "Number of features (distribution) and of predictions (prediction) that differ by more than the threshold and chance.",
                over_time(
                    f"max by (model, version, kind) ({pick('driftgauge_signals_drifted', _WINDOW, DISTANCES, segment='ALL')})",
                    "{{model}} {{version}} {{kind}}",
                ),
                "none",
                steps((1, ORANGE)),
                (12, 8),
            ),
            table(
                "Segments with the most drifted signals",
                "Follow a segment to its signals. Changed quality: more or fewer missing, invalid, unseen or out-of-range values.",
                {
                    "Drifted": ("none", f"sort_desc(topk(20, {drifted}))"),
                    "Changed quality": ("none", f"{degraded} and topk(20, {drifted})"),
                    "Rows": ("none", f"{rows} and topk(20, {drifted})"),
                },
                "Drifted",
                links={"segment": _DETAILS},
            ),
            table(
                "Largest effects in the whole traffic",
                "Statistic over its threshold: above 1 is more than matters, though it may still be chance where rows are few.",
                {"Times the threshold": ("none", effect)},
                "Times the threshold",
                links={"segment": _DETAILS},
            ),
        ],
    )


def _health() -> list[dict[str, object]]:
    return [
        stat(
            "Since the last evaluation",
            "Wall time since a model was last compared with its reference. The alert DriftgaugeStalled watches it.",
            f"time() - min(max by (model) ({pick('driftgauge_last_evaluation_timestamp_seconds', _MODEL)}))",
            "s",
            steps((900, ORANGE), (1_800, RED)),
        ),
        stat(
            "Unread messages",
            "Messages in Kafka that have not been read. The alert DriftgaugeLag watches them.",
            f"sum(max by (model, topic, partition) ({pick('driftgauge_consumer_lag_messages', _MODEL)}))",
            "short",
            steps((100_000, ORANGE), (1_000_000, RED)),
        ),
        stat(
            "Rows counted",
            "Rows that entered the counts, per second.",
            f"sum(rate({pick('driftgauge_rows_counted_total', _MODEL)}[$__rate_interval]))",
            "cps",
            steps(base=BLUE),
        ),
        stat(
            "Rejected messages",
            "Share of the messages that cannot be used; 0 while none arrive. The alert DriftgaugeRejectedRows watches it.",
            f"sum(rate({pick('driftgauge_messages_rejected_total', _MODEL)}[$__rate_interval]))"
            f" / clamp_min(sum(rate({pick('driftgauge_messages_total', _MODEL)}[$__rate_interval])), 1e-9)",
            "percentunit",
            steps((0.001, ORANGE), (0.01, RED)),
        ),
        stat(
            "Drifted segments",
            "Segments with at least one drifted signal.",
            f"sum(max by (model, version, window) ({pick('driftgauge_segment_status', _WINDOW, status='drifted')}))",
            "none",
            steps((1, ORANGE)),
        ),
        stat(
            "Segments that cannot be judged",
            "Too few rows, no reference, or only a part of the partitions.",
            f"sum(max by (model, version, window, status) ({pick('driftgauge_segment_status', _WINDOW, _UNKNOWN)}))",
            "none",
            steps((1, BLUE)),
        ),
    ]
