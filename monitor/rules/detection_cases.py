"""Cases of the rules about sequential detectors."""

from __future__ import annotations

from monitor.config import Alerts
from monitor.rules.case import OTHER_TARGET, TARGET, Case, Firing, Moment, labelled, minutes

_REST = " Everything known is at /api/v1/alarms of the process"


def detection_cases(model: str, settings: Alerts) -> tuple[Case, ...]:
    """Cases of the alerts."""
    kept = minutes(settings.keep_firing_ms)
    return (*_detected(model, kept), *_suspected(model, kept))


def _standing(model: str, kind: str, level: str, values: str, target: dict[str, str] = TARGET) -> dict[str, str]:
    return {labelled("driftgauge_alarms_standing", target, model=model, version="7", kind=kind, level=level): values}


def _effect(model: str, segment: str, signal: str, kind: str, level: str, value: str, unit: str = "sd") -> dict[str, str]:
    where = {"model": model, "version": "7", "segment": segment, "signal": signal, "kind": kind, "level": level, "unit": unit}
    return {labelled("driftgauge_alarm_effect", TARGET, where): value}


def _evidence(model: str, segment: str, signal: str, kind: str, value: str) -> dict[str, str]:
    where = {"model": model, "version": "7", "segment": segment, "signal": signal, "kind": kind}
    return {labelled("driftgauge_detection_evidence", TARGET, where): value}


def _fired(model: str, kind: str, level: str, description: str) -> Firing:
    return Firing({"job": "driftgauge", "model": model, "version": "7", "kind": kind, "level": level}, description)


def _detected(model: str, kept: int) -> tuple[Case, ...]:
    rearm = f'; a trigger stands until it is re-armed with: driftgauge control rebaseline -c config.yaml --model {model} --why "..."'
    fired = _fired(
        model,
        "values",
        "trigger",
        f'{model} 7: 2 streams of kind values triggered. Largest effects: distance in carrier=A"\\B (by 0.9 sd)'
        f" dep_hour in ALL (by 0.25 sd).{_REST}{rearm}",
    )
    over = 15 + kept + 2
    held = (Moment(15 + kept - 1, (fired,)),) if kept >= 2 else ()
    errors = _fired(
        model,
        "error",
        "trigger",
        f"{model} 7: 1 streams of kind error triggered. Largest effects: error in ALL (by 0.08 share).{_REST}{rearm}",
    )
    return (
        Case(
            "DriftgaugeDriftDetected",
            "Departures move to later hours, and one carrier, its code with a quote and a backslash, flies shorter: the effect is negative,"
            " and its size is told. A warning about another signal is not named. The alert fires with the first scrape, is one alert though"
            " the process restarts under another address, and ends a while after the streams are re-armed.",
            _standing(model, "values", "trigger", f"0x4 2x10 0x{over}")
            | _standing(model, "values", "trigger", f"_x8 2x7 0x{over}", OTHER_TARGET)
            | _effect(model, "ALL", "dep_hour", "values", "trigger", "_x5 0.25x10 stale")
            | _effect(model, 'carrier=A"\\B', "distance", "values", "trigger", "_x5 -0.9x10 stale")
            | _effect(model, "ALL", "month", "values", "warning", "_x5 1.5x10 stale"),
            (Moment(4), Moment(5, (fired,)), Moment(10, (fired,)), Moment(15, (fired,)), *held, Moment(over)),
        ),
        Case(
            "DriftgaugeDriftDetected",
            "Wrong answers became more frequent while no input moved: concept drift, an alert of its own kind.",
            _standing(model, "values", "trigger", "0x20")
            | _standing(model, "error", "trigger", "0x4 1x15")
            | _effect(model, "ALL", "error", "error", "trigger", "_x5 0.08x15", "share"),
            (Moment(4), Moment(6, (errors,)), Moment(19, (errors,))),
        ),
        Case(
            "DriftgaugeDriftDetected",
            "The process is started anew, and says what stands again with its first scrape: the alert does not end in between.",
            _standing(model, "error", "trigger", "1x10 stale 1x10")
            | _effect(model, "ALL", "error", "error", "trigger", "0.08x22", "share"),
            (Moment(10, (errors,)), *((Moment(11, (errors,)),) if kept else ()), Moment(12, (errors,))),
        ),
        Case(
            "DriftgaugeDriftDetected",
            "Evidence climbs to nine tenths of the threshold and falls again: a warning stands for a while, and nothing triggers. A"
            " trigger of last week, re-armed since, still counts in the total.",
            _standing(model, "values", "trigger", "0x60")
            | _standing(model, "values", "warning", "0x10 1x40 0x10")
            | _evidence(model, "ALL", "dep_hour", "values", "0.9x30 0.0001x30")
            | _effect(model, "ALL", "dep_hour", "values", "warning", "0.25x60")
            | {labelled("driftgauge_alarms_total", TARGET, model=model, version="7", kind="values", level="trigger"): "3x60"},
            (Moment(1), Moment(30), Moment(60)),
        ),
    )


def _suspected(model: str, kept: int) -> tuple[Case, ...]:
    fired = _fired(
        model,
        "missing",
        "warning",
        f"{model} 7: 1 streams of kind missing warned. Largest effects: wind in origin=JFK (by 0.02 share).{_REST}.",
    )
    over = 15 + kept + 2
    held = (Moment(15 + kept - 1, (fired,)),) if kept >= 2 else ()
    return (
        Case(
            "DriftgaugeDriftSuspected",
            "Somewhat more wind speeds are missing at one airport, for a while. The alert is held a while when the warning is over.",
            _standing(model, "missing", "warning", f"0x4 1x10 0x{over}")
            | _effect(model, "origin=JFK", "wind", "missing", "warning", f"_x5 0.02x{over + 10}", "share"),
            (Moment(4), Moment(5, (fired,)), Moment(15, (fired,)), *held, Moment(over)),
        ),
        Case(
            "DriftgaugeDriftSuspected",
            "What was a warning has become a trigger: that has an alert of its own, and is no longer suspected.",
            _standing(model, "values", "warning", "0x40")
            | _standing(model, "values", "trigger", "1x40")
            | _evidence(model, "ALL", "dep_hour", "values", "40x40"),
            (Moment(1), Moment(40)),
        ),
    )
