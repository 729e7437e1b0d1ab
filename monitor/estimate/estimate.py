"""The estimate: wrong predictions of a window, those with a label as they are and the rest as expected, with an interval.

    wrong = sum over labelled (wrong)  +  sum over unlabelled expit(log odds of the table + rectifier + those of having no label yet)

Variance of the second sum, which is all that is unsure:

    chance      sum of p (1 - p), times the dispersion of the labels
    level       of the present level of all traffic, for all rows alike; of a segment's own level; of strata as far as the window's
                rows lie in others than the labelled ones did
    lag         of the effects of the lag on rows without label, and for its bins being coarse 3 % of what they change
    table       of the error table, as far as the window's rows lie in other cells than the labelled ones did: what is common is in the
    level

ALL traffic is the sum of the segments. Accuracy is 1 - wrong / n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.counts import PaneCounts, labelled_rows, prediction_rows, total
from monitor.estimate.rectifier import Rectifier
from monitor.estimate.tables import expit, logit

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

COARSE = 0.03
"""How wrong what lags change may be because effects are constant within a bin, as a share of it: one standard deviation."""


@dataclass(frozen=True, eq=False)
class Wrong:
    """Wrong predictions of a window by group [N] and predicted class [N, P]: ALL first, then the G segments. Variances are in rows²."""

    n: Float64  # [N, P] predictions
    labelled: Float64  # [N, P]
    known: Float64  # [N, P] wrong among the labelled
    expected: Float64  # [N, P] wrong among the unlabelled
    table_alone: Float64  # [N, P] wrong as the table expects of all rows, without labels
    table_unlabelled: Float64  # [N, P] the same of the unlabelled ones
    sensitivity: Float64  # [N, P] how far ``expected`` moves with the log odds
    chance: Float64  # [N, P] variance
    level: Float64  # [N] variance of the log odds that all rows of the group share
    other: Float64  # [N] variance of the sum over classes: strata, segments, lag and table
    table_variance: Float64  # [N] of ``table_alone`` summed over classes, chance included

    @property
    def value(self) -> Float64:
        """[N] wrong predictions."""
        return np.asarray((self.known + self.expected).sum(axis=1))

    @property
    def variance(self) -> Float64:
        """[N] of ``value``."""
        return np.asarray(self.chance.sum(axis=1) + self.level * self.sensitivity.sum(axis=1) ** 2 + self.other)


def wrong_predictions(counts: PaneCounts, panes: Bool, fit: Rectifier) -> Wrong:
    """Wrong predictions of the chosen ``panes`` [T], as ``fit`` to the same counts has it."""
    rows = _Rows(counts, panes, fit)
    g, p = len(counts.segments), fit.stratum_of.shape[1]
    place = rows.segment * p + rows.predicted

    def grouped(weights: Float64) -> Float64:
        by_segment = total(place, weights, g * p).reshape(g, p)
        return np.vstack([by_segment.sum(axis=0), by_segment])

    known = total(rows.labelled.segment * p + rows.labelled.predicted, rows.labelled.wrong, g * p).reshape(g, p)
    sensitivity = rows.unlabelled * rows.p * (1 - rows.p)
    rate = fit.table.rate[rows.segment, rows.cell]
    by_cell = rows.by_cell(rows.n)
    table_variance = np.append(fit.table.variance(by_cell), fit.table.segment_variance(by_cell))
    moved = grouped(sensitivity)
    return Wrong(
        n=grouped(rows.n),
        labelled=grouped(rows.n - rows.unlabelled),
        known=np.vstack([known.sum(axis=0), known]),
        expected=grouped(rows.unlabelled * rows.p),
        table_alone=grouped(rows.n * rate),
        table_unlabelled=grouped(rows.unlabelled * rate),
        sensitivity=moved,
        chance=moved * fit.dispersion,
        level=fit.level_variance + np.append(0.0, fit.segment_variance),
        other=_other(rows, fit, sensitivity),
        table_variance=table_variance + grouped(rows.n * rate * (1 - rate)).sum(axis=1),
    )


class _Rows:
    """Predictions of a window by pane, segment, cell and predicted class, [K] each: how many, how many without label, and their odds."""

    def __init__(self, counts: PaneCounts, panes: Bool, fit: Rectifier) -> None:
        predictions = prediction_rows(counts.predictions, panes[counts.predictions.pane])
        self.labelled = labelled_rows(counts.labelled, panes[counts.labelled.pane])
        self.g, self.s = fit.table.rate.shape
        classes = fit.stratum_of.shape[1]

        def key(pane: Int64, segment: Int64, cell: Int64, predicted: Int64) -> Int64:
            return np.asarray(((pane * self.g + segment) * self.s + cell) * classes + predicted)

        of_all = key(predictions.pane, predictions.segment, predictions.cell, predictions.predicted)
        labelled = self.labelled
        of_labelled = key(labelled.pane, labelled.segment, labelled.cell, labelled.predicted)
        # A label whose prediction is not among the counts stands for both.
        keys = np.unique(np.concatenate([of_all, of_labelled]))
        come = total(np.searchsorted(keys, of_labelled), labelled.right + labelled.wrong, len(keys))
        self.n = np.maximum(total(np.searchsorted(keys, of_all), predictions.count, len(keys)), come)
        self.unlabelled = self.n - come
        self.pane, rest = np.divmod(keys, self.g * self.s * classes)
        self.segment, rest = np.divmod(rest, self.s * classes)
        self.cell, self.predicted = np.divmod(rest, classes)
        self.stratum = fit.stratum_of[self.cell, self.predicted]
        odds = logit(fit.table.rate[self.segment, self.cell]) + fit.shift(self.pane, self.segment, self.stratum)
        self.p = expit(odds + fit.unlabelled()[self.pane, self.stratum])
        self.regardless = expit(odds)  # of how long the label has not come

    def by_cell(self, weights: Float64) -> Float64:
        """[G, S] sum of ``weights`` [K]."""
        return total(self.segment * self.s + self.cell, weights, self.g * self.s).reshape(self.g, self.s)


def _other(rows: _Rows, fit: Rectifier, sensitivity: Float64) -> Float64:
    """[1 + G] variance that is neither chance nor level."""
    j = len(fit.stratum)
    moved = total(rows.segment * j + rows.stratum, sensitivity, rows.g * j).reshape(rows.g, j)
    moved = np.vstack([moved.sum(axis=0), moved])  # [N, J]
    whole = moved.sum(axis=1)
    strata = ((moved - whole[:, None] * fit.stratum_weights) ** 2) @ fit.stratum_variance
    return np.asarray(strata + _lag(rows, fit, sensitivity, moved) + _table(rows, fit, sensitivity, whole) + _segments(fit, whole))


def _segments(fit: Rectifier, whole: Float64) -> Float64:
    """[1 + G] what segments' own levels leave unsure of ALL. In the segments themselves they are part of the level."""
    share = fit.weights.sum(axis=1) / max(float(fit.weights.sum()), 1e-9)
    # While the level is free to move it takes up what segments have in common; while the table is held to hold it does not.
    free = (whole[1:] - whole[0] * share) ** 2 @ fit.segment_variance
    held = whole[1:] ** 2 @ fit.segment_variance
    return np.append(fit.failed * free + (1 - fit.failed) * held, np.zeros(len(fit.segment_variance)))


def _lag(rows: _Rows, fit: Rectifier, sensitivity: Float64, moved: Float64) -> Float64:
    """[1 + G] through the odds of rows without label."""
    t = len(fit.fraction)
    wrong = moved.sum(axis=0) @ fit.lag.wrong / max(float(moved.sum()), 1e-9)  # [L + 1]
    ahead = fit.waiting @ wrong  # [T]
    left = 1 - fit.label_share + fit.label_share * ahead
    slope = fit.label_share * wrong * (fit.waiting - ahead[:, None]) / np.maximum(left, 1e-9)[:, None]  # [T, L + 1]
    by_pane = total(rows.segment * t + rows.pane, sensitivity, rows.g * t).reshape(rows.g, t)
    by_effect = np.vstack([by_pane.sum(axis=0), by_pane]) @ slope
    changed = total(rows.segment, rows.unlabelled * (rows.p - rows.regardless), rows.g)
    coarse = (COARSE * np.append(changed.sum(), changed)) ** 2
    return np.asarray(np.maximum(np.einsum("nl,lm,nm->n", by_effect, fit.lag.covariance, by_effect), 0.0) + coarse)


def _table(rows: _Rows, fit: Rectifier, sensitivity: Float64, whole: Float64) -> Float64:
    """[1 + G] of the error table, beyond what it has in common with the labelled rows."""
    table = fit.table
    scale = table.rate * (1 - table.rate)
    window = rows.by_cell(sensitivity) / scale
    looked = fit.weights / scale
    weight = fit.weights.sum(axis=1)
    of_all = table.variance(window - looked * (whole[0] / weight.sum())) if weight.sum() > 0 else np.inf
    own = np.where(weight > 0, whole[1:] / np.maximum(weight, 1e-9), 0.0)
    of_segments = table.segment_variance(window - looked * own[:, None])
    return np.append(min(of_all, table.variance(window)), np.minimum(of_segments, table.segment_variance(window)))
