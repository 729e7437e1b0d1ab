"""Rows under 128-bit hashes, on disk, in time buckets: put by the batch, found by the batch, dropped by the bucket.

New rows are in memory. A commit writes those of a bucket that has gathered enough as a sorted file, and the rest as a blob of the
commit itself, so that many small buckets make no small files. Files are never changed: several are merged into a new one,
and stay until no epoch that is kept names them. So any epoch can be resumed, and expiry unlinks whole files.

What ``find`` returns depends on the rows that were put and not dropped, and on nothing else: not on how puts were cut, on what
is in memory, or on what was merged.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.errors import StateError
from monitor.join.memory import Memory, Sizes, count_by
from monitor.join.run import Int64, Layout, Records, Run, UInt64, due, in_order, merged, search, take
from monitor.join.run_file import SUFFIX, RunFile, dtype_text, open_run, write_run
from monitor.join.sieve import Sieve

_RESIDENT = 96 << 20  # bytes of mapped pages, then they are released
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
    files: dict[int, list[RunFile]] = field(default_factory=dict)  # by bucket
    _floor: int | None = None  # buckets before it were evicted: what comes for them later goes the same way
    _held: Counter[int] = field(init=False, default_factory=Counter)  # rows by bucket
    _number: int = field(init=False, default=0)
    _layout: Layout = field(init=False)
    _sieve: Sieve[Run] = field(init=False)
    _memory: Memory = field(init=False)
    _stem: str = field(init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.bucket_ms <= _WIDEST:
            raise ValueError(f"expected buckets of 1 to {_WIDEST} ms, got {self.bucket_ms}")
        self._layout, self._sieve = Layout(self.payload), Sieve()
        self._memory = Memory(self._layout, self.bucket_ms, self.prefix, self._sieve, self.sizes)
        self._stem = re.sub(r"[^A-Za-z0-9_-]", "_", self.prefix)[:60] + "-" + hashlib.sha256(self.prefix.encode()).hexdigest()[:8]
        # Never a name again that some epoch, usable or not, may know.
        found = (path.name[len(self._stem) + 1 : -len(SUFFIX)] for path in self.directory.glob(f"{self._stem}-*{SUFFIX}"))
        self._number = max((int(number) for number in found if number.isdigit()), default=0)

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
        keys, high = hashes[:, 0].take(order), hashes[:, 1]
        parts: list[tuple[NDArray[np.intp], Int64, Records]] = []
        for run, hits in self._sieve.candidates(keys, _overlaps(from_ms, before_ms)):
            asked, at = search(run.low, keys.take(hits))
            if isinstance(run, RunFile):
                run.touch(len(hits) + len(at))
            if not len(at):
                continue
            which, records = order[hits[asked]], take(run.records, at)
            time_ms = run.start_ms + records["offset"].astype(np.int64) if isinstance(run, RunFile) else records["time"]
            # Two of the first words may be equal where the hashes are not.
            keep = records["high"] == high.take(which)
            if from_ms is not None:
                keep &= time_ms >= from_ms
            if before_ms is not None:
                keep &= time_ms < before_ms
            parts.append((which[keep], time_ms[keep], records["payload"][keep]))
        self._release()
        if not parts:
            return Found(np.zeros(0, np.intp), np.zeros(0, np.int64), np.zeros(0, self.payload))
        which, time_ms, payload = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        order = in_order(which, time_ms, payload)
        return Found(which[order], time_ms[order], self._layout.rows(take(payload, order)))

    def _release(self) -> None:
        if sum(run.touched for run in self._all_files()) > _RESIDENT:
            for run in self._all_files():
                run.release()

    def drop_before(self, end_ms: int) -> list[tuple[int, int]]:
        """Drop the buckets that end at or before ``end_ms``; returns (bucket, rows dropped)."""
        gone = [(bucket, self._held[bucket]) for bucket in sorted(self._held) if (bucket + 1) * self.bucket_ms <= end_ms]
        self._drop({bucket for bucket, _ in gone})
        return gone

    def _drop(self, buckets: set[int]) -> None:
        self._memory.drop(buckets)
        for bucket in buckets:
            del self._held[bucket]
        for bucket in buckets & self.files.keys():
            for run in self.files.pop(bucket):
                self._sieve.remove(run)

    # ---- the commit

    def flush(self) -> Flushed:
        """Write files as they are due, and say what the commit must save. Raises ``StateError``; nothing is lost then.

        Bounded work: the rows that are in memory, and merges of about a million rows at most.
        """
        self._spill()
        with suppress(StateError):  # the small files are as good; if the disk is full, the commit itself will say so
            self._merge()
        named, blobs = self._memory.save()
        files = {run.name: (run.length, run.checksum) for run in self._all_files()}
        values = {
            "bucket_ms": self.bucket_ms,
            "payload": dtype_text(self.payload),
            "evicted": self.evicted,
            "floor": self._floor,
            "blobs": sorted(named),
            "files": [[name, *parts] for name, parts in sorted(files.items())],
        }
        return Flushed(values, blobs, named, files)

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
        self.bucket_ms = self._memory.bucket_ms = values["bucket_ms"]
        for name, length, checksum in values["files"]:
            run = open_run(self.directory, name, self._layout, length, checksum)
            self._file(run, run.low)
            self._held[run.bucket] += len(run)
            run.touch(len(run))
            self._release()
        self._memory.restore({name: blobs[name] for name in values["blobs"]})
        self._held.update(self._memory.rows)
        self.evicted, self._floor = values["evicted"], values["floor"]

    def _file(self, run: RunFile, low: UInt64) -> None:
        self.files.setdefault(run.bucket, []).append(run)
        self._sieve.add(run, low)

    def _write(self, bucket: int, run: Run) -> RunFile:
        self._number += 1
        name = f"{self._stem}-{self._number:010}{SUFFIX}"
        return write_run(self.directory, name, run, self._layout, bucket, self.bucket_ms)

    def _spill(self) -> None:
        """Rows of buckets that have gathered enough go from memory to files."""
        held = self._memory.rows
        newest = max(held, default=0)
        left = held.total()
        full = []
        for bucket, count in held.most_common():
            if count >= (self.sizes.full if bucket == newest else self.sizes.enough) or left > self.sizes.memory:
                full.append(bucket)
                left -= count
        written: list[tuple[RunFile, UInt64]] = []
        try:
            for bucket, run in self._memory.split(full):
                written.append((self._write(bucket, self._layout.filed(run, bucket * self.bucket_ms)), run.low))
        finally:
            self._memory.drop({file.bucket for file, _ in written})
            for file, low in written:
                self._file(file, low)

    def _merge(self) -> None:
        """Merge files where there are many small ones, the cheapest first."""
        newest = max(self.files, default=0)
        waiting = []
        for bucket, files in self.files.items():
            at_least, ratio = (self.sizes.files, 1.0) if bucket == newest else (2, 8.0)
            small = [files[i] for i in due([len(run) for run in files], at_least, ratio, self.sizes.largest)]
            if small:
                waiting.append((sum(map(len, small)), bucket, small))
        left = self.sizes.largest
        for rows, bucket, small in sorted(waiting, key=lambda each: each[:2]):
            left -= rows
            if left < 0:
                break
            run = merged(small)
            file = self._write(bucket, run)
            self.files[bucket] = [run for run in self.files[bucket] if run not in small]
            for old in small:
                self._sieve.remove(old)
            self._file(file, run.low)

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
        return sum(run.length for run in self._all_files())

    @property
    def memory_bytes(self) -> int:
        """Rows in memory and the tables that say which file to look into; not the mapped pages."""
        return self._memory.memory_bytes + self._sieve.memory_bytes

    def _all_files(self) -> list[RunFile]:
        return [run for files in self.files.values() for run in files]


def _overlaps(from_ms: int | None, before_ms: int | None) -> Callable[[Run], bool]:
    def overlaps(run: Run) -> bool:
        if not isinstance(run, RunFile):
            return True
        early = before_ms is not None and run.start_ms >= before_ms
        return not early and (from_ms is None or run.start_ms + run.bucket_ms > from_ms)

    return overlaps
