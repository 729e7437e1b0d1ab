"""Canary: two versions on the same traffic, as panels."""

from __future__ import annotations

from monitor.dashboards.panel import INTERVAL, RED, Panel, lines, over_time, pick, row, states, steps, table, with_interval

_MODEL = 'model=~"$model"'
_SEGMENTS = 'model=~"$model",segment=~"$segment"'
_TRIAL = "{{candidate}} against {{champion}}"
_NAMED = f"{_TRIAL} {{{{segment}}}}"


def _of(name: str, *more: str) -> str:
    by = ", ".join(("candidate", "champion", "segment", *more))
    return f"max by ({by}) ({pick(f'driftgauge_canary_{name}', _SEGMENTS)})"


def canary() -> list[Panel]:
    """A heading and its panels; their dashboard has the variables ``model`` and ``segment``."""
    verdict = f"max by (model, candidate, champion, verdict) ({pick('driftgauge_canary_verdict', _MODEL)})"
    start = f"max by (model, candidate, champion) ({pick('driftgauge_canary_start_timestamp_seconds', _MODEL)})"
    return [
        row("Canary: two versions on the same traffic"),
        table(
            "Verdict on the candidate",
            "What is said of all traffic, and the event time since which both versions serve. No rows while fewer than two serve.",
            {"Since": ("dateTimeAsIso", f"1000 * {start} * on (model, candidate, champion) group_right () ({verdict} == 1)")},
            "Since",
            (12, 8),
        ),
        lines(
            "Confidence in claims",
            "Worse by more than the margin, not worse by it, better by anything: on all traffic, good at any time one looks.",
            [
                over_time(
                    f"max by (candidate, champion, claim) ({pick('driftgauge_canary_confidence_ratio', _MODEL)})",
                    f"{_TRIAL}: {{{{claim}}}}",
                )
            ],
            "percentunit",
        ),
        lines(
            "Candidate less champion",
            "Difference of the canary's metric on the same mix of traffic; dashed: the interval, which holds at all times together.",
            with_interval(lambda ending: _of(f"difference{ending}", "metric"), _NAMED),
            "none",
            overrides=INTERVAL,
        ),
        states(
            "Candidate worse",
            "1 while the candidate is worse than the champion by more than the margin. Where too few labels came, the band is broken.",
            over_time(_of("worse"), _NAMED),
            "none",
            steps((1, RED)),
            (12, 8),
        ),
        lines(
            "Either side",
            "The canary's metric of the champion and of the candidate, both on the same mix of traffic.",
            [over_time(_of("performance", "metric", "side"), "{{metric}} {{side}} {{segment}}")],
            "none",
        ),
        lines(
            "Compared labels",
            "Labelled predictions of either side in strata where both have some: what the comparison rests on.",
            [over_time(_of("compared_rows", "side"), "{{side}} {{segment}}")],
            "short",
        ),
    ]
