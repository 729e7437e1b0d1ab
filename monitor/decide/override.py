"""What an operator's decision changes. A control that was applied before changes nothing."""

from __future__ import annotations

from msgspec.structs import replace

from monitor.config.retraining import Persistence
from monitor.decide.control import Accept, Ack, Assign, Control, Hold, Rebaseline, Release, SwitchReference, Withdraw
from monitor.decide.facts import Facts
from monitor.decide.reading import DRIFTS, Reading, Readings, Reason, Vote
from monitor.decide.state import MAX_ACCEPTED, MAX_REMEMBERED, Accepted, Baseline, Phase, PolicyState, Trigger
from monitor.decide.transition import Change, Transition


def apply(state: PolicyState, control: Control) -> tuple[PolicyState, tuple[Transition, ...]]:
    """The state after a control, and what changed."""
    if control.id in state.applied:
        return state, ()
    state = replace(state, applied=(*state.applied, control.id)[-MAX_REMEMBERED:], controls=state.controls + 1)
    said = Transition(Change.CONTROL_APPLIED, control.model, state.event_ms, control=control)
    match control:
        case Hold():
            state = replace(state, hold=control)
        case Release():
            said = said if state.hold is not None else replace(said, detail="there was no hold")
            state = replace(state, hold=None)
        case Accept():
            if len(state.accepted) >= MAX_ACCEPTED:
                detail = f"expected at most {MAX_ACCEPTED} acceptances; withdraw some"
                return state, (replace(said, change=Change.CONTROL_REFUSED, detail=detail),)
            state = replace(state, accepted=(*state.accepted, Accepted(control)))
        case Withdraw():
            kept = tuple(each for each in state.accepted if each.control.id != control.control)
            said = said if len(kept) < len(state.accepted) else replace(said, detail="there was no such acceptance")
            state = replace(state, accepted=kept)
        case Rebaseline():
            if state.event_ms is None:
                said = replace(said, detail="nothing has been evaluated yet")
            else:
                state = replace(state, baselines=(*state.baselines, Baseline(control, state.event_ms))[-MAX_REMEMBERED:])
        case Ack():
            return _acknowledge(state, control, said)
        case Assign() | SwitchReference():
            pass  # neither is the policy's: whoever has the backlog and the counts acts on the transition
    return state, (said,)


def _acknowledge(state: PolicyState, control: Ack, said: Transition) -> tuple[PolicyState, tuple[Transition, ...]]:
    state = replace(state, acks=(*state.acks, control)[-MAX_REMEMBERED:])
    found = next((each for each in state.triggers if each.id == control.trigger_id), None)
    if found is None:
        return state, (replace(said, detail="there is no such trigger (yet)"),)
    if found.phase is not Phase.REQUIRED:
        return state, (replace(said, detail=f"it is {found.phase} already"),)
    done = replace(found, phase=Phase.ACKNOWLEDGED, ack=control)
    state = with_trigger(state, done)
    version = state.versions.get(done.version)
    if version is not None and version.phase is Phase.REQUIRED:
        state = replace(state, versions={**state.versions, done.version: replace(version, phase=Phase.ACKNOWLEDGED)})
    return state, (said, Transition(Change.ACKNOWLEDGED, done.model, state.event_ms, done.version, done, control=control))


def with_trigger(state: PolicyState, trigger: Trigger) -> PolicyState:
    """The state with this trigger in the place of the one of its id."""
    return replace(state, triggers=tuple(trigger if each.id == trigger.id else each for each in state.triggers))


def matches(about: Accept | Rebaseline, version: str, reading: Reading) -> bool:
    """Whether a control is about a reading; what it leaves out means any."""
    return (
        about.version in (None, version)
        and about.signal in (None, reading.signal)
        and about.segment in (None, reading.segment)
    )  # fmt: skip


def is_overruled(state: PolicyState, version: str, reading: Reading) -> bool:
    """Whether a reading does not count: it is accepted, or the drift began before a new baseline."""
    if any(matches(each.control, version, reading) for each in state.accepted):
        return True
    if reading.reason not in DRIFTS or reading.since_ms is None:
        return False
    return any(reading.since_ms <= each.event_ms and matches(each.control, version, reading) for each in state.baselines)


def expire(state: PolicyState, event_ms: int) -> PolicyState:
    """Without the hold and the acceptances whose time is over."""
    hold = state.hold
    if hold is not None and hold.until_ms is not None and hold.until_ms <= event_ms:
        hold = None
    accepted = tuple(each for each in state.accepted if each.control.until_ms is None or each.control.until_ms > event_ms)
    return replace(state, hold=hold, accepted=accepted)


def settle(state: PolicyState, facts: Facts, readings: Readings, news: frozenset[Reason], persistence: Persistence) -> PolicyState:
    """Without the acceptances of a drift that is over, for as long as it takes a condition to be over: the next drift is another one.

    ``news``: the reasons of which something was not known before.
    """
    settled = tuple(_settled(each, facts, readings, news) for each in state.accepted)
    return replace(state, accepted=tuple(each for each in settled if not _is_over(each, facts.event_ms, persistence)))


def _settled(each: Accepted, facts: Facts, readings: Readings, news: frozenset[Reason]) -> Accepted:
    if each.control.until_ms is not None:
        return each
    mine = [reading for reading in readings.known.values() if matches(each.control, facts.version, reading)]
    held = {reading.reason for reading in mine if reading.vote != Vote.CLEAR}
    if held:
        return Accepted(each.control, tuple(sorted({*each.reasons, *held})))
    clear = {reading.reason for reading in mine} | readings.silent_is_clear
    if not clear.issuperset(each.reasons) or news.isdisjoint(each.reasons):
        return each  # what it is about has not come yet, or is not known now
    return replace(each, clear=each.clear + 1, clear_since_ms=facts.event_ms if each.clear_since_ms is None else each.clear_since_ms)


def _is_over(each: Accepted, event_ms: int, persistence: Persistence) -> bool:
    if each.clear_since_ms is None:
        return False
    if persistence.lasting_ms is None:
        return each.clear >= persistence.window
    return event_ms - each.clear_since_ms >= persistence.lasting_ms
