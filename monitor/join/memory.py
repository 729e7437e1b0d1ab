"""Rows that are in no file yet: sorted runs in memory over all buckets, and the blobs that keep them across a restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.join.run import Layout, Run, chosen, due, merged
from monitor.join.sieve import Sieve
from monitor.join.sizes import Sizes

_MERGE_AT = 8  # runs in memory
_BLOBS = 16  # blobs of fresh rows, then all rows are written as one


@dataclass(eq=False)
class Memory:
    """Rows in memory. A commit writes those that came since the last as a blob, and sometimes all of them as one."""

    layout: Layout
    bucket_ms: int
    prefix: str  # of the names of blobs
    sieve: Sieve[Run]
    sizes: Sizes
    runs: list[Run] = field(default_factory=list)
    rows: Counter[int] = field(default_factory=Counter)  # by bucket
    _fresh: list[Run] = field(default_factory=list)  # in no blob yet
    _blobs: set[str] = field(default_factory=set)  # that hold what is not fresh
    _unwritten: dict[str, bytes] = field(default_factory=dict)  # of those, in no commit yet
    _anew: bool = False  # the blobs hold rows that are gone: write all again
    _number: int = 0

    @property
    def memory_bytes(self) -> int:
        """Memory of the rows."""
        return sum(run.low.nbytes + run.records.nbytes for run in self.runs)

    def put(self, run: Run, buckets: Mapping[int, int]) -> None:
        """Add rows, so many in each bucket."""
        self._fresh.append(run)
        self._add(run)
        self.rows.update(buckets)

    def _add(self, run: Run) -> None:
        self.runs.append(run)
        self.sieve.add(run, run.low)
        small = due([len(run) for run in self.runs], _MERGE_AT, 1.0, self.sizes.largest)
        if small:
            self._replace([self.runs[i] for i in small], merged([self.runs[i] for i in small]))

    def _replace(self, old: list[Run], new: Run) -> None:
        gone = set(map(id, old))
        self.runs = [run for run in self.runs if id(run) not in gone]
        for run in old:
            self.sieve.remove(run)
        if len(new):
            self.runs.append(new)
            self.sieve.add(new, new.low)

    def split(self, buckets: Iterable[int]) -> Iterator[tuple[int, Run]]:
        """All rows of each of some buckets; they stay."""
        of_rows = [self._buckets(run) for run in self.runs]
        for bucket in buckets:
            yield bucket, merged([chosen(run, of == bucket) for run, of in zip(self.runs, of_rows, strict=True)])

    def drop(self, buckets: Container[int]) -> None:
        """Forget the rows of some buckets."""
        gone = [bucket for bucket in self.rows if bucket in buckets]
        if not gone:
            return
        for run in self.runs[:]:
            keep = ~np.isin(self._buckets(run), gone)
            if not keep.all():
                self._replace([run], chosen(run, keep))
        for bucket in gone:
            del self.rows[bucket]
        self._anew, self._fresh = True, []

    def _buckets(self, run: Run) -> NDArray[np.int64]:
        return run.records["time"] // self.bucket_ms

    def save(self) -> tuple[set[str], dict[str, bytes]]:
        """Names of the blobs that hold all rows, and those of them that are in no commit yet."""
        if self._anew or len(self._blobs) >= _BLOBS:
            self._blobs, self._unwritten, self._fresh, self._anew = set(), {}, self.runs, False
        if self._fresh:
            self._number += 1
            name = f"{self.prefix}/{self._number}"
            self._blobs.add(name)
            self._unwritten[name] = b"".join(self._pack(run) for run in self._fresh)
        self._fresh = []
        return set(self._blobs), dict(self._unwritten)

    def committed(self) -> None:
        """What ``save`` returned is in a commit."""
        self._unwritten = {}

    def restore(self, blobs: Mapping[str, bytes]) -> None:
        """Load the rows of a saved state. Raises ``ValueError`` for a blob that is not a whole number of rows."""
        for name, blob in blobs.items():
            run = self._unpack(name, blob)
            self._add(run)
            self.rows.update(count_by(self._buckets(run)))
            self._number = max(self._number, int(name.rpartition("/")[2]))
        self._blobs = set(blobs)

    def _dtype(self) -> np.dtype[np.void]:
        return np.dtype([("low", "<u8"), ("record", f"V{self.layout.in_memory.itemsize}")])

    def _pack(self, run: Run) -> bytes:
        rows = np.empty(len(run), self._dtype())
        rows["low"], rows["record"] = run.low, run.records.view(rows.dtype["record"])
        return rows.tobytes()

    def _unpack(self, name: str, blob: bytes) -> Run:
        dtype = self._dtype()
        if not blob or len(blob) % dtype.itemsize:
            raise ValueError(f"{name}: expected rows of {dtype.itemsize} bytes each, got {len(blob)} bytes")
        rows = np.frombuffer(blob, dtype)
        records = np.ascontiguousarray(rows["record"]).view(self.layout.in_memory)
        return merged([Run(rows["low"].astype(np.uint64), records)])


def count_by(values: NDArray[np.int64]) -> dict[int, int]:
    """How often each value occurs."""
    if len(values) and values.min() == values.max():
        return {int(values[0]): len(values)}
    distinct, counts = np.unique(values, return_counts=True)
    return dict(zip(distinct.tolist(), counts.tolist(), strict=True))
