"""What a process reports about its own life."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from monitor.events import Event


@dataclass(frozen=True, slots=True)
class ProcessStarted(Event):
    """The process has read its configuration."""

    version: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StopRequested(Event):
    """A signal asked the process to stop."""

    signal: str


@dataclass(frozen=True, slots=True)
class BrokersLost(Event):
    """No broker answers any more; what is read goes on where it was once one does."""

    level: ClassVar[int] = logging.ERROR
    reason: str


@dataclass(frozen=True, slots=True)
class BrokersReached(Event):
    """A broker answers again."""


@dataclass(frozen=True, slots=True)
class AssignmentAwaited(Event):
    """No partition came yet: other members of the group have them, or one that ended without leaving is still waited for.

    The group gives up a member after ``source.session_timeout``.
    """

    topics: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class HistoryPassed(Event):
    """Reading is behind, and this far."""

    messages: int  # read in all
    per_second: float
    unread: int | None  # None: not known, as of files
    event_time: str  # that every partition has reached; empty: not known


@dataclass(frozen=True, slots=True)
class HistoryFinished(Event):
    """Reading is behind no more."""

    event_time: str


@dataclass(frozen=True, slots=True)
class ReloadRequested(Event):
    """The process will save its state and start anew by its files as they are now."""

    why: str  # signal, or references


@dataclass(frozen=True, slots=True)
class ReloadRefused(Event):
    """The files as they are now cannot be used; the process goes on by those that it has."""

    level: ClassVar[int] = logging.ERROR
    reason: str


@dataclass(frozen=True, slots=True)
class ProcessStopped(Event):
    """The process has ended its work."""

    duration_seconds: float  # from the request to the end
    state_saved: bool
