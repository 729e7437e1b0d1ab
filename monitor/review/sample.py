"""Bottom-k samples: of a stream of candidates the k whose seeded hash is least, and how many there were.

Each subset of k candidates is as likely as any other, whatever the order they come in, and two samples merge to the one of both streams
(Cohen and Kaplan, Summarizing data using bottom-k sketches, 2007). So each has been drawn with probability min(1, k / candidates).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Candidate(NamedTuple):
    """A prediction that may be drawn."""

    rank: int  # seeded hash of its id: 64 bits
    text: str  # its id
    time_ms: int
    score: float  # NaN: none
    predicted: int  # class; -1: none
    label: float  # class index or number; NaN: none
    reasons: int  # set of ``Reason``


def ranks_of(ids: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """[n] rank of each id [n, 2]: another order for each seed (the finalizer of SplitMix64, Steele, Lea and Flood 2014)."""
    z = ids[:, 0] ^ np.uint64((seed * 0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03) & 0xFFFFFFFFFFFFFFFF)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)) ^ ids[:, 1])


@dataclass(eq=False)
class Sample:
    """At most ``size`` candidates of one stream. An id that comes again is kept once; every time it counts as a candidate."""

    size: int
    candidates: int = 0
    kept: list[Candidate] = field(default_factory=list)  # by rank

    @property
    def limit(self) -> int:
        """A candidate of a greater rank is not kept."""
        return self.kept[-1].rank if len(self.kept) >= self.size else (1 << 64) - 1

    def keep(self, candidate: Candidate) -> None:
        """Offer one that was counted already."""
        if candidate.rank > self.limit:
            return
        for place, other in enumerate(self.kept):
            if other.rank == candidate.rank and other.text == candidate.text:
                self.kept[place] = joined(other, candidate)
                return
        insort(self.kept, candidate, key=lambda each: (each.rank, each.text))
        del self.kept[self.size :]

    def merge(self, other: Sample) -> None:
        """Become the sample of both streams."""
        self.candidates += other.candidates
        for candidate in other.kept:
            self.keep(candidate)


def joined(one: Candidate, two: Candidate) -> Candidate:
    """Of an id that came twice, with other labels: all its reasons, and of its labels one that is wrong, if that is among them."""
    return min(one, two, key=_order)._replace(reasons=one.reasons | two.reasons)


def _order(candidate: Candidate) -> tuple[bool, int, str]:
    return candidate.label == candidate.predicted, candidate.time_ms, str(candidate[3:6])


def shared(size: int, candidates: Mapping[int, int]) -> dict[int, int]:
    """How many of ``size`` places each stream gets: as evenly as their numbers of candidates allow, earlier keys first.

    >>> shared(5, {0: 100, 1: 1, 2: 100})
    {0: 2, 1: 1, 2: 2}
    """
    places = dict.fromkeys(sorted(candidates), 0)
    left = size
    while left > 0 and (hungry := [key for key in places if places[key] < candidates[key]]):
        for key in hungry[:left]:
            places[key] += 1
        left -= len(hungry[:left])
    return places
