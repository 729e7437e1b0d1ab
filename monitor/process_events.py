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
