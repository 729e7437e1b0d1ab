"""Names that rows of the join refer to by number, in the order in which they were first met."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from monitor.join.record import version_order

MAX_NAMES = 60_000
"""Numbers of names fit 16 bits."""


class Names(Sequence[str]):
    """A growing list of distinct names. Looking one up costs the same however many there are.

    >>> names = Names(["v9"])
    >>> names.number_of("v10"), names.number_of("v9"), list(names), names.ranks.tolist()
    (1, 0, ['v9', 'v10'], [0, 1])
    """

    def __init__(self, names: Iterable[str] = (), *, most: int = MAX_NAMES) -> None:
        self._names, self._most = list(names), most
        self._number: dict[str, int] = {}
        for number, name in enumerate(self._names):
            self._number.setdefault(name, number)
        self._ranks: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        return self._names[place]

    def number_of(self, name: str) -> int:
        """Number of a name, given to it when it is first met; past their bound new names share the last number."""
        number = self._number.get(name)
        if number is None:
            if len(self._names) >= self._most:
                return self._most - 1
            number = self._number[name] = len(self._names)
            self._names.append(name)
            self._ranks = None
        return number

    @property
    def ranks(self) -> NDArray[np.int64]:
        """[names] the order in which they supersede each other, of ``version_order``; sorted anew only once a name was added."""
        if self._ranks is None:
            self._ranks = version_order(self._names)
        return self._ranks
