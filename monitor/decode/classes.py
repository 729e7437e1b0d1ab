"""From the code of a predicted class to its class index, the one that labels have: 0, 1, … in the order of the configured classes."""

from __future__ import annotations

import math

import numpy as np

from monitor.batch import UNSEEN, Float64
from monitor.config import PREDICTED_CLASS, ModelConfig
from monitor.profile.layout import Vocabulary

FROM_THRESHOLD = {"0": 0, "1": 1}
"""What a class that follows from score and threshold is called, and its index."""


def class_texts(model: ModelConfig) -> dict[str, int]:
    """Class index of every spelling of a predicted class; empty without labels, and for a regression.

    Decoding must know these beside the categories of references, or a class that no reference has could not be told from another.
    """
    if model.labels is None or model.labels.task == "regression" or not model.predictions.has_class:
        return {}
    return dict(FROM_THRESHOLD) if model.predictions.predicted_class is None else model.labels.class_indices


def class_index(model: ModelConfig, vocabulary: Vocabulary) -> Float64:
    """[codes + 1] class index of each code of the predicted class in ``vocabulary``; NaN for one that is no configured class.

    The last entry is that of ``UNSEEN``, which as an index is -1.
    """
    known = class_texts(model)
    return np.array([*(known.get(text, math.nan) for text in vocabulary.get(PREDICTED_CLASS, ())), math.nan], np.float64)


def indices_of(codes: Float64, index: Float64) -> Float64:
    """[n] class index of codes as in ``Batch.values``, by an array as of ``class_index``; NaN where there is no code, or no class.

    >>> indices_of(np.array([1.0, 0.0, -1.0, math.nan]), np.array([1.0, 0.0, math.nan])).tolist()
    [0.0, 1.0, nan, nan]
    """
    found: Float64 = index[np.where(np.isnan(codes), UNSEEN, codes).astype(np.intp)]
    return found
