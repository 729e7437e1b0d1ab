"""How many events a period has: what thresholds are made of. Observed for a day, then frozen.

Until a day has been seen, the rate is the larger of the reference's own and of what was seen so far, corrected for the hours of the day it
was seen in. A threshold made of it can only rise until it is frozen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from monitor.profile.layout import Layout
from monitor.reference.hours import HOUR_MS, slot_of
from monitor.reference.reference import Reference
from monitor.segment import ALL

ARMING_MS = 86_400_000
LEAST_MS = HOUR_MS
_MANY_HOURS = 24 * 14


@dataclass(eq=False)
class Rate:
    """Events per millisecond of the whole traffic. ``traffic`` is the reference's share of its rows by hour slot, mean 1."""

    reference_rate: float | None
    traffic: tuple[float, ...]
    first_ms: int | None = None
    last_ms: int | None = None
    events: int = 0
    per_ms: float | None = None  # the largest so far
    armed: bool = False
    risen: list[tuple[int, float]] = field(default_factory=list)  # ends of panes after which it was larger, and what it was then

    def __post_init__(self) -> None:
        self.per_ms = self.reference_rate if self.per_ms is None else self.per_ms

    def see(self, start_ms: int, end_ms: int, events: int) -> None:
        """Take a pane into account; after a day nothing changes any more."""
        if self.armed:
            return
        self.first_ms = start_ms if self.first_ms is None else self.first_ms
        self.last_ms, self.events = end_ms, self.events + events
        seen_ms = end_ms - self.first_ms
        rates = [rate for rate in (self.per_ms, self.reference_rate) if rate is not None]
        if seen_ms >= LEAST_MS:
            rates.append(self.events / (seen_ms * self._usual(self.first_ms, end_ms)))
        now = max(rates, default=None)
        if now is not None and now != self.per_ms:
            self.risen.append((end_ms, now))
        self.per_ms = now
        self.armed = seen_ms >= ARMING_MS

    def as_of(self, end_ms: int) -> float | None:
        """What it was when the panes up to there had been seen: labels are judged later than predictions, and not by what came since."""
        return next((rate for ms, rate in reversed(self.risen) if ms <= end_ms), self.reference_rate)

    def _usual(self, start_ms: int, end_ms: int) -> float:
        """Traffic that the reference had at these hours, relative to its mean."""
        hours = np.arange(start_ms // HOUR_MS, min((end_ms - 1) // HOUR_MS + 1, start_ms // HOUR_MS + _MANY_HOURS)) * HOUR_MS
        overlap = np.minimum(hours + HOUR_MS, end_ms) - np.maximum(hours, start_ms)
        traffic = np.array(self.traffic)[slot_of(hours, len(self.traffic))]
        return max(float((overlap * traffic).sum() / overlap.sum()), 0.05)


def rate_of(reference: Reference) -> Rate:
    """The rate before the first event."""
    span_ms = None if reference.start_ms is None or reference.end_ms is None else reference.end_ms - reference.start_ms
    known = None if not span_ms or span_ms < LEAST_MS else reference.rows / span_ms
    if reference.hours is None:
        return Rate(known, (1.0,))
    rows = reference.hours.counts[reference.hours.segments.index(ALL)][:, _first_signal(reference.layout)].sum(axis=1).astype(np.float64)
    return Rate(known, tuple((rows / max(rows.mean(), 1e-9)).tolist()) if span_ms and span_ms >= ARMING_MS else (1.0,))


def _first_signal(layout: Layout) -> slice:
    return layout.span(0)
