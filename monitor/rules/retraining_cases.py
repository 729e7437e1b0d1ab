"""Cases of the rule that asks for retraining."""

from __future__ import annotations

from monitor.rules.case import OTHER_TARGET, TARGET, Case, Firing, Moment, labelled

_ID = "4f1c0de57a3b9d2286e4a01bb7c95f30"


def retraining_cases(model: str) -> tuple[Case, ...]:
    """Cases of the alert."""
    where = {"model": model, "reason": "performance", "trigger_id": _ID}
    fired = Firing(
        {"job": "driftgauge"} | where,
        f"{model}: performance. The evidence is at /api/v1/triggers/{_ID} of the process;"
        f' answer with: driftgauge control ack -c config.yaml --model {model} --trigger {_ID} --why "..."',
    )
    required, replica = (labelled("driftgauge_retrain_required", target, where) for target in (TARGET, OTHER_TARGET))
    version = {"model": model, "version": "7"}
    drill = {"model": model, "drift": "shift"}
    missed = Firing(
        {"job": "driftgauge"} | drill,
        f"{model}: the planted drift shift led to no alarm."
        f' Look at it with: driftgauge drill -c config.yaml --model {model} --drift "shift"',
    )
    return (
        Case(
            "DriftgaugeRetrainRequired",
            "Recall fell below its floor. The alert fires with the first scrape, is one alert although the process is restarted under"
            " another address, and resolves when somebody acknowledges the trigger.",
            {required: "_x5 1x5 stale", replica: "_x6 1x9 stale"},
            (Moment(4), Moment(5, (fired,)), Moment(10, (fired,)), Moment(15, (fired,)), Moment(17)),
        ),
        Case(
            "DriftgaugeRetrainRequired",
            "Recall is below its floor for an hour, and the labels are too poor to retrain on: withheld, which is shown and asks for"
            " nothing. The data drifted too, which by itself never asks for retraining.",
            {
                labelled("driftgauge_retrain_conditions", TARGET, version, reason="performance", kind="active"): "1x60",
                labelled("driftgauge_retrain_withheld", TARGET, version, gate="label_quality"): "1x60",
                labelled("driftgauge_retrain_phase", TARGET, version, phase="withheld"): "1x60",
                labelled("driftgauge_signals_drifted", TARGET, version, window="short", segment="ALL", kind="distribution"): "5x60",
            },
            (Moment(1), Moment(30), Moment(60)),
        ),
        Case(
            "DriftgaugeDrillMissed",
            "A shift was caught in yesterday's drill and not in today's; tomorrow's catches it again.",
            {labelled("driftgauge_drill_caught", TARGET, drill): "_x5 1x5 0x5 1x5"},
            (Moment(5), Moment(10), Moment(11, (missed,)), Moment(16, (missed,)), Moment(17)),
        ),
        Case(
            "DriftgaugeDrillMissed",
            "Another drift was caught, and there was no drill of this one: absent, never a miss.",
            {labelled("driftgauge_drill_caught", TARGET, model=model, drift="missing"): "1x20"},
            (Moment(1), Moment(20)),
        ),
    )
