"""A batch while it is being filled, chunk by chunk, in arrays that are as long as the messages are many."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Fault, Float64, Int64
from monitor.decode.general import Faults
from monitor.decode.refusal import Refusal


@dataclass(eq=False)
class GrowingBatch:
    """Columns of the rows so far, and what became of the other messages. A message is known by its place."""

    capacity: int
    moments: int
    signals: int
    segment_columns: int
    rows: int = 0
    tombstones: int = 0
    refused: list[tuple[int, Refusal]] = field(default_factory=list)
    faults: list[tuple[int, int, Fault]] = field(default_factory=list)  # row, signal
    place_faults: dict[int, Faults] = field(default_factory=dict)  # by message; of refused ones too
    id_texts: list[str] = field(default_factory=list)  # [rows]

    def __post_init__(self) -> None:
        n = self.capacity
        self._places = np.empty(n, np.int64)
        self._times_ms = np.empty((n, self.moments), np.int64)
        self._ids = np.zeros((n, 2), np.uint64)
        self._values = np.empty((self.signals, n))  # signal by signal, as they are binned
        self._versions = np.zeros(n, np.int32)
        self._segments = np.empty((n, self.segment_columns), np.int32)

    @property
    def places(self) -> Int64:
        """[rows] the message of each row."""
        return self._places[: self.rows]

    @property
    def time_ms(self) -> Int64:
        """[rows] event times."""
        return self._times_ms[: self.rows, 0]

    @property
    def times_ms(self) -> Int64:
        """[rows, moments] event times, and further ones that the events carry."""
        return self._times_ms[: self.rows]

    @property
    def ids(self) -> NDArray[np.uint64]:
        """[rows, 2]; zeros where none were given."""
        return self._ids[: self.rows]

    @property
    def values(self) -> Float64:
        """[rows, signals]; the rows of a signal stand together in memory."""
        return self._values[:, : self.rows].T

    @property
    def versions(self) -> NDArray[np.int32]:
        """[rows] codes."""
        return self._versions[: self.rows]

    @property
    def segments(self) -> NDArray[np.int32]:
        """[rows, segment columns] codes."""
        return self._segments[: self.rows]

    def add(self, places: Int64, times_ms: Int64, ids: NDArray[np.uint64] | None) -> slice:
        """Add rows; returns where their other columns are to be written."""
        added = slice(self.rows, self.rows + len(places))
        self._places[added], self._times_ms[added] = places, times_ms
        if ids is not None:
            self._ids[added] = ids
        self.rows = added.stop
        return added

    def faults_of(self, signals: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
        """Rows, signals and kinds of all faults of the first signals, by row and signal."""
        found = list(self.faults)
        for place, faults in self.place_faults.items():
            row = int(np.searchsorted(self.places, place))
            if row < self.rows and self.places[row] == place:
                found += [(row, signal, fault) for signal, fault in faults]
        table = np.array(sorted(found), np.int64).reshape(-1, 3)
        table = table[table[:, 1] < signals]
        return table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), table[:, 2].astype(np.uint8)
