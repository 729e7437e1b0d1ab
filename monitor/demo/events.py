"""The events that a model server would log: one JSON object for each prediction."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.demo.flights import CATEGORICAL, NUMERIC, Flights
from monitor.demo.model import VERSION, labels

PREDICTIONS, LABELS = "predictions", "labels"
"""The topics."""

TRAINING_MONTHS = (1, 2)
_CHUNK_ROWS = 10_000

Event = tuple[bytes, bytes]
"""Key and value of a message: the prediction's id, and the event."""


class Served(msgspec.Struct, frozen=True):
    """Which model answered."""

    name: str
    version: str


class Prediction(msgspec.Struct, frozen=True):
    """What it answered."""

    score: float


class PredictionEvent(msgspec.Struct, frozen=True):
    """One line of the log. ``features`` holds null for what was not known."""

    id: str
    ts: int  # scheduled departure, milliseconds since 1970 UTC
    model: Served
    features: dict[str, str | float]
    prediction: Prediction


class LabelEvent(msgspec.Struct, frozen=True):
    """What turned out to be true of one prediction."""

    prediction_id: str
    ts: int  # the instant of arrival, milliseconds since 1970 UTC
    label: int  # 1: more than 15 minutes late


class TrainingEvent(PredictionEvent, frozen=True):
    """A prediction with its outcome, null for a flight that never arrived where it was bound."""

    label: int | None = None
    label_ts: int | None = None


def split(flights: Flights) -> tuple[Flights, Flights]:
    """January and February, which the model learns from, and March on, which it serves. Together they are all flights."""
    training = np.isin(flights.month, TRAINING_MONTHS)
    return flights.where(training), flights.where(~training)


def events(flights: Flights, scores: NDArray[np.float64], version: str = VERSION) -> Iterator[Event]:
    """One event for each flight, in their order. ``scores``: [n]."""
    encode = msgspec.json.Encoder().encode
    for event in _predictions(flights, scores, version):
        yield event.id.encode(), encode(event)


def label_events(flights: Flights) -> Iterator[tuple[int, bytes, bytes]]:
    """Time, key and value of a label for each flight that arrived, in the order of arrival (ties by id)."""
    encode = msgspec.json.Encoder().encode
    arrived = np.flatnonzero(flights.arrival_ms >= 0)
    order = arrived[np.lexsort((flights.ids[arrived], flights.arrival_ms[arrived]))]
    late = labels(flights)[order].astype(np.int64)
    for id_, time_ms, label in zip(flights.ids[order].tolist(), flights.arrival_ms[order].tolist(), late.tolist(), strict=True):
        yield time_ms, id_.encode(), encode(LabelEvent(id_, time_ms, label))


def in_time(
    predictions: Iterable[Event], times_ms: Iterable[int], outcomes: Iterable[tuple[int, bytes, bytes]]
) -> Iterator[tuple[str, Event]]:
    """Predictions, at their times, and labels as one sequence in time, each with the name of its topic.

    A label follows the predictions of the same instant.
    """
    first = ((time_ms, 0, PREDICTIONS, key, value) for time_ms, (key, value) in zip(times_ms, predictions, strict=True))
    second = ((time_ms, 1, LABELS, key, value) for time_ms, key, value in outcomes)
    for _, _, topic, key, value in heapq.merge(first, second, key=lambda each: each[:2]):
        yield topic, (key, value)


def _predictions(flights: Flights, scores: NDArray[np.float64], version: str) -> Iterator[PredictionEvent]:
    served = Served("flight-delay", version)
    names = (*CATEGORICAL, *NUMERIC)
    for start in range(0, len(flights), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        columns = [flights.categorical[name][rows].tolist() for name in CATEGORICAL]
        columns += [flights.numeric[name][rows].tolist() for name in NUMERIC]  # NaN is written as null
        heads = zip(flights.ids[rows].tolist(), flights.time_ms[rows].tolist(), scores[rows].tolist(), strict=True)
        for (id_, time_ms, score), values in zip(heads, zip(*columns, strict=True), strict=True):
            yield PredictionEvent(id_, time_ms, served, dict(zip(names, values, strict=True)), Prediction(round(score, 6)))


def write_training(path: Path, flights: Flights, scores: NDArray[np.float64], version: str = VERSION) -> int:
    """Write predictions with their outcomes to a file, one a line; returns how many."""
    encode = msgspec.json.Encoder().encode
    outcomes = zip(labels(flights).tolist(), flights.arrival_ms.tolist(), strict=True)
    with path.open("wb") as file:
        for event, (label, known_ms) in zip(_predictions(flights, scores, version), outcomes, strict=True):
            known = known_ms >= 0
            training = TrainingEvent(
                event.id,
                event.ts,
                event.model,
                event.features,
                event.prediction,
                int(label) if known else None,
                known_ms if known else None,
            )
            file.write(encode(training))
            file.write(b"\n")
    return len(flights)
