"""What the reference's labels say, as the same counts that production's labels are counted in.

So validation performance is computed by the same code, with its own intervals. A reference keeps less than production does: per segment and
score cell how many rows were labelled, wrong and positive, per segment the confusion table, losses and probabilities of classes or,
of a regression, the errors. What it does not keep is 0 here, and what is computed of it unknown.

A reference that was built without the configuration of labels, or by an earlier version, has the confusion table and the losses of ALL
alone. A binary segment's table follows from that: where the model predicts the positive class from some score on, every score
cell but the one that holds the threshold is predicted one way, and errors are of one kind. In that one cell rows are split as
in ALL. Where errors of both kinds share more cells, predictions do not follow the score, and the table stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.outcome.counts import OutcomeCounts
from monitor.outcome.layout import CLASS_SCORES, LAGS, SUM_SCALE, SUMS, OutcomeLayout
from monitor.performance.calibration import score_bounds
from monitor.profile.layout import FAULT_CELLS
from monitor.reference.outcomes import stored_tables
from monitor.segment import ALL

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Validation:
    """The reference's labelled rows as counts, and its mean scores."""

    counts: OutcomeCounts
    score_means: Float64 | None  # [S] mean score in each score cell, NaN where there was none; None when unknown
    columns: dict[Any, Any] = field(default_factory=dict)  # metrics computed of it before, by what they were asked with


def validation(
    labels: Mapping[str, Any],
    layout: OutcomeLayout,
    class_index: Mapping[str, int],
    score_means: Float64 | None = None,
    *,
    same_score: bool = True,
) -> Validation | None:
    """Counts of the ``labels`` of a ``Reference``; ``class_index``: every spelling of a class to its index in ``layout.classes``.

    Score cells other than the layout's (by their number, or said by ``same_score``) are left out, with ``score_means``. None for a
    regression whose reference holds no errors in the layout's cells, such as one that an earlier version built.
    """
    tables = stored_tables(labels, layout)
    if layout.task == "regression":
        return None if tables is None or not same_score else Validation(_errors(layout, *tables), score_means)
    errors = labels["errors"]
    segments = tuple(errors["segments"])
    labelled = np.array(errors["labelled"], np.int64).reshape(len(segments), -1)
    wrong = None if errors["wrong"] is None else np.array(errors["wrong"], np.int64).reshape(labelled.shape)
    positive = _positive(labels, layout, class_index, labelled)
    confusion = _confusion(labels["confusion"], segments, layout, class_index)
    exact = None if tables is None else _in_order(segments, *tables)
    if exact is not None:
        confusion = exact[1][:, : layout.predicted * layout.truth].reshape(confusion.shape)
    if labelled.shape[1] != layout.score_cells or not same_score:
        # Another score: what remains is the totals, in the cell of missing scores.
        labelled, wrong, positive = (None if t is None else _in_one_cell(t, layout.score_cells) for t in (labelled, wrong, positive))  # type: ignore[assignment]
        score_means = None
    g, s = len(segments), layout.score_cells
    by_score, right_wrong = np.zeros((g, s, layout.truth), np.int64), np.zeros((g, LAGS, s, 2), np.int64)
    by_lag = np.zeros((g, LAGS, layout.truth), np.int64)  # no lags by segment: all in the first cell
    if wrong is not None:
        right_wrong[:, 0, :, 0], right_wrong[:, 0, :, 1] = labelled - wrong, wrong
    if positive is not None:
        by_score[:, :, 0], by_score[:, :, 1] = labelled - positive, positive
        by_lag[:, 0] = by_score.sum(axis=1)
    else:
        by_lag[:, 0] = confusion.sum(axis=1)
    if positive is not None and wrong is not None and exact is None:
        _split_segments(confusion, segments, labelled, wrong, positive)
    sums = np.zeros((g, len(SUMS)), np.int64)
    # Losses are of the class that the reference took for positive: for the other one they would be others.
    if ALL in segments and positive is not None and class_index.get(labels["positive"]) == 1:
        _add_losses(sums[segments.index(ALL)], labels["performance"], layout, by_score[segments.index(ALL)])
    class_scores = None
    if exact is not None:
        sums = exact[0]
        if layout.probabilities:
            class_scores = exact[1][:, layout.predicted * layout.truth :].reshape(g, layout.truth, CLASS_SCORES, 2)
    predictions = np.zeros((g, s, layout.predicted), np.int64)
    counts = OutcomeCounts(layout, segments, predictions, confusion, by_score, right_wrong, by_lag, sums, class_scores=class_scores)
    return Validation(counts, score_means)


def _errors(layout: OutcomeLayout, segments: tuple[str, ...], sums: Int64, tables: Int64) -> OutcomeCounts:
    """Counts of a regression: all labels in the first cell of the lag, since a reference keeps none by segment."""
    g, s, t = len(segments), layout.score_cells, layout.truth
    by_score = tables.reshape(g, s, t)
    right_wrong, by_lag = np.zeros((g, LAGS, s, 2), np.int64), np.zeros((g, LAGS, t), np.int64)
    right_wrong[:, 0, :, 0], by_lag[:, 0] = by_score.sum(axis=2), by_score.sum(axis=1)
    predictions = np.zeros((g, s, layout.predicted), np.int64)
    return OutcomeCounts(layout, segments, predictions, by_score.sum(axis=1)[:, None, :], by_score, right_wrong, by_lag, sums)


def _in_order(segments: Sequence[str], known: Sequence[str], sums: Int64, tables: Int64) -> tuple[Int64, Int64]:
    """Sums and tables of ``known`` segments as those of ``segments``; zeros for the others."""
    place = {segment: row for row, segment in enumerate(known)}
    at = [(row, place[segment]) for row, segment in enumerate(segments) if segment in place]
    own, theirs = np.array(at, np.intp).reshape(-1, 2).T
    found = np.zeros((len(segments), sums.shape[1]), np.int64), np.zeros((len(segments), tables.shape[1]), np.int64)
    found[0][own], found[1][own] = sums[theirs], tables[theirs]
    return found


def _in_one_cell(table: Int64, cells: int) -> Int64:
    out = np.zeros((len(table), cells), np.int64)
    out[:, 0] = table.sum(axis=1)
    return out


def _positive(labels: Mapping[str, Any], layout: OutcomeLayout, class_index: Mapping[str, int], labelled: Int64) -> Int64 | None:
    """[segments, cells] rows of class 1, when the reference knows a positive class that is one of ours."""
    counted = labels["errors"]["positive"]
    place = class_index.get(labels["positive"]) if labels["positive"] is not None else None
    if layout.task != "binary" or counted is None or place is None:
        return None
    positive = np.array(counted, np.int64).reshape(labelled.shape)
    return positive if place == 1 else labelled - positive


def _confusion(stored: Mapping[str, Any] | None, segments: Sequence[str], layout: OutcomeLayout, class_index: Mapping[str, int]) -> Int64:
    """[segments, P, T]; only ALL is known. Stored as counts[label][predicted], with a last place for all other classes."""
    confusion = np.zeros((len(segments), layout.predicted, layout.truth), np.int64)
    if stored is None or ALL not in segments:
        return confusion
    whole = confusion[list(segments).index(ALL)]
    places = [class_index.get(name) for name in stored["classes"][:-1]] + [None]
    for true, row in zip(places, stored["counts"], strict=True):
        for predicted, n in zip(places, row, strict=True):
            if true is not None:
                whole[layout.predicted - 1 if predicted is None else predicted, true] += n
    return confusion


def _split_segments(confusion: Int64, segments: Sequence[str], labelled: Int64, wrong: Int64, positive: Int64) -> None:
    """Fill the tables of the other segments, in place."""
    everything = segments.index(ALL) if ALL in segments else None
    if everything is None or not confusion[everything].any():
        return
    negative = labelled - positive
    # All rows wrong that are positive: predicted negative. All wrong that are negative: predicted positive.
    below, above = wrong[everything] == positive[everything], wrong[everything] == negative[everything]
    mixed = np.flatnonzero(~below & ~above)
    if len(mixed) > 1:
        return
    first = int(mixed[0]) if len(mixed) else int(np.flatnonzero(~below)[0]) if (~below).any() else labelled.shape[1]
    cells = np.arange(labelled.shape[1])
    scored = cells >= FAULT_CELLS
    if not below[scored & (cells < first)].all() or not above[scored & (cells > first)].all():
        return
    up = np.where(scored, cells >= first, above & ~below)
    true_positive = np.where(up, positive, 0)
    false_positive = np.where(up, negative, 0)
    if len(mixed):
        own = int(mixed[0])
        predicted = confusion[everything, 1].sum() - (true_positive + false_positive)[everything].sum() + labelled[everything, own]
        share = np.clip(predicted / max(labelled[everything, own], 1), 0.0, 1.0)
        wanted = np.rint((positive[:, own] + labelled[:, own] * share - wrong[:, own]) / 2)
        least = np.maximum(positive[:, own] - wrong[:, own], 0)
        most = np.minimum(positive[:, own], labelled[:, own] - wrong[:, own])
        true_positive[:, own] = np.clip(wanted, least, most)
        false_positive[:, own] = wrong[:, own] - positive[:, own] + true_positive[:, own]
    right_up, wrong_up = true_positive.sum(axis=1), false_positive.sum(axis=1)
    found = np.zeros_like(confusion)
    found[:, 1, 1], found[:, 1, 0] = right_up, wrong_up
    found[:, 0, 1], found[:, 0, 0] = positive.sum(axis=1) - right_up, negative.sum(axis=1) - wrong_up
    others = np.arange(len(segments)) != everything
    confusion[others] = found[others]


def _add_losses(sums: Int64, performance: Mapping[str, float | None], layout: OutcomeLayout, by_score: Int64) -> None:
    """Sums of the losses of ALL, whose means are kept; their squares by cells, scores spread evenly within a cell."""
    rows = int(by_score[FAULT_CELLS:].sum())
    low, high = score_bounds(layout)
    held = by_score.astype(np.float64)
    for name, means in (("squared_error", _squared_moments(low, high)), ("log_loss", _log_moments(low, high))):
        mean = performance.get("brier" if name == "squared_error" else name)
        if mean is None or not rows:
            continue
        first, second = (float(np.where(held > 0, held * np.nan_to_num(m), 0.0).sum()) for m in means)
        correction = (mean * rows / first) ** 2 if first > 0 else 1.0
        sums[SUMS.index("scored_rows")] = rows
        sums[SUMS.index(name)] = round(mean * rows * SUM_SCALE)
        sums[SUMS.index(f"{name}_squared")] = round(second * correction * SUM_SCALE)


def _squared_moments(low: Float64, high: Float64) -> tuple[Float64, Float64]:
    """[S, 2] each: means of (p - y)² and (p - y)⁴ for y = 0, 1 and p even between ``low`` and ``high`` [S]."""
    ends = ((low, high), (1 - high, 1 - low))

    def power(k: int) -> Float64:
        columns = [np.where(b > a, (b ** (k + 1) - a ** (k + 1)) / ((k + 1) * np.where(b > a, b - a, 1.0)), a**k) for a, b in ends]
        return np.stack(columns, axis=1)

    return power(2), power(4)


def _log_moments(low: Float64, high: Float64) -> tuple[Float64, Float64]:
    """[S, 2] each: means of -ln of the likelihood and of its square."""
    ends = ((1 - high, 1 - low), (low, high))
    first, second = [], []
    for a, b in ends:
        a_log, b_log = np.log(np.maximum(a, 1e-15)), np.log(np.maximum(b, 1e-15))
        width = np.where(b > a, b - a, 1.0)
        first.append(np.where(b > a, -((b * b_log - b) - (a * a_log - a)) / width, -a_log))
        squares = b * (b_log**2 - 2 * b_log + 2) - a * (a_log**2 - 2 * a_log + 2)
        second.append(np.where(b > a, squares / width, a_log**2))
    return np.stack(first, axis=1), np.stack(second, axis=1)
