"""What the monitor reports about retraining and about the decisions of operators."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from monitor.events import Event


@dataclass(frozen=True, slots=True)
class RetrainingRequired(Event):
    """A policy asks for retraining."""

    level: ClassVar[int] = logging.WARNING
    model: str
    version: str
    reason: str
    trigger_id: str
    event_time_ms: int
    onset_ms: int


@dataclass(frozen=True, slots=True)
class RetrainingWithheld(Event):
    """A condition holds for long enough, and something stands in the way."""

    level: ClassVar[int] = logging.WARNING
    model: str
    version: str
    event_time_ms: int
    gates: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class RetrainingConsidered(Event):
    """A condition began to hold (pending), or none does any more (cleared)."""

    model: str
    version: str
    event_time_ms: int
    phase: str


@dataclass(frozen=True, slots=True)
class TriggerEnded(Event):
    """What was required no longer is: acknowledged, superseded or expired."""

    model: str
    trigger_id: str
    phase: str
    by: str  # who acknowledged it, or the version or trigger in its place


@dataclass(frozen=True, slots=True)
class ControlApplied(Event):
    """A decision of an operator holds from now on."""

    model: str
    kind: str
    control_id: str
    by: str
    why: str
    detail: str


@dataclass(frozen=True, slots=True)
class ControlRefused(Event):
    """A message of the control topic that cannot be used."""

    level: ClassVar[int] = logging.WARNING
    where: str  # topic, partition and offset
    reason: str


@dataclass(frozen=True, slots=True)
class TriggersDelivered(Event):
    """What was decided is in the trigger topics."""

    messages: int


@dataclass(frozen=True, slots=True)
class TriggersFailed(Event):
    """What was decided could not be delivered; tried again at the next commit."""

    level: ClassVar[int] = logging.ERROR
    messages: int
    reason: str


@dataclass(frozen=True, slots=True)
class DrillFinished(Event):
    """Drifts were planted into recent traffic, in a process of its own; ``missed`` names those that nothing caught."""

    drifts: int
    missed: tuple[str, ...]
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class DrillFailed(Event):
    """A fire drill could not be completed."""

    level: ClassVar[int] = logging.ERROR
    reason: str
