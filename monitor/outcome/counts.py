"""Outcomes by segment: the sums over axes of the sparse counts from which everything about labels is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.outcome.layout import CLASS_SCORES, KPI_SCALE, LAGS, SUM_SCALE, SUMS, OutcomeLayout
from monitor.outcome.sparse import SparseCounts

Int64 = NDArray[np.int64]

_WHOLE = frozenset({"scored_rows", "clipped_rows", "kpi_rows", "kpi_clipped_rows"})
_SCALES = {"kpi": KPI_SCALE, "kpi_squared": KPI_SCALE}


@dataclass(frozen=True, eq=False)
class OutcomeCounts:
    """Counts of one model version over some window. G segments, S score cells, P predicted, T truth, L lags.

    For regression T are cells of the error and ``right_wrong`` is empty of meaning: all rows count as right.
    """

    layout: OutcomeLayout
    segments: tuple[str, ...]  # [G], sorted, ALL among them
    predictions: Int64  # [G, S, P] all predictions, labelled or not
    confusion: Int64  # [G, P, T] labelled rows
    by_score: Int64  # [G, S, T] labelled rows; binary: what AUC and reliability need
    right_wrong: Int64  # [G, L, S, 2] labelled rows: predicted class right, wrong (or unknown)
    by_lag: Int64  # [G, L, T] labelled rows
    sums: Int64  # [G, len(SUMS)] fixed point
    by_class: Int64 | None = None  # multiclass: [G, S, C, 3] labelled rows: rightly, wrongly predicted as the class, missed
    class_scores: Int64 | None = None  # [G, C, CLASS_SCORES, 2] rows by the probability of each class: not the class, the class

    @property
    def labelled(self) -> Int64:
        """[G] labelled rows."""
        return np.asarray(self.by_lag.sum(axis=(1, 2)))

    @property
    def predicted_rows(self) -> Int64:
        """[G] all predictions."""
        return np.asarray(self.predictions.sum(axis=(1, 2)))

    def of_segment(self, g: int) -> OutcomeCounts:
        """The counts of the ``g``-th segment alone."""
        names = ("predictions", "confusion", "by_score", "right_wrong", "by_lag", "sums", "by_class", "class_scores")
        parts = {name: part[g : g + 1] for name in names if (part := getattr(self, name)) is not None}
        return replace(self, segments=self.segments[g : g + 1], **parts)

    def sum_of(self, name: str) -> NDArray[np.float64]:
        """[G] one of ``SUMS``, in its unit."""
        column = self.sums[:, SUMS.index(name)].astype(np.float64)
        return column if name in _WHOLE else column / _SCALES.get(name, SUM_SCALE)


def outcome_counts(
    layout: OutcomeLayout, counts: SparseCounts, segments: tuple[str, ...], places: Sequence[NDArray[np.intp]] | NDArray[np.intp]
) -> OutcomeCounts:
    """Sums of sparse counts by segment; ``places`` [groupings, combinations] as ``Combinations.segments_of`` gives them."""
    combination, cell = np.divmod(counts.codes, layout.cells)
    weight = counts.counts
    s, p, t = layout.score_cells, layout.predicted, layout.truth
    g = len(segments)
    is_outcome = (cell >= layout.first_outcome) & (cell < layout.first_sum)
    is_prediction, is_class_score = cell < layout.first_outcome, cell >= layout.first_class_score
    is_sum = (cell >= layout.first_sum) & ~is_class_score
    joint = cell[is_outcome] - layout.first_outcome
    lag, score = joint // (s * p * t), joint // (p * t) % s
    predicted, truth = joint // t % p, joint % t
    wrong = np.zeros_like(truth) if layout.task == "regression" else (predicted != truth).astype(np.int64)

    predictions, sums = np.zeros((g, s * p), np.int64), np.zeros((g, len(SUMS)), np.int64)
    confusion, by_score = np.zeros((g, p * t), np.int64), np.zeros((g, s * t), np.int64)
    right_wrong, by_lag = np.zeros((g, LAGS * s * 2), np.int64), np.zeros((g, LAGS * t), np.int64)
    by_class = np.zeros((g, s * t * 3), np.int64) if layout.task == "multiclass" else None
    class_scores = np.zeros((g, t * CLASS_SCORES * 2), np.int64) if layout.probabilities else None
    for place in places:
        segment = place[combination]
        if class_scores is not None:
            np.add.at(
                class_scores,
                (segment[is_class_score], cell[is_class_score] - layout.first_class_score),
                weight[is_class_score],
            )
        np.add.at(predictions, (segment[is_prediction], cell[is_prediction]), weight[is_prediction])
        np.add.at(sums, (segment[is_sum], cell[is_sum] - layout.first_sum), weight[is_sum])
        rows, n = segment[is_outcome], weight[is_outcome]
        np.add.at(confusion, (rows, predicted * t + truth), n)
        np.add.at(by_score, (rows, score * t + truth), n)
        np.add.at(right_wrong, (rows, (lag * s + score) * 2 + wrong), n)
        np.add.at(by_lag, (rows, lag * t + truth), n)
        if by_class is not None:
            named = predicted < t
            place_of_class = (score[named] * t + predicted[named]) * 3 + wrong[named]
            np.add.at(by_class, (rows[named], place_of_class), n[named])
            missed = wrong == 1
            np.add.at(by_class, (rows[missed], (score[missed] * t + truth[missed]) * 3 + 2), n[missed])
    return OutcomeCounts(
        layout,
        segments,
        predictions.reshape(g, s, p),
        confusion.reshape(g, p, t),
        by_score.reshape(g, s, t),
        right_wrong.reshape(g, LAGS, s, 2),
        by_lag.reshape(g, LAGS, t),
        sums,
        None if by_class is None else by_class.reshape(g, s, t, 3),
        None if class_scores is None else class_scores.reshape(g, t, CLASS_SCORES, 2),
    )
