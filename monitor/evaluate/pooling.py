"""How much a segment's reference borrows from the pooled one, that of ALL, and what the result is worth.

The shares of a grouping's segments are taken to scatter around the pool's as Dirichlet(K pooled shares). After m own rows, a
segment's are Dirichlet again, with the mean

    (counts + K pooled share) / (m + K)

and as certain as m + K rows (Gelman et al., Bayesian Data Analysis, 3rd ed., section 3.4). Segments that are alike have a large K
and lend each other much; of those that differ, none is taken for another. K is read off the reference: the chi-square statistic X²
of a segment against the pool has the mean dof (m + K) / (1 + K) (Mosimann 1962, Biometrika 49, 65-82), so by moments over a grouping

    1 + K = sum of (m - 1) / sum of (X² / dof - 1)

with one standard error of the denominator, sqrt(2 segments / dof), added to it: what few segments do not show may be there all the same.

Segments mostly differ in where their numbers lie and how widely, which over many cells is lost in the noise of all the others. So of a
numeric signal the same is asked, with one degree of freedom, of location and spread by themselves, and the least K holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.segment import parse_key

Float64 = NDArray[np.float64]

_FLAT = 1e-6


@dataclass(frozen=True, eq=False)
class Groupings:
    """To which grouping, by number, each segment belongs: those of the reference, and the S that are compared with it."""

    reference: NDArray[np.intp]
    compared: NDArray[np.intp]  # [S]
    place: NDArray[np.intp]  # [S] among those of the reference; -1 for one that it does not have
    count: int

    @staticmethod
    def of(reference: Mapping[str, int], compared: Sequence[str]) -> Groupings:
        """By the columns of the segments' keys; ``reference`` has the places of its own, in their order."""
        numbers: dict[tuple[str, ...], int] = {}
        found = [[numbers.setdefault(parse_key(key)[0], len(numbers)) for key in keys] for keys in (reference, compared)]
        place = np.array([reference.get(key, -1) for key in compared], np.intp)
        return Groupings(np.array(found[0], np.intp), np.array(found[1], np.intp), place, len(numbers))

    def aligned(self, of_reference: NDArray[Any]) -> NDArray[Any]:
        """[..., S] what the reference's segments have, 0 for one that it does not have."""
        return np.where(self.place >= 0, of_reference[..., self.place], 0)

    def concentration(self, chi_square: Float64, freedom: float, rows: Float64) -> Float64:
        """K [S], infinite where segments do not differ by more than chance.

        ``chi_square`` of the reference's segments against the pool, of ``freedom`` degrees, and their ``rows``.
        """
        ratio = chi_square / max(freedom, 1.0)
        seen = np.flatnonzero(rows > 1)
        seen = seen[np.argsort(ratio[seen])]  # sums that do not depend on the order of segments
        of, ratio = self.reference[seen], ratio[seen]
        segments = np.bincount(of, minlength=self.count)
        excess = np.bincount(of, ratio - 1.0, self.count) + np.sqrt(2.0 * segments / max(freedom, 1.0))
        told = np.bincount(of, rows[seen] - 1.0, self.count)
        by_grouping = np.where(excess > 0, told / np.where(excess > 0, excess, 1.0) - 1.0, np.inf)
        return np.where(segments > 0, np.maximum(by_grouping, 0.0), np.inf)[self.compared]


def along(counts: Float64, scores: Float64) -> Float64:
    """X² [S] with one degree of freedom: how far the mean score of counts [B, S] is from the pool's, which is 0 with variance 1."""
    total = counts.sum(axis=0)
    # Not a product of matrices, which rounds by where a segment stands.
    return np.asarray((counts * scores[:, None]).sum(axis=0) ** 2 / np.maximum(total, 1.0))


def location_and_spread(share: Float64) -> tuple[Float64, ...]:
    """Scores [B] of ordered cells with the pool's ``share`` [B]: rank, and its square free of rank; each of mean 0 and variance 1.

    The first two components of Neyman's smooth test over ranks. Fewer where so few cells have a share that there is none.
    """
    rank = np.cumsum(share) - share / 2
    found: list[Float64] = []
    for power in (1, 2):
        scores = (rank - 0.5) ** power
        for before in (np.ones(len(share)), *found):
            scores = scores - (share @ (scores * before)) * before
        deviation = float(np.sqrt(share @ scores**2))
        if deviation > _FLAT:
            found.append(scores / deviation)
    return tuple(found)


def borrowed(most: Float64, own: Float64, concentration: Float64, chi_square: Float64, freedom: float) -> Float64:
    """k [S]: rows borrowed, K but at most ``most`` [S], and less by a segment of ``own`` [S] rows that clearly differs by itself."""
    with np.errstate(divide="ignore", invalid="ignore"):
        k = most * np.fmin(1.0, freedom / chi_square)  # fmin: 0 / 0 borrows in full
    k = np.where(own > 0, k, np.maximum(most, 1.0))
    return np.minimum(k, np.where(most > 0, concentration, np.inf))


def worth(own: Float64, k: Float64, pool: Float64) -> Float64:
    """Size of the sample that (counts + k pooled share) / (own + k) is as good as: own + k rows, and the pool's own error."""
    total = own + k
    variance = 1.0 / np.maximum(total, 1e-30) + (k / np.maximum(total, 1e-30)) ** 2 / np.maximum(pool, 1.0)
    return np.where((pool > 0) & (total > 0), 1.0 / variance, 0.0)


def chi_square_of(counts: Float64, share: Float64) -> Float64:
    """X² [S] of counts [B, S] against shares [B, 1]; infinite where there is what has no share."""
    expected = counts.sum(axis=0) * share
    away = (counts - expected) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(away > 0, away / expected, 0.0).sum(axis=0))
