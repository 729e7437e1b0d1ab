"""Cases of the rules about drift: each alert once on an incident, once on something that only looks like it."""

from __future__ import annotations

from monitor.config import Alerts
from monitor.rules.case import OTHER_TARGET, TARGET, Case, Firing, Moment, labelled, minutes, steady

_LONG = 10  # minutes of values after the alert is due


def drift_cases(model: str, settings: Alerts) -> tuple[Case, ...]:
    """Cases of the alerts."""
    due = minutes(settings.pending_ms) + 1
    return (
        *_distribution(model, settings, due),
        *_predictions(model, due),
        *_quality(model, due),
        *_unit(model, due),
        *_share(model, due),
    )


def _segment(model: str, segment: str) -> dict[str, str]:
    return {"model": model, "version": "7", "window": "short", "segment": segment}


def _alerted(where: dict[str, str], **more: str) -> dict[str, str]:
    """Labels of an alert's series: those of the segment, of the job, never of the process."""
    return {"job": "driftgauge"} | where | more


def _effects(where: dict[str, str], effects: dict[tuple[str, str], float], drifted: set[str], length: int) -> dict[str, str]:
    """Statistics, thresholds of 0.1 and, for the signals that drifted, since when."""
    series: dict[str, str] = {}
    for (signal, statistic), value in effects.items():
        series[labelled("driftgauge_drift_statistic", TARGET, where, signal=signal, statistic=statistic)] = steady(value, length)
        limit = labelled("driftgauge_drift_threshold", TARGET, model=where["model"], signal=signal, statistic=statistic)
        series[limit] = steady(0.1, length)
    for signal in sorted(drifted):
        series[labelled("driftgauge_drift_since_timestamp_seconds", TARGET, where, signal=signal)] = steady(0, length)
    return series


def _drifted(where: dict[str, str], length: int, *, features: int, predictions: int) -> dict[str, str]:
    """How many features and predictions drifted."""
    counts = {"distribution": features, "prediction": predictions}
    return {labelled("driftgauge_signals_drifted", TARGET, where, kind=kind): steady(n, length) for kind, n in counts.items()}


def _distribution(model: str, settings: Alerts, due: int) -> tuple[Case, ...]:
    hostile = _segment(model, 'carrier=A"\\B')
    length = due + _LONG
    counted = labelled("driftgauge_signals_drifted", TARGET, hostile, kind="distribution")
    replica = labelled("driftgauge_signals_drifted", OTHER_TARGET, hostile, kind="distribution")
    fired = Firing(
        _alerted(hostile, kind="distribution"),
        f'{model} 7, segment carrier=A"\\B, short window: 2 signals drifted.'
        " Largest effects, as multiples of their thresholds: dep_hour (3.1x) distance (1.5x)",
    )
    effects = {
        ("dep_hour", "psi"): 0.31, ("dep_hour", "ks"): 0.12, ("distance", "ks"): 0.15,
        ("month", "psi"): 0.9, ("distance", "missing_rate"): 0.99, ("score", "ks"): 0.8,
    }  # fmt: skip
    quiet = _segment(model, "origin=JFK")
    after = length + minutes(settings.keep_firing_ms)
    held = (Moment(length + minutes(settings.keep_firing_ms) - 1, (fired,)),) if settings.keep_firing_ms >= 2 * 60_000 else ()
    return (
        Case(
            "DriftgaugeDataDrift",
            "A carrier moved its departures to the evening. Its code holds a quote and a backslash, since segment values come from outside."
            " `month` is above its threshold but within its noise, so it is not named; nor is the score,"
            " which has an alert of its own. A replica that ends makes no second alert; when all series end, the alert is held a while.",
            {counted: f"{steady(2, length)} stale", replica: "2x2 stale"}
            | _effects(hostile, effects, {"dep_hour", "distance", "score"}, after + _LONG),
            (Moment(due, (fired,)), *held, Moment(after + 3)),
        ),
        Case(
            "DriftgaugeDataDrift",
            "A segment of 300 flights: its statistics are far above their thresholds, and no further than chance takes them.",
            {labelled("driftgauge_signals_drifted", TARGET, quiet, kind="distribution"): steady(0, length)}
            | _effects(quiet, {("dep_hour", "psi"): 0.4, ("distance", "ks"): 0.3}, set(), length),
            (Moment(due), Moment(length)),
        ),
        Case(
            "DriftgaugeDataDrift",
            "A new model version scores the same flights higher: the score drifted and no input did.",
            _drifted(quiet, length, features=0, predictions=1) | _effects(quiet, {("score", "ks"): 0.6}, {"score"}, length),
            (Moment(due), Moment(length)),
        ),
    )


def _predictions(model: str, due: int) -> tuple[Case, ...]:
    where = _segment(model, "ALL")
    length = due + _LONG
    return (
        Case(
            "DriftgaugeScoreDrift",
            "A new model version was rolled out and scores twice as high on the same traffic.",
            _drifted(where, length, features=0, predictions=1)
            | _effects(where, {("score", "wasserstein"): 0.55, ("dep_hour", "psi"): 0.02}, {"score"}, length),
            (
                Moment(
                    due,
                    (
                        Firing(
                            _alerted(where, kind="prediction"),
                            f"{model} 7, segment ALL, short window: the predictions drifted."
                            " Largest effects, as multiples of their thresholds: score (5.5x)",
                        ),
                    ),
                ),
            ),
        ),
        Case(
            "DriftgaugeScoreDrift",
            "An input drifted and the predictions did not follow: the model does not depend on it.",
            _drifted(where, length, features=1, predictions=0)
            | _effects(where, {("score", "wasserstein"): 0.02, ("dep_hour", "psi"): 0.4}, {"dep_hour"}, length),
            (Moment(due), Moment(length)),
        ),
    )


def _quality(model: str, due: int) -> tuple[Case, ...]:
    where = _segment(model, "origin=JFK")
    length = due + _LONG
    counted = labelled("driftgauge_signals_drifted", TARGET, where, kind="quality")
    return (
        Case(
            "DriftgaugeDataQuality",
            "The weather feed of one airport is down: its columns arrive empty.",
            {counted: steady(1, length)} | _effects(where, {("wind_speed", "missing_rate"): 0.98}, {"wind_speed"}, length),
            (
                Moment(
                    due,
                    (
                        Firing(
                            _alerted(where, kind="quality"),
                            f"{model} 7, segment origin=JFK, short window: 1 signals changed."
                            " Largest changes, as multiples of their thresholds: wind_speed missing_rate (9.8x)",
                        ),
                    ),
                ),
            ),
        ),
        Case(
            "DriftgaugeDataQuality",
            "Four values of five are missing, as they were in the reference: nothing changed. And a distribution drifted.",
            {
                counted: steady(0, length),
                labelled("driftgauge_signals_drifted", TARGET, where, kind="distribution"): steady(3, length),
                labelled("driftgauge_missing_ratio", TARGET, where, signal="wind_gust"): steady(0.8, length),
            }
            | _effects(where, {("wind_gust", "missing_rate"): 0.001}, set(), length),
            (Moment(due), Moment(length)),
        ),
    )


def _unit(model: str, due: int) -> tuple[Case, ...]:
    length = due + _LONG
    factors = {
        labelled("driftgauge_unit_change_factor", TARGET, _segment(model, segment), signal="air_time"): steady(60, length)
        for segment in ("ALL", "origin=JFK")
    }
    rows = {
        labelled("driftgauge_window_rows", TARGET, _segment(model, segment)): steady(number, length)
        for segment, number in {"ALL": 900, "origin=JFK": 300, "origin=EWR": 600}.items()
    }
    where = _segment(model, "ALL")
    return (
        Case(
            "DriftgaugeUnitChange",
            "A producer began to send seconds instead of minutes: one alert, though every segment shows it.",
            factors | rows,
            (
                Moment(
                    due,
                    (
                        Firing(
                            {"job": "driftgauge", "model": model, "version": "7", "signal": "air_time"},
                            f"{model} 7: values of air_time are about 60 times those of the reference."
                            " Seen in 2 segments, the largest of them ALL.",
                        ),
                    ),
                ),
            ),
        ),
        Case(
            "DriftgaugeUnitChange",
            "Flights really became longer: the distribution drifted, by no round factor.",
            {labelled("driftgauge_signals_drifted", TARGET, where, kind="distribution"): steady(1, length)}
            | _effects(where, {("air_time", "wasserstein"): 2.5}, {"air_time"}, length),
            (Moment(due), Moment(length)),
        ),
    )


def _share(model: str, due: int) -> tuple[Case, ...]:
    length = due + _LONG
    shares = {"origin=EWR": (0.55, 0.35), "origin=JFK": (0.25, 0.35), "origin=LGA": (0.2, 0.3)}

    def composed(drifted: set[str]) -> dict[str, str]:
        series: dict[str, str] = {}
        for segment, (now, reference) in shares.items():
            where = _segment(model, segment)
            series[labelled("driftgauge_segment_share_ratio", TARGET, where)] = steady(now, length)
            series[labelled("driftgauge_segment_reference_share_ratio", TARGET, where)] = steady(reference, length)
            series[labelled("driftgauge_segment_share_drifted", TARGET, where)] = steady(segment in drifted, length)
        return series

    return (
        Case(
            "DriftgaugeSegmentShare",
            "An airport closed a runway and its flights moved to another one. The third is within its noise and is not named.",
            composed({"origin=EWR", "origin=JFK"}),
            (
                Moment(
                    due,
                    (
                        Firing(
                            {"job": "driftgauge", "model": model, "version": "7", "window": "short"},
                            f"{model} 7, short window: 2 segments have another share of the traffic."
                            " Largest shifts: origin=EWR (by 20%) origin=JFK (by 10%)",
                        ),
                    ),
                ),
            ),
        ),
        Case(
            "DriftgaugeSegmentShare",
            "The same shares in a grouping of so few flights that chance explains them.",
            composed(set()),
            (Moment(due), Moment(length)),
        ),
    )
