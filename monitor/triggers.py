"""Triggers leave the process: as lines of the log, as CloudEvents of the model's topic, and in what is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from monitor import decision_events as events
from monitor.decide.control import Ack, kind_of
from monitor.decide.state import Phase, Trigger
from monitor.decide.transition import Change, Transition
from monitor.decisions import Decided
from monitor.errors import SinkError
from monitor.events import Event
from monitor.expose.cloud_event import cloud_event
from monitor.expose.decided import RetrainingView, retraining_view
from monitor.sink import Sink
from monitor.state import ModelState
from monitor.telemetry import Telemetry, reason_of

_FLUSH_MS = 5_000

_PHASES = {Change.REQUIRED: Phase.REQUIRED, Change.ACKNOWLEDGED: Phase.ACKNOWLEDGED, Change.SUPERSEDED: Phase.SUPERSEDED}


@dataclass(eq=False)
class Triggers:
    """Tells of triggers, and knows since when (wall time) each is shown."""

    telemetry: Telemetry
    sink: Sink
    raised_ms: dict[str, int] = field(default_factory=dict)  # by trigger id
    expired: set[str] = field(default_factory=set)  # of which it was told

    def resume(self, models: Iterable[ModelState], raised_ms: Mapping[str, int], now_ms: int) -> None:
        """Go on with the times that were saved; what is required and has none is shown from now on."""
        known = [trigger for model in models for trigger in model.docket.policy.triggers]
        self.raised_ms = {trigger.id: raised_ms.get(trigger.id, now_ms) for trigger in known}

    def tell(self, model: ModelState, decided: Decided, now_ms: int) -> None:
        """Log what changed, and send what became of triggers to the model's topic."""
        for transition in decided.transitions:
            self.telemetry.emit(event_of(transition))
            if transition.trigger is not None and transition.change in _PHASES:
                if transition.change is Change.REQUIRED:
                    self.raised_ms.setdefault(transition.trigger.id, now_ms)
                self._send(model, transition.trigger, _PHASES[transition.change])

    def expire(self, models: Iterable[ModelState], now_ms: int) -> None:
        """Tell once of each trigger that nobody answered in time."""
        for model in models:
            view = self.view(model, now_ms)
            for trigger in model.docket.policy.triggers if view is not None else ():
                if view is not None and view.phase(trigger) is Phase.EXPIRED and trigger.id not in self.expired:
                    self.expired.add(trigger.id)
                    self.telemetry.emit(events.TriggerEnded(model.config.name, trigger.id, str(Phase.EXPIRED), ""))
                    self._send(model, trigger, Phase.EXPIRED)

    def view(self, model: ModelState, now_ms: int) -> RetrainingView | None:
        """What is shown; None for a model without a policy."""
        policy = model.config.retraining
        return None if policy is None else retraining_view(model.docket.policy, policy, self.raised_ms, now_ms)

    def saved(self, models: Iterable[ModelState]) -> dict[str, int]:
        """The times to save: of triggers that are still remembered."""
        kept = {trigger.id for model in models for trigger in model.docket.policy.triggers}
        self.raised_ms = {name: ms for name, ms in self.raised_ms.items() if name in kept}
        self.expired &= kept
        return self.raised_ms

    def _send(self, model: ModelState, trigger: Trigger, phase: Phase) -> None:
        policy = model.config.retraining
        if policy is None or policy.topic is None:
            return
        message = cloud_event(trigger, phase)
        self.sink.send(policy.topic, message.key, message.value, message.headers)

    def deliver(self) -> None:
        """Return once everything sent is acknowledged. Raises ``SinkError``; then it is tried again by the next call."""
        if not (waiting := self.sink.pending):
            return
        try:
            self.sink.flush(_FLUSH_MS)
        except SinkError as error:
            self.telemetry.emit(events.TriggersFailed(waiting, reason_of(error)))
            raise
        self.telemetry.emit(events.TriggersDelivered(waiting))

    def close(self) -> None:
        """Close the producer, if there is one."""
        self.sink.close()


def event_of(said: Transition) -> Event:
    """A change as the log tells of it."""
    model, version, event_ms, control = said.model, said.version or "", said.event_ms or 0, said.control
    match said.change:
        case Change.REQUIRED if said.trigger is not None:
            return events.RetrainingRequired(model, version, str(said.trigger.reason), said.trigger.id, event_ms, said.trigger.onset_ms)
        case Change.ACKNOWLEDGED | Change.SUPERSEDED if said.trigger is not None:
            by = control.by if isinstance(control, Ack) else said.trigger.ended_by or ""
            return events.TriggerEnded(model, said.trigger.id, str(said.change), by)
        case Change.WITHHELD:
            gates = tuple(str(each.gate) for each in said.withheld)
            return events.RetrainingWithheld(model, version, event_ms, gates, "; ".join(each.detail for each in said.withheld))
    if control is not None and said.change is Change.CONTROL_REFUSED:
        return events.ControlRefused(f"{kind_of(control)} {control.id}", said.detail)
    if control is not None:
        return events.ControlApplied(model, kind_of(control), control.id, control.by, control.why, said.detail)
    return events.RetrainingConsidered(model, version, event_ms, str(said.change))
