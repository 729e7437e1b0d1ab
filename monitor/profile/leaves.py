"""Leaves of a base grouping as numbers: rows keep a number each, and texts are looked at once.

A leaf is a value for each column of the grouping. Numbers are given as leaves appear and mean nothing outside the process: what is
saved or compared goes by the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.profile.grouping import Base

Values = tuple[str, ...]
Numbers = NDArray[np.int32]

_TABLE = 1 << 20
"""Combinations of values beyond which they are looked up one by one."""


_KNOWN = 1 << 17
"""Leaves whose numbers are remembered, of each base grouping: values are untrusted, and might never come again."""


@dataclass(eq=False)
class Leaves:
    """The leaves of one base grouping that were met, and the segments that each belongs to."""

    base: Base
    values: list[Values] = field(default_factory=list)  # by number

    def __post_init__(self) -> None:
        self._number: dict[Values, int] = {values: number for number, values in enumerate(self.values)}
        self._codes: list[dict[str, int]] = [{} for _ in self.base.columns]  # per column the values met, numbered
        self._sizes = [1] * len(self.base.columns)
        self._table: Numbers | None = np.full(1, -1, np.int32)  # number of each combination of codes; None: too many of them
        self._segments = [_Segments() for _ in self.base.groupings]

    def __len__(self) -> int:
        return len(self.values)

    def clear(self) -> None:
        """Forget all leaves: numbers given before mean nothing any more."""
        self.values = []
        self.__post_init__()

    def number(self, values: Values) -> int:
        """Number of a leaf."""
        number = self._number.setdefault(values, len(self.values))
        if number == len(self.values):
            self.values.append(values)
        return number

    def numbers(self, segments: NDArray[np.int32], names: Sequence[Sequence[str]]) -> Numbers:
        """[rows] number of each row's leaf. ``segments`` [rows, columns of the batch] indexes ``names`` [columns][codes]."""
        places = self.base.places
        if not places:
            return np.full(len(segments), self.number(()), np.int32)
        codes = [self._column(column, names[place])[segments[:, place]] for column, place in enumerate(places)]
        table = self._fitting()
        if table is None:
            return self._one_by_one(codes)
        flat = codes[0]
        for column in range(1, len(codes)):
            flat = flat * self._sizes[column] + codes[column]
        found = table[flat]
        if found.min(initial=0) < 0:
            first_of = np.unique(flat[found < 0], return_index=True)[1]
            rows = np.flatnonzero(found < 0)[first_of]
            table[flat[rows]] = [self.number(values) for values in self._values_at(codes, rows)]
            found = table[flat]
        return found

    def segments(self, grouping: int) -> tuple[NDArray[np.intp], list[str]]:
        """[leaves] number of each leaf's segment in one of the base's groupings, and the keys of these segments."""
        return self._segments[grouping].of(self.values, self.base, grouping)

    def _column(self, column: int, names: Sequence[str]) -> NDArray[np.intp]:
        """[names] this grouping's own codes of a column's values."""
        codes = self._codes[column]
        return np.array([codes.setdefault(name, len(codes)) for name in names], np.intp)

    def _fitting(self) -> Numbers | None:
        """The table, with room for every code."""
        if self._table is None or all(len(codes) <= size for codes, size in zip(self._codes, self._sizes, strict=True)):
            return self._table
        self._sizes = [max(size, 1 << (len(codes) - 1).bit_length()) for codes, size in zip(self._codes, self._sizes, strict=True)]
        if np.prod(self._sizes, dtype=float) > _TABLE:
            self._table = None
            return None
        self._table = np.full(self._sizes, -1, np.int32)
        if self.values:
            of_leaf = [[codes.get(values[column], -1) for values in self.values] for column, codes in enumerate(self._codes)]
            places = np.array(of_leaf, np.intp)
            met = (places >= 0).all(axis=0)  # a leaf that was not read from rows has values without a code
            self._table[tuple(places[:, met])] = np.flatnonzero(met)
        self._table = self._table.reshape(-1)
        return self._table

    def _values_at(self, codes: Sequence[NDArray[np.intp]], rows: NDArray[np.intp]) -> list[Values]:
        columns = []
        for known, code in zip(self._codes, codes, strict=True):
            texts = list(known)
            columns.append([texts[each] for each in code[rows].tolist()])
        return list(zip(*columns, strict=True))

    def _one_by_one(self, codes: Sequence[NDArray[np.intp]]) -> Numbers:
        distinct, first, group = np.unique(np.stack(codes), axis=1, return_index=True, return_inverse=True)
        assert distinct.shape[1] == len(first)
        return np.array([self.number(values) for values in self._values_at(codes, first)], np.int32)[group.reshape(-1)]


def too_many(known: Sequence[Leaves]) -> bool:
    """Whether it is time to ``clear`` them; what was given by number before has to be counted by values first."""
    return any(len(leaves) > _KNOWN for leaves in known)


@dataclass(eq=False)
class _Segments:
    """The segments of a grouping that leaves belong to, numbered as they appear."""

    keys: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    of_leaf: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))

    def of(self, leaves: Sequence[Values], base: Base, grouping: int) -> tuple[NDArray[np.intp], list[str]]:
        new = leaves[len(self.of_leaf) :]
        if new:
            found = [base.groupings[grouping].key(values) for values in new]
            places = [self.numbers.setdefault(key, len(self.numbers)) for key in found]
            self.keys = list(self.numbers)
            self.of_leaf = np.concatenate([self.of_leaf, np.array(places, np.intp)])
        return self.of_leaf, self.keys
