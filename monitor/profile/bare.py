"""The layout of a model that has no reference yet: enough to count what is missing, invalid or out of range."""

from __future__ import annotations

import math

from monitor.config import PREDICTED_CLASS, SCORE, ModelConfig
from monitor.profile.layout import MAX_CATEGORIES, Layout, SignalBins


def signal_names(model: ModelConfig) -> tuple[str, ...]:
    """Names of a model's signals in the order of ``Batch.values``: features, then score, then predicted class."""
    predictions = model.predictions
    names = [feature.name for feature in model.features]
    return (*names, *([SCORE] if predictions.score else []), *([PREDICTED_CLASS] if predictions.has_class else []))


def bare_layout(model: ModelConfig) -> Layout:
    """Cells known from the configuration alone: declared ranges and categories."""
    signals = []
    for feature in model.features:
        if feature.type == "numeric":
            ends = () if feature.range is None else (feature.range[0], math.nextafter(feature.range[1], math.inf))
            edges = tuple(edge for edge in ends if math.isfinite(edge))  # above an open end there is nothing
            signals.append(SignalBins(feature.name, "numeric", edges=edges, range=feature.range))
        else:
            categories = feature.categories or ()
            known, tail = categories[:MAX_CATEGORIES], categories[MAX_CATEGORIES:]
            signals.append(SignalBins(feature.name, "categorical", categories=known, tail=tail, declared=feature.categories))
    if model.predictions.score:
        signals.append(SignalBins(SCORE, "numeric"))
    if model.predictions.has_class:
        signals.append(SignalBins(PREDICTED_CLASS, "categorical"))
    return Layout(tuple(signals))
