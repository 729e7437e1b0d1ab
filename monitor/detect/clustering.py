"""Clustering: by how much rows that come together resemble each other, measured on blocks of the reference.

For a direction w, with u = w - mean of w, blocks are compared with the next ones: phi = sum over pairs of (u d)^2 over what independent
rows would give (von Neumann's ratio, 1941, on counts). It is 1 for independent rows and the size of a session when all its rows are
alike. Neither a slow change, nor the daily cycle within a quarter of an hour, nor a difference between segments enters. Evidence is
divided by phi.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

CLEAR = 2.5  # standard errors of log phi that are put down to chance
LEAST_PAIRS = 6
LONGEST_IN_CYCLE_MS = 900_000  # next blocks of a signal with a daily cycle are alike if they are this short, or whole days
DAY_MS = 86_400_000


@dataclass(frozen=True, eq=False)
class Clustering:
    """Of one signal, per direction."""

    phi: Float64  # [K] at least 1
    block_ms: NDArray[np.int64]  # [K] the shortest blocks that show three quarters of it; 0 where phi is 1


def independent(directions: int) -> Clustering:
    """Nothing known or nothing found: rows count as independent."""
    return Clustering(np.ones(directions), np.zeros(directions, np.int64))


def measured(
    products: list[Float64], totals: Float64, lengths_ms: tuple[int, ...], ratios: Float64, variance: Float64, tails: Float64, cycle: bool
) -> Clustering:
    """Clustering from the pairs of blocks of one signal.

    ``products`` per length [cells, cells] and ``totals`` [lengths, 2] as in ``BlockMoments``; ``ratios`` [K, cells] w, ``variance`` [K]
    of it within a segment, ``tails`` [K] its fourth moment over the squared variance; ``cycle``: whether the signal has a daily one.
    """
    found = []
    for sums, (pairs, worth), length_ms in zip(products, totals.tolist(), lengths_ms, strict=True):
        misleading = cycle and length_ms > LONGEST_IN_CYCLE_MS and length_ms % DAY_MS != 0
        if pairs < LEAST_PAIRS or worth <= 0 or misleading:
            found.append(np.ones(len(ratios)))
            continue
        value = np.maximum(np.einsum("ki,ij,kj->k", ratios, sums, ratios) / (worth * variance), 1.0)
        chance = np.exp(CLEAR * np.sqrt(2.0 / pairs + tails / (worth / 64.0)))
        found.append(np.where(value > chance, value, 1.0))
    phi = np.max(found, axis=0)
    block_ms = np.zeros(len(ratios), np.int64)
    for value, length_ms in reversed(list(zip(found, lengths_ms, strict=True))):
        block_ms[(value >= 0.75 * phi) & (phi > 1.0)] = length_ms
    return Clustering(phi, block_ms)


def joined(first: Clustering, second: Clustering) -> Clustering:
    """The larger clustering of two, direction by direction."""
    larger = first.phi >= second.phi
    return Clustering(np.where(larger, first.phi, second.phi), np.asarray(np.where(larger, first.block_ms, second.block_ms), np.int64))
