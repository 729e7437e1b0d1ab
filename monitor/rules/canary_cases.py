"""Cases of the rules about the canary test."""

from __future__ import annotations

from monitor.config import Alerts
from monitor.rules.case import OTHER_TARGET, TARGET, Case, Firing, Moment, labelled, minutes

_VERDICTS = ("insufficient_data", "undecided", "not_worse", "better", "worse")


def canary_cases(model: str, settings: Alerts) -> tuple[Case, ...]:
    """Cases of the alerts."""
    return (*_whole(model, minutes(settings.keep_firing_ms)), *_segments(model))


def _trial(model: str) -> dict[str, str]:
    return {"model": model, "champion": "3", "candidate": "4"}


def _verdicts(model: str, values: dict[str, str], target: dict[str, str] = TARGET, other: str = "0x60") -> dict[str, str]:
    return {
        labelled("driftgauge_canary_verdict", target, _trial(model), verdict=verdict): values.get(verdict, other) for verdict in _VERDICTS
    }


def _difference(model: str, segment: str, value: float, times: str, target: dict[str, str] = TARGET) -> dict[str, str]:
    return {labelled("driftgauge_canary_difference", target, _trial(model), segment=segment, metric="accuracy"): f"{value}x{times}"}


def _whole(model: str, kept: int) -> tuple[Case, ...]:
    labels = {"job": "driftgauge", **_trial(model), "verdict": "worse"}
    fired = Firing(labels, f"{model}: candidate 4 against champion 3. Difference on the same traffic: accuracy -0.0625")
    over = 40 + kept + 2
    return (
        Case(
            "DriftgaugeCanaryWorse",
            "Version 4 gets a share of the traffic and makes more mistakes. The alert fires with the first scrape when the test is sure,"
            " is one alert though the process restarts under another address, and ends when version 4 is withdrawn.",
            _verdicts(model, {"undecided": "1x9 0x10 stale", "worse": "0x9 1x10 stale"}, other="0x20 stale")
            | _verdicts(model, {"worse": "_x20 1x18 stale"}, OTHER_TARGET, "_x20 0x18 stale")
            | _difference(model, "ALL", -0.0625, "20 stale")
            | dict.fromkeys(_difference(model, "ALL", 0, "", OTHER_TARGET), "_x20 -0.0625x18 stale"),
            (Moment(5), Moment(10, (fired,)), Moment(30, (fired,)), Moment(over)),
        ),
        Case(
            "DriftgaugeCanaryWorse",
            "The candidate looks worse in sum, because it gets the harder traffic; on the same traffic it is not. The metrics of its own"
            " performance are worse than the reference, and one segment is worse.",
            _verdicts(model, {"not_worse": "1x60"})
            | _difference(model, "ALL", -0.002, "60")
            | {labelled("driftgauge_canary_worse", TARGET, _trial(model), segment="origin=JFK"): "1x60"},
            (Moment(1), Moment(30), Moment(60)),
        ),
    )


def _segments(model: str) -> tuple[Case, ...]:
    labels = {"job": "driftgauge", **_trial(model)}
    hostile = 'carrier=A"\\B'

    def worse(segment: str, value: int, target: dict[str, str] = TARGET) -> dict[str, str]:
        return {labelled("driftgauge_canary_worse", target, _trial(model), segment=segment): f"{value}x60"}

    fired = Firing(labels, f"{model}: candidate 4 against champion 3: worse in 2 segments: {hostile} (accuracy by 0.125) origin=JFK"
                           " (accuracy by 0.0625)")  # fmt: skip
    return (
        Case(
            "DriftgaugeCanarySegmentWorse",
            "Two of three segments are worse, as two replicas say: one alert that names them. The third differs more, by chance.",
            worse("origin=JFK", 1) | worse("origin=JFK", 1, OTHER_TARGET) | worse(hostile, 1) | worse("origin=LGA", 0) | worse("ALL", 0)
            | _difference(model, "origin=JFK", -0.0625, "60") | _difference(model, hostile, -0.125, "60")
            | _difference(model, "origin=LGA", -0.25, "60"),
            (Moment(1, (fired,)), Moment(60, (fired,))),
        ),
        Case(
            "DriftgaugeCanarySegmentWorse",
            "The candidate is worse in all traffic, which has an alert of its own; segments have too few labels, so they have no series.",
            worse("ALL", 1) | _verdicts(model, {"worse": "1x60"}) | _difference(model, "origin=JFK", -0.5, "60"),
            (Moment(1), Moment(60)),
        ),
    )  # fmt: skip
