"""The docket: what is to be decided about one model, in one order, though windows and labels move on clocks of their own.

    windows' facts ─▶ queue ─┐
    labels' facts  ─▶ queue ─┴ in order of event time ─▶ both sides put together ─▶ policy
    controls       ─▶ at once, or (history is read again) when event time has come to where they were made

Facts of the windows wait until the labels have been judged as far, so the order in which the two are decided about depends on the
logs alone, not on which topic was read faster. While the labels are silent nothing waits; what they say then, about times that were
decided already, counts from then on. The last side of each kind is kept: a version is decided about with both.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from enum import StrEnum
from itertools import groupby, takewhile

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from monitor.config.retraining import Retraining
from monitor.decide import override, policy
from monitor.decide.control import Control
from monitor.decide.facts import NEVER, Facts
from monitor.decide.state import PolicyState
from monitor.decide.transition import Transition

MAX_QUEUE = 10_000
"""Beyond, the oldest facts are decided about without waiting."""


class Side(StrEnum):
    """Whose facts."""

    WINDOWS = "windows"
    LABELS = "labels"


class Part(Struct, frozen=True):
    """One side's facts about one version."""

    side: Side
    facts: Facts


class Situation(Struct, frozen=True):
    """What holds for the process, whatever the log says."""

    partial: bool = False
    rebuilding: bool = False
    controls_unread: bool = False


class Docket(Struct, frozen=True):
    """One model."""

    policy: PolicyState = field(default_factory=PolicyState)
    decided_ms: int = NEVER
    queue: tuple[Part, ...] = ()
    windows: dict[str, Facts] = field(default_factory=dict)  # newest side of each version
    labels: dict[str, Facts] = field(default_factory=dict)
    controls: tuple[Control, ...] = ()  # whose time has not come
    offsets: dict[int, int] = field(default_factory=dict)  # of the control topic, by partition: the next to take


Step = tuple[Docket, tuple[Transition, ...]]

_DECODER = msgspec.json.Decoder(Docket)


def decide(docket: Docket, parts: Iterable[Part], labels_ms: int | None, situation: Situation, settings: Retraining) -> Step:
    """Take new facts in, and decide as far as can be. ``labels_ms``: how far labels have been judged; None: nothing waits for them."""
    new = tuple(parts)
    if not new and (not docket.queue or (labels_ms is not None and docket.queue[0].facts.event_ms > labels_ms)):
        return docket, ()
    queue = _queued(docket.queue, new)
    ready = len(queue) if labels_ms is None else bisect_right(queue, labels_ms, key=lambda part: part.facts.event_ms)
    ready = max(ready, len(queue) - MAX_QUEUE)
    docket = replace(docket, queue=queue[ready:])
    said: list[Transition] = []
    for _, together in groupby(queue[:ready], key=lambda part: (part.facts.event_ms, part.facts.version)):
        docket, changes = _decide(docket, list(together), situation, settings)
        said += changes
    return docket, tuple(said)


def pass_times(docket: Docket, evaluated_ms: Iterable[int]) -> Step:
    """Apply the controls whose time has come, of a model about which nothing is to be decided, given when it was evaluated, in order."""
    said: list[Transition] = []
    for event_ms in evaluated_ms:
        state = replace(docket.policy, event_ms=max(event_ms, docket.policy.event_ms or event_ms))
        docket, changes = _due(replace(docket, policy=state, decided_ms=max(docket.decided_ms, event_ms)))
        said += changes
    return docket, tuple(said)


def _due(docket: Docket) -> Step:
    due = tuple(takewhile(lambda control: control.time_ms <= docket.decided_ms, docket.controls))
    return _apply(replace(docket, controls=docket.controls[len(due) :]), due)


def _queued(queue: tuple[Part, ...], new: tuple[Part, ...]) -> tuple[Part, ...]:
    """The queue, which is in order, with new parts: they are the newest as a rule, so that little has to be sorted again."""
    if not new:
        return queue
    first = min(map(_order, new))
    kept = bisect_right(queue, first, key=_order)
    return (*queue[:kept], *sorted((*queue[kept:], *new), key=_order))


def _order(part: Part) -> tuple[int, str, bool]:
    return part.facts.event_ms, part.facts.version, part.side is Side.LABELS


def _decide(docket: Docket, parts: list[Part], situation: Situation, settings: Retraining) -> Step:
    """Decide about one version at one time."""
    version = parts[0].facts.version
    for part in parts:
        if part.side is Side.WINDOWS:
            docket = replace(docket, windows={**docket.windows, version: part.facts})
        else:
            docket = replace(docket, labels={**docket.labels, version: part.facts})
    docket, said = _due(replace(docket, decided_ms=max(docket.decided_ms, parts[0].facts.event_ms)))
    facts = _together(docket, version, situation)
    state, changes = policy.step(docket.policy, facts, settings)
    windows, labels = ({name: each for name, each in side.items() if name in state.versions} for side in (docket.windows, docket.labels))
    return replace(docket, policy=state, windows=windows, labels=labels), (*said, *changes)


def _together(docket: Docket, version: str, situation: Situation) -> Facts:
    windows, labels = docket.windows.get(version), docket.labels.get(version)
    some = windows or labels
    assert some is not None
    found = windows or Facts(some.model, version, docket.decided_ms)
    if labels is not None:
        found = replace(
            found,
            performance=labels.performance,
            estimated_loss=labels.estimated_loss,
            cost=labels.cost,
            concept_alarms=labels.concept_alarms,
            label_quality=labels.label_quality,
            labelled=labels.labelled,
            failure_modes=labels.failure_modes,
        )
    return replace(
        found,
        event_ms=docket.decided_ms,
        as_of_windows=NEVER if windows is None else windows.event_ms,
        as_of_labels=NEVER if labels is None else labels.event_ms,
        as_of_estimates=NEVER if labels is None else labels.estimates_ms,
        partial=situation.partial or any(side.partial for side in (windows, labels) if side is not None),
        rebuilding=situation.rebuilding,
        controls_unread=situation.controls_unread,
    )


def take_controls(docket: Docket, controls: Iterable[Control], *, at_once: bool) -> Step:
    """Controls in the order of the topic. ``at_once``: they hold from now on; else each waits for its time, and for those before it."""
    docket = replace(docket, controls=(*docket.controls, *controls))
    return _apply(replace(docket, controls=()), docket.controls) if at_once else (docket, ())


def _apply(docket: Docket, controls: Iterable[Control]) -> Step:
    state = docket.policy
    said: list[Transition] = []
    for control in controls:
        state, changes = override.apply(state, control)
        said += changes
    return replace(docket, policy=state), tuple(said)


def pack_docket(docket: Docket) -> bytes:
    """The docket as JSON, for the checkpoint."""
    return msgspec.json.encode(docket)


def unpack_docket(data: bytes) -> Docket:
    """The docket of ``pack_docket``. Raises ``ValueError`` for anything else."""
    return _DECODER.decode(data)
