"""Confidence intervals, for whole arrays at once. NaN means unknown; an interval without rows is unknown, never [0, 1].

``z`` is always the standard normal quantile of the wanted two-sided level, 1.96 for 95 %.

Shares. Wilson's score interval (1927): it does not fail at 0 and 1, and its coverage stays near the level from a dozen rows on,
where the textbook interval p ± z s/√n falls to half (Brown, Cai, DasGupta, *Interval estimation for a binomial proportion*, 2001).

Means of terms that are never negative, such as squared errors and losses. With the mean m and the mean square q of the terms, c = q / m is
the size of a typical term, weighed by its size, and m / c a share: a variable that is c with this share and 0 otherwise has
the same mean and the same variance. Its Wilson interval, with Student's quantile for n - 1 degrees of freedom, times c is the
interval. For many rows it is m ± z s/√n; for few it leans to the right as such terms do.

Other means. m ± t s/√n with Student's quantile for n - 1 degrees of freedom.

Differences and sums of independent estimates. The square-and-add rule of Newcombe (1998) and Zou and Donner (*Construction of
confidence limits about effect measures*, 2008): each end moves by the root of the sum of the squared distances of the parts'
own ends. So the parts' good intervals make a good interval of the difference, near 0 and 1 too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimates with their intervals, all of one shape. NaN: unknown."""

    value: Float64
    low: Float64
    high: Float64
    n: Int64  # rows that the estimate rests on

    def __post_init__(self) -> None:
        shapes = {self.value.shape, self.low.shape, self.high.shape, self.n.shape}
        if len(shapes) > 1:
            raise ValueError(f"expected value, low, high and n of one shape, got {sorted(shapes)}")

    def __getitem__(self, place: tuple[slice | int, ...] | slice | int) -> Estimate:
        value, low, high = (np.asarray(end[place]) for end in (self.value, self.low, self.high))
        return Estimate(value, low, high, np.asarray(self.n[place]))

    def mapped(self, rising: Callable[[Float64], Float64]) -> Estimate:
        """The estimate of a function that rises with what is estimated: the ends map with it."""
        return Estimate(rising(self.value), rising(self.low), rising(self.high), self.n)

    def where(self, known: NDArray[np.bool_]) -> Estimate:
        """The same, unknown where ``known`` (broadcast to the shape) is false."""
        value, low, high = (np.where(known, end, np.nan) for end in (self.value, self.low, self.high))
        return Estimate(value, low, high, self.n)


def unknown(n: ArrayLike) -> Estimate:
    """Nothing known, from ``n`` rows."""
    rows = np.asarray(n, np.int64)
    nan = np.full(rows.shape, np.nan)
    return Estimate(nan, nan, nan, rows)


def wilson(hits: ArrayLike, n: ArrayLike, z: float) -> Estimate:
    """Share of ``hits`` among ``n``, with Wilson's score interval.

    >>> half = wilson(5, 10, 1.96)
    >>> round(float(half.low), 4), round(float(half.high), 4)
    (0.2366, 0.7634)
    """
    k, rows = np.broadcast_arrays(np.asarray(hits, np.float64), np.asarray(n, np.int64))
    share = k / np.maximum(rows, 1)
    low, high = _wilson_ends(share, rows, np.full(share.shape, z))
    return Estimate(share, low, high, rows).where(rows > 0)


def mean_of_positive(total: ArrayLike, total_squares: ArrayLike, n: ArrayLike, z: float, term: ArrayLike) -> Estimate:
    """Mean of terms that are never negative, from their sum and that of their squares.

    ``term`` is the size of a term where none has been seen yet: the interval is then [0, what that size allows].
    """
    arrays = np.broadcast_arrays(np.asarray(total, np.float64), np.asarray(total_squares, np.float64), np.asarray(n, np.int64))
    (sums, squares), rows = arrays[:2], arrays[2]
    count = np.maximum(rows, 1).astype(np.float64)
    seen = (sums > 0) & (squares > 0)
    # A share is at most 1; rounding must not make of a constant term one that varies.
    size = np.maximum(np.where(seen, squares / np.where(seen, sums, 1.0), term), sums / count)
    share = np.where(size > 0, sums / count / np.where(size > 0, size, 1.0), 0.0)
    low, high = _wilson_ends(share, rows, student(z, np.maximum(count - 1, 1.0)))
    return Estimate(sums / count, low * size, high * size, rows).where(rows > 0)


def _wilson_ends(share: Float64, n: Int64, quantile: Float64) -> tuple[Float64, Float64]:
    weight = quantile**2 / np.maximum(n, 1)
    centre = (share + weight / 2) / (1 + weight)
    half = np.sqrt(np.maximum(share * (1 - share), 0.0) * weight + weight**2 / 4) / (1 + weight)
    # At 0 and 1 one end is exact; arithmetic would leave a rest of rounding.
    low = np.where(share <= 0, 0.0, np.maximum(centre - half, 0.0))
    return low, np.where(share >= 1, 1.0, np.minimum(centre + half, 1.0))


def mean(total: ArrayLike, total_squares: ArrayLike, n: ArrayLike, z: float) -> Estimate:
    """Mean of terms of either sign, with Student's interval; unknown ends below two rows."""
    total, squares, rows = np.asarray(total, np.float64), np.asarray(total_squares, np.float64), np.asarray(n, np.int64)
    count = np.maximum(rows, 1).astype(np.float64)
    centre = total / count
    free = np.maximum(count - 1, 1.0)
    variance = np.maximum(squares - total * centre, 0.0) / free
    half = np.where(rows > 1, student(z, free) * np.sqrt(variance / count), np.nan)
    centre = np.where(rows > 0, centre, np.nan)
    return Estimate(centre, centre - half, centre + half, np.broadcast_to(rows, centre.shape).astype(np.int64))


def student(z: float, free: ArrayLike) -> Float64:
    """Student's quantile at the level of normal quantile ``z``: expansion in 1 / degrees of freedom (Abramowitz and Stegun 26.7.5)."""
    v = np.asarray(free, np.float64)
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    g4 = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return np.asarray(z + g1 / v + g2 / v**2 + g3 / v**3 + g4 / v**4)


def on_logits(value: ArrayLike, deviation: ArrayLike, n: ArrayLike, z: float) -> Estimate:
    """A number within (0, 1) and its standard deviation: a normal interval of its log odds, brought back.

    Ends are unknown where the deviation is, and where the value is 0 or 1.
    """
    p, s = np.asarray(value, np.float64), np.asarray(deviation, np.float64)
    inner = (p > 0) & (p < 1)
    q = np.where(inner, p, 0.5)
    half = np.where(inner, z * s / (q * (1 - q)), np.nan)
    odds = q / (1 - q)
    with np.errstate(over="ignore"):
        low, high = odds / (odds + np.exp(half)), odds / (odds + np.exp(-half))
    return Estimate(p, low, high, np.broadcast_to(np.asarray(n, np.int64), p.shape))


def difference(now: Estimate, before: Estimate) -> Estimate:
    """``now`` - ``before`` of independent estimates by the square-and-add rule; n is the smaller of the two."""
    value = now.value - before.value
    low = value - np.hypot(now.value - now.low, before.high - before.value)
    high = value + np.hypot(now.high - now.value, before.value - before.low)
    return Estimate(value, low, high, np.minimum(now.n, before.n))


def average(parts: Estimate, weights: ArrayLike, axis: int) -> Estimate:
    """Weighted mean of independent estimates along an axis by the square-and-add rule; parts of weight 0 may be unknown.

    ``n`` is the sum over the parts of weight. Unknown where no part has weight.
    """
    w = np.broadcast_to(np.asarray(weights, np.float64), parts.value.shape)
    total = w.sum(axis=axis, keepdims=True)
    share = w / np.where(total > 0, total, 1.0)
    taken = share > 0

    def summed(array: Float64) -> Float64:
        return np.asarray(np.where(taken, array, 0.0).sum(axis=axis))

    value = summed(share * parts.value)
    below = np.sqrt(summed((share * (parts.value - parts.low)) ** 2))
    above = np.sqrt(summed((share * (parts.high - parts.value)) ** 2))
    nothing = np.where(total.squeeze(axis) > 0, 0.0, np.nan)
    n = np.where(taken, parts.n, 0).sum(axis=axis)
    return Estimate(value + nothing, value - below + nothing, value + above + nothing, n)
