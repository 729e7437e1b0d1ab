"""What streams have said: alarms that stand, those of before, and what decisions may know of them at an event time.

    evidence   ──────w────T──────────────▶     w warning, T trigger: a stream that triggered stands until it is started anew,
    windows'   ──E1────────E2────▶             a warning until its evidence has fallen
    facts          ()       (T)                evidence is ahead of the windows: at E1 nothing had been said yet

Evidence does not wait for late rows and windows do, so the windows are judged when detectors are further on in event time. Decisions are
made of what had been said by the windows' end, which depends on the log alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from monitor.decide.facts import Alarm as Fact
from monitor.decide.facts import AlarmLevel
from monitor.detect.alarm import Alarm, Stream
from monitor.number import finite

MAX_SAID = 500
"""Alarms of the past that are kept to be shown."""

MAX_FACTS = 200
_MAX_ALSO = 20

_LEVELS = {"warning": AlarmLevel.WARNING, "trigger": AlarmLevel.TRIGGER}


@dataclass(frozen=True, slots=True)
class Alarmed:
    """New alarms of one model version."""

    model: str
    version: str
    alarms: tuple[Alarm, ...]


@dataclass(slots=True)
class Standing:
    """An alarm that stands."""

    alarm: Alarm
    last_ms: int  # event time at which its evidence was last seen beyond its level
    first_ms: int | None = None  # when its stream left its normal state: that of the warning before a trigger


@dataclass(frozen=True, slots=True)
class AsOf:
    """What had been said by an event time."""

    end_ms: int
    facts: tuple[Fact, ...]


@dataclass(eq=False)
class Said:
    """Alarms of one side, inputs or labels, of one version."""

    standing: dict[Stream, Standing] = field(default_factory=dict)
    past: list[Alarm] = field(default_factory=list)  # all of them, oldest first
    raised: dict[str, dict[str, int]] = field(default_factory=dict)  # by kind and level, since the version was first seen
    as_of: list[AsOf] = field(default_factory=list)  # rising; the first is of before all that may still be asked for

    def take(self, alarms: Iterable[Alarm]) -> None:
        """New alarms, in order. A trigger takes the place of the warning before it."""
        for alarm in alarms:
            before = self.standing.get(alarm.stream)
            since = alarm.time_ms if before is None or before.first_ms is None else before.first_ms
            self.standing[alarm.stream] = Standing(alarm, alarm.time_ms, since)
            self.past = [*self.past, alarm][-MAX_SAID:]
            raised = self.raised.setdefault(alarm.stream.kind, {})
            raised[alarm.level] = raised.get(alarm.level, 0) + 1

    def settle(self, end_ms: int, strength: Callable[[Stream], float], warned: Callable[[Stream], bool]) -> None:
        """Look at what stands: triggers last while their evidence does, warnings are over when it has fallen."""
        for stream, standing in list(self.standing.items()):
            if standing.alarm.level == "warning" and not warned(stream):
                del self.standing[stream]
            elif strength(stream) >= standing.alarm.threshold:
                standing.last_ms = end_ms

    def forget(self, about: Callable[[Stream], bool]) -> None:
        """Streams that start anew say nothing any more."""
        self.standing = {stream: standing for stream, standing in self.standing.items() if not about(stream)}
        self.as_of = [
            AsOf(each.end_ms, tuple(fact for fact in each.facts if not about(Stream(fact.segment, fact.signal, fact.kind))))
            for each in self.as_of
        ]

    def note(self, end_ms: int) -> None:
        """Note what is known as of an event time, where it is not what was known before."""
        found = facts_of(self.standing.values())
        if found != (self.as_of[-1].facts if self.as_of else ()):
            self.as_of.append(AsOf(end_ms, found))

    def known(self, event_ms: int) -> tuple[Fact, ...]:
        """What had been said by an event time, which never falls from one call to the next."""
        while len(self.as_of) > 1 and self.as_of[1].end_ms <= event_ms:
            del self.as_of[0]
        return self.as_of[0].facts if self.as_of and self.as_of[0].end_ms <= event_ms else ()


def facts_of(standing: Iterable[Standing]) -> tuple[Fact, ...]:
    """The alarms as facts, the gravest first, one per segment and signal: of its values and its faults the graver one."""
    ordered = sorted(
        standing,
        key=lambda each: (
            each.alarm.level != "trigger", each.alarm.time_ms, each.alarm.stream.segment, each.alarm.stream.signal, each.alarm.stream.kind
        ),
    )  # fmt: skip
    found: dict[tuple[str, str], Fact] = {}
    for each in ordered:
        if len(found) >= MAX_FACTS:
            break
        found.setdefault((each.alarm.stream.segment, each.alarm.stream.signal), fact_of(each))
    return tuple(found.values())


def fact_of(standing: Standing) -> Fact:
    """One alarm as a fact."""
    alarm, effect = standing.alarm, standing.alarm.effect
    return Fact(
        signal=alarm.stream.signal,
        segment=alarm.stream.segment,
        level=_LEVELS[alarm.level],
        start_ms=alarm.start_ms,
        effect=None if effect is None else finite(effect.size),
        n=None if effect is None else effect.rows,
        time_ms=standing.last_ms,
        kind=alarm.stream.kind,
        unit="" if effect is None else effect.unit,
        low=None if effect is None else finite(effect.low),
        high=None if effect is None else finite(effect.high),
        cell=None if effect is None else effect.cell,
        worst=tuple((change.cell, change.expected, change.share) for change in alarm.worst),
        also=tuple((stream.segment, stream.signal, stream.kind) for stream in alarm.also[:_MAX_ALSO]),
    )
