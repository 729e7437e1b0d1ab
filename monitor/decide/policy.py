"""The policy: a pure state machine over facts and operators' decisions, one for each model.

    QUIET ─condition beyond its limit─▶ PENDING ─persisted─▶ gates ─all open─▶ REQUIRED ─ack─▶ ACKNOWLEDGED
                                                              │ any shut                │ new version, newer trigger
                                                              ▼                         ▼
                                                          WITHHELD                  SUPERSEDED

A version asks for retraining when a condition is beyond its limit in the evaluation at hand and has persisted. When every gate is open,
that makes a trigger; otherwise each shut gate is named. Nothing plays a part that is not in the input, no clock either, so a log that
is read again leads to the same triggers under the same ids. That a requirement expires in wall time is for whoever shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from monitor.config.retraining import Persistence, Retraining
from monitor.decide import override
from monitor.decide.control import Control
from monitor.decide.evidence import evidence, since
from monitor.decide.facts import NEVER, Facts
from monitor.decide.gate import Gate, Withheld, shut
from monitor.decide.reading import Readings, Reason, Vote, as_of, key_of, read
from monitor.decide.state import MAX_REMEMBERED, MAX_TRIGGERS, MAX_WATCHES, Phase, PolicyState, Trigger, VersionPolicy
from monitor.decide.transition import Change, Transition
from monitor.decide.trigger_id import trigger_ids
from monitor.decide.watch import Watch, vote
from monitor.segment import OTHER

Step = tuple[PolicyState, tuple[Transition, ...]]

_ORDER = tuple(Reason)
_OPEN = (Phase.REQUIRED, Phase.ACKNOWLEDGED)
_NOT_CURRENT = Withheld(Gate.NOT_CURRENT, "what persisted is not beyond its limit in what is known now, or that is old")


def step(state: PolicyState, given: Facts | Control, policy: Retraining) -> Step:
    """One input in, the next state and what changed out. Facts with nothing newer about the version than the last change nothing."""
    if not isinstance(given, Facts):
        return override.apply(state, given)
    before = state.versions.get(given.version, VersionPolicy(NEVER))
    news = frozenset(reason for reason in Reason if as_of(given, reason) > before.as_of.get(reason, NEVER))
    if not news or (state.event_ms is not None and given.event_ms < state.event_ms - policy.cooldown_ms):
        return state, ()  # nothing new, or of a time whose versions may be forgotten
    event_ms = max(given.event_ms, before.event_ms)
    times = given.windows_ms, given.labels_ms, given.estimates_ms
    given = replace(given, event_ms=event_ms, as_of_windows=times[0], as_of_labels=times[1], as_of_estimates=times[2])
    state, superseded = _seen(override.expire(state, given.event_ms), given, policy)
    readings = read(given, policy)
    state = override.settle(state, given, readings, news, policy.persistence)
    watches = _watches(state, before.watches, given, readings, news, policy)
    state = replace(state, event_ms=max(given.event_ms, state.event_ms or given.event_ms))
    state, now, changes = _judged(state, before, given, readings, watches, policy)
    state = replace(state, versions={**state.versions, given.version: now})
    return _without_old(state, policy), (*superseded, *changes)


def _without_old(state: PolicyState, policy: Retraining) -> PolicyState:
    """Without versions that have not been decided about for a cooldown; triggers stay."""
    assert state.event_ms is not None
    oldest_ms = state.event_ms - policy.cooldown_ms
    return replace(state, versions={name: each for name, each in state.versions.items() if each.event_ms >= oldest_ms})


def _seen(state: PolicyState, facts: Facts, policy: Retraining) -> Step:
    """A version that is new supersedes what was required of others."""
    if facts.version in state.first_seen_ms or facts.version == OTHER or facts.rows < policy.new_version_rows:
        return state, ()
    seen = [*state.first_seen_ms.items(), (facts.version, facts.event_ms)]
    seen.sort(key=lambda entry: entry[0] in state.versions or entry[0] == facts.version)  # those that have gone are forgotten first
    state = replace(state, first_seen_ms=dict(seen[-MAX_REMEMBERED:]))
    older = [t for t in state.triggers if t.phase in _OPEN and t.version != facts.version and t.event_ms < facts.event_ms]
    return _supersede(state, older, facts.version, facts.event_ms)


def _supersede(state: PolicyState, triggers: Iterable[Trigger], ended_by: str, event_ms: int) -> Step:
    changes = []
    for trigger in triggers:
        done = replace(trigger, phase=Phase.SUPERSEDED, ended_by=ended_by)
        state = override.with_trigger(state, done)
        version = state.versions.get(done.version)
        if version is not None and version.phase in _OPEN:
            state = replace(state, versions={**state.versions, done.version: replace(version, phase=Phase.SUPERSEDED)})
        changes.append(Transition(Change.SUPERSEDED, done.model, event_ms, done.version, done, detail=f"by {ended_by}"))
    return state, tuple(changes)


def _watches(
    state: PolicyState, before: Sequence[Watch], facts: Facts, readings: Readings, news: frozenset[Reason], policy: Retraining
) -> tuple[Watch, ...]:
    """The watches after the votes of what is new."""
    old = {key_of(watch.latest): watch for watch in before}
    after: list[Watch | None] = []
    for key in dict.fromkeys([*old, *readings.known]):
        watch, reading, reason = old.get(key), readings.known.get(key), key[0]
        if reading is None and watch is not None and reason in readings.silent_is_clear:
            reading = replace(watch.latest, vote=Vote.CLEAR, value=None, n=None)
        about = reading if reading is not None else watch.latest if watch is not None else None
        if about is None or override.is_overruled(state, facts.version, about):
            continue
        if reading is not None and reason in news:
            persistence = readings.persistence.get(key) or _drift_persistence(reason, policy)
            after.append(vote(watch, reading, as_of(facts, reason), persistence))
        elif watch is not None and facts.event_ms - watch.event_ms <= policy.cooldown_ms:  # longer ago, it means nothing any more
            after.append(watch)
    kept = [watch for watch in after if watch is not None]
    if len(kept) > MAX_WATCHES:
        kept.sort(key=lambda watch: (not watch.active, watch.began_ms, key_of(watch.latest)))
    return tuple(kept[:MAX_WATCHES])


def _drift_persistence(reason: Reason, policy: Retraining) -> Persistence:
    condition = policy.concept_drift if reason is Reason.CONCEPT_DRIFT else policy.data_drift
    return (condition.persistence if condition is not None else None) or policy.persistence


def _judged(
    state: PolicyState, before: VersionPolicy, facts: Facts, readings: Readings, watches: tuple[Watch, ...], policy: Retraining
) -> tuple[PolicyState, VersionPolicy, tuple[Transition, ...]]:
    """The version's phase, and the trigger if it comes to one."""
    times = {reason: max(as_of(facts, reason), before.as_of.get(reason, NEVER)) for reason in Reason}
    now = VersionPolicy(facts.event_ms, times, Phase.QUIET, (), readings.unknown[:MAX_REMEMBERED], watches)
    active = [watch for watch in watches if watch.active]
    asking = [watch for watch in active if _is_current(watch, facts, policy)]
    withheld: tuple[Withheld, ...] = (_NOT_CURRENT,) if active and not asking else ()
    if asking:
        reason = min((watch.latest.reason for watch in asking), key=_ORDER.index)
        withheld = shut(facts, policy, state.hold, [trigger.event_ms for trigger in state.triggers], since(asking, reason))
        if not withheld:
            state, changes = _trigger(state, facts, readings, asking, reason, policy)
            return state, replace(now, phase=state.triggers[-1].phase), changes
    last = next((t for t in reversed(state.triggers) if t.version == facts.version and t.phase in _OPEN), None)
    if last is not None and (last.phase is Phase.REQUIRED or facts.event_ms - last.event_ms < policy.cooldown_ms):
        return state, replace(now, phase=last.phase), ()
    now = replace(now, phase=Phase.WITHHELD if withheld else Phase.PENDING if watches else Phase.QUIET, withheld=withheld)
    return state, now, tuple(_changes(facts, before, now))


def _is_current(watch: Watch, facts: Facts, policy: Retraining) -> bool:
    """Whether a watch is beyond its limit in the newest that is known, and that is not old."""
    newest = watch.event_ms == as_of(facts, watch.latest.reason) and watch.latest.vote == Vote.OVER
    return newest and facts.event_ms - watch.event_ms <= policy.max_evidence_age_ms


def _changes(facts: Facts, before: VersionPolicy, now: VersionPolicy) -> Iterable[Transition]:
    gates = [[each.gate for each in version.withheld] for version in (before, now)]
    if before.phase is now.phase and gates[0] == gates[1]:
        return
    change = {Phase.QUIET: Change.CLEARED, Phase.PENDING: Change.PENDING, Phase.WITHHELD: Change.WITHHELD}[now.phase]
    yield Transition(change, facts.model, facts.event_ms, facts.version, withheld=now.withheld)


def _trigger(state: PolicyState, facts: Facts, readings: Readings, asking: Sequence[Watch], reason: Reason, policy: Retraining) -> Step:
    onset_ms = min(watch.onset_ms for watch in asking if watch.latest.reason is reason and watch.onset_ms is not None)
    taken = {trigger.id for trigger in state.triggers}
    names = trigger_ids(facts.model, facts.version, reason, onset_ms, (facts.event_ms - onset_ms) // policy.cooldown_ms)
    name = next(each for each in names if each not in taken)
    recent = sum(trigger.event_ms > facts.event_ms - policy.period_ms for trigger in state.triggers)
    ack = next((each for each in state.acks if each.trigger_id == name), None)
    trigger = Trigger(
        id=name,
        model=facts.model,
        version=facts.version,
        reason=reason,
        event_ms=facts.event_ms,
        onset_ms=onset_ms,
        evidence=evidence(facts, policy, reason, asking, readings.unknown, recent + 1),
        phase=Phase.REQUIRED if ack is None else Phase.ACKNOWLEDGED,
        ack=ack,
    )
    older = [each for each in state.triggers if each.phase in _OPEN and each.version == facts.version]
    state, superseded = _supersede(state, older, name, facts.event_ms)
    state = replace(
        state,
        triggers=(*state.triggers, trigger)[-MAX_TRIGGERS:],
        triggered={**state.triggered, reason: state.triggered.get(reason, 0) + 1},
    )
    changes = [Transition(Change.REQUIRED, facts.model, facts.event_ms, facts.version, trigger)]
    if ack is not None:
        changes.append(Transition(Change.ACKNOWLEDGED, facts.model, facts.event_ms, facts.version, trigger, control=ack))
    return state, (*superseded, *changes)
