"""Values to codes by dictionaries that fill themselves.

``True == 1`` as a key, but they are different texts: so neither they nor 0 and False are ever kept as keys, nor numbers so large
that a float and the integer that equals it are written in two ways.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import countOf

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Fault
from monitor.decode.scalar import WHOLE_FLOAT, Scalar, category, text_of
from monitor.segment import named_value

MAX_ENTRIES = 65_536

Coded = tuple[tuple[str, ...], NDArray[np.int32]]
"""Distinct texts, and [n] indices into them."""

_AMBIGUOUS = (0, 1)


def _has_one_text(value: Scalar) -> bool:
    """Whether no value that is another text equals it."""
    return not isinstance(value, int | float) or (value not in _AMBIGUOUS and abs(value) <= WHOLE_FLOAT)


class CategoryCodes(dict[Scalar, float]):
    """Codes of one signal's categories, for a column of any values."""

    def __init__(self, codes: Mapping[str, float]) -> None:
        super().__init__()
        self.update(codes)
        self._codes = codes
        self[None] = math.nan

    def __missing__(self, value: Scalar) -> float:
        return category(value, self._codes)[0]

    def column(self, values: Sequence[Scalar]) -> tuple[NDArray[np.float64], list[tuple[int, Fault]]]:
        """[n] codes, and the rows that name no category though they hold something."""
        codes = np.fromiter(map(self.__getitem__, values), np.float64, len(values))
        faults = []
        for row in np.flatnonzero(np.isnan(codes)).tolist():
            fault = category(values[row], self._codes)[1]
            if fault is not None:
                faults.append((row, fault))
        return codes, faults


class ValueTable(dict[Scalar, int]):
    """Codes of the cleaned texts of untrusted values. Codes hold for one batch: between batches a full table is emptied.

    What stands for no value is ``absent``. ``verbatim``: texts are cut, but not cleaned, and an empty one is a value.
    """

    def __init__(self, absent: str, max_length: int, *, verbatim: bool = False) -> None:
        super().__init__()
        self._verbatim = verbatim
        self._absent = absent
        self._max_length = max_length
        self._names: list[str] = []
        self._codes: dict[str, int] = {}

    def __missing__(self, value: Scalar) -> int:
        text = text_of(value)
        name = self._name(text)
        code = self._codes.setdefault(name, len(self._names))
        if code == len(self._names):
            self._names.append(name)
        if _has_one_text(value) and (text is None or len(text) <= self._max_length):  # long ones would take memory without bound
            self[value] = code
        return code

    def _name(self, text: str | None) -> str:
        if text is None or (text == "" and not self._verbatim):
            return self._absent
        return named_value(text, self._max_length, verbatim=self._verbatim)

    def begin_batch(self) -> None:
        """Codes given before may end here."""
        if len(self) > MAX_ENTRIES or len(self._names) > MAX_ENTRIES:
            self.clear()
            self._names.clear()
            self._codes.clear()

    def codes(self, values: Sequence[Scalar]) -> NDArray[np.int32]:
        """[n] codes of a column."""
        first = values[0] if values else None
        if isinstance(first, str) and first == values[-1] == values[len(values) // 2] and countOf(values, first) == len(values):
            return np.full(len(values), self[first], np.int32)  # one value throughout, as versions mostly are
        return np.fromiter(map(self.__getitem__, values), np.int32, len(values))

    def only_used(self, codes: NDArray[np.int32]) -> Coded:
        """The texts that a batch's codes stand for, and the codes renumbered to index these."""
        used = np.zeros(len(self._names), np.bool_)
        used[codes] = True
        if used.all():
            return tuple(self._names), codes
        present = np.flatnonzero(used)
        renumbered = np.zeros(len(self._names), np.int32)
        renumbered[present] = np.arange(len(present), dtype=np.int32)
        return tuple(self._names[code] for code in present.tolist()), renumbered[codes]
