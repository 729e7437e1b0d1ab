"""What makes a prediction a candidate: from the prediction itself, and from its labels. Sets of reasons, a bit each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.join.match import Predictions
from monitor.join.record import Records, Source, winners
from monitor.outcome.cells import PROBABILITY_SCALE
from monitor.outcome.layout import OutcomeLayout
from monitor.review.item import Reason

_ROUNDING = 1e-6  # scores that wait for a label are kept in single precision

Bits = NDArray[np.int64]


def of_predictions(score: NDArray[np.float64] | None, threshold: float | None, margin: float, unseen: NDArray[np.bool_]) -> Bits:
    """[n] reasons that predictions have by themselves; ``unseen`` [n]: some feature has a category that no reference has."""
    bits = np.where(unseen, Reason.UNSEEN_CATEGORY.bit, 0)
    if score is not None and threshold is not None:
        bits |= np.where(np.abs(score - threshold) <= margin, Reason.NEAR_THRESHOLD.bit, 0)
    return bits


def of_labels(
    layout: OutcomeLayout,
    predictions: Predictions,
    records: Records,
    effective: Records,
    ranks: NDArray[np.int64],
    confidence: float,
    worst: NDArray[np.bool_],
) -> Bits:
    """[predictions] reasons that labels give them.

    ``records`` and ``effective`` as in ``Touched``; ``worst`` [predictions]: they are of one of the worst segments. A label that the review
    queue asked for shows nothing new: somebody has looked already. Of a regression, wrong is off by at least the scale.
    """
    bits = np.zeros(len(predictions), np.int64)
    told = effective.where(effective.rows["source"] != Source.REVIEW)
    at, value = told.subject, told.rows["value"]
    rows = predictions.rows[at]
    if layout.task == "regression":
        wrong, sure = np.abs(rows["score"] - value) >= layout.scale, np.zeros(len(at), np.bool_)
    else:
        wrong = rows["predicted"] != value
        sure = _certainty(layout, rows) >= confidence - _ROUNDING
    bits[at] |= np.where(wrong & sure, Reason.WRONG_CONFIDENT.bit, 0)
    bits[at] |= np.where(wrong & worst[at], Reason.WORST_SEGMENT.bit, 0)
    if len(records):
        votes = winners(records, ranks)
        differ = (votes.subject[1:] == votes.subject[:-1]) & (votes.rows["value"][1:] != votes.rows["value"][:-1])
        bits[votes.subject[1:][differ]] |= Reason.ANNOTATORS_DISAGREE.bit
    return bits


def _certainty(layout: OutcomeLayout, rows: NDArray[np.void]) -> NDArray[np.float64]:
    """[n] probability that the model gave the class it predicted; NaN where it is not known."""
    predicted = rows["predicted"].astype(np.int64)
    named = predicted < len(layout.classes)
    if rows.dtype.names and "probabilities" in rows.dtype.names:
        kept = rows["probabilities"].astype(np.float64) / PROBABILITY_SCALE
        usable = named & kept.any(axis=1)
        return np.where(usable, kept[np.arange(len(rows)), np.where(named, predicted, 0)], np.nan)
    score = rows["score"].astype(np.float64)
    usable = named & (score >= 0) & (score <= 1)
    sure = np.where(predicted == 0, 1 - score, score) if layout.task == "binary" else score
    return np.where(usable, sure, np.nan)
