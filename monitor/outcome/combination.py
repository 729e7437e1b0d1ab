"""Combinations: the distinct tuples of segment values that rows have, numbered as they appear.

A row that waits for its label keeps one number, from which all its segments follow. Numbers are local to a state; what leaves it
goes by segment keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.profile.order import dense
from monitor.segment import ALL, OTHER, other_key, segment_key

_TABLE = 1 << 20


@dataclass(eq=False)
class Combinations:
    """At most ``limit`` combinations; number 0 stands for all beyond: ``__other__`` in every column."""

    columns: tuple[str, ...]
    limit: int
    values: list[tuple[str, ...]] = field(default_factory=list)
    numbers: dict[tuple[str, ...], int] = field(default_factory=dict)
    folded: int = 0  # rows that found no room
    _known: dict[tuple[str, ...], list[str]] = field(default_factory=dict)  # grouping -> segment key of each combination

    def __post_init__(self) -> None:
        if not self.values:
            self.values.append((OTHER,) * len(self.columns))
        self.numbers = {values: number for number, values in enumerate(self.values)}

    def __len__(self) -> int:
        return len(self.values)

    def restore(self, values: Sequence[tuple[str, ...]]) -> None:
        """Become what was saved: ``values`` in the order of their numbers."""
        self.values, self._known = list(values), {}
        self.__post_init__()

    def number(self, segments: NDArray[np.int32], names: Sequence[Sequence[str]]) -> NDArray[np.int32]:
        """[n] number of each row, whose values are ``names[column][segments[row, column]]``; new ones enter in row order."""
        codes, size = np.zeros(len(segments), np.intp), 1
        for column, known in enumerate(names):
            if size * len(known) > _TABLE:
                codes, distinct = dense(codes, size)
                size = len(distinct)
            codes, size = codes * len(known) + segments[:, column], size * len(known)
        group, distinct = dense(codes, size)
        first = np.empty(len(distinct), np.intp)
        first[group[::-1]] = np.arange(len(group))[::-1]  # the last write is the first row
        found = np.zeros(len(distinct), np.int32)
        for place in np.argsort(first).tolist():
            row = first[place]
            values = tuple(known[segments[row, column]] for column, known in enumerate(names))
            number = self.numbers.get(values)
            if number is None and len(self.values) < self.limit:
                number = self.numbers[values] = len(self.values)
                self.values.append(values)
            found[place] = 0 if number is None else number
        if (found == 0).any():
            unknown = found == 0
            unknown &= np.array([self.values[0] != tuple(k[segments[r, c]] for c, k in enumerate(names)) for r in first.tolist()])
            self.folded += int(np.bincount(group, minlength=len(distinct))[unknown].sum())
        return found[group]

    def segments(
        self, groupings: Sequence[tuple[str, ...]], rows: NDArray[np.int64], placed: Collection[str], limit: int
    ) -> tuple[tuple[str, ...], NDArray[np.intp]]:
        """Keys of the segments that have rows, sorted, and [groupings, combinations] the place of each combination's segment among them.

        ``rows`` [combinations]. At most ``limit`` segments: those ``placed`` first, then in order of (rows, key); the rest becomes
        ``__other__`` of its grouping, beside ALL not counted. The place of a combination without rows means nothing.
        """
        keys = [self.keys(grouping) for grouping in groupings]
        sizes: Counter[str] = Counter()
        used = np.flatnonzero(rows)
        for of_grouping in keys:
            for number, count in zip(used.tolist(), rows[used].tolist(), strict=True):
                sizes[of_grouping[number]] += count
        others = {grouping: other_key(grouping) if grouping else ALL for grouping in groupings}
        ranked = sorted(sizes.keys() - {ALL, *others.values()}, key=lambda key: (key not in placed, -sizes[key], key))
        shown = {ALL, *ranked[:limit]}
        named = [[key if key in shown else others[g] for key in of_grouping] for g, of_grouping in zip(groupings, keys, strict=True)]
        segments = tuple(sorted({row[number] for row in named for number in used.tolist()} | {ALL}))
        place_of = {key: place for place, key in enumerate(segments)}
        return segments, np.array([[place_of.get(key, 0) for key in row] for row in named], np.intp)

    def keys(self, grouping: tuple[str, ...]) -> Sequence[str]:
        """Key of each combination's segment, by its number; those of new combinations are added to what is known."""
        known = self._known.setdefault(grouping, [])
        places = [self.columns.index(column) for column in grouping]
        known += [segment_key(grouping, tuple(values[place] for place in places)) for values in self.values[len(known) :]]
        return known
