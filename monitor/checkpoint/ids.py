"""Remembered ids on disk: runs written once, merged when they are many, dropped whole when they are old."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.duplicates import SeenIds, UInt64

_MERGE_AT = 16  # so a day of commits every 10 s leaves about 500 runs
_MERGE_BYTES = 1 << 23  # what is kept in memory for merging: at a high rate a few commits' ids are a large run already
_ROW = np.dtype([("low", "<u8"), ("high", "<u8"), ("tick", "<i4")])


@dataclass(eq=False)
class IdRuns:
    """The runs of one model; a run is dropped once its newest tick is too old to matter."""

    prefix: str
    merged: dict[str, int] = field(default_factory=dict)  # name -> newest tick
    recent: dict[str, bytes] = field(default_factory=dict)  # small runs, kept in memory until they are merged
    unwritten: dict[str, bytes] = field(default_factory=dict)  # merged, but in no commit yet
    number: int = 0

    def take(self, seen: SeenIds, alive_from: int) -> None:
        """Turn what was added since the last commit into a run, merge, and drop runs older than ``alive_from``."""
        run = pack_ids(*seen.take_fresh())
        if run:
            self.recent[self._name()] = run
        if len(self.recent) >= _MERGE_AT or sum(map(len, self.recent.values())) >= _MERGE_BYTES:
            run = b"".join(self.recent.values())
            self.recent = {}
            name = self._name()
            self.merged[name] = newest_tick(run)
            self.unwritten[name] = run
        self.merged = {name: tick for name, tick in self.merged.items() if tick >= alive_from}
        # While commits fail, memory holds no more than the horizon.
        self.unwritten = {name: run for name, run in self.unwritten.items() if name in self.merged}

    def new_blobs(self, written: Container[str]) -> dict[str, bytes]:
        """Runs that the store does not have yet."""
        return {name: run for name, run in {**self.recent, **self.unwritten}.items() if name not in written}

    def committed(self) -> None:
        """Everything new was committed."""
        self.unwritten = {}

    def names(self) -> set[str]:
        """Names of all runs."""
        return {*self.merged, *self.recent}

    def restore(self, names: Sequence[str], blobs: Mapping[str, bytes], seen: SeenIds) -> None:
        """Load the runs of a saved state, oldest first."""
        for name in sorted(names, key=_number):
            ids, ticks = unpack_ids(blobs[name])
            seen.restore(ids, ticks)
            self.merged[name] = newest_tick(blobs[name])
            self.number = max(self.number, _number(name))
        seen.take_fresh()

    def _name(self) -> str:
        self.number += 1
        return f"{self.prefix}{self.number}"


def _number(name: str) -> int:
    return int(name.rpartition("/")[2])


def pack_ids(ids: UInt64, ticks: NDArray[np.int32]) -> bytes:
    """Ids [n, 2] and ticks [n] as 20 bytes each."""
    rows = np.empty(len(ids), _ROW)
    rows["low"], rows["high"], rows["tick"] = ids[:, 0], ids[:, 1], ticks
    return rows.tobytes()


def unpack_ids(run: bytes) -> tuple[UInt64, NDArray[np.int32]]:
    """The inverse of ``pack_ids``. Raises ``ValueError`` for a length that fits no whole row."""
    rows = np.frombuffer(run, _ROW)
    return np.column_stack([rows["low"], rows["high"]]), rows["tick"].copy()


def newest_tick(run: bytes) -> int:
    """The newest tick of a run."""
    return int(np.frombuffer(run, _ROW)["tick"].max())
