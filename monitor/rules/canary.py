"""Rules about the canary test of one model: the candidate is worse than the champion, in all traffic or somewhere.

They fire at once: the test itself waits until it is sure, and is right at whatever time one looks. They end with the trial.
"""

from __future__ import annotations

from monitor.config import Alerts
from monitor.rules.rule import ONE_PROCESS, Alert, query_template, series

_TRIAL = "{{ $labels.model }}: candidate {{ $labels.candidate }} against champion {{ $labels.champion }}"
_VALUES = "$labels.model $labels.candidate $labels.champion"
_CHOSEN = "model=%q,candidate=%q,champion=%q"


def canary_alerts(model: str, settings: Alerts) -> tuple[Alert, ...]:
    """Alerts about one model's trial. For a model without a canary test they never fire."""
    worse = series("driftgauge_canary_verdict", model=model, verdict="worse")
    parts = f'driftgauge_canary_worse{{model="{model}",segment!="ALL"}}'
    difference = f"driftgauge_canary_difference{{{_CHOSEN}}}"
    whole = f'driftgauge_canary_difference{{{_CHOSEN},segment="ALL"}}'
    where = f'{difference} and on (segment) (driftgauge_canary_worse{{{_CHOSEN},segment!="ALL"}} == 1)'
    return (
        Alert(
            "DriftgaugeCanaryWorse",
            f"max {ONE_PROCESS} ({worse}) == 1",
            "warning",
            "A model version on trial is worse than the one in charge, by labels.",
            f"{_TRIAL}. Difference on the same traffic:"
            + query_template(f"max by (metric) ({whole})", _VALUES, ' {{ .Labels.metric }} {{ printf "%+.3g" .Value }}'),
            keep_firing_ms=settings.keep_firing_ms,
        ),
        Alert(
            "DriftgaugeCanarySegmentWorse",
            f"sum without (segment) (max {ONE_PROCESS} ({parts})) > 0",
            "warning",
            "A model version on trial is worse than the one in charge in some segments, by labels.",
            f"{_TRIAL}: worse in {{{{ $value }}}} segments:"
            + query_template(
                f"topk(5, max by (segment, metric) (abs({where})))",
                f"{_VALUES} {_VALUES}",
                ' {{ .Labels.segment }} ({{ .Labels.metric }} by {{ printf "%.3g" .Value }})',
            ),
            keep_firing_ms=settings.keep_firing_ms,
        ),
    )
