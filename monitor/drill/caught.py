"""Whether a planted drift was caught: what was said of traffic with it and not of the same traffic without it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass

from monitor.replay.episode import Key
from monitor.replay.findings import Findings
from monitor.segment import ALL

TRIGGER = "trigger"
_NO_CATCH = frozenset({"warning"})
"""What is said and is not yet an alarm."""


_SAID_ONCE = frozenset({"detector", "warning"})


@dataclass(frozen=True, slots=True)
class Catch:
    """The first of its kind that was said because of the drift."""

    kind: str  # ``window``, ``share``, ``performance``, ``detector``, ``warning`` or ``river``; or ``trigger`` of the policy
    by: str  # window, view or side; of a trigger its reason
    segment: str
    signal: str
    time_ms: int  # event time
    delay_ms: int  # event time since it was planted
    delay_events: int  # predictions since


@dataclass(frozen=True, slots=True)
class Drilled:
    """One drift in one model."""

    model: str
    drift: str
    signal: str  # it was planted into; "" for labels
    segment: str
    start_ms: int
    end_ms: int  # of the traffic after it
    events: int  # predictions of it
    catches: tuple[Catch, ...]  # the first of each kind, the earliest first
    restless: int = 0  # streams that were beyond their thresholds without it too, at that time or after: they cannot catch it

    @property
    def first(self) -> Catch | None:
        """What caught it; None when nothing did."""
        return next((catch for catch in self.catches if catch.kind not in _NO_CATCH), None)

    @property
    def trigger(self) -> Catch | None:
        """The trigger that it led to, if any."""
        return next((catch for catch in self.catches if catch.kind == TRIGGER), None)


def drilled(drift: str, signal: str, segment: str, start_ms: int, without: Findings, planted: Findings) -> Drilled:
    """Compare the same traffic without and with the drift. What is said without it, at that time or after, has nothing to do with it."""
    end_ms = max(planted.last_ms or start_ms, start_ms)
    if planted.until_ms is not None:
        end_ms = max(min(end_ms, planted.until_ms), start_ms)
    restless = {each.key for each in without.episodes if each.ended_ms is None or each.ended_ms >= start_ms}
    first: dict[str, Catch] = {}
    found = sorted(
        _new(start_ms, without, planted, restless), key=lambda each: (each.time_ms, each.segment != ALL, each.segment, each.signal)
    )
    for catch in found:
        if planted.until_ms is not None and catch.time_ms > planted.until_ms:
            continue
        first.setdefault(catch.kind, catch)
    order = tuple(sorted(first.values(), key=lambda each: each.time_ms))
    events = planted.rows_between(start_ms, end_ms)
    return Drilled(planted.config.name, drift, signal, segment, start_ms, end_ms, events, order, len(restless))


def _new(start_ms: int, without: Findings, planted: Findings, restless: Set[Key]) -> Iterator[Catch]:
    known = {(each.key, each.began_ms) for each in without.episodes}
    for each in planted.episodes:
        # A verdict that comes and goes without the drift would soon have come with it; an alarm is said once, so it may have come sooner.
        coincidence = each.key in restless and each.kind not in _SAID_ONCE
        if each.began_ms >= start_ms and (each.key, each.began_ms) not in known and not coincidence:
            kind, _, by, segment, signal = each.key
            yield _catch(kind, by, segment, signal, each.began_ms, start_ms, planted)
    fired = {each.id for each in without.triggers()}
    for trigger in planted.triggers():
        if trigger.event_ms >= start_ms and trigger.id not in fired:
            moved = trigger.evidence.moved[0]
            yield _catch(TRIGGER, str(trigger.reason), moved.segment, moved.signal, trigger.event_ms, start_ms, planted)


def _catch(kind: str, by: str, segment: str, signal: str, time_ms: int, start_ms: int, planted: Findings) -> Catch:
    return Catch(kind, by, segment, signal, time_ms, time_ms - start_ms, planted.rows_between(start_ms, time_ms))
