"""Which of many sorted runs may hold a hash, asked for a whole batch at a time without touching the runs.

Runs of about one size share tables of bytes: bit ``s`` of a byte says that the run in slot ``s`` has a row there. Each hash has
two places in a table of 2^b bytes: its top b bits and its lowest b bits. A run may hold the hash if its bit is set in
both. So one look into a table answers for eight runs. With 8 to 16 places a row and two of them filled by each row, a run
that does not hold a hash is named in about 1.4 to 5 of 100 cases (a Bloom filter with k = 2: (1 - exp(-2 rows / places))^2).

Memory is 8 to 16 bits a row while all slots are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

UInt64 = NDArray[np.uint64]
Run = TypeVar("Run")

_SLOTS = 8
_PLACES_A_ROW = 8
_SMALLEST = 9  # log2 of the smallest table


@dataclass(eq=False)
class _Table(Generic[Run]):
    bits: int
    places: NDArray[np.uint8]
    runs: list[Run | None] = field(default_factory=lambda: [None] * _SLOTS)


@dataclass(eq=False)
class Sieve(Generic[Run]):
    """Says for hashes which of the runs that were added may hold them; never leaves out one that does."""

    tables: dict[int, list[_Table[Run]]] = field(default_factory=dict)  # by log2 of their length

    @property
    def memory_bytes(self) -> int:
        """Memory of the tables."""
        return sum(table.places.nbytes for tables in self.tables.values() for table in tables)

    def add(self, run: Run, low: UInt64) -> None:
        """Add a run of rows whose hashes' first words are ``low`` [rows]."""
        bits = max(_SMALLEST, int(len(low) * _PLACES_A_ROW - 1).bit_length())
        tables = self.tables.setdefault(bits, [])
        # The fullest that has a slot: so those that runs leave one by one become empty, and go.
        table = min((table for table in tables if None in table.runs), key=lambda table: table.runs.count(None), default=None)
        if table is None:
            table = _Table(bits, np.zeros(1 << bits, np.uint8))
            tables.append(table)
        slot = table.runs.index(None)
        table.runs[slot] = run
        for places in _places(low, bits):
            table.places[places] |= np.uint8(1 << slot)

    def remove(self, run: Run) -> None:
        """Forget a run. Raises ``KeyError`` for one that was never added."""
        for bits, tables in self.tables.items():
            for table in tables:
                if run in table.runs:
                    slot = table.runs.index(run)
                    table.runs[slot] = None
                    table.places &= np.uint8(0xFF ^ 1 << slot)
                    if table.runs == [None] * _SLOTS:
                        tables.remove(table)
                        if not tables:
                            del self.tables[bits]
                    return
        raise KeyError(run)

    def candidates(self, low: UInt64, wanted: Callable[[Run], bool]) -> Iterator[tuple[Run, NDArray[np.intp]]]:
        """Each wanted run that may hold some of the hashes ``low`` [m], with their indexes, ascending."""
        for bits, tables in self.tables.items():
            first, second = _places(low, bits)
            for table in tables:
                asked = [(slot, run) for slot, run in enumerate(table.runs) if run is not None and wanted(run)]
                if not asked:
                    continue
                held = table.places.take(first)
                held &= table.places.take(second)
                for slot, run in asked:
                    hits = (held & np.uint8(1 << slot)).nonzero()[0]
                    if len(hits):
                        yield run, hits


def _places(low: UInt64, bits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return (low >> np.uint64(64 - bits)).view(np.int64), (low & np.uint64((1 << bits) - 1)).view(np.int64)
