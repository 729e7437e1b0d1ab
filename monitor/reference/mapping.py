"""The field mapping as it applies to data files: what only a broker has is taken from the body, or done without."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.config.model import ModelConfig
from monitor.config.path import HEADER
from monitor.config.types import EventTime

_NO_LIMIT_MS = 1 << 60  # a file has no record timestamps that an event could be in the future of


def in_body(path: str, quote: str = '"') -> str:
    """Where a value stands in a data file that production has outside the body.

    >>> in_body("$key"), in_body("$timestamp"), in_body("$header.trace.id"), in_body("a.b")
    ('key', 'timestamp', '"trace.id"', 'a.b')
    """
    if path.startswith(HEADER):
        return quote + path.removeprefix(HEADER) + quote
    return path.removeprefix("$")


def data_model(model: ModelConfig) -> ModelConfig:
    """The model with the mapping of data files. The id of a row is its number: training data seldom has another."""
    predictions = model.predictions

    def moved(path: str | None) -> str | None:
        return None if path is None else in_body(path)

    return model.model_copy(
        update={
            "predictions": predictions.model_copy(
                update={
                    "id": "$key",
                    "time": predictions.time.model_copy(update={"path": in_body(predictions.time.path)}),
                    "model_version": moved(predictions.model_version),
                    "score": moved(predictions.score),
                    "predicted_class": moved(predictions.predicted_class),
                    "probabilities": predictions.probabilities
                    and {name: in_body(path) for name, path in predictions.probabilities.items()},
                    "future_tolerance_ms": _NO_LIMIT_MS,
                }
            ),
            "features": tuple(feature.model_copy(update={"path": in_body(feature.where)}) for feature in model.features),
            "segments": model.segments.model_copy(
                update={"columns": {name: in_body(path) for name, path in model.segments.columns.items()}}
            ),
        }
    )


def without_times(model: ModelConfig) -> ModelConfig:
    """The model for data without times: all rows have the time of their record, whatever that is."""
    return model.model_copy(update={"predictions": model.predictions.model_copy(update={"time": EventTime.model_validate({})})})


def with_columns(model: ModelConfig, columns: Mapping[str, str]) -> ModelConfig:
    """The model with further segment columns; no grouping has them."""
    wider = model.segments.columns | dict(columns)
    return model.model_copy(update={"segments": model.segments.model_copy(update={"columns": wider})})


def with_time_at(model: ModelConfig, path: str) -> ModelConfig:
    """The model whose rows have their time at another path, in the same unit."""
    time = model.predictions.time.model_copy(update={"path": path})
    return model.model_copy(update={"predictions": model.predictions.model_copy(update={"time": time})})


def with_fallback_version(model: ModelConfig, version: str) -> ModelConfig:
    """The model with another version for rows that name none."""
    return model.model_copy(update={"version": version})
