"""A stretch of event time that verdicts are about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of event time: [start, end) in milliseconds, and the name it is configured under."""

    name: str  # "short" or "long"
    start_ms: int
    end_ms: int
