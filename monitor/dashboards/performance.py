"""Performance: what labels say of predictions, with intervals, against the reference's validation."""

from __future__ import annotations

from monitor.dashboards.board import MODEL, Dashboard, Variable, dashboard
from monitor.dashboards.canary import canary
from monitor.dashboards.drift import VERSION
from monitor.dashboards.estimate import before_labels
from monitor.dashboards.panel import INTERVAL, ORANGE, RED, dashed, lines, over_time, pick, row, stat, states, steps, table, with_interval

_VERSION = 'model=~"$model",version=~"$version"'
_VIEW = f'{_VERSION},view=~"$view"'
_SEGMENT = f'{_VIEW},segment=~"$segment"'
_METRIC = f'{_SEGMENT},metric=~"$metric"'

VIEW = Variable("view", "By", pick("driftgauge_performance_status", _VERSION), multi=False, preset="prediction_time")
SEGMENT = Variable("segment", "Segment", pick("driftgauge_performance_labelled_rows", _VERSION), preset="ALL")
METRIC = Variable("metric", "Metric", pick("driftgauge_performance", _VERSION), multi=False, preset="accuracy")


def performance() -> Dashboard:
    """The dashboard."""
    named = "{{version}} {{segment}} {{class}}"

    def of(name: str, *matchers: str) -> str:
        by = "version, segment, class"
        return f"max by ({by}) ({pick(f'driftgauge_performance{name}', *(matchers or (_METRIC,)))})"

    loss = pick("driftgauge_performance_loss", _VIEW)
    keys = "model, version, segment, metric, class"
    return dashboard(
        "performance",
        "performance",
        "How good predictions were by the labels that came: metrics with intervals, against the reference's validation, by segment.",
        [MODEL, VERSION, VIEW, SEGMENT, METRIC],
        [
            stat(
                "Worse segments",
                "Segments, the whole traffic among them, of which a metric is worse than in the reference by more than chance.",
                f"sum(max by (model, version) ({pick('driftgauge_performance_status', _VIEW, status='drifted')}))",
                "none",
                steps((1, RED)),
                8,
            ),
            stat(
                "Segments with too few labels",
                "Segments that cannot be judged, because too few of their predictions have a label.",
                f"sum(max by (model, version) ({pick('driftgauge_performance_status', _VIEW, status='insufficient_data')}))",
                "none",
                steps((1, ORANGE)),
                8,
            ),
            stat(
                "End of the window",
                "Label time up to which performance is judged, as long ago as this.",
                f"time() - max({pick('driftgauge_performance_window_end_timestamp_seconds', _VERSION)})",
                "s",
                steps((172_800, ORANGE)),
                8,
            ),
            row("Chosen segments"),
            lines(
                "$metric",
                "The chosen metric; dashed: the ends of its 95 % interval, and the reference's validation.",
                [*with_interval(of, named), over_time(of("_reference"), f"{named} reference")],
                "none",
                (24, 10),
                overrides=[*INTERVAL, dashed("D")],
            ),
            states(
                "Worse than the reference",
                "1 while a metric of the segment is worse. Where too few labels have come to judge, the band is broken.",
                over_time(f"max by (version, segment) ({pick('driftgauge_performance_worse', _SEGMENT)})", "{{version}} {{segment}}"),
                "none",
                steps((1, RED)),
                (12, 8),
            ),
            lines(
                "Labelled predictions",
                "Labels in the window that the segment's metrics rest on.",
                [
                    over_time(
                        f"max by (version, segment) ({pick('driftgauge_performance_labelled_rows', _SEGMENT)})", "{{version}} {{segment}}"
                    )
                ],
                "short",
            ),
            lines(
                "Restated",
                "Revision of the window: labels that others took the place of after they had been reported.",
                [over_time(f"max by (version, segment) ({pick('driftgauge_performance_revision', _SEGMENT)})", "{{version}} {{segment}}")],
                "short",
            ),
            *before_labels(),
            *canary(),
            row("Now"),
            table(
                "Largest losses",
                "Metrics that are worse than in the reference by more than chance, by how much, and what they are now.",
                {
                    "Loss": ("none", f"max by ({keys}) ({loss})"),
                    "Now": ("none", f"max by ({keys}) ({pick('driftgauge_performance', _VIEW)} and {loss})"),
                    "Validation": ("none", f"max by ({keys}) ({pick('driftgauge_performance_reference', _VIEW)} and {loss})"),
                },
                "Loss",
            ),
        ],
    )
