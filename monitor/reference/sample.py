"""What one reading of the data keeps in bounded memory: a uniform sample, frequent values, few distinct numbers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

SAMPLE_ROWS = 1 << 17
"""A quantile of 0.001 rests on 131 rows of the sample, one of 0.00025 on 33; in 999 of 1,000 draws their shares are off by less than
0.0003 and 0.0002."""

MAX_DISTINCT = 40
"""Up to this many different numbers each gets a cell of its own."""


@dataclass(eq=False)
class Reservoir:
    """A uniform sample without replacement: every row draws a number, and the ``size`` smallest numbers stay.

    The numbers are one seeded stream, one a row, so the sample does not depend on how the rows come in batches.
    Holds at most ``size`` rows and the rows of one batch.
    """

    columns: int
    size: int = SAMPLE_ROWS
    seed: int = 0
    seen: int = 0
    values: NDArray[np.float64] = field(init=False)  # [rows, columns]
    draws: NDArray[np.float64] = field(init=False)  # [rows]

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.values = np.empty((0, self.columns))
        self.draws = np.empty(0)

    def add(self, values: NDArray[np.float64]) -> None:
        """Offer rows [rows, columns]."""
        draws = self.random.random(len(values))
        self.seen += len(values)
        if len(self.draws) == self.size:
            # Once full, almost every row draws too high a number: they are left out before anything is copied.
            low = draws < self.draws.max(initial=0.0)
            values, draws = values[low], draws[low]
            if not len(draws):
                return
        self.values = np.concatenate([self.values, values])
        self.draws = np.concatenate([self.draws, draws])
        if len(self.draws) > self.size:
            kept = np.argpartition(self.draws, self.size - 1)[: self.size]
            self.values, self.draws = self.values[kept], self.draws[kept]


Key = TypeVar("Key", bound=Hashable)


@dataclass(eq=False)
class FrequentValues(Generic[Key]):
    """Counts of the most frequent of any number of values, in memory for twice ``capacity``.

    Exact while there are at most ``capacity`` values. Beyond, counts are too small by at most ``error``, which is below
    rows / capacity, and no value with more rows than that is missed. (Misra and Gries 1982; merged and cut as in
    Agarwal et al., Mergeable Summaries, PODS 2012.)
    """

    capacity: int
    counts: dict[Key, int] = field(default_factory=dict)
    error: int = 0

    def add(self, values: Iterable[tuple[Key, int]]) -> None:
        """Add values with their numbers of rows."""
        counts = self.counts
        for value, rows in values:
            counts[value] = counts.get(value, 0) + rows
            if len(counts) > 2 * self.capacity:
                counts = self.counts = self._cut(counts)

    def _cut(self, counts: dict[Key, int]) -> dict[Key, int]:
        # Taking the (capacity + 1)-th largest count from all leaves at most ``capacity`` values.
        taken = sorted(counts.values(), reverse=True)[self.capacity]
        self.error += taken
        return {value: rows - taken for value, rows in counts.items() if rows > taken}

    def most(self, limit: int) -> list[Key]:
        """The ``limit`` most frequent values, ties by their text."""
        return sorted(self.counts, key=lambda value: (-self.counts[value], str(value)))[:limit]


@dataclass(eq=False)
class Numbers:
    """Exact extent and, while they are few, exact distinct values of one numeric signal."""

    range: tuple[float, float] | None = None
    low: float = np.inf  # extent of all values
    high: float = -np.inf
    low_inside: float = np.inf  # extent of the values within the declared range
    high_inside: float = -np.inf
    distinct: NDArray[np.float64] | None = field(default_factory=lambda: np.empty(0))  # within the range; None: too many

    def add(self, values: NDArray[np.float64]) -> None:
        """Add finite values."""
        if not len(values):
            return
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        inside = values
        if self.range is not None:
            inside = values[(values >= self.range[0]) & (values <= self.range[1])]
            if not len(inside):
                return
        self.low_inside = min(self.low_inside, float(inside.min()))
        self.high_inside = max(self.high_inside, float(inside.max()))
        if self.distinct is not None:
            merged = np.union1d(self.distinct, inside)
            self.distinct = merged if len(merged) <= MAX_DISTINCT else None
