"""Areas under the ROC and the precision-recall curve, from counts by cell of the score.

Counts are [..., S] of rows that are the class (``positive``) and that are not (``negative``), by rising score. The order of two
rows in one cell is not known: both areas are the mean over all orders within cells. So a pair within a cell counts half.

ROC AUC     the share of pairs (one positive, one negative) that the score puts in the right order. Its variance is that of DeLong,
            DeLong and Clarke-Pearson (1988), exact for ties, with no assumption on the scores' shapes. Near 1 and with few
            positives it comes out too small, 0 when no pair is out of order. So the interval is the set of all areas A that
            the data do not contradict: |area - A| <= z sqrt(V(A)), as in Wilson's interval and in Newcombe's (2006) for areas.
            V(A) is Hanley and McNeil's (1982) variance times the factor by which DeLong's differs from it at the area found.
average precision   sum over thresholds of (step of recall) x precision. Within a cell positives and negatives come in the proportion
            they have there (Davis and Goadrich, 2006); rounding scores to their cell instead would lose more. Its variance follows
            from the derivative by the counts (delta method: sum of count x derivative², the number of positives being chance too);
            the interval is normal on log odds (Boyd, Eng and Page, *Area under the precision-recall curve*, 2013), with up to 20
            positives not narrower than theirs. A score without worth has the rate of positives, not 1/2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.performance.interval import Estimate, on_logits
from monitor.profile.layout import FAULT_CELLS

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_HALVINGS = 40
_FEW_POSITIVES = 20


def roc_auc(positive: Int64, negative: Int64, z: float) -> Estimate:
    """[...] from counts [..., S]; n is the rows that took part. Unknown where one side has none.

    >>> area = roc_auc(np.array([0, 1, 3]), np.array([3, 1, 0]), 1.96)
    >>> float(area.value)  # 16 pairs: 15 in order, the pair in the middle cell half
    0.96875
    """
    p, q = positive.astype(np.float64), negative.astype(np.float64)
    m, n = p.sum(axis=-1), q.sum(axis=-1)
    known = (m > 0) & (n > 0)
    some_m, some_n = np.maximum(m, 1.0), np.maximum(n, 1.0)
    # Each positive's share of negatives below it, each negative's share of positives above it.
    below = (np.cumsum(q, axis=-1) - q / 2) / some_n[..., None]
    above = (m[..., None] - np.cumsum(p, axis=-1) + p / 2) / some_m[..., None]
    area = (p * below).sum(axis=-1) / some_m
    of_positive = (p * (below - area[..., None]) ** 2).sum(axis=-1) / np.maximum(m - 1, 1.0)
    of_negative = (q * (above - area[..., None]) ** 2).sum(axis=-1) / np.maximum(n - 1, 1.0)
    variance = of_positive / some_m + of_negative / some_n
    low, high = _areas_not_contradicted(area, variance, some_m, some_n, z)
    nothing = np.where(known, 0.0, np.nan)
    return Estimate(area + nothing, low + nothing, high + nothing, (m + n).astype(np.int64))


def _areas_not_contradicted(area: Float64, variance: Float64, m: Float64, n: Float64, z: float) -> tuple[Float64, Float64]:
    formula = _hanley_mcneil(area, m, n)
    # At 0 and 1 both variances vanish; with few rows the factor is itself uncertain and must not make an interval narrow.
    factor = np.where((variance > 0) & (formula > 0), variance / np.where(formula > 0, formula, 1.0), 1.0)
    few = 1 / np.minimum(m, n)
    factor = np.maximum(factor * (1 - few) + few, 1e-3)
    ends = []
    for outer in (0.0, 1.0):
        inside, outside = area.copy(), np.full_like(area, outer)
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            agrees = (middle - area) ** 2 <= z * z * factor * _hanley_mcneil(middle, m, n)
            inside, outside = np.where(agrees, middle, inside), np.where(agrees, outside, middle)
        ends.append(np.where(area == outer, outer, inside))
    return ends[0], ends[1]


def _hanley_mcneil(area: Float64, m: Float64, n: Float64) -> Float64:
    """Variance of an area, with Newcombe's mean of both sample sizes in place of each."""
    size = (m + n) / 2 - 1
    return np.asarray(area * (1 - area) * (1 + size * (1 - area) / (2 - area) + size * area / (1 + area)) / (m * n))


def average_precision(positive: Int64, negative: Int64, z: float) -> Estimate:
    """[...] from counts [..., S]; n is the rows that took part. Unknown without positives."""
    p, q = positive.astype(np.float64), negative.astype(np.float64)
    m = p.sum(axis=-1)
    some_m = np.maximum(m, 1.0)
    mean, by_above, by_below, by_p, by_q = _mean_precision(p, q)
    step = p / some_m[..., None]
    value = (step * mean).sum(axis=-1)
    by_positive = (mean - value[..., None]) / some_m[..., None] + step * by_p + _cells_below(step * by_above)
    by_negative = step * by_q + _cells_below(step * by_below)
    variance = (p * by_positive**2 + q * by_negative**2).sum(axis=-1)
    # With few positives the derivative's variance is itself uncertain.
    binomial, few = value * (1 - value) / some_m, np.minimum(np.sqrt(_FEW_POSITIVES / some_m), 1.0)
    deviation = np.sqrt(np.maximum(variance, variance + few * (binomial - variance)))
    n = (m + q.sum(axis=-1)).astype(np.int64)
    found = on_logits(np.minimum(value, 1.0), deviation, n, z)
    # All positives above all negatives: Wilson's end for a share of 1 among the positives.
    low = np.where(value >= 1, some_m / (some_m + z * z), found.low)
    high = np.where(value >= 1, 1.0, found.high)
    nothing = np.where(m > 0, 0.0, np.nan)
    return Estimate(found.value + nothing, low + nothing, high + nothing, n)


def _mean_precision(p: Float64, q: Float64) -> tuple[Float64, Float64, Float64, Float64, Float64]:
    """[..., S] mean precision while the threshold moves through a cell, and its derivatives by A, B, p and q.

    With A positives and B negatives above the cell, N = A + B and s = p + q it is the integral over t from 0 to 1 of
    (A + p t) / (N + s t) = p / s + (A / s - p N / s²) ln(1 + s / N).
    """
    above = _from_above(p) - p
    total = above + _from_above(q) - q
    s = np.where(p + q > 0, p + q, 1.0)
    topmost = total <= 0
    n = np.where(topmost, 1.0, total)
    factor = above / s - p * n / s**2
    log = np.log1p(s / n)
    ends = factor * (1 / (n + s) - 1 / n)
    mean = np.where(topmost, p / s, p / s + factor * log)
    by_above = np.where(topmost, 0.0, (1 / s - p / s**2) * log + ends)
    by_below = np.where(topmost, 0.0, -p / s**2 * log + ends)
    rest = -above / s**2 + 2 * p * n / s**3
    by_p = np.where(topmost, 1 / s - p / s**2, 1 / s - p / s**2 + (rest - n / s**2) * log + factor / (n + s))
    by_q = np.where(topmost, -p / s**2, -p / s**2 + rest * log + factor / (n + s))
    return mean, by_above, by_below, by_p, by_q


def _cells_below(terms: Float64) -> Float64:
    return np.asarray(np.cumsum(terms, axis=-1) - terms)


def _from_above(counts: Float64) -> Float64:
    return np.asarray(np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1])


def value_cells(by_score: Int64) -> Int64:
    """[..., S] with the rows that have no usable score left out."""
    return np.asarray(by_score[..., FAULT_CELLS:])


def macro(of_classes: Estimate) -> Estimate:
    """[G] mean over the classes of which it is known, from [G, C]; as n the fewest rows of one of them.

    Areas of classes rest on the same rows. The interval reaches as far as if they all erred together, so it is wide rather than narrow.
    """
    known = ~np.isnan(of_classes.value)
    some, count = known.any(axis=1), np.maximum(known.sum(axis=1), 1)
    value, low, high = (
        np.where(some, np.where(known, end, 0.0).sum(axis=1) / count, np.nan) for end in (of_classes.value, of_classes.low, of_classes.high)
    )
    n = np.where(known, of_classes.n, np.iinfo(np.int64).max).min(axis=1)
    return Estimate(value, low, high, np.where(some, n, 0).astype(np.int64))


def one_vs_rest(by_class: Int64, by_score: Int64) -> tuple[Int64, Int64]:
    """Positive and negative rows of each class [G, C, 2 x value cells], by how much the prediction speaks for the class.

    ``by_class`` [G, S, C, 3] as in ``OutcomeCounts``, ``by_score`` [G, S, C]; the score is the confidence in the predicted class. For
    a class, rows predicted as something else come first, the most confident ones lowest, then those predicted as it, by rising
    confidence. That is all the order that a predicted class and its confidence give; the class's own probability would give more.
    """
    right, claimed, missed = (value_cells(np.moveaxis(by_class[..., k], 1, 2)) for k in range(3))  # [G, C, S]
    rows = value_cells(by_score.sum(axis=2))[:, None, :]
    others = rows - right - claimed - missed
    positive = np.concatenate([missed[..., ::-1], right], axis=-1)
    negative = np.concatenate([others[..., ::-1], claimed], axis=-1)
    return positive, negative
