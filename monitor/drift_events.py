"""What the monitor reports about drift: more of ``events``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from monitor.events import Event


@dataclass(frozen=True, slots=True)
class DriftBegan(Event):
    """A window has drifted verdicts that the one before it did not have; the worst is named."""

    level: ClassVar[int] = logging.WARNING
    model: str
    version: str
    window: str
    event_time_ms: int  # end of the window
    signals: int  # newly drifted pairs of segment and signal
    segment: str
    signal: str
    statistic: str
    value: float
    threshold: float


@dataclass(frozen=True, slots=True)
class DriftSuspected(Event):
    """The evidence of sequential detectors crossed the level of a warning."""

    level: ClassVar[int] = logging.WARNING
    model: str
    version: str
    streams: int
    segment: str  # of the stream with the most evidence, and so on
    signal: str
    kind: str
    event_time_ms: int
    start_ms: int  # estimated
    effect: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class DriftDetected(DriftSuspected):
    """The evidence of sequential detectors crossed the level of a trigger."""


@dataclass(frozen=True, slots=True)
class DriftEnded(Event):
    """Verdicts that were drifted in the window before no longer are."""

    model: str
    version: str
    window: str
    event_time_ms: int
    signals: int  # pairs of segment and signal that are no longer drifted
