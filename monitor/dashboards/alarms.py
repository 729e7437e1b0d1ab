"""Alarms: what the sequential detectors say, and how far each stream is from saying something."""

from __future__ import annotations

from monitor.dashboards.board import MODEL, Dashboard, Variable, dashboard
from monitor.dashboards.panel import BLUE, ORANGE, RED, lines, over_time, pick, row, stat, steps, table

_MODEL = 'model=~"$model"'
_VERSION = 'model=~"$model",version=~"$version"'
_SEGMENT = f'{_VERSION},segment=~"$segment"'
_STREAM = "by (model, version, segment, signal, kind)"
_LEVEL = "by (model, version, segment, signal, kind, level)"
_COUNTED = "by (model, version, kind, level)"

VERSION = Variable("version", "Version", pick("driftgauge_detection_streams", _MODEL))
SEGMENT = Variable("segment", "Segment", pick("driftgauge_detection_evidence", _VERSION))


def alarms() -> Dashboard:
    """The dashboard."""
    evidence = f"max {_STREAM} ({pick('driftgauge_detection_evidence', _SEGMENT)})"
    return dashboard(
        "alarms",
        "alarms",
        "What the sequential detectors say, and how far each stream is from saying something.",
        [MODEL, VERSION, SEGMENT],
        [
            *_now(),
            row("Alarms that stand"),
            table(
                "Alarms that stand",
                "The gravest of each version. Began: the estimated start of the drift. A trigger stands until it is re-armed, a warning "
                "while its evidence lasts. Intervals and what moved are in /api/v1/alarms.",
                {
                    "Began": ("dateTimeFromNow", f"max {_LEVEL} ({pick('driftgauge_alarm_start_timestamp_seconds', _SEGMENT)}) * 1000"),
                    "Effect": (
                        "none",
                        f"max by (model, version, segment, signal, kind, level, unit) ({pick('driftgauge_alarm_effect', _SEGMENT)})",
                    ),
                },
                "Began",
            ),
            row("Evidence"),
            lines(
                "Evidence over the threshold, in powers of ten",
                "Of the streams with the most of it. At 0 a stream triggers, at -3 it warns. Evidence that rises steadily is a drift "
                "that has begun; what wanders below -3 is chance.",
                [over_time(f"log10({evidence} > 0)", "{{version}} {{signal}} {{kind}} {{segment}}")],
                "none",
                (24, 10),
            ),
            lines(
                "Alarms that stand, by kind",
                "How many streams have triggered and how many warn. `error` and `label` rest on labels, which come late.",
                [over_time(f"max {_COUNTED} ({pick('driftgauge_alarms_standing', _VERSION)})", "{{version}} {{kind}} {{level}}")],
                "none",
            ),
            lines(
                "Alarms raised",
                "Within the interval, by kind and level. No more false triggers are to be expected than detection.false_alarms allows.",
                [
                    over_time(
                        f"sum {_COUNTED} (increase({pick('driftgauge_alarms_total', _VERSION)}[$__rate_interval]))",
                        "{{version}} {{kind}} {{level}}",
                    )
                ],
                "none",
            ),
            row("What is watched"),
            lines(
                "Streams",
                "All; those that have a threshold and have not triggered yet; segments left out by max_streams.",
                [
                    over_time(f"max by (model, version) ({pick('driftgauge_detection_streams', _VERSION)})", "{{model}} {{version}}"),
                    over_time(
                        f"max by (model, version) ({pick('driftgauge_detection_streams_armed', _VERSION)})", "{{model}} {{version}} armed"
                    ),
                    over_time(
                        f"max by (model, version) ({pick('driftgauge_detection_segments_left_out', _VERSION)})",
                        "{{model}} {{version}} segments left out",
                    ),
                ],
                "none",
            ),
            lines(
                "Threshold of the whole traffic",
                "It follows the rate of rows for a day and stays then. With segments the thresholds are higher, by their share.",
                [over_time(f"max by (model, version) ({pick('driftgauge_detection_threshold', _VERSION)})", "{{model}} {{version}}")],
                "short",
            ),
        ],
    )


def _now() -> list[dict[str, object]]:
    def standing(level: str) -> str:
        return f"sum(max {_COUNTED} ({pick('driftgauge_alarms_standing', _VERSION, level=level)}))"

    return [
        stat(
            "Triggers",
            "Streams with enough evidence to act on. The alert DriftgaugeDriftDetected watches them.",
            standing("trigger"),
            "none",
            steps((1, RED)),
        ),
        stat(
            "Warnings",
            "Streams with some evidence. The alert DriftgaugeDriftSuspected watches them.",
            standing("warning"),
            "none",
            steps((1, ORANGE)),
        ),
        stat(
            "Nearest to a trigger",
            "The largest evidence over its threshold: 1 and more has triggered.",
            f"max({pick('driftgauge_detection_evidence', _SEGMENT)})",
            "percentunit",
            steps((0.001, ORANGE), (1, RED)),
        ),
        stat(
            "Streams armed",
            "Share of the streams that can trigger.",
            f"sum(max by (model, version) ({pick('driftgauge_detection_streams_armed', _VERSION)}))"
            f" / sum(max by (model, version) ({pick('driftgauge_detection_streams', _VERSION)}))",
            "percentunit",
            steps(base=BLUE),
        ),
        stat(
            "Versions with thresholds that still move",
            "Thresholds follow the rate of rows for the first day.",
            f"sum(1 - max by (model, version) ({pick('driftgauge_detection_threshold_frozen', _VERSION)}))",
            "none",
            steps((1, BLUE)),
        ),
        stat(
            "Labels judged",
            "Labels that the streams of errors and of labels took, per second.",
            f"sum(rate({pick('driftgauge_detection_labels_total', _VERSION)}[$__rate_interval]))",
            "cps",
            steps(base=BLUE),
        ),
    ]
