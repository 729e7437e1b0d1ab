"""Decisions in the flow, pure: what was evaluated goes to the docket, and what the docket says about counts is done to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from monitor.decide import docket as dockets
from monitor.decide.control import Assign, Control, Rebaseline, SwitchReference
from monitor.decide.docket import Part, Situation
from monitor.decide.facts import NEVER, Alarm
from monitor.decide.transition import Change, Transition
from monitor.detections import watch_anew
from monitor.evaluate.verdict import Verdicts
from monitor.facts import labels_parts, windows_parts
from monitor.labels import LabelsEvaluated
from monitor.performance import backlog
from monitor.river import RiverWatch
from monitor.state import ModelState, new_version_state


class WindowsEvaluated(Protocol):
    """The newest verdicts of a model."""

    @property
    def event_ms(self) -> int:
        """Where the windows end."""

    @property
    def verdicts(self) -> tuple[Verdicts, ...]:
        """Of all versions and windows."""

    @property
    def alarms(self) -> Mapping[str, tuple[Alarm, ...] | None]:
        """That detectors had raised by then, by version."""


@dataclass(frozen=True, slots=True)
class Controls:
    """Controls about one model, read from its topic, and the offsets to go on at. ``at_once``: they hold from now on."""

    controls: tuple[Control, ...]
    offsets: tuple[tuple[int, int], ...] = ()  # (partition, next)
    at_once: bool = True


@dataclass(frozen=True, slots=True)
class Process:
    """What holds for the process now, whatever the log says."""

    rebuilding: bool
    controls_unread: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """What changed in one model's policy."""

    model: str
    transitions: tuple[Transition, ...]


def take(model: ModelState, step: Controls | Process) -> list[Decided]:
    """Take controls, or the situation of the process."""
    if isinstance(step, Process):
        model.situation = Situation(False, step.rebuilding, step.controls_unread)
        return []
    docket = model.docket
    offsets = {**docket.offsets, **dict(step.offsets)}
    model.docket, said = dockets.take_controls(replace(docket, offsets=offsets), step.controls, at_once=step.at_once)
    return _done(model, said)


def decide(model: ModelState, evaluated: Sequence[WindowsEvaluated | LabelsEvaluated], until_ms: int | None = None) -> list[Decided]:
    """Decide about what was evaluated, and about what waited for the labels to come as far; with ``until_ms`` of nothing later."""
    policy = model.config.retraining
    if policy is None:  # what operators decide about counts is done all the same
        labels_tell = _labels_ms(model) is not None  # windows may be ahead of them by as much as their topic was read faster
        times = {each.event_ms for each in evaluated if isinstance(each, LabelsEvaluated) or not labels_tell}
        model.docket, said = dockets.pass_times(model.docket, sorted(times))
        return _done(model, said)
    if not (evaluated or model.docket.queue):
        return []
    parts: list[Part] = []
    for each in evaluated:
        if isinstance(each, LabelsEvaluated):
            parts += labels_parts(each, policy)
        else:
            parts += windows_parts(each.verdicts, each.event_ms, policy, each.alarms)
    complete = model.complete and (model.labels is None or model.labels.complete)
    situation = replace(model.situation, partial=not complete)
    limits = [limit for limit in (_labels_ms(model), until_ms) if limit is not None]
    model.docket, said = dockets.decide(model.docket, parts, min(limits, default=None), situation, policy)
    return _done(model, said)


def _labels_ms(model: ModelState) -> int | None:
    """How far labels have been judged; None while nothing waits for them."""
    labels = model.labels
    if labels is None or not labels.clock.owned - labels.clock.idle:
        return None
    return NEVER if labels.applied_pane is None else labels.applied_pane * labels.clock.pane_ms


def _done(model: ModelState, said: Sequence[Transition]) -> list[Decided]:
    """What was said, and done where it is about counts."""
    transitions = tuple(_act(model, each) if each.change is Change.CONTROL_APPLIED else each for each in said)
    return [Decided(model.config.name, transitions)] if transitions else []


def _act(model: ModelState, said: Transition) -> Transition:
    try:
        match said.control:
            case Assign() as control:
                _assign(model, control, said.event_ms or 0)
            case SwitchReference() as control:
                _switch(model, control)
            case Rebaseline() as control:
                _start_detectors_anew(model, control)
    except ValueError as error:
        return replace(said, change=Change.CONTROL_REFUSED, detail=str(error))
    return said


def _assign(model: ModelState, control: Assign, event_ms: int) -> None:
    state = model.backlog.get(control.failure_mode)
    if state is None:
        raise ValueError("there is no such failure mode in the backlog")
    if control.owner is not None:
        state = backlog.assign(state, control.owner, event_ms)
    if control.fix_version is not None:
        state = backlog.plan_fix(state, control.fix_version, event_ms)
    model.backlog = {**model.backlog, state.id: state}


def _switch(model: ModelState, control: SwitchReference) -> None:
    """Compare with another reference from now on. Where its bins are others, the version's windows start anew."""
    found = [each for each in model.configured if each.fingerprint.startswith(control.reference)]
    if len({each.fingerprint for each in found}) != 1:
        raise ValueError(f"expected the fingerprint of one of the configured references, got {len(found)} that begin with it")
    choose_reference(model, control.version, found[0].fingerprint)
    watch_anew(model, control.version, f"another reference, chosen by {control.by}")
    version = model.versions.get(control.version)
    if version is None:
        return
    if version.layout.fingerprint == found[0].layout.fingerprint:
        version.reference = found[0]
        version.baseline.clear()
        return
    anew = model.versions[control.version] = new_version_state(model, control.version)
    anew.windows.move_to(model.clock.closed_panes or 0)


def choose_reference(model: ModelState, version: str, fingerprint: str) -> None:
    """Let a version have this one of the references. Raises ``ValueError`` when it is not configured."""
    found = next((each for each in model.configured if each.fingerprint == fingerprint), None)
    if found is None:
        raise ValueError(f"expected the reference {fingerprint[:12]} that version {version} was switched to, and it is not configured")
    model.references[version], model.chosen[version] = found, fingerprint
    model.validations.pop(version, None)
    model.error_tables.pop(version, None)


def _start_detectors_anew(model: ModelState, control: Rebaseline) -> None:
    for name, sequential in model.sequential.items():
        if control.version in (None, name):
            sequential.start_anew(control.signal, control.segment)
    for name, version in model.versions.items():
        if control.version not in (None, name):
            continue
        kept = {
            key: watched
            for key, watched in version.river.watched.items()
            if control.signal not in (None, model.config.detectors[key[0]].signal) or control.segment not in (None, key[1])
        }
        version.river = RiverWatch(version.river.configured, kept)
