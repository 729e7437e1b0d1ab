"""Rows of predictions and of labels on their way into the samples of a review queue."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from monitor.join.join import Applied
from monitor.join.state import LabelState
from monitor.review.candidates import Bits, of_labels, of_predictions
from monitor.review.item import Reason
from monitor.review.queue import HOUR_MS, ReviewQueue
from monitor.review.sample import Candidate, ranks_of


def take_predictions(
    queue: ReviewQueue,
    labels: LabelState,
    version: str,
    ids: NDArray[np.uint64],
    texts: Callable[[int], str],
    time_ms: NDArray[np.int64],
    rows: NDArray[np.void],
    scores: NDArray[np.float64] | None,
    threshold: float | None,
    unseen: NDArray[np.bool_],
) -> None:
    """Offer predictions of one version to the edge cases and to the audit sample; ``rows`` of ``row_dtype``, all others [n] too."""
    segment = queue.segments_of(labels.combinations, rows["combination"])
    bits = of_predictions(scores, threshold, queue.config.margin, unseen)

    def candidate(rank: int, row: int, reasons: int) -> Candidate:
        score = float(rows["score"][row]) if scores is None else float(scores[row])
        return Candidate(rank, texts(row), int(time_ms[row]), score, int(rows["predicted"][row]), float("nan"), reasons)

    ranks = ranks_of(ids, queue.config.seed)
    for reason in (Reason.NEAR_THRESHOLD, Reason.UNSEEN_CATEGORY):
        at = np.flatnonzero(bits & reason.bit)
        of_row = _at(at, lambda row: candidate(int(ranks[row]), row, int(bits[row])))
        queue.by_prediction.offer(version, reason, time_ms[at], segment[at], queue.segments, ranks[at], of_row)
    audited = ranks_of(ids, queue.audit_seed)
    queue.audit.offer(
        version, Reason.AUDIT_SAMPLE, time_ms, segment, queue.segments, audited,
        lambda row: candidate(int(audited[row]), row, Reason.AUDIT_SAMPLE.bit),
    )  # fmt: skip


def take_labels(queue: ReviewQueue, labels: LabelState, applied: Applied) -> None:
    """Offer the predictions to which labels have just given a reason that they did not have.

    The hour is that in which the label arrived, or that of the prediction where that is later: then what was drawn of the
    prediction by itself is known, whichever topic was read faster.
    """
    touched = applied.touched
    predictions = touched.predictions
    if not len(touched.after):
        return
    segment = queue.segments_of(labels.combinations, predictions.rows["combination"])
    for number in np.unique(predictions.rows["version"][touched.after_effective.subject]).tolist():
        version = labels.version_names[number]
        layout = labels.outcomes_of(version).layout
        bad = queue.worst.get(version, frozenset())
        worst = np.array([key in bad for key in queue.segments], np.bool_)[segment]
        before, after = (
            of_labels(layout, predictions, records, effective, labels.ranks, queue.config.confidence, worst)
            for records, effective in ((touched.before, touched.before_effective), (touched.after, touched.after_effective))
        )
        new = np.where(predictions.rows["version"] == number, after & ~before, 0)
        value = np.full(len(predictions), np.nan)
        value[touched.after_effective.subject] = touched.after_effective.rows["value"]
        pane_ms = np.maximum(predictions.time_ms, applied.time_ms) // HOUR_MS * HOUR_MS
        ranks = ranks_of(applied.ids, queue.config.seed)

        def candidate(row: int, ranks: NDArray[np.uint64] = ranks, value: NDArray[np.float64] = value, after: Bits = after) -> Candidate:
            of = predictions.rows[row]
            return Candidate(
                int(ranks[row]), applied.texts[row], int(predictions.time_ms[row]), float(of["score"]), int(of["predicted"]),
                float(value[row]), int(after[row]),
            )  # fmt: skip

        for reason in (Reason.WRONG_CONFIDENT, Reason.ANNOTATORS_DISAGREE, Reason.WORST_SEGMENT):
            at = np.flatnonzero(new & reason.bit)
            queue.by_label.offer(version, reason, pane_ms[at], segment[at], queue.segments, ranks[at], _at(at, candidate))


def _at(rows: NDArray[np.intp], candidate: Callable[[int], Candidate]) -> Callable[[int], Candidate]:
    return lambda place: candidate(int(rows[place]))
