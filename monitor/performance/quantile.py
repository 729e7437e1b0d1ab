"""Quantiles from counts of cells, interpolated within a cell.

The interval holds the quantiles at both ends of the share's own interval, p ± z sqrt(p (1 - p) / n), which assumes nothing about the
values. In an open cell a quantile is unknown: NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.performance.interval import Estimate

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


def quantile(edges: Float64, counts: Int64, probability: float, z: float) -> Estimate:
    """[G] from ``counts`` [G, k + 1] of the cells between the rising ``edges`` [k]; the first and the last cell are open.

    >>> float(quantile(np.array([0.0, 10.0]), np.array([[0, 4, 0]]), 0.25, 1.96).value[0])
    2.5
    """
    if counts.shape[1] != len(edges) + 1:
        raise ValueError(f"expected {len(edges) + 1} cells for {len(edges)} edges, got {counts.shape[1]}")
    n = counts.sum(axis=1)
    half = z * np.sqrt(probability * (1 - probability) / np.maximum(n, 1))
    value, low, high = (_value_at(edges, counts, share * n) for share in (probability, probability - half, probability + half))
    return Estimate(value, low, high, n)


def _value_at(edges: Float64, counts: Int64, rows: Float64) -> Float64:
    """[G] the value below which ``rows`` [G] rows lie."""
    upto = np.cumsum(counts, axis=1)
    cell = (upto < rows[:, None]).sum(axis=1)
    inner = (cell >= 1) & (cell < len(edges)) & (upto[:, -1] > 0) & (rows > 0)
    place = np.clip(cell, 1, len(edges) - 1)
    every = np.arange(len(rows))
    share = (rows - upto[every, place - 1]) / np.maximum(counts[every, place], 1)
    return np.where(inner, edges[place - 1] + share * (edges[place] - edges[place - 1]), np.nan)
