"""Clustering: by how much rows that come together resemble each other, measured on blocks of the reference.

For a direction w, with u = w - mean of w, blocks are compared with the next ones: phi = sum over pairs of (u d)^2 over what independent
rows would give (von Neumann's ratio, 1941, on counts). It is 1 for independent rows and the size of a session when all its rows are
alike. Neither a slow change, nor the daily cycle within a quarter of an hour, nor a difference between segments enters. Evidence is
divided by phi.

What makes rows resemble each other, a session, does so in all of a signal's cells. A direction about cells that the reference hardly has
cannot show it; it takes over what the signal's other directions typically show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

PRECISE = 1.5  # a direction whose phi chance alone may raise by more than this says nothing about it
CLEAR = 2.5  # standard errors of log phi that are put down to chance
LEAST_PAIRS = 6
BOUNDED_FROM = 2.0  # clustering from which the evidence of a block is bounded
BLOCK_PART = 0.25  # of log c that one block can add at most
LONGEST_IN_CYCLE_MS = 900_000  # next blocks of a signal with a daily cycle are alike if they are this short, or whole days
DAY_MS = 86_400_000


@dataclass(frozen=True, eq=False)
class Clustering:
    """Of one signal, per direction."""

    phi: Float64  # [K] at least 1
    block_ms: NDArray[np.int64]  # [K] the shortest blocks that show three quarters of it; 0 where phi is 1
    typical: float  # phi of the median of those directions that can show it

    @property
    def bounded_block_ms(self) -> int:
        """Length of the blocks whose evidence is bounded, the median of the directions for which it has to be; 0 when for none."""
        lengths = np.sort(self.block_ms[self.phi >= BOUNDED_FROM])
        return int(lengths[len(lengths) // 2]) if len(lengths) else 0


def independent(directions: int) -> Clustering:
    """Nothing known or nothing found: rows count as independent."""
    return Clustering(np.ones(directions), np.zeros(directions, np.int64), 1.0)


def measured(
    products: list[Float64], totals: Float64, lengths_ms: tuple[int, ...], ratios: Float64, variance: Float64, tails: Float64, cycle: bool
) -> Clustering:
    """Clustering from the pairs of blocks of one signal.

    ``products`` per length [cells, cells] and ``totals`` [lengths, 2] as in ``BlockMoments``; ``ratios`` [K, cells] w, ``variance`` [K]
    of it within a segment, ``tails`` [K] its fourth moment over the squared variance; ``cycle``: whether the signal may have a daily one.
    """
    found, precise = [], np.zeros(len(ratios), np.bool_)
    for sums, (pairs, worth), length_ms in zip(products, totals.tolist(), lengths_ms, strict=True):
        misleading = cycle and length_ms > LONGEST_IN_CYCLE_MS and length_ms % DAY_MS != 0
        if pairs < LEAST_PAIRS or worth <= 0 or misleading:
            found.append(np.ones(len(ratios)))
            continue
        value = np.maximum(np.einsum("ki,ij,kj->k", ratios, sums, ratios) / (worth * variance), 1.0)
        chance = CLEAR * np.sqrt(2.0 / pairs + tails / (worth / 64.0))
        found.append(np.where(np.log(value) > chance, value, 1.0))
        precise |= chance < np.log(PRECISE)
    own = np.max(found, axis=0)
    typical = float(np.median(own[precise])) if precise.any() else 1.0
    phi = np.where(precise, own, np.maximum(own, typical))
    block_ms = np.zeros(len(ratios), np.int64)
    for value, length_ms in reversed(list(zip(found, lengths_ms, strict=True))):
        block_ms[(value >= 0.75 * own) & (own > 1.0)] = length_ms
    block_ms = np.where((phi > own) & (phi > 1.0), block_ms.max(initial=0), block_ms)
    return Clustering(phi, block_ms, typical)


def joined(first: Clustering, second: Clustering) -> Clustering:
    """The larger clustering of two, direction by direction."""
    larger = first.phi >= second.phi
    block_ms = np.asarray(np.where(larger, first.block_ms, second.block_ms), np.int64)
    return Clustering(np.where(larger, first.phi, second.phi), block_ms, max(first.typical, second.typical))


_MULTIPLES = np.array([1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0])
_LONGEST = 12.0  # sessions up to so many times phi
_RANGES = 48  # of sizes beyond 64


def of_long_sessions(found: Clustering, ratios: Float64, shares: Float64, most: float) -> Clustering:
    """Clustering that holds for strong bets too, of which a few long sessions carry the mean of exp(w).

    A session of S alike rows adds S (w - psi) / phi. Where S <= phi its exponential has mean at most 1 by Lyapunov's inequality; longer
    ones need more. phi is raised until the mean is at most 1 over sizes with an exponential tail and the measured second moment,
    a session's evidence being bounded by ``most``. ``ratios`` [K, cells] w, ``shares`` [cells] of the null.
    """
    clustered = np.flatnonzero(found.phi >= BOUNDED_FROM)
    if not len(clustered):
        return found
    w = ratios[clustered] - np.log(np.exp(ratios[clustered]) @ shares)[:, None]
    phi = found.phi[clustered].copy()
    raised = np.zeros(len(phi), np.bool_)
    for multiple in _MULTIPLES:
        open_ = np.flatnonzero(~raised)
        if not len(open_):
            break
        phi[open_] = multiple * found.phi[clustered[open_]]
        raised[open_] = _mean_growth(w[open_], shares, found.phi[clustered[open_]], phi[open_], most) <= 1.0
    grown = found.phi.copy()
    grown[clustered] = phi
    return Clustering(grown, found.block_ms, found.typical)


def _mean_growth(w: Float64, shares: Float64, spread: Float64, phi: Float64, most: float) -> Float64:
    """[K] mean over sizes and cells of exp(min(S w / phi, most)); sizes are geometric with E[S^2] / E[S] = ``spread`` [K]."""
    # Every size up to 64, then ranges of sizes at their upper end, so that the sum is never too small.
    longest = max(_LONGEST * float(spread.max()), 66.0)
    first = np.unique(np.rint(np.concatenate([np.arange(1.0, 65.0), np.geomspace(65.0, longest, _RANGES)])))
    size = np.append(first[1:] - 1.0, longest)
    mean = (spread[:, None] + 1.0) / 2.0
    longer = (1.0 - 1.0 / mean) ** (first - 1.0)  # [K, sizes] chance of a size of at least this
    chance = longer - np.concatenate([longer[:, 1:], np.zeros((len(longer), 1))], axis=1)
    growth = np.exp(np.minimum(size[None, :, None] * (w / phi[:, None])[:, None, :], most))
    return np.asarray(np.einsum("ks,ksb,b->k", chance, growth, shares))
