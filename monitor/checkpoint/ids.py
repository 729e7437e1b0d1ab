"""Remembered ids on disk: runs written once, merged when they are many, dropped whole when they are old."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.duplicates import Age, SeenIds, UInt64, older

_MERGE_AT = 16  # so a day of commits every 10 s leaves about 500 runs
_MERGE_BYTES = 1 << 23  # what is kept in memory for merging: at a high rate a few commits' ids are a large run already
_ROW = np.dtype([("low", "<u8"), ("high", "<u8"), ("tick", "<i4")])


class SavedRuns(msgspec.Struct, frozen=True, rename={"names": "ids", "forgotten_below": "ids_forgotten_below"}):
    """What a commit says of the runs: their names, and of those whose oldest ids were forgotten since, the age below which they were."""

    names: list[str]
    forgotten_below: dict[str, Age] = {}


@dataclass(eq=False)
class IdRuns:
    """The runs of one model; a run is dropped once its newest tick is too old to matter."""

    prefix: str
    merged: dict[str, int] = field(default_factory=dict)  # name -> newest tick
    recent: dict[str, bytes] = field(default_factory=dict)  # small runs, kept in memory until they are merged
    unwritten: dict[str, bytes] = field(default_factory=dict)  # merged, but in no commit yet
    forgotten_below: dict[str, Age] = field(default_factory=dict)  # of runs whose oldest ids were forgotten for want of room
    number: int = 0

    def take(self, seen: SeenIds, alive_from: int) -> None:
        """Turn what was added since the last commit into a run, merge, and drop runs older than ``alive_from``."""
        ids, ticks, below = seen.take_fresh()
        if below is not None:
            self.forgotten_below = {name: max(below, self.forgotten_below.get(name, below)) for name in self.names()}
        if len(ids):
            self.recent[self._name()] = _packed(ids, ticks)
        if len(self.recent) >= _MERGE_AT or sum(map(len, self.recent.values())) >= _MERGE_BYTES:
            rows = np.concatenate([self._remembered(name, run) for name, run in self.recent.items()])
            self.recent = {}
            if len(rows):
                name = self._name()
                self.merged[name] = int(rows["tick"].max())
                self.unwritten[name] = rows.tobytes()
        # What is forgotten for want of room is as good as too old.
        remembered_from = {name: max(alive_from, tick) for name, (tick, _) in self.forgotten_below.items()}
        self.merged = {name: tick for name, tick in self.merged.items() if tick >= remembered_from.get(name, alive_from)}
        # While commits fail, memory holds no more than the horizon.
        self.unwritten = {name: run for name, run in self.unwritten.items() if name in self.merged}
        names = self.names()
        self.forgotten_below = {name: below for name, below in self.forgotten_below.items() if name in names}

    def new_blobs(self, written: Container[str]) -> dict[str, bytes]:
        """Runs that the store does not have yet."""
        return {name: run for name, run in {**self.recent, **self.unwritten}.items() if name not in written}

    def committed(self) -> None:
        """Everything new was committed."""
        self.unwritten = {}

    def names(self) -> set[str]:
        """Names of all runs."""
        return {*self.merged, *self.recent}

    def saved(self) -> SavedRuns:
        """All runs, for a commit."""
        return SavedRuns(sorted(self.names()), self.forgotten_below)

    def restore(self, saved: SavedRuns, blobs: Mapping[str, bytes], seen: SeenIds, alive_from: int) -> None:
        """Load the runs of a saved state, oldest first; of each what was neither forgotten nor is older than ``alive_from``."""
        self.forgotten_below = dict(saved.forgotten_below)
        for name in sorted(saved.names, key=_number):
            rows = self._remembered(name, blobs[name])
            rows = rows[rows["tick"] >= alive_from]
            seen.restore(np.column_stack([rows["low"], rows["high"]]), rows["tick"].copy())
            self.merged[name] = _newest_tick(blobs[name])
            self.number = max(self.number, _number(name))
        seen.take_fresh()

    def _remembered(self, name: str, run: bytes) -> NDArray[np.void]:
        """[ids] low and high word and tick of those of a run that were not forgotten since. Raises ``ValueError`` for no whole rows."""
        rows = np.frombuffer(run, _ROW)
        below = self.forgotten_below.get(name)
        return rows if below is None else rows[~older(below, rows["low"], rows["tick"])]

    def _name(self) -> str:
        self.number += 1
        return f"{self.prefix}{self.number}"


def _number(name: str) -> int:
    return int(name.rpartition("/")[2])


def _packed(ids: UInt64, ticks: NDArray[np.int32]) -> bytes:
    rows = np.empty(len(ids), _ROW)
    rows["low"], rows["high"], rows["tick"] = ids[:, 0], ids[:, 1], ticks
    return rows.tobytes()


def _newest_tick(run: bytes) -> int:
    return int(np.frombuffer(run, _ROW)["tick"].max())
