"""A prediction and its label as cells: what each row adds to the counts, and would subtract again when its label is restated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.outcome.layout import (
    CLASS_SCORE_EDGES,
    CLASS_SCORES,
    KPI_SCALE,
    LAG_EDGES_MS,
    LARGEST_TERM,
    RESIDUAL_EDGES,
    SUM_SCALE,
    SUMS,
    OutcomeLayout,
)

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

SMALLEST_PROBABILITY = 1e-15  # as is usual for log loss

PROBABILITY_SCALE = 65_535
"""Probabilities of a pending multiclass row are kept in 16 bits; a log loss is right to 10^-5 / p."""


def row_dtype(layout: OutcomeLayout, probabilities: bool) -> np.dtype[np.void]:
    """What is kept of a prediction until its label comes, beside its id and time."""
    fields: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = [
        ("combination", "<i4"),
        ("version", "<u2"),
        ("score_cell", "u1"),
        ("predicted", "u1"),
        # Classes: half the precision is a millionth of a probability. A regression's errors are differences of large numbers.
        ("score", "<f8" if layout.task == "regression" else "<f4"),
    ]
    if probabilities:
        fields.append(("probabilities", "<u2", (len(layout.classes),)))
    return np.dtype(fields)


def kept_rows(
    layout: OutcomeLayout, scores: Float64, score_cells: NDArray[np.integer[Any]], predicted: Float64, probabilities: Float64 | None
) -> NDArray[np.void]:
    """[n] what is kept of predictions; ``predicted``: class indices, NaN for none of the classes; ``probabilities`` [n, classes]."""
    rows = np.zeros(len(scores), row_dtype(layout, layout.probabilities))
    rows["score"], rows["score_cell"] = scores, score_cells
    classes = len(layout.classes)
    rows["predicted"] = np.where((predicted >= 0) & (predicted < classes), predicted, classes) if classes else 0
    if layout.probabilities and probabilities is not None:
        usable = np.isfinite(probabilities).all(axis=1, keepdims=True)
        rows["probabilities"] = np.rint(np.clip(np.where(usable, probabilities, 0.0), 0.0, 1.0) * PROBABILITY_SCALE)
    return rows


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Labelled predictions, one a row: what ``outcome_codes`` makes cells of."""

    rows: NDArray[np.void]  # [n] of ``row_dtype``
    prediction_ms: Int64  # [n]
    label_ms: Int64  # [n]
    value: Float64  # [n] class index, or the number of a regression
    kpi: Float64  # [n] NaN: none

    def __len__(self) -> int:
        return len(self.rows)


def prediction_codes(layout: OutcomeLayout, rows: NDArray[np.void]) -> Int64:
    """[n] code of each prediction in the block ``predicted``."""
    cell = rows["score_cell"].astype(np.int64) * layout.predicted + _predicted(layout, rows)
    return np.asarray(rows["combination"].astype(np.int64) * layout.cells + cell)


def outcome_codes(layout: OutcomeLayout, outcomes: Outcomes) -> tuple[Int64, Int64, Int64]:
    """Codes, weights and rows, [k] each: all that the labelled predictions add to the counts."""
    rows, n = outcomes.rows, len(outcomes)
    base = rows["combination"].astype(np.int64) * layout.cells
    lag = np.searchsorted(LAG_EDGES_MS, outcomes.label_ms - outcomes.prediction_ms, side="right")
    if layout.task == "regression":
        error = (rows["score"] - outcomes.value) / layout.scale
        truth = np.searchsorted(RESIDUAL_EDGES, error, side="right")
    else:
        truth = outcomes.value.astype(np.int64)
    joint = ((lag * layout.score_cells + rows["score_cell"]) * layout.predicted + _predicted(layout, rows)) * layout.truth + truth
    every = np.arange(n)
    codes, weights, sources = [base + layout.first_outcome + joint], [np.ones(n, np.int64)], [every]
    for name, chosen, terms in _sums(layout, outcomes):
        at = np.flatnonzero(chosen)
        codes.append(base[at] + layout.first_sum + SUMS.index(name))
        weights.append(terms[at].astype(np.int64))
        sources.append(at)
    if layout.probabilities:
        at, cell = _class_scores(layout, outcomes)
        codes.append(base[at] + layout.first_class_score + cell)
        weights.append(np.ones(len(at), np.int64))
        sources.append(at)
    return np.concatenate(codes), np.concatenate(weights), np.concatenate(sources)


def _class_scores(layout: OutcomeLayout, outcomes: Outcomes) -> tuple[Int64, Int64]:
    """Rows and cells, [n x C] each, of the rows whose probabilities are usable."""
    p, usable = _probabilities(outcomes.rows)
    score = np.searchsorted(CLASS_SCORE_EDGES, p, side="right")
    of_class = np.arange(len(layout.classes))
    cell = (of_class * CLASS_SCORES + score) * 2 + (outcomes.value.astype(np.int64)[:, None] == of_class)
    return np.repeat(np.flatnonzero(usable), len(of_class)), cell[usable].ravel()


def _probabilities(rows: NDArray[np.void]) -> tuple[Float64, NDArray[np.bool_]]:
    """[n, C] probabilities kept, made to sum to 1, and [n] whether there are any."""
    kept = rows["probabilities"].astype(np.float64) / PROBABILITY_SCALE
    usable = np.asarray(kept.any(axis=1))
    return np.asarray(kept / np.where(usable, kept.sum(axis=1), 1.0)[:, None]), usable


def _predicted(layout: OutcomeLayout, rows: NDArray[np.void]) -> Int64:
    return np.minimum(rows["predicted"].astype(np.int64), layout.predicted - 1)


def _sums(layout: OutcomeLayout, outcomes: Outcomes) -> list[tuple[str, NDArray[np.bool_], Float64]]:
    terms = _losses(layout, outcomes) if layout.task == "regression" else _class_losses(layout, outcomes)
    kpi = outcomes.kpi / layout.kpi_max
    known = ~np.isnan(kpi)
    if known.any():
        clipped = np.clip(np.where(known, kpi, 0.0), -1.0, 1.0)
        terms += [
            ("kpi_rows", known, np.ones(len(kpi))),
            ("kpi", known, _fixed(clipped, KPI_SCALE)),
            ("kpi_squared", known, _fixed(clipped**2, KPI_SCALE)),
            ("kpi_clipped_rows", known & (clipped != kpi), np.ones(len(kpi))),
        ]
    return terms


def _losses(layout: OutcomeLayout, outcomes: Outcomes) -> list[tuple[str, NDArray[np.bool_], Float64]]:
    """Terms of a regression."""
    prediction = outcomes.rows["score"]
    usable = np.isfinite(prediction) & np.isfinite(outcomes.value)
    error = np.where(usable, (prediction - outcomes.value) / layout.scale, 0.0)
    target = np.where(usable, outcomes.value / layout.scale, 0.0)
    kept_error, kept_target = np.clip(error, -LARGEST_TERM, LARGEST_TERM), np.clip(target, -LARGEST_TERM, LARGEST_TERM)
    clipped = usable & ((kept_error != error) | (kept_target != target))
    return [
        ("scored_rows", usable, np.ones(len(error))),
        ("error", usable, _fixed(kept_error)),
        ("absolute_error", usable, _fixed(np.abs(kept_error))),
        ("squared_error", usable, _fixed(kept_error**2)),
        ("target", usable, _fixed(kept_target)),
        ("target_squared", usable, _fixed(kept_target**2)),
        ("clipped_rows", clipped, np.ones(len(error))),
    ]


def _class_losses(layout: OutcomeLayout, outcomes: Outcomes) -> list[tuple[str, NDArray[np.bool_], Float64]]:
    """Terms of a classification: of the score as probability of the positive class, or of the probabilities kept."""
    rows, truth = outcomes.rows, outcomes.value.astype(np.int64)
    usable: NDArray[np.bool_]
    if rows.dtype.names and "probabilities" in rows.dtype.names:
        p, usable = _probabilities(rows)
        of_truth = p[np.arange(len(truth)), truth]
        squared = (p**2).sum(axis=1) - 2 * of_truth + 1
    elif layout.task == "binary":
        score = rows["score"].astype(np.float64)
        usable = np.logical_and(score >= 0, score <= 1)
        p = np.where(usable, score, 0.5)
        of_truth = np.where(truth == 1, p, 1 - p)
        squared = (1 - of_truth) ** 2
    else:
        return []
    loss = -np.log(np.maximum(of_truth, SMALLEST_PROBABILITY))
    return [
        ("scored_rows", usable, np.ones(len(truth))),
        ("squared_error", usable, _fixed(squared)),
        ("squared_error_squared", usable, _fixed(squared**2)),
        ("log_loss", usable, _fixed(loss)),
        ("log_loss_squared", usable, _fixed(loss**2)),
    ]


def _fixed(terms: Float64, scale: int = SUM_SCALE) -> Float64:
    return np.rint(terms * scale)
