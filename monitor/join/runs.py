"""Rows under 128-bit hashes, on disk, in time buckets: put by the batch, found by the batch, dropped by the bucket.

New rows are in memory. A commit writes those of a bucket that has gathered enough as a sorted file, and the rest as a blob of the
commit itself, so that many small buckets make no small files. Files are never changed: several are merged into a new one,
and stay until no epoch that is kept names them. So any epoch can be resumed, and expiry unlinks whole files.

What ``find`` returns depends on the rows that were put and not dropped, and on nothing else: not on how puts were cut, on what
is in memory, or on what was merged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.errors import StateError
from monitor.join.files import Files
from monitor.join.memory import Memory, count_by
from monitor.join.run import Int64, Layout, Records, Run, UInt64, in_order, take
from monitor.join.run_file import RunFile, dtype_text
from monitor.join.sieve import Sieve
from monitor.join.sizes import Sizes

_WIDEST = 1 << 32  # ms of a bucket: offsets are 32 bits
_BUCKETS = 64  # of a horizon
_OTHER_WIDTH = 8  # times wider or narrower than asked


class Found(NamedTuple):
    """Rows under hashes that were asked for, by (index of the hash, time, bytes of the row)."""

    which: NDArray[np.intp]  # [k] index into the hashes
    time_ms: Int64  # [k]
    rows: Records  # [k] of the payload's dtype


class Flushed(NamedTuple):
    """What a commit has to save."""

    values: dict[str, Any]
    blobs: dict[str, bytes]  # in no commit yet
    named: set[str]  # all blobs
    files: dict[str, tuple[int, int]]  # all files: length in bytes and crc32c


def bucket_width(horizon_ms: int) -> int:
    """Width of the buckets, in ms, for rows that are kept so long: a 64th of it, and whole seconds."""
    return min(_WIDEST, max(1, -(-horizon_ms // (_BUCKETS * 1000))) * 1000)


@dataclass(eq=False)
class Runs:
    """Rows of ``payload`` (a structured dtype without gaps), at most ``max_rows``: beyond it the oldest bucket is evicted whole."""

    payload: np.dtype[np.void]
    bucket_ms: int
    directory: Path
    prefix: str  # of blobs and, as far as a file's name can hold it, of files
    max_rows: int
    sizes: Sizes = field(default_factory=Sizes)
    evicted: int = 0  # rows, ever
    files: Files = field(init=False)
    _floor: int | None = None  # buckets before it were evicted: what comes for them later goes the same way
    _held: Counter[int] = field(init=False, default_factory=Counter)  # rows by bucket
    _layout: Layout = field(init=False)
    _sieve: Sieve[Run] = field(init=False)
    _memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.bucket_ms <= _WIDEST:
            raise ValueError(f"expected buckets of 1 to {_WIDEST} ms, got {self.bucket_ms}")
        self._layout, self._sieve = Layout(self.payload), Sieve()
        self._memory = Memory(self._layout, self.bucket_ms, self.prefix, self._sieve, self.sizes)
        self.files = Files(self._layout, self.bucket_ms, self.directory, self.prefix, self._sieve, self.sizes)

    # ---- rows

    def put(self, hashes: UInt64, time_ms: Int64, rows: Records) -> list[tuple[int, int]]:
        """Add rows: ``hashes`` [n, 2], ``time_ms`` [n], ``rows`` [n]. Returns what was evicted, as (bucket, rows).

        A row for a bucket that was evicted before, or for an older one, counts as evicted at once. So what is left does not depend
        on how the rows were cut into puts.
        """
        if rows.dtype != self.payload:
            raise ValueError(f"expected rows of {self.payload}, got {rows.dtype}")
        if not len(rows):
            return []
        added = count_by(time_ms // self.bucket_ms)
        self._memory.put(self._layout.run(hashes, time_ms, rows), added)
        self._held.update(added)
        evicted = self._evict()
        if self._memory.rows.total() > 2 * self.sizes.memory:
            with suppress(StateError):  # they stay in memory, and the next commit says why
                self._spill()
        return evicted

    def _evict(self) -> list[tuple[int, int]]:
        total, gone = self._held.total(), []
        for bucket in sorted(self._held):
            if total > self.max_rows or (self._floor is not None and bucket < self._floor):
                self._floor = bucket + 1 if self._floor is None else max(bucket + 1, self._floor)
                gone.append((bucket, self._held[bucket]))
                total -= self._held[bucket]
        self._drop({bucket for bucket, _ in gone})
        self.evicted += sum(count for _, count in gone)
        return gone

    def find(self, hashes: UInt64, from_ms: int | None = None, before_ms: int | None = None) -> Found:
        """All rows under each of the ``hashes`` [m, 2] whose time is in [from_ms, before_ms). A hash may be asked for repeatedly."""
        order = np.argsort(hashes[:, 0])
        keys = hashes[:, 0].take(order)
        parts: list[tuple[NDArray[np.intp], Int64, UInt64, Records]] = []
        for run, hits in self._sieve.candidates(keys, lambda run: run.overlaps(from_ms, before_ms)):
            asked, at = run.search(keys.take(hits))
            if len(at):
                records = take(run.records, at)
                parts.append((order.take(hits.take(asked)), run.time_of(records), records["high"], records["payload"]))
            if isinstance(run, RunFile):
                self.files.touched(run, len(hits) + len(at))
        if not parts:
            return Found(np.zeros(0, np.intp), np.zeros(0, np.int64), np.zeros(0, self.payload))
        which, time_ms, high, payload = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        # Two of the first words may be equal where the hashes are not.
        keep = high == hashes[:, 1].take(which)
        if from_ms is not None:
            keep &= time_ms >= from_ms
        if before_ms is not None:
            keep &= time_ms < before_ms
        kept = keep.nonzero()[0]
        kept = kept.take(in_order(which.take(kept), time_ms.take(kept), payload.take(kept)))
        return Found(which.take(kept), time_ms.take(kept), self._layout.rows(payload.take(kept)))

    def drop_before(self, end_ms: int) -> list[tuple[int, int]]:
        """Drop the buckets that end at or before ``end_ms``; returns (bucket, rows dropped)."""
        gone = [(bucket, self._held[bucket]) for bucket in sorted(self._held) if (bucket + 1) * self.bucket_ms <= end_ms]
        self._drop({bucket for bucket, _ in gone})
        return gone

    def _drop(self, buckets: set[int]) -> None:
        self._memory.drop(buckets)
        for bucket in buckets:
            del self._held[bucket]
            self.files.drop(bucket)

    # ---- the commit

    def flush(self) -> Flushed:
        """Write files as they are due, and say what the commit must save. Raises ``StateError``; nothing is lost then.

        Bounded work: the rows that are in memory, and merges of about a million rows at most.
        """
        self._spill()
        with suppress(StateError):  # the small files are as good; if the disk is full, the commit itself will say so
            self.files.merge()
        named, blobs = self._memory.save()
        files = {file.name: (file.length, file.checksum) for file in self.files}
        values = {
            "bucket_ms": self.bucket_ms,
            "payload": dtype_text(self.payload),
            "evicted": self.evicted,
            "floor": self._floor,
            "blobs": sorted(named),
            "files": [[name, *parts] for name, parts in sorted(files.items())],
        }
        return Flushed(values, blobs, named, files)

    def _spill(self) -> None:
        """Rows of buckets that have gathered enough go from memory to files."""
        held = self._memory.rows
        newest = max(self._held, default=0)
        left = held.total()
        full = []
        for bucket, count in held.most_common():
            if count >= (self.sizes.full if bucket == newest else self.sizes.enough) or left > self.sizes.memory:
                full.append(bucket)
                left -= count
        written = []
        try:
            for bucket, run in self._memory.split(full):
                filed = self._layout.filed(run, bucket * self.bucket_ms)
                written.append(self.files.write(bucket, [filed], len(filed)))
        finally:
            self._memory.drop({file.bucket for file in written})
            for file in written:
                self.files.add(file)

    def committed(self) -> None:
        """What ``flush`` returned is in a commit."""
        self._memory.committed()

    def restore(self, values: Mapping[str, Any], blobs: Mapping[str, bytes]) -> None:
        """Bring new runs to where ``flush`` was. Raises ``ValueError`` or ``KeyError`` for a state of other rows or other buckets."""
        if values["payload"] != dtype_text(self.payload):
            raise ValueError(f"{self.prefix}: expected saved rows of {dtype_text(self.payload)}, got {values['payload']}")
        # The width decides nothing but how much is dropped at a time, so what was saved keeps its own, unless it would make
        # far too many buckets or far too few.
        if not self.bucket_ms <= _OTHER_WIDTH * values["bucket_ms"] <= _OTHER_WIDTH**2 * self.bucket_ms:
            raise ValueError(f"{self.prefix}: expected saved buckets of about {self.bucket_ms} ms, got {values['bucket_ms']} ms")
        self.bucket_ms = self._memory.bucket_ms = self.files.bucket_ms = values["bucket_ms"]
        for name, length, checksum in values["files"]:
            self.files.open(name, length, checksum)
        self._memory.restore({name: blobs[name] for name in values["blobs"]})
        self._held = self.files.rows() + self._memory.rows
        self.evicted, self._floor = values["evicted"], values["floor"]

    # ---- counts

    def rows(self) -> int:
        """Rows that are held."""
        return self._held.total()

    def rows_by_bucket(self) -> Counter[int]:
        """Rows that are held, by bucket (start of its time // ``bucket_ms``)."""
        return Counter(self._held)

    @property
    def disk_bytes(self) -> int:
        """Length of the files that the next commit will name; those of older epochs stand beside them for a while."""
        return sum(file.length for file in self.files)

    @property
    def memory_bytes(self) -> int:
        """Rows in memory and what says where to look into which file; not the mapped pages."""
        return self._memory.memory_bytes + self._sieve.memory_bytes + sum(file.fences.nbytes for file in self.files)
