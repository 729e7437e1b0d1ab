"""The rule that asks for retraining, the one that whoever retrains listens to; and the one that says when a fire drill was missed."""

from __future__ import annotations

from monitor.rules.rule import ONE_PROCESS, Alert, series

ACTION = "retrain"
"""Value of the label ``action``, to route by."""


def retraining_alerts(model: str) -> tuple[Alert, ...]:
    """Alerts about what one model's policy decided. For a model without a policy they never fire.

    It fires at once: the policy has waited for as long as it was told to, and the series stays until somebody answers.
    """
    required = series("driftgauge_retrain_required", model=model)
    caught = series("driftgauge_drill_caught", model=model)
    return (
        Alert(
            "DriftgaugeRetrainRequired",
            f"max {ONE_PROCESS} ({required}) == 1",
            "warning",
            "The policy of a model asks for retraining.",
            "{{ $labels.model }}: {{ $labels.reason }}. The evidence is at /api/v1/triggers/{{ $labels.trigger_id }} of the process; answer"
            ' with: driftgauge control ack -c config.yaml --model {{ $labels.model }} --trigger {{ $labels.trigger_id }} --why "..."',
            labels={"action": ACTION},
        ),
        Alert(
            "DriftgaugeDrillMissed",
            f"max {ONE_PROCESS} ({caught}) == 0",
            "warning",
            "A drift that was planted into recent traffic was not caught.",
            "{{ $labels.model }}: the planted drift {{ $labels.drift }} led to no alarm."
            " Look at it with: driftgauge drill -c config.yaml --model {{ $labels.model }} --drift {{ $labels.drift | printf `%q` }}",
        ),
    )
