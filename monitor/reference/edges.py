"""Where the cells of a numeric signal lie: fine in the tails, a cell each for values with much mass.

The edges are the smallest value, quantiles of a sample, and the next number above the largest value; so production can
fall below and above what the reference ever had. All quantiles are values of the sample (inverted distribution function), and
a value that fills a whole step between two of them, or ``ATOM_SHARE`` of the rows, is cut out on both sides.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

QUANTILES = (
    0.00025, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.45, 0.50,
    0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999, 0.99975,
)  # fmt: skip
ATOM_SHARE = 0.02
LOGITS = tuple(step / 2 for step in range(-12, 13))
"""Edges of a probability, equally spaced in log p / (1 - p): from 0.25 % to 99.75 % in steps of a half."""


def above(value: float) -> float:
    """The next larger number: a cell from ``value`` to it holds ``value`` alone.

    >>> above(0.0) > 0.0, above(1.0) - 1.0 < 1e-15
    (True, True)
    """
    return math.nextafter(value, math.inf)


def numeric_edges(
    sample: NDArray[np.float64],
    low: float,
    high: float,
    *,
    distinct: NDArray[np.float64] | None = None,
    declared: tuple[float, float] | None = None,
    probability: bool = False,
) -> tuple[float, ...]:
    """Edges of a numeric signal from values within its declared range.

    ``low`` and ``high`` are the extent of all rows, ``sample`` some of them, ``distinct`` all different values when they
    are few: each then begins a cell. The ends of ``declared`` become edges. With ``probability`` and values within
    [0, 1] the edges of ``LOGITS`` are added. Without a value there are no edges but the declared ones.
    """
    edges: set[float] = set()
    if low <= high:
        edges |= {low, above(high)}
        if distinct is not None:
            edges |= set(distinct.tolist())
        else:
            edges |= _quantile_edges(np.sort(sample), low, high)
            if probability and low >= 0.0 and high <= 1.0:
                edges |= {edge for edge in (1.0 / (1.0 + math.exp(-logit)) for logit in LOGITS) if low < edge < high}
    if declared is not None:
        edges |= {declared[0], above(declared[1])}
    # -0.0 and 0.0 are one number, so one of them is in the set; the largest double has nothing above it.
    return tuple(sorted(edge + 0.0 for edge in edges if math.isfinite(edge)))


def _quantile_edges(ordered: NDArray[np.float64], low: float, high: float) -> set[float]:
    ranks = np.ceil(np.array(QUANTILES) * len(ordered)).astype(np.intp) - 1
    points = ordered[np.maximum(ranks, 0)]
    values, counts = np.unique(ordered, return_counts=True)
    atoms = set(values[counts >= ATOM_SHARE * len(ordered)].tolist()) | set(points[1:][points[1:] == points[:-1]].tolist())
    edges = set(points.tolist()) | atoms | {above(atom) for atom in atoms}
    return {edge for edge in edges if low <= edge <= above(high)}
