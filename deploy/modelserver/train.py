"""Train the model when the image is built, so that the image that serves carries neither pandas nor the data set.

    python -m modelserver.train <folder>

Writes into the folder:
    model.json              the weights
    training.ndjson         the events of January and February with their outcomes, from which the monitor's reference is built
    requests.ndjson.gz      the flights of March to December as requests, in the order of their departure, and what became of them

Outcomes of January and February come as much sooner as the load generator tells those of later months, since a reference knows how late
labels are.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from modelserver.load import OUTCOME_SPEEDUP
from monitor.demo.events import split, write_training
from monitor.demo.flights import CATEGORICAL, NUMERIC, Flights, load_flights
from monitor.demo.model import VERSION, Model, labels, score, train

NAME = "flight-delay"


def main(folder: Path) -> None:
    """Everything the model server and the load generator read."""
    training, production = split(load_flights())
    model = train(training)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(as_tree(model), indent=1), encoding="utf-8")
    write_training(folder / "training.ndjson", sooner(training), score(model, training))
    with gzip.open(folder / "requests.ndjson.gz", "wb") as file:
        file.writelines(request_lines(production))


def sooner(flights: Flights) -> Flights:
    """The same flights, of which it is known so much sooner how late they were."""
    delay_ms = (flights.arrival_ms - flights.time_ms) // OUTCOME_SPEEDUP
    return replace(flights, arrival_ms=np.where(flights.arrival_ms >= 0, flights.time_ms + delay_ms, -1))


def request_lines(flights: Flights) -> Iterator[bytes]:
    """A line for each flight: a request, and beside it what the load generator tells when its real delay, less the haste, is over."""
    encode = msgspec.json.Encoder().encode  # writes NaN as null
    columns = {**flights.categorical, **flights.numeric}
    outcomes = zip(labels(flights).tolist(), ((flights.arrival_ms - flights.time_ms) / 1000).tolist(), strict=True)
    known = (flights.arrival_ms >= 0).tolist()
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    for id_, values, (label, seconds), is_known in zip(flights.ids.tolist(), rows, outcomes, known, strict=True):
        outcome = {"label": int(label), "delay_seconds": seconds} if is_known else None
        yield encode({"id": id_, "features": dict(zip(columns, values, strict=True)), "outcome": outcome}) + b"\n"


def as_tree(model: Model) -> dict[str, Any]:
    """The model with a name for each weight, in the order of ``monitor.demo.model.Model.weights``."""
    weights = iter(model.weights.tolist())
    return {
        "name": NAME,
        "version": VERSION,
        "intercept": next(weights),
        "numeric": {
            name: {"mean": model.means[name], "std": model.stds[name], "weight": next(weights), "missing_weight": next(weights)}
            for name in NUMERIC
        },
        "categorical": {name: {value: next(weights) for value in model.categories[name]} for name in CATEGORICAL},
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
