"""The estimate before labels are there, with its interval and its own error, as panels."""

from __future__ import annotations

from monitor.dashboards.panel import BLUE, INTERVAL, Panel, lines, over_time, pick, row, states, steps, with_interval

_SEGMENT = 'model=~"$model",version=~"$version",segment=~"$segment"'
_NAMED = "{{version}} {{segment}}"


def _of(name: str) -> str:
    return f"max by (version, segment) ({pick(f'driftgauge_{name}', _SEGMENT)})"


def before_labels() -> list[Panel]:
    """A heading and its panels; their dashboard has the variables ``model``, ``version`` and ``segment``."""
    return [
        row("Before labels are there"),
        lines(
            "Estimated accuracy",
            "Accuracy of the newest predictions, from their scores and the labels there are; dashed: the ends of its 95 % interval.",
            with_interval(lambda ending: _of(f"estimated_accuracy{ending}_ratio"), _NAMED),
            "percentunit",
            overrides=INTERVAL,
        ),
        lines(
            "Error of past estimates",
            "Mean absolute error of past estimates by the labels that came. Absent until labels of an estimated window have come.",
            [over_time(_of("estimate_absolute_error_ratio"), _NAMED)],
            "percentunit",
        ),
        lines(
            "Truth inside the interval",
            "Share of past estimates whose interval held the truth; about 95 % if intervals are honest.",
            [over_time(_of("estimate_covered_ratio"), _NAMED)],
            "percentunit",
        ),
        states(
            "Estimates that labels corrected",
            "1 while labels say clearly otherwise than the scores, so that the estimate follows the labels.",
            over_time(_of("estimate_rectified"), _NAMED),
            "none",
            steps((1, BLUE)),
            (12, 8),
        ),
    ]
