"""The traffic, leg by leg: a model version answers until it is replaced, and the next one goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from monitor.demo.events import PREDICTIONS, Event, events, in_time, label_events
from monitor.demo.flights import Flights


@dataclass(slots=True)
class Leg:
    """The flights that one version answers: ``[first, first + count)`` of all."""

    version: str
    first: int
    count: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Shadow:
    """A version that answers aside, what nobody acts on, until a time. ``scores``: [n] of all flights."""

    version: str
    scores: NDArray[np.float64]
    until_ms: int  # exclusive


@dataclass(eq=False, slots=True)
class Traffic:
    """Flights in time with the labels of their arrivals, sent leg by leg. ``served``: [n] the score that each one was answered with."""

    flights: Flights
    served: NDArray[np.float64] = field(init=False)
    legs: list[Leg] = field(default_factory=list)
    labels_sent: int = 0
    answered_aside: int = 0

    def __post_init__(self) -> None:
        self.served = np.full(len(self.flights), np.nan)

    @property
    def sent(self) -> int:
        """Flights whose prediction was sent."""
        return sum(leg.count for leg in self.legs)

    @property
    def predictions(self) -> int:
        """Predictions that were sent, also those of versions that answer aside."""
        return self.sent + self.answered_aside

    @property
    def messages(self) -> int:
        """Messages that were sent, to both topics."""
        return self.predictions + self.labels_sent

    @property
    def finished(self) -> bool:
        """Whether every flight was sent, and so every label: a leg that is not stopped sends them all."""
        return self.sent == len(self.flights) and self.labels_sent == int((self.flights.arrival_ms >= 0).sum())

    def leg(
        self, version: str, scores: NDArray[np.float64], stopped: Callable[[], bool], shadow: Shadow | None = None
    ) -> Iterator[tuple[str, Event]]:
        """Messages from where the last leg stopped until ``stopped``, each with its topic. ``scores``: [n] of this version, all flights.

        The answer of a shadow follows that of the version which serves.
        """
        first = self.sent
        leg = Leg(version, first)
        self.legs.append(leg)
        rows = np.arange(len(self.flights)) >= first
        rest = self.flights.where(rows)
        shadowed = 0 if shadow is None else int((rest.time_ms < shadow.until_ms).sum())
        aside = iter(()) if shadow is None else events(rest, shadow.scores[rows], shadow.version)
        outcomes = islice(label_events(self.flights), self.labels_sent, None)
        for topic, event in in_time(events(rest, scores[rows], version), rest.time_ms.tolist(), outcomes):
            if stopped():
                return
            if topic == PREDICTIONS:
                self.served[first + leg.count] = scores[first + leg.count]
                leg.count += 1
            else:
                self.labels_sent += 1
            yield topic, event
            if topic == PREDICTIONS and leg.count <= shadowed:
                self.answered_aside += 1
                yield topic, next(aside)
