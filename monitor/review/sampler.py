"""Samples of all segments and versions, by pane of event time: taken in by the batch, given out when the pane closes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import xxhash
from numpy.typing import NDArray

from monitor.review.sample import Candidate, Sample, joined, shared

MAX_SEGMENTS = 1_000
"""Most segments of a pane and version that are drawn from one by one; further ones share ``__other__``."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A candidate that was drawn when its pane closed."""

    pane_end_ms: int
    version: str
    segment: str
    candidate: Candidate
    probability: float


@dataclass(eq=False)
class Strata:
    """The samples of one pane and version, by segment and reason."""

    size: int
    other: str
    max_segments: int
    samples: dict[tuple[str, int], Sample] = field(default_factory=dict)
    segments: set[str] = field(default_factory=set)  # that have a place; ``other`` needs none
    last: str = ""  # of these the one of the greatest hash

    def sample(self, segment: str, reason: int) -> Sample:
        """The sample that takes a segment's candidates, made when it is first met."""
        found = self.samples.get((segment, reason))
        if found is None:
            found = self.samples.setdefault((self._admitted(segment), reason), Sample(self.size))
        return found

    def _admitted(self, segment: str) -> str:
        """The segment, or ``other``. Those of the least hash have a place: which do depends on the set of segments alone."""
        if segment == self.other or segment in self.segments:
            return segment
        if len(self.segments) >= self.max_segments:
            if _segment_rank(segment) > _segment_rank(self.last):
                return self.other
            self._fold(self.last)
        self.segments.add(segment)
        self.last = max(self.segments, key=_segment_rank) if not self.last else max(self.last, segment, key=_segment_rank)
        return segment

    def _fold(self, segment: str) -> None:
        for key in [key for key in self.samples if key[0] == segment]:
            self.samples.setdefault((self.other, key[1]), Sample(self.size)).merge(self.samples.pop(key))
        self.segments.remove(segment)
        self.last = max(self.segments, key=_segment_rank, default="")


@dataclass(eq=False)
class Sampler:
    """``size`` places for each pane, version and segment, shared by the reasons. What is drawn depends on the set of candidates alone."""

    pane_ms: int
    size: int
    other: str  # key of the segment for those that find no room
    max_segments: int = MAX_SEGMENTS
    panes: dict[tuple[int, str], Strata] = field(default_factory=dict)  # pane number and version

    def offer(
        self,
        version: str,
        reason: int,
        time_ms: NDArray[np.int64],
        segment: NDArray[np.intp],
        segments: Sequence[str],
        rank: NDArray[np.uint64],
        candidate: Callable[[int], Candidate],
    ) -> None:
        """Take in n candidates of one version that have a reason; ``candidate(i)`` is asked only for those that may be kept."""
        if not self.size or not len(time_ms):
            return
        pane = time_ms // self.pane_ms
        lowest = int(pane.min())
        codes = (pane - lowest) * len(segments) + segment
        groups, group, counts = np.unique(codes, return_inverse=True, return_counts=True)
        for code, of_group in self._few(group, rank, self._limits(version, reason, groups, lowest, segments, counts)):
            sample = self._sample(version, reason, *self._place(groups[code], lowest, segments))
            for row in of_group:
                sample.keep(candidate(row))

    @staticmethod
    def _place(code: int, lowest: int, segments: Sequence[str]) -> tuple[int, str]:
        pane, segment = divmod(int(code), len(segments))
        return pane + lowest, segments[segment]

    def _limits(
        self, version: str, reason: int, groups: NDArray[np.int64], lowest: int, segments: Sequence[str], counts: NDArray[np.intp]
    ) -> NDArray[np.uint64]:
        limits = []
        for code, count in zip(groups.tolist(), counts.tolist(), strict=True):
            sample = self._sample(version, reason, *self._place(code, lowest, segments))
            sample.candidates += count
            limits.append(sample.limit)
        return np.array(limits, np.uint64)

    def _few(self, group: NDArray[np.intp], rank: NDArray[np.uint64], limits: NDArray[np.uint64]) -> Iterator[tuple[int, list[int]]]:
        """The rows of each group that may be kept: not above what is kept already, and the least ones of the batch."""
        rows = np.flatnonzero(rank <= limits[group])
        rows = rows[np.lexsort((rank[rows], group[rows]))]
        if not len(rows):
            return
        begins = np.ones(len(rows), np.bool_)
        begins[1:] = group[rows[1:]] != group[rows[:-1]]
        fresh = begins.copy()
        fresh[1:] |= rank[rows[1:]] != rank[rows[:-1]]  # an id that is there twice takes one place
        number = np.cumsum(fresh)
        starts = np.flatnonzero(begins)
        number = number - np.repeat(number[starts], np.diff(np.append(starts, len(rows))))
        rows = rows[number < self.size]
        edges = np.flatnonzero(np.diff(group[rows], prepend=-1))
        for part in np.split(rows, edges[1:]):
            yield int(group[part[0]]), part.tolist()

    def _sample(self, version: str, reason: int, pane: int, segment: str) -> Sample:
        strata = self.panes.get((pane, version))
        if strata is None:
            strata = self.panes[pane, version] = Strata(self.size, self.other, self.max_segments)
        return strata.sample(segment, reason)

    def close(self, end_ms: int) -> Iterator[Drawn]:
        """Draw from the panes that end at ``end_ms`` or before, in order, and forget them."""
        for pane, version in sorted(key for key in self.panes if (key[0] + 1) * self.pane_ms <= end_ms):
            by_segment: dict[str, dict[int, Sample]] = {}
            for (segment, reason), sample in sorted(self.panes.pop((pane, version)).samples.items(), key=lambda each: each[0]):
                by_segment.setdefault(segment, {})[reason] = sample
            for segment, samples in by_segment.items():
                for candidate, probability in drawn_from(samples, self.size):
                    yield Drawn((pane + 1) * self.pane_ms, version, segment, candidate, probability)

    def restore(self, saved: Iterable[tuple[int, str, str, int, int, list[Candidate]]]) -> None:
        """Become what ``packed`` gave."""
        self.panes = {}
        for pane, version, segment, reason, candidates, kept in saved:
            sample = self._sample(version, reason, pane, segment)
            sample.merge(Sample(self.size, candidates, kept))

    def packed(self) -> list[tuple[int, str, str, int, int, list[Candidate]]]:
        """All samples: pane, version, segment, reason, candidates and those kept."""
        return [
            (pane, version, segment, reason, sample.candidates, sample.kept)
            for (pane, version), strata in self.panes.items()
            for (segment, reason), sample in strata.samples.items()
        ]


def drawn_from(samples: dict[int, Sample], size: int) -> list[tuple[Candidate, float]]:
    """Of each reason's sample its share of the places; the probability is that of the reason that most likely draws it."""
    places = shared(size, {reason: sample.candidates for reason, sample in samples.items()})
    chance = {reason: min(1.0, places[reason] / sample.candidates) for reason, sample in samples.items()}
    chosen: dict[str, Candidate] = {}
    for reason in sorted(samples):
        for candidate in samples[reason].kept[: places[reason]]:
            known = chosen.get(candidate.text)
            chosen[candidate.text] = candidate if known is None else joined(known, candidate)
    return [
        (candidate, max(chance[reason] for reason in samples if candidate.reasons >> reason & 1))
        for candidate in sorted(chosen.values(), key=lambda each: (each.rank, each.text))
    ]


@lru_cache(1 << 14)
def _segment_rank(segment: str) -> tuple[int, str]:
    return xxhash.xxh3_64_intdigest(segment.encode()), segment
