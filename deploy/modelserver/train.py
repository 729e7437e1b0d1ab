"""Train the model when the image is built, so that the image that serves carries neither pandas nor the data set.

    python -m modelserver.train <folder>

Writes into the folder:
    model.json              the weights
    training.ndjson         the events of January and February, from which the monitor's reference is built
    requests.ndjson.gz      the flights of March to December as requests, in the order of their departure
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from monitor.demo.events import split, write_training
from monitor.demo.flights import CATEGORICAL, NUMERIC, load_flights
from monitor.demo.model import VERSION, Model, score, train

NAME = "flight-delay"


def main(folder: Path) -> None:
    """Everything the model server and the load generator read."""
    training, production = split(load_flights())
    model = train(training)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(as_tree(model), indent=1), encoding="utf-8")
    write_training(folder / "training.ndjson", training, score(model, training))
    columns = {**production.categorical, **production.numeric}
    encode = msgspec.json.Encoder().encode  # writes NaN as null
    with gzip.open(folder / "requests.ndjson.gz", "wb") as file:
        for id_, *values in zip(production.ids.tolist(), *(column.tolist() for column in columns.values()), strict=True):
            file.write(encode({"id": id_, "features": dict(zip(columns, values, strict=True))}) + b"\n")


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
