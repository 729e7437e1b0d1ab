"""Cases of the rules about performance: each alert once on an incident, once on something that only looks like it."""

from __future__ import annotations

from monitor.config import Alerts
from monitor.rules.case import OTHER_TARGET, TARGET, Case, Firing, Moment, labelled, minutes, steady

_VERSION = "7"


def performance_cases(model: str, settings: Alerts) -> tuple[Case, ...]:
    """Cases of the alerts."""
    due = minutes(settings.pending_ms) + 1
    return (*_whole(model, due), *_segments(model, due), *_rate(model, due))


def _where(model: str, view: str, segment: str) -> dict[str, str]:
    return {"model": model, "version": _VERSION, "view": view, "segment": segment}


def _worse(model: str, view: str, segment: str, value: int, due: int, target: dict[str, str] = TARGET) -> dict[str, str]:
    return {labelled("driftgauge_performance_worse", target, _where(model, view, segment)): steady(value, due)}


def _loss(model: str, view: str, segment: str, metric: str, of: str, loss: float, reference: float, due: int) -> dict[str, str]:
    """A metric that lost; classes are empty for metrics of none, which is the same as no such label."""
    more = {"metric": metric} | ({"class": of} if of else {})
    return {
        labelled(f"driftgauge_performance_{name}", TARGET, _where(model, view, segment), more): steady(value, due)
        for name, value in (("loss", loss), ("reference", reference))
    }


def _whole(model: str, due: int) -> tuple[Case, ...]:
    labels = {"job": "driftgauge", "model": model, "version": _VERSION, "segment": "ALL"}
    told = f"{model} {_VERSION}, all traffic. Largest losses, as parts of the reference's value: recall of yes (25%) log_loss (10%)"
    return (
        Case(
            "DriftgaugePerformance",
            "A model misses late flights that it used to see. By time of the prediction too few are labelled yet to tell; by time of the"
            " label it shows. Both views and two replicas make one alert; a calibration error of 0 in the reference has no parts.",
            _worse(model, "label_time", "ALL", 1, due)
            | _worse(model, "prediction_time", "ALL", 0, due)
            | _worse(model, "label_time", "ALL", 1, due, OTHER_TARGET)
            | _loss(model, "label_time", "ALL", "recall", "yes", 0.2, 0.8, due)
            | _loss(model, "label_time", "ALL", "log_loss", "", 0.05, 0.5, due)
            | _loss(model, "label_time", "ALL", "ece", "", 0.05, 0, due),
            (Moment(due, (Firing(labels, told),)),),
        ),
        Case(
            "DriftgaugePerformance",
            "Labels of the audit sample alone look worse, a segment is worse, and scores drifted; all traffic is as it was validated.",
            _worse(model, "prediction_time", "ALL", 0, due)
            | _worse(model, "audit", "ALL", 1, due)
            | _worse(model, "prediction_time", "origin=JFK", 1, due),
            (Moment(due),),
        ),
    )


def _segments(model: str, due: int) -> tuple[Case, ...]:
    labels = {"job": "driftgauge", "model": model, "version": _VERSION}
    hostile = 'carrier=A"\\B'
    told = (
        f"{model} {_VERSION}: 2 segments are worse. Largest losses, as parts of the reference's value:"
        f" origin=JFK recall of yes (50%) {hostile} accuracy (12.5%)"
    )
    return (
        Case(
            "DriftgaugeSegmentPerformance",
            "Two of three segments are worse, one of them in both views: one alert that names them.",
            _worse(model, "prediction_time", "origin=JFK", 1, due)
            | _worse(model, "label_time", "origin=JFK", 1, due)
            | _worse(model, "prediction_time", hostile, 1, due)
            | _worse(model, "prediction_time", "origin=LGA", 0, due)
            | _loss(model, "prediction_time", "origin=JFK", "recall", "yes", 0.4, 0.8, due)
            | _loss(model, "prediction_time", hostile, "accuracy", "", 0.1, 0.8, due),
            (Moment(due, (Firing(labels, told),)),),
        ),
        Case(
            "DriftgaugeSegmentPerformance",
            "All traffic is worse, which has an alert of its own; segments have too few labels to be judged, so they have no series.",
            _worse(model, "prediction_time", "ALL", 1, due)
            | {labelled("driftgauge_performance_labelled_rows", TARGET, _where(model, "prediction_time", "origin=JFK")): steady(40, due)},
            (Moment(due),),
        ),
    )


def _rate(model: str, due: int) -> tuple[Case, ...]:
    labels = {"job": "driftgauge", "model": model, "version": _VERSION, "view": "label_time"}

    def rate(view: str, segment: str, now: float, reference: float, shifted: int) -> dict[str, str]:
        where = _where(model, view, segment)
        return {
            labelled("driftgauge_label_rate_shifted", TARGET, where): steady(shifted, due),
            labelled("driftgauge_label_rate_ratio", TARGET, where, {"class": "yes"}): steady(now, due),
            labelled("driftgauge_label_rate_reference_ratio", TARGET, where, {"class": "yes"}): steady(reference, due),
        }

    def mean(view: str, segment: str, now: float, reference: float, shifted: int) -> dict[str, str]:
        where = _where(model, view, segment)
        of_mean = where | {"metric": "label_mean", "class": ""}
        return {
            labelled("driftgauge_label_rate_shifted", TARGET, where): steady(shifted, due),
            labelled("driftgauge_performance", TARGET, of_mean): steady(now, due),
            labelled("driftgauge_performance_reference", TARGET, of_mean): steady(reference, due),
        }

    told = f"{model} {_VERSION}: labels of 2 segments shifted. Largest shifts: carrier=EV yes (by 25%) ALL yes (by 12.5%)"
    return (
        Case(
            "DriftgaugeLabelRate",
            "Twice as many flights of one carrier are late, which shows in all traffic too. Another segment differs by chance only.",
            rate("label_time", "carrier=EV", 0.5, 0.25, 1)
            | rate("label_time", "ALL", 0.375, 0.25, 1)
            | rate("label_time", "carrier=UA", 0.75, 0.25, 0),
            (Moment(due, (Firing(labels, told),)),),
        ),
        Case(
            "DriftgaugeLabelRate",
            "Of a regression: flights of one carrier arrive five minutes later in the mean. Another carrier's differ by chance only.",
            mean("label_time", "carrier=EV", 12.5, 7.5, 1) | mean("label_time", "carrier=UA", 4, 4.5, 0),
            (Moment(due, (Firing(labels, f"{model} {_VERSION}: labels of 1 segments shifted. Largest shifts: carrier=EV mean (by 5)"),)),),
        ),
        Case(
            "DriftgaugeLabelRate",
            "Late flights are labelled sooner than others, so by time of the prediction there seem to be more: not by time of the label.",
            rate("prediction_time", "ALL", 0.5, 0.25, 1) | rate("label_time", "ALL", 0.25, 0.25, 0),
            (Moment(due),),
        ),
    )
