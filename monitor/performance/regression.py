"""Metrics of a regression, for every segment, in the unit of the target.

    mae     mean |error|; error = prediction - label
    rmse    root of the mean squared error
    bias    mean error
    r2      1 - sum of squared errors / sum of (label - mean label)²
    quantiles of the error and of |error|, from the counts of the error's cells

MAE, RMSE, bias and R² are exact sums; errors and labels beyond 64 times the layout's scale were cut to that and counted. Cells give
the intervals what sums do not: the fourth power of errors, taken as even within a cell and at its most where a cell is open; and, for
R², how squared errors and squared deviations of the label go together, from the table of score cell by error cell (delta method on the
logarithm of 1 - R²). Where the score's cells do not tell the labels' spread to within a factor of two, R² has no interval.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.outcome.counts import OutcomeCounts
from monitor.outcome.layout import LARGEST_TERM, RESIDUAL_EDGES, SUM_SCALE, OutcomeLayout
from monitor.performance.interval import Estimate, mean, mean_of_positive
from monitor.performance.quantile import quantile
from monitor.profile.layout import FAULT_CELLS

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

ERROR_QUANTILES = (0.05, 0.5, 0.95)
ABSOLUTE_QUANTILES = (0.5, 0.9)

_EDGES = np.array(RESIDUAL_EDGES)
_SPREAD_FACTOR = 2.0  # how far the labels' variance by cells may be from the exact one


def residuals(counts: OutcomeCounts) -> Int64:
    """[G, T] labelled rows with a usable prediction, by cell of the error."""
    return np.asarray(counts.by_score[:, FAULT_CELLS:].sum(axis=1))


def _rows(counts: OutcomeCounts) -> Int64:
    return counts.sum_of("scored_rows").astype(np.int64)


def mae(counts: OutcomeCounts, z: float) -> Estimate:
    """[G]."""
    scale = counts.layout.scale
    absolute = mean_of_positive(counts.sum_of("absolute_error"), counts.sum_of("squared_error"), _rows(counts), z, 0.0)
    return absolute.mapped(lambda x: x * scale)


def rmse(counts: OutcomeCounts, z: float) -> Estimate:
    """[G]."""
    scale = counts.layout.scale
    squared = mean_of_positive(counts.sum_of("squared_error"), _fourth_powers(counts), _rows(counts), z, 0.0)
    return squared.mapped(lambda x: np.asarray(np.sqrt(x) * scale))


def bias(counts: OutcomeCounts, z: float) -> Estimate:
    """[G]."""
    scale = counts.layout.scale
    return mean(counts.sum_of("error"), counts.sum_of("squared_error"), _rows(counts), z).mapped(lambda x: x * scale)


def label_mean(counts: OutcomeCounts, z: float) -> Estimate:
    """[G]."""
    scale = counts.layout.scale
    return mean(counts.sum_of("target"), counts.sum_of("target_squared"), _rows(counts), z).mapped(lambda x: x * scale)


def _even_moment(power: int) -> Float64:
    """[T - 2] mean of error^power over the inner cells, values spread evenly."""
    low, high = _EDGES[:-1], _EDGES[1:]
    return np.asarray((high ** (power + 1) - low ** (power + 1)) / ((power + 1) * (high - low)))


def _fourth_powers(counts: OutcomeCounts) -> Float64:
    """[G] sum of the fourth powers of the errors, in units of scale."""
    table = residuals(counts).astype(np.float64)
    inner, outer = table[:, 1:-1], table[:, 0] + table[:, -1]
    exact, even = counts.sum_of("squared_error"), inner @ _even_moment(2)
    closed = outer == 0
    # With all errors in closed cells the exact squares say how uneven the cells are.
    correction = np.where(closed & (even > 0), exact / np.where(even > 0, even, 1.0), 1.0)
    # Of a variable within [a, b] with mean m the mean square is at most (a + b) m - a b.
    least, most = _EDGES[-1] ** 2, LARGEST_TERM**2
    open_squares = np.clip(exact - even, outer * least, outer * most)
    return np.asarray(inner @ _even_moment(4) * correction**2 + (least + most) * open_squares - outer * least * most)


def r2(counts: OutcomeCounts, z: float, means: Float64 | None = None) -> Estimate:
    """[G]; ``means`` [S]: mean prediction of the reference in each score cell, NaN where unknown."""
    n, scale = _rows(counts), counts.layout.scale
    count = np.maximum(n, 1).astype(np.float64)
    target, target_squares = counts.sum_of("target"), counts.sum_of("target_squared")
    spread = np.maximum(target_squares - target**2 / count, 0.0)
    known = (n > 2) & (spread > 4 * count / SUM_SCALE)  # less is what rounding leaves of equal labels
    divisor = np.where(known, spread, 1.0)
    unexplained = counts.sum_of("squared_error") / divisor

    table = counts.by_score[:, FAULT_CELLS:].astype(np.float64)
    place = value_places(counts.layout, means)[FAULT_CELLS:] / scale
    error = np.concatenate([[_EDGES[0]], (_EDGES[:-1] + _EDGES[1:]) / 2, [_EDGES[-1]]])
    squares = np.concatenate([[_EDGES[0] ** 2], _even_moment(2), [_EDGES[-1] ** 2]])
    # Errors are not even within a cell; what that makes of their squares is known in all.
    even = table.sum(axis=1) @ squares
    uneven = np.where(even > 0, counts.sum_of("squared_error") / np.where(even > 0, even, 1.0), 1.0)[:, None, None]
    held = table.sum(axis=2) > 0
    # An empty cell needs no place.
    labels = np.where(held[:, :, None], place[None, :, None], 0.0) - error * np.sqrt(uneven)
    centre = (table * labels).sum(axis=(1, 2)) / count
    deviations = (labels - centre[:, None, None]) ** 2
    by_cells = (table * deviations).sum(axis=(1, 2))
    influence = (squares * uneven - unexplained[:, None, None] * deviations) * (count / divisor)[:, None, None]
    deviation = np.sqrt((table * influence**2).sum(axis=(1, 2))) / count
    told = (by_cells <= _SPREAD_FACTOR * divisor) & (by_cells * _SPREAD_FACTOR >= divisor)
    exponent = np.where(told & (unexplained > 0), z * deviation / np.where(unexplained > 0, unexplained, 1.0), np.nan)
    with np.errstate(over="ignore"):
        estimate = Estimate(1 - unexplained, 1 - unexplained * np.exp(exponent), 1 - unexplained * np.exp(-exponent), n)
    return estimate.where(known)


def value_places(layout: OutcomeLayout, means: Float64 | None) -> Float64:
    """[S] the number that each score cell stands for: the reference's mean, else its middle, else its only edge; fault cells NaN."""
    edges, values = layout.score_edges, layout.score_cells - FAULT_CELLS
    middle = np.full(values, np.nan)
    if len(edges):
        middle = np.concatenate([edges[:1], (edges[:-1] + edges[1:]) / 2, edges[-1:]])
    places = np.concatenate([np.full(FAULT_CELLS, np.nan), middle])
    return places if means is None else np.where(np.isnan(means) | np.isnan(places), places, means)


def error_quantile(counts: OutcomeCounts, probability: float, z: float) -> Estimate:
    """[G] quantile of prediction - label; unknown beyond 20 times the layout's scale."""
    scale = counts.layout.scale
    return quantile(_EDGES, residuals(counts), probability, z).mapped(lambda x: x * scale)


def absolute_error_quantile(counts: OutcomeCounts, probability: float, z: float) -> Estimate:
    """[G] quantile of |prediction - label|: the error's cells are the same on both sides of 0."""
    table, scale = residuals(counts), counts.layout.scale
    middle = table.shape[1] // 2
    folded = table[:, middle:] + table[:, middle - 1 :: -1]
    below_zero = np.zeros((len(folded), 1), np.int64)
    edges = _EDGES[len(_EDGES) // 2 :]
    return quantile(edges, np.concatenate([below_zero, folded], axis=1), probability, z).mapped(lambda x: x * scale)
