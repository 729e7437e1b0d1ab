"""Raw batches and models for tests of decoding."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from monitor.batch import Batch, Labels, RawBatch, Rejection
from monitor.config.model import ModelConfig
from monitor.decode import Decoder, LabelDecoder


def model(
    features: Sequence[Mapping[str, Any]] = ({"name": "x", "type": "numeric"},),
    columns: Mapping[str, str] | None = None,
    **predictions: Any,
) -> ModelConfig:
    """A model whose events are ``{"id": …, "ts": …, "x": …}`` unless said otherwise; keys of ``segments`` go in ``columns``."""
    segments = predictions.pop("segments", {}) | ({"columns": columns} if columns else {})
    labels = predictions.pop("labels", None)
    return ModelConfig.model_validate(
        {
            "name": "m",
            "labels": labels,
            "version": "configured",
            "predictions": {"topic": "t", "id": "id", "time": {"path": "ts", "unit": "ms"}} | predictions,
            "features": list(features),
            "segments": segments,
        }
    )


def raw(
    values: Sequence[Any],
    partition: int = 0,
    first_offset: int = 0,
    timestamp_ms: int = -1,
    keys: Sequence[bytes | None] | None = None,
    headers: Sequence[Sequence[tuple[str, bytes | None]]] | None = None,
    read_ms: int | None = None,
) -> RawBatch:
    """A raw batch of one partition. Values that are not bytes are written as JSON; None is a tombstone."""
    n = len(values)
    encoded = [value if value is None or isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    offsets, times = np.arange(first_offset, first_offset + n), np.full(n, timestamp_ms, np.int64)
    return RawBatch("t", partition, encoded, offsets, times, keys, headers, read_ms)


def decode(
    config: ModelConfig, *values: Any, vocabulary: Mapping[str, tuple[str, ...]] | None = None, **more: Any
) -> tuple[Batch, list[Rejection]]:
    """Decode the values as one partition."""
    return Decoder(config, vocabulary or {}).decode([raw(values, **more)])


def label_model(columns: Mapping[str, str] | None = None, threshold: float | None = None, **labels: Any) -> ModelConfig:
    """A model whose label events are ``{"id": …, "ts": …, "y": …}`` unless said otherwise."""
    mapping = {"topic": "l", "id": "id", "time": {"path": "ts"}, "label": "y"} | labels
    return model(columns=columns, score="score", predicted_class=None if threshold else "class", threshold=threshold, labels=mapping)


def decode_labels(config: ModelConfig, *values: Any, **more: Any) -> tuple[Labels, list[Rejection]]:
    """Decode the values as labels of one partition."""
    return LabelDecoder(config).decode([raw(values, **more)])


def label(**fields: Any) -> dict[str, Any]:
    """A label event of the positive class."""
    return {"id": "a", "ts": 1_000, "y": 1} | fields


def event(**fields: Any) -> dict[str, Any]:
    """An event with an id and a time."""
    return {"id": "a", "ts": 1_000, "x": 1.0} | fields


def reasons(rejections: Sequence[Rejection]) -> list[str]:
    return [rejection.reason.label for rejection in rejections]


def texts(batch: Batch, column: int = 0) -> list[str]:
    """The values of a segment column, row by row."""
    return [batch.segment_values[column][code] for code in batch.segments[:, column].tolist()]
