"""The events that a model server would log: one JSON object for each prediction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.demo.flights import CATEGORICAL, NUMERIC, Flights
from monitor.demo.model import VERSION

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


def split(flights: Flights) -> tuple[Flights, Flights]:
    """January and February, which the model learns from, and March on, which it serves. Together they are all flights."""
    training = np.isin(flights.month, TRAINING_MONTHS)
    return flights.where(training), flights.where(~training)


def events(flights: Flights, scores: NDArray[np.float64]) -> Iterator[Event]:
    """One event for each flight, in their order. ``scores``: [n]."""
    served = Served("flight-delay", VERSION)
    names = (*CATEGORICAL, *NUMERIC)
    encode = msgspec.json.Encoder().encode
    for start in range(0, len(flights), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        columns = [flights.categorical[name][rows].tolist() for name in CATEGORICAL]
        columns += [flights.numeric[name][rows].tolist() for name in NUMERIC]  # NaN is written as null
        heads = zip(flights.ids[rows].tolist(), flights.time_ms[rows].tolist(), scores[rows].tolist(), strict=True)
        for (id_, time_ms, score), values in zip(heads, zip(*columns, strict=True), strict=True):
            event = PredictionEvent(id_, time_ms, served, dict(zip(names, values, strict=True)), Prediction(round(score, 6)))
            yield id_.encode(), encode(event)


def write_ndjson(path: Path, flights: Flights, scores: NDArray[np.float64]) -> int:
    """Write the events to a file, one a line; returns how many."""
    count = 0
    with path.open("wb") as file:
        for _, value in events(flights, scores):
            file.write(value)
            file.write(b"\n")
            count += 1
    return count
