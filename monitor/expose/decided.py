"""What the policy of a model has decided, as it is shown: pure, from the policy's state and wall time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.config.retraining import Retraining
from monitor.decide.reading import Reason
from monitor.decide.state import Phase, PolicyState, Trigger


@dataclass(frozen=True, slots=True)
class Raised:
    """Since when, in wall time, a trigger is shown, and until when if nobody answers."""

    raised_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class RetrainingView:
    """What is shown of a policy. ``policy`` is its state; that a requirement expired is told here alone."""

    policy: PolicyState
    reasons: tuple[Reason, ...] = ()  # of the conditions that are configured
    raised: Mapping[str, Raised] = field(default_factory=dict)  # by trigger id
    expired: frozenset[str] = frozenset()  # triggers nobody answered in time

    def phase(self, trigger: Trigger) -> Phase:
        """The phase of a trigger as it is shown."""
        return Phase.EXPIRED if trigger.phase is Phase.REQUIRED and trigger.id in self.expired else trigger.phase

    def required(self) -> tuple[Trigger, ...]:
        """Triggers that ask for retraining now."""
        return tuple(trigger for trigger in self.policy.triggers if self.phase(trigger) is Phase.REQUIRED)

    def version_phase(self, version: str) -> Phase:
        """The phase of a version as it is shown."""
        phase = self.policy.versions[version].phase
        last = next((trigger for trigger in reversed(self.policy.triggers) if trigger.version == version), None)
        return self.phase(last) if phase is Phase.REQUIRED and last is not None else phase


def retraining_view(policy: PolicyState, settings: Retraining, raised_ms: Mapping[str, int], now_ms: int) -> RetrainingView:
    """The view. ``raised_ms``: wall time since when each trigger that was required is shown.

    Expiry is wall time, so it is decided here: the policy knows event time only.
    """
    raised = {
        trigger.id: Raised(raised_ms[trigger.id], raised_ms[trigger.id] + settings.expire_after_ms)
        for trigger in policy.triggers
        if trigger.id in raised_ms
    }
    expired = frozenset(name for name, shown in raised.items() if now_ms >= shown.expires_ms)
    given = {
        Reason.PERFORMANCE: settings.performance,
        Reason.COST: settings.cost,
        Reason.CONCEPT_DRIFT: settings.concept_drift,
        Reason.ESTIMATED_LOSS: settings.estimated_loss,
        Reason.DATA_DRIFT: settings.data_drift,
    }
    return RetrainingView(policy, tuple(reason for reason, condition in given.items() if condition), raised, expired)
