"""Policies, facts and controls for tests, and a way to play a timeline."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import hypothesis

from monitor.config.retraining import Retraining
from monitor.decide.control import KINDS, Control, kind_of
from monitor.decide.facts import Alarm, AlarmLevel, Facts, LabelledRows, Measured
from monitor.decide.policy import step
from monitor.decide.state import PolicyState
from monitor.decide.transition import Change, Transition

PATIENT = hypothesis.settings(deadline=None)
"""On a busy machine no example has a time limit."""

HOUR = 3_600_000
DAY = 24 * HOUR
MONDAY = 1_699_833_600_000  # 2023-11-13 00:00 UTC, a Monday

FLOOR = 0.7
CLEAR = 0.75
VALUES = {"o": 0.5, ".": 0.72, "c": 0.8}
"""A recall beyond its floor, between the levels, and clear."""


def policy(**changes: Any) -> Retraining:
    """Recall of ALL below 0.7 at two evaluations of three; no label is asked for."""
    tree: dict[str, Any] = {
        "performance": [{"metric": "recall", "floor": FLOOR, "clear": CLEAR}],
        "min_fresh_labels": 0,
        "cooldown": "2d",
        "at_most": 50,
        "period": "30d",
    }
    return Retraining.model_validate({**tree, **changes})


def measured(value: float, name: str = "recall", segment: str = "ALL", half: float = 0.01, n: int = 400, **more: Any) -> Measured:
    return Measured(name, segment, value, value - half, value + half, n, **more)


def alarm(
    signal: str = "x", segment: str = "ALL", level: AlarmLevel = AlarmLevel.TRIGGER, effect: float | None = 0.5, **more: Any
) -> Alarm:
    return Alarm(signal, segment, level, more.pop("start_ms", MONDAY), effect, **more)


def facts(event_ms: int, vote: str | None = None, **more: Any) -> Facts:
    """Facts about model m, version 1; ``vote``: what recall says, `o`, `.`, `c` or a blank for unknown."""
    given: dict[str, Any] = {"model": "m", "version": "1", "event_ms": event_ms, "rows": 1_000, "shares": {}}
    if vote is not None:
        given["performance"] = (measured(VALUES[vote]),) if vote in VALUES else ()
    return Facts(**{**given, **more})


def timeline(votes: str, every_ms: int = HOUR, start_ms: int = MONDAY, **more: Any) -> list[Facts]:
    """One evaluation per letter."""
    return [facts(start_ms + place * every_ms, vote, **more) for place, vote in enumerate(votes)]


def labels(*rows: int, start_ms: int = MONDAY, every_ms: int = HOUR) -> tuple[LabelledRows, ...]:
    return tuple(LabelledRows(start_ms + i * every_ms, start_ms + (i + 1) * every_ms, n) for i, n in enumerate(rows))


def control(kind: str, number: int = 1, **more: Any) -> Control:
    """A control of a kind, with an id out of kind and number."""
    made = next(each for each in KINDS if kind_of(each) == kind)
    name = hashlib.sha256(f"{kind}{number}".encode()).hexdigest()[:16]
    return made(**{"id": name, "model": "m", "by": "ann", "time_ms": MONDAY, "why": "for a test", **more})  # type: ignore[return-value]


def play(given: Iterable[Facts | Control], settings: Retraining | None = None, state: PolicyState | None = None):
    """The state at the end, and all that changed."""
    state, said = state or PolicyState(), []
    for each in given:
        state, changes = step(state, each, settings or policy())
        said += changes
    return state, said


def phases(given: Iterable[Facts], settings: Retraining | None = None, state: PolicyState | None = None) -> list[str]:
    """The phase of version 1 after each input."""
    state, found = state or PolicyState(), []
    for each in given:
        state, _ = step(state, each, settings or policy())
        found.append(state.versions["1"].phase.value if "1" in state.versions else "-")
    return found


def required(said: Iterable[Transition]) -> list[Transition]:
    return [each for each in said if each.change is Change.REQUIRED]


def letters(names: Iterable[str]) -> str:
    """Phases by their first letter: q p w r a s."""
    return "".join(name[0] for name in names)
