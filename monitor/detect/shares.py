"""Shares of cells, and what they become when the values behind them are moved, widened or mixed with others.

The distribution of a numeric signal is known at its edges. Inside a cell it is taken to be a power of the distance from the cell's lower
end, F = F0 + p t^a with a = mean / (1 - mean) of t, so that the cell keeps the mean of its values: what lies near the ends of the
reference then moves over them as it would in truth. All functions take many segments at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

_ATOM_WIDTH = 1e-6  # of a standard deviation: a cell this narrow holds one value
_ATOM_MASS = 0.3


_ERFC = (0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223)
_SCORE = (
    (-3.969683028665376e1, 2.209460984245205e2, -2.759285104469687e2, 1.383577518672690e2, -3.066479806614716e1, 2.506628277459239),
    (-5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1, -1.328068155288572e1, 1.0),
    (-7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838, -2.549732539343734, 4.374664141464968, 2.938163982698783),
    (7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0),
)


def normal_cdf(z: Float64) -> Float64:
    """Distribution function of the standard normal, each tail to a relative 1.2e-7 (Press et al., Numerical Recipes, erfcc)."""
    x = np.abs(z) / np.sqrt(2.0)
    t = 1.0 / (1.0 + 0.5 * x)
    upper = 0.5 * t * np.exp(-x * x + np.polyval(_ERFC, t))
    return np.asarray(np.where(z < 0, upper, 1.0 - upper))


def normal_score(p: Float64) -> Float64:
    """Inverse of ``normal_cdf`` for 0 < p < 1, to a relative 1.2e-9 (Acklam's rational approximation).

    >>> [round(float(z), 6) for z in normal_score(np.array([0.025, 0.5, 0.999]))]
    [-1.959964, 0.0, 3.090232]
    """
    inner_above, inner_below, outer_above, outer_below = _SCORE
    tail = np.minimum(p, 1.0 - p)
    q = np.sqrt(-2.0 * np.log(np.clip(tail, 1e-300, 0.5)))
    outer = np.polyval(outer_above, q) / np.polyval(outer_below, q)
    r = (p - 0.5) ** 2
    inner = (p - 0.5) * np.polyval(inner_above, r) / np.polyval(inner_below, r)
    return np.asarray(np.where(tail < 0.02425, np.where(p < 0.5, outer, -outer), inner))


def smoothed(counts: Float64, pool: Float64, targets: Float64 | None = None) -> tuple[Float64, Float64]:
    """Shares [segments, cells] that borrow from a target, and how much of each segment's is its own.

    The target is the pooled share, from counts ``pool`` [cells], or ``targets`` [segments, cells], of which two parameters were fitted to
    each segment. A segment whose counts do not differ from its target takes it; one that differs keeps its own, by the
    factor of James and Stein (1961). No share is zero. Only *where* to look follows from these shares, never what is normal.
    """
    pooled = ((pool + 0.5) / (pool.sum() + 0.5 * len(pool)))[None] if targets is None else targets
    own = counts.sum(axis=1, keepdims=True)
    expected = np.maximum(own * pooled, 1e-12)
    degrees = max(len(pool) - (1 if targets is None else 3), 1)
    excess = np.maximum(((counts - expected) ** 2 / np.maximum(expected, 1.0)).sum(axis=1, keepdims=True) / degrees - 1.0, 0.0)
    weight = excess / (1.0 + excess)
    shares = weight * counts / np.maximum(own, 1.0) + (1.0 - weight) * pooled
    shares = np.maximum(shares, 0.5 / (pool.sum() + 1.0))
    fitted = 0.0 if targets is None else 2.0 / len(pool)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True)), np.asarray(weight[:, 0] + (1.0 - weight[:, 0]) * fitted)


def aligned(edges: Float64, counts: Float64, positions: Float64) -> Float64 | None:
    """[segments, cells] shares if all segments had one shape, each at its own mean and spread; None where that cannot be said.

    The common shape is the average, over segments, of their normal scores at equal distances from their means: with segments
    that lie differently it is known between the edges too.
    """
    rows = counts.sum(axis=1)
    known = np.isfinite(positions)
    if len(edges) < 4 or (rows < 100).any() or known.sum() < 3:
        return None
    weight = counts * known
    weight = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1.0)
    centre = np.where(known, positions, 0.0)
    mean = (weight @ centre)[:, None]
    deviation = np.sqrt(np.maximum((weight * (centre - mean) ** 2).sum(axis=1, keepdims=True), 0.0))
    if not (deviation > 0).all():
        return None
    below = np.cumsum(counts, axis=1)[:, :-1]
    score = normal_score(np.clip(below, 0.5, rows[:, None] - 0.5) / rows[:, None])
    inside = (below > 0) & (below < rows[:, None])
    place = (edges - mean) / deviation
    middle = (edges - mean.mean()) / deviation.mean()
    grid = np.unique(np.concatenate([middle, (middle[1:] + middle[:-1]) / 2.0]))
    sums, weights = np.zeros_like(grid), np.zeros_like(grid)
    for row in range(len(counts)):
        at, z = place[row, inside[row]], score[row, inside[row]]
        if len(at) < 2:
            continue
        here = rows[row] * ((grid >= at[0]) & (grid <= at[-1]))
        sums += here * np.interp(grid, at, z)
        weights += here
    if (weights > 0).sum() < 4:
        return None
    grid, common = grid[weights > 0], np.maximum.accumulate(sums[weights > 0] / weights[weights > 0])
    z = np.interp(place, grid, common)
    for end, next_to, beyond in ((0, 1, place < grid[0]), (-1, -2, place > grid[-1])):
        slope = (common[end] - common[next_to]) / (grid[end] - grid[next_to])
        z = np.where(beyond, np.clip(common[end] + slope * (place - grid[end]), -8.0, 8.0), z)
    cdf = normal_cdf(z)
    ends = np.zeros((len(cdf), 1))
    shares = np.maximum(np.diff(np.concatenate([ends, cdf, ends + 1.0], axis=1), axis=1), 0.5 / (rows.sum() + 1.0))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


class Scale:
    """The distribution functions [segments] of a numeric signal over common edges, ready to be moved and stretched."""

    def __init__(self, edges: Float64, shares: Float64, positions: Float64) -> None:
        """``shares`` [segments, edges + 1], none of them zero; ``positions`` [edges + 1] where a cell's values lie, NaN where unknown."""
        self.edges, self.shares = edges, shares
        self.below = np.cumsum(shares, axis=1)[:, :-1]
        with np.errstate(invalid="ignore", over="ignore"):
            along = (positions[1:-1] - edges[:-1]) / np.diff(edges)
        along = np.clip(np.where(np.isfinite(along), along, 0.5), 0.05, 0.95)
        self.bend = np.concatenate([[1.0], along / (1.0 - along), [1.0]])
        known = np.isfinite(positions)
        weight = shares * known
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
        centre = np.where(known, positions, 0.0)
        self.mean = weight @ centre
        self.deviation = np.sqrt(np.maximum((weight * (centre - self.mean[:, None]) ** 2).sum(axis=1), 0.0))
        middle = np.cumsum(shares, axis=1) - shares / 2.0
        z = normal_score(np.clip(middle, 1e-12, 1.0 - 1e-12))
        z = z - (shares * z).sum(axis=1, keepdims=True)
        self.rank_scores = z / np.maximum(np.sqrt((shares * z * z).sum(axis=1, keepdims=True)), 1e-12)

    @property
    def is_smooth(self) -> bool:
        """Whether moving the values by a little means anything: not where most of them are a few numbers."""
        widths = np.diff(self.edges)
        narrow = np.concatenate([[False], widths < _ATOM_WIDTH * float(np.median(self.deviation)), [False]])
        return bool(len(self.edges) > 2 and (self.deviation > 0).all() and float(self.shares[:, narrow].sum(axis=1).mean()) < _ATOM_MASS)

    def moved(self, deviations: float) -> Float64:
        """Shares when every value grows by so many standard deviations."""
        return self._at(self.edges - deviations * self.deviation[:, None])

    def stretched(self, factor: float) -> Float64:
        """Shares when values lie ``factor`` times as far from their mean."""
        return self._at(self.mean[:, None] + (self.edges - self.mean[:, None]) / factor)

    def tilted(self, weights: Float64) -> Float64:
        """Shares p exp(w), normalised; ``weights`` [segments, cells]."""
        return tilted(self.shares, weights)

    def _at(self, points: Float64) -> Float64:
        """Shares between consecutive ``points`` [segments, edges] taken as edges of the unmoved values."""
        edges = self.edges
        right = np.clip(np.searchsorted(edges, points.ravel(), side="right").reshape(points.shape), 1, len(edges) - 1)
        rows = np.arange(len(points))[:, None]
        with np.errstate(over="ignore", invalid="ignore"):
            along = np.clip((points - edges[right - 1]) / (edges[right] - edges[right - 1]), 0.0, 1.0)
        below = self.below[rows, right - 1] + self.shares[rows, right] * along ** self.bend[right]
        ends = np.zeros((len(points), 1))
        return np.maximum(np.diff(np.concatenate([ends, below, ends + 1.0], axis=1), axis=1), 0.0)


def tilted(shares: Float64, weights: Float64) -> Float64:
    """Shares p exp(w) normalised over the last axis."""
    grown = shares * np.exp(weights - weights.max(axis=-1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=-1, keepdims=True))


def mixed(shares: Float64, other: Float64, part: float) -> Float64:
    """Shares when ``part`` of the rows come from ``other`` instead."""
    return np.asarray((1.0 - part) * shares + part * other)


def odds_moved(shares: Float64, cell: int, factor: float) -> Float64:
    """Shares when the odds of one cell are multiplied; the others keep their proportions."""
    p = shares[..., cell : cell + 1]
    q = factor * p / (1.0 + (factor - 1.0) * p)
    moved = shares * (1.0 - q) / np.maximum(1.0 - p, 1e-300)
    moved[..., cell : cell + 1] = q
    return np.asarray(moved)
