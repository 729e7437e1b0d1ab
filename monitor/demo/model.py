"""A small model: how likely a flight arrives more than 15 minutes late, by logistic regression with a ridge.

The label is the arrival delay of a flight that arrived; cancelled and diverted flights have none and do not train.
The design has an intercept, for each numeric feature its standard score and a flag for a missing value (whose score is
then 0, the mean), and a column for each category seen in training. A category not seen then has no column, and so no say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.demo.flights import CATEGORICAL, NUMERIC, Flights

Float64 = NDArray[np.float64]

VERSION = "1"
LATE_MINUTES = 15.0
RIDGE = 10.0


@dataclass(frozen=True, slots=True)
class Model:
    """What training found; scoring needs nothing else."""

    means: Mapping[str, float]
    stds: Mapping[str, float]
    categories: Mapping[str, tuple[str, ...]]
    weights: Float64  # [1 + 2 numeric + categories]; the intercept first
    rows: int  # flights it learned from


def labels(flights: Flights) -> Float64:
    """[n] 1 for late, 0 for not late, NaN for a flight that never arrived where it was bound."""
    delay = flights.arrival_delay_minutes
    return np.where(np.isnan(delay), np.nan, (delay > LATE_MINUTES).astype(np.float64))


def train(flights: Flights) -> Model:
    """Fit on the flights that have a label. Deterministic."""
    target = labels(flights)
    known = ~np.isnan(target)
    flights, target = flights.where(known), target[known]
    means = {name: float(np.nanmean(flights.numeric[name])) for name in NUMERIC}
    stds = {name: float(np.nanstd(flights.numeric[name])) or 1.0 for name in NUMERIC}
    categories = {name: tuple(np.unique(flights.categorical[name]).tolist()) for name in CATEGORICAL}
    blank = Model(means, stds, categories, np.zeros(0), len(flights))
    return Model(means, stds, categories, fit(design(blank, flights), target, RIDGE), len(flights))


def score(model: Model, flights: Flights) -> Float64:
    """[n] probability of arriving more than 15 minutes late."""
    linear = np.full(len(flights), model.weights[0])
    for columns, at in _blocks(model, flights):
        linear += columns @ model.weights[at]
    return _logistic(linear)


def design(model: Model, flights: Flights) -> Float64:
    """[n, 1 + 2 numeric + categories] the columns that the weights belong to."""
    columns = np.ones((len(flights), 1 + 2 * len(NUMERIC) + sum(map(len, model.categories.values()))))
    for block, at in _blocks(model, flights):
        columns[:, at] = block
    return columns


def _blocks(model: Model, flights: Flights) -> Iterator[tuple[Float64, slice]]:
    """The columns of one feature after another, and where they stand; never all at once, which for a year is 400 MB."""
    start = 1
    for name in NUMERIC:
        missing = np.isnan(flights.numeric[name])
        value = np.where(missing, 0.0, (flights.numeric[name] - model.means[name]) / model.stds[name])
        yield np.column_stack([value, missing]), slice(start, start + 2)
        start += 2
    for name in CATEGORICAL:
        known = np.array(model.categories[name])
        nearest = np.minimum(np.searchsorted(known, flights.categorical[name]), len(known) - 1)
        block = np.zeros((len(flights), len(known)))
        block[np.arange(len(flights)), nearest] = known[nearest] == flights.categorical[name]
        yield block, slice(start, start + len(known))
        start += len(known)


def fit(columns: Float64, target: Float64, ridge: float, tolerance: float = 1e-8) -> Float64:
    """Weights of the maximum penalised likelihood; the first column is the intercept and is not penalised.

    Newton's method, which for this likelihood is iteratively reweighted least squares (Hastie, Tibshirani, Friedman, The
    Elements of Statistical Learning, 2nd ed., 4.4.1; the ridge after le Cessie and van Houwelingen, Applied Statistics 41, 1992).
    It ends where the score equations Xᵀ(y - p) = ridge · w hold to ``tolerance``; raises ``ArithmeticError`` if they never do.
    """
    penalty = np.full(columns.shape[1], ridge)
    penalty[0] = 0.0
    weights = np.zeros(columns.shape[1])
    for _ in range(50):
        probability = _logistic(columns @ weights)
        gradient = columns.T @ (target - probability) - penalty * weights
        if np.max(np.abs(gradient)) < tolerance:
            return weights
        curvature = (columns.T * (probability * (1 - probability))) @ columns + np.diag(penalty)
        weights = weights + np.linalg.solve(curvature, gradient)
    raise ArithmeticError(f"expected the score equations to hold within 50 steps, got a residual of {np.max(np.abs(gradient)):.3g}")


def auc(target: Float64, scores: Float64) -> float:
    """Share of (late, punctual) pairs that the score puts in the right order, ties by half; rows without a label are left out.

    By ranks: Hanley and McNeil, Radiology 143, 1982. NaN unless both kinds are there.

    >>> auc(np.array([0.0, 0.0, 1.0, 1.0, np.nan]), np.array([0.1, 0.4, 0.4, 0.8, 0.0]))
    0.875
    """
    known = ~np.isnan(target)
    target, scores = target[known], scores[known]
    late = int(target.sum())
    pairs = late * (len(target) - late)
    if not pairs:
        return float("nan")
    _, group, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[group]
    return float((rank[target == 1].sum() - late * (late + 1) / 2) / pairs)


def _logistic(x: Float64) -> Float64:
    # Through tanh, which does not overflow.
    half: Float64 = 0.5 * (1.0 + np.tanh(0.5 * x))
    return half
