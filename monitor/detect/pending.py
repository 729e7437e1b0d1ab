"""Predictions that wait for their labels, found by the 128-bit hash of their id: sorted runs, merged when there are many."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

UInt64 = NDArray[np.uint64]
Int64 = NDArray[np.int64]

_RUNS = 8


@dataclass(eq=False)
class Pending:
    """Rows [n, columns] of whole numbers under their ids; the first column is a time, after which rows are dropped."""

    columns: int
    keys: list[NDArray[np.void]] = field(default_factory=list)  # runs of sorted ids, two words each
    rows: list[Int64] = field(default_factory=list)

    def put(self, ids: UInt64, rows: Int64) -> None:
        """Add rows whose ids [n, 2] are not held yet."""
        if not len(ids):
            return
        key = _key(ids)
        order = np.argsort(key, kind="stable")
        self.keys.append(key[order])
        self.rows.append(rows[order])
        if len(self.keys) > _RUNS:
            self._merge()

    def find(self, ids: UInt64) -> tuple[NDArray[np.bool_], Int64]:
        """[n] whether each id is held, and its row [n, columns]."""
        found, rows = np.zeros(len(ids), np.bool_), np.zeros((len(ids), self.columns), np.int64)
        wanted = _key(ids)
        for key, held in zip(self.keys, self.rows, strict=True):
            if not len(key):
                continue
            place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
            here = key[place] == wanted
            found |= here
            rows[here] = held[place[here]]
        return found, rows

    def drop_before(self, time: int) -> None:
        """Forget rows with an earlier time."""
        if any(len(rows) and rows[:, 0].min() < time for rows in self.rows):
            self._merge()
            kept = self.rows[0][:, 0] >= time
            self.keys, self.rows = [self.keys[0][kept]], [self.rows[0][kept]]

    def __len__(self) -> int:
        return sum(map(len, self.keys))

    def _merge(self) -> None:
        keys, rows = np.concatenate(self.keys), np.concatenate(self.rows)
        order = np.argsort(keys, kind="stable")
        self.keys, self.rows = [keys[order]], [rows[order]]


def _key(ids: UInt64) -> NDArray[np.void]:
    """Ids as sortable keys of 16 bytes."""
    words = np.empty(len(ids), np.dtype([("low", "<u8"), ("high", "<u8")]))
    words["low"], words["high"] = ids[:, 0], ids[:, 1]
    return words
