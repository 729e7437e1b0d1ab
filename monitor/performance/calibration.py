"""Calibration: is a score of 0.8 right eight times in ten? Reliability by cell of the score, ECE, Brier score, log loss.

For a binary model the score is the probability of the positive class and what counts is how often that was the truth; for a
multiclass model it is the confidence in the predicted class, and what counts is how often that was right.

A cell keeps how many rows it has, not their mean score. Its place is the mean of the reference's scores in the cell when that is known,
else the middle of its part of [0, 1]. A score outside [0, 1] is no probability and takes no part.

ECE is the mean over rows of |observed share - place| of their cells. Noise alone makes it positive, the more so the more cells and the
fewer rows; so it is shrunk: with Q the weighted mean of the squared gaps and N what noise adds to it, ECE is

    sum of w |gap|  x  sqrt(max(0, 1 - N / Q))

which is about 0 for a calibrated model and the plain sum where the gaps are large against the noise (Q - N estimates the squared
calibration error without bias, as in Kumar, Liang and Ma, *Verified uncertainty calibration*, 2019). The interval is generous: it
goes down to the plain sum less z deviations and the most that noise can add to it, and up to the plain sum and z deviations or the
root of the upper end of the squared error, whichever is less. ``noise`` is the plain sum that a calibrated model reaches on
average, by de Moivre's formula for the mean absolute deviation of a binomial count. In simulations the shrunk value is on average off by
less than a third of it.

Brier score (of a multiclass model: summed over classes) and log loss are means of exact sums; see ``interval.mean_of_positive``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.outcome.counts import OutcomeCounts
from monitor.outcome.layout import OutcomeLayout
from monitor.performance.interval import Estimate, mean_of_positive, wilson
from monitor.profile.layout import FAULT_CELLS

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Observed against foretold, by score cell. G segments, S score cells; cells that hold no probability are NaN throughout."""

    place: Float64  # [S] what the score says
    observed: Estimate  # [G, S] how often it was so
    ece: Estimate  # [G]
    noise: Float64  # [G] plain ECE that a calibrated model reaches on average with these rows


def score_bounds(layout: OutcomeLayout) -> tuple[Float64, Float64]:
    """[S] least and largest probability of each score cell; NaN for cells that hold none."""
    edges = np.concatenate([[-np.inf], layout.score_edges, [np.inf]]) if layout.score.kind == "numeric" else np.array([])
    low, high = np.maximum(edges[:-1], 0.0), np.minimum(edges[1:], 1.0)
    # A cell that only touches [0, 1] from outside holds none of it, except that the last one holds 1 itself.
    empty = (low > high) | ((low == high) & (low < 1.0))
    low, high = np.where(empty, np.nan, low), np.where(empty, np.nan, high)
    faults = np.full(FAULT_CELLS, np.nan)
    rest = np.full(layout.score_cells - FAULT_CELLS - len(low), np.nan)
    return np.concatenate([faults, low, rest]), np.concatenate([faults, high, rest])


def score_places(layout: OutcomeLayout, means: Float64 | None) -> Float64:
    """[S] the probability that each score cell stands for; NaN for cells that hold none. ``means`` [S]: the reference's, NaN unknown."""
    low, high = score_bounds(layout)
    middle = (low + high) / 2
    if means is None:
        return middle
    if means.shape != middle.shape:
        raise ValueError(f"expected a mean for each of {len(middle)} score cells, got {means.shape}")
    return np.where(np.isnan(means) | np.isnan(middle), middle, np.clip(means, low, high))


def judged(counts: OutcomeCounts) -> tuple[Int64, Int64]:
    """[G, S] rows whose foretold event happened, and all rows, by score cell."""
    if counts.layout.task == "binary":
        return counts.by_score[:, :, 1], counts.by_score.sum(axis=2)
    by_score = counts.right_wrong.sum(axis=1)
    return by_score[:, :, 0], by_score.sum(axis=2)


def reliability(counts: OutcomeCounts, z: float, means: Float64 | None = None) -> Reliability:
    """Reliability of every segment. ``means`` [S]: mean score of the reference in each score cell, NaN where unknown."""
    place = score_places(counts.layout, means)
    usable = ~np.isnan(place)
    happened, rows = judged(counts)
    happened, rows = np.where(usable, happened, 0), np.where(usable, rows, 0)
    return Reliability(place, wilson(happened, rows, z), *_ece(np.where(usable, place, 0.0), happened, rows, z))


def _ece(place: Float64, happened: Int64, rows: Int64, z: float) -> tuple[Estimate, Float64]:
    total = rows.sum(axis=1)
    count = np.maximum(rows, 1).astype(np.float64)
    weight = rows / np.maximum(total, 1)[:, None]
    gap = happened / count - place
    variance = place * (1 - place) / count
    squared, noisy = (weight * gap**2).sum(axis=1), (weight * variance).sum(axis=1)
    plain = (weight * np.abs(gap)).sum(axis=1)
    value = plain * np.sqrt(np.maximum(1 - noisy / np.where(squared > 0, squared, 1.0), 0.0))
    # One more row of each kind: a cell of a single row is not certain.
    cautious = (happened + 1) * (rows - happened + 1) / (rows + 2.0) ** 2 / count
    spread = z * np.sqrt((weight**2 * cautious).sum(axis=1))
    most = (weight * np.sqrt(cautious * 2 / np.pi)).sum(axis=1)
    of_squares = z * np.sqrt((weight**2 * (2 * variance**2 + 4 * gap**2 * cautious)).sum(axis=1))
    low = np.minimum(np.maximum(plain - most - spread, 0.0), value)
    high = np.minimum(plain + spread, np.sqrt(np.maximum(squared - noisy, 0.0) + of_squares))
    nothing = np.where(total > 0, 0.0, np.nan)
    estimate = Estimate(value + nothing, low + nothing, np.maximum(high, value) + nothing, total)
    deviation = mean_absolute_deviation(rows, np.broadcast_to(place, rows.shape))
    return estimate, deviation.sum(axis=1) / np.maximum(total, 1) + nothing


def mean_absolute_deviation(n: Int64, p: Float64) -> Float64:
    """E|X - n p| of a binomial count X: 2 ν C(n, ν) p^ν (1 - p)^(n - ν + 1) with ν = floor(n p) + 1 (de Moivre).

    >>> round(float(mean_absolute_deviation(np.array(2), np.array(0.5))), 12)  # |X - 1| is 1, 0, 0, 1
    0.5
    """
    inner = (n > 0) & (p > 0) & (p < 1)
    count, share = np.where(inner, n, 1).astype(np.float64), np.where(inner, p, 0.5)
    v = np.minimum(np.floor(count * share) + 1, count)
    logs = log_factorial(count) - log_factorial(v) - log_factorial(count - v)
    logs += v * np.log(share) + (count - v + 1) * np.log1p(-share)
    return np.where(inner, 2 * v * np.exp(logs), 0.0)


def log_factorial(n: Float64) -> Float64:
    """ln n! for whole n >= 0, to 10^-10: Stirling's series, for small n a table."""
    table = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1.0, 16.0)))])
    x = np.maximum(n, 16.0)
    series = x * np.log(x) - x + np.log(2 * math.pi * x) / 2 + 1 / (12 * x) - 1 / (360 * x**3) + 1 / (1260 * x**5)
    return np.where(n < 16, table[np.minimum(n, 15).astype(np.intp)], series)


def brier(counts: OutcomeCounts, z: float) -> Estimate:
    """[G] mean squared error of the probabilities; of a multiclass model summed over classes."""
    return _mean_loss(counts, "squared_error", z)


def log_loss(counts: OutcomeCounts, z: float) -> Estimate:
    """[G] mean -ln of the probability that the truth was given, in nats."""
    return _mean_loss(counts, "log_loss", z)


def _mean_loss(counts: OutcomeCounts, name: str, z: float) -> Estimate:
    rows = counts.sum_of("scored_rows").astype(np.int64)
    return mean_of_positive(counts.sum_of(name), counts.sum_of(f"{name}_squared"), rows, z, 1.0)
