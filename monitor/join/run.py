"""A run: rows in the order of the first words of their hashes; how rows stand in memory and in files, how runs merge and are searched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UInt64 = NDArray[np.uint64]
Int64 = NDArray[np.int64]
Records = NDArray[np.void]
Places = NDArray[np.intp]


@dataclass(eq=False)
class Run:
    """Rows in memory, of all buckets, sorted by ``low``; rows of one hash in no particular order."""

    low: UInt64  # [rows] first word of the hash
    records: Records  # [rows] second word of the hash, time and payload: ``Layout.in_memory``, or ``Layout.in_file`` on its way there

    def __len__(self) -> int:
        return len(self.low)

    def overlaps(self, from_ms: int | None, before_ms: int | None) -> bool:
        """Whether it may hold rows of a time in [from_ms, before_ms)."""
        return True

    def time_of(self, records: Records) -> Int64:
        """Times of records of it, in ms."""
        return records["time"]

    def first(self, keys: UInt64) -> tuple[Places, Places]:
        """The first row of each of the ``keys`` (ascending, may repeat) that is there: indexes into the keys, and into the rows."""
        start = np.minimum(np.searchsorted(self.low, keys), len(self) - 1)
        found = np.flatnonzero(self.low.take(start) == keys)
        return found, start.take(found)

    def search(self, keys: UInt64) -> tuple[Places, Places]:
        """All rows of each of the ``keys``: indexes into the keys, and into the rows."""
        found, start = self.first(keys)
        last = len(self) - 1
        more = np.flatnonzero((self.low.take(np.minimum(start + 1, last)) == keys.take(found)) & (start < last))
        if not len(more):
            return found, start
        count = np.ones(len(found), np.intp)
        count[more] = np.searchsorted(self.low, keys[found[more]], "right") - start[more]
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return np.repeat(found, count), np.repeat(start, count) + within


@dataclass(frozen=True, slots=True)
class Layout:
    """Records of a payload: with its time in memory, where a run holds all buckets, and with an offset in a bucket's file."""

    payload: np.dtype[np.void]

    def __post_init__(self) -> None:
        names = self.payload.names
        if not names or self.payload.hasobject or sum(self.payload[name].itemsize for name in names) != self.payload.itemsize:
            raise ValueError(f"expected a structured dtype of numbers without gaps, got {self.payload}; leave out align=True")

    @property
    def in_memory(self) -> np.dtype[np.void]:
        """Second word, time in ms, payload bytes."""
        return np.dtype([("high", "<u8"), ("time", "<i8"), ("payload", f"V{self.payload.itemsize}")])

    @property
    def in_file(self) -> np.dtype[np.void]:
        """Second word, ms since the start of the bucket, payload bytes."""
        return np.dtype([("high", "<u8"), ("offset", "<u4"), ("payload", f"V{self.payload.itemsize}")])

    def run(self, hashes: UInt64, time_ms: Int64, rows: Records) -> Run:
        """The run in memory of some rows: ``hashes`` [n, 2], ``time_ms`` [n], ``rows`` [n] of the payload's dtype."""
        order = np.argsort(hashes[:, 0])
        records = np.empty(len(order), self.in_memory)
        records["high"], records["time"] = hashes[:, 1][order], time_ms[order]
        records["payload"] = take(as_bytes(rows), order)
        return Run(hashes[:, 0][order].astype(np.uint64, copy=False), records)

    def filed(self, run: Run, start_ms: int) -> Run:
        """A run in memory, all of one bucket, as it stands in that bucket's file."""
        records = np.empty(len(run), self.in_file)
        records["high"], records["payload"] = run.records["high"], run.records["payload"]
        records["offset"] = run.records["time"] - start_ms
        return Run(run.low, records)

    def rows(self, payload: Records) -> Records:
        """Payload bytes as rows of the payload's dtype."""
        return np.ascontiguousarray(payload).view(self.payload)


def as_bytes(records: Records) -> Records:
    """Records as opaque bytes: numpy moves those at once, and structures field by field."""
    return np.ascontiguousarray(records).view(np.dtype(f"V{records.dtype.itemsize}"))


def take(records: Records, at: NDArray[np.intp]) -> Records:
    """``records[at]``, several times faster."""
    return as_bytes(records).take(at).view(records.dtype)


def merged(runs: Sequence[Run]) -> Run:
    """All rows of some runs of one dtype as one run."""
    low = np.concatenate([run.low for run in runs])
    order = np.argsort(low)
    records = np.concatenate([as_bytes(run.records) for run in runs])
    return Run(low.take(order), records.take(order).view(runs[0].records.dtype))


def merged_parts(runs: Sequence[Run], part_rows: int = 1 << 16) -> Iterator[Run]:
    """The same in parts of about so many rows, whose hashes ascend: quicker, as they fit the processor's cache, and small."""
    count = -(-sum(map(len, runs)) // part_rows)
    # Hashes are spread evenly, so equal ranges of them hold about as many rows.
    bounds = np.array([number * 2**64 // count for number in range(1, count)], np.uint64)
    starts = [np.concatenate([[0], np.searchsorted(run.low, bounds), [len(run)]]) for run in runs]
    for number in range(count):
        slices = [slice(start[number], start[number + 1]) for start in starts]
        yield merged([Run(run.low[part], run.records[part]) for run, part in zip(runs, slices, strict=True)])


def chosen(run: Run, keep: NDArray[np.bool_]) -> Run:
    """The rows of a run where ``keep`` [rows] holds."""
    at = np.flatnonzero(keep)
    return Run(run.low.take(at), take(run.records, at))


def due(sizes: Sequence[int], at_least: int, ratio: float, most: int) -> list[int]:
    """Which runs to merge: the smallest ones, each at most ``ratio`` times as large as all smaller ones together.

    Merges nothing when they are fewer than ``at_least``, and never to more than ``most`` rows. So sizes grow geometrically, and each
    row is written a number of times that is logarithmic in the number of runs.
    """
    by_size = sorted(range(len(sizes)), key=lambda i: (sizes[i], i))
    taken: list[int] = []
    total = 0
    for i in by_size:
        if total + sizes[i] > most or (taken and sizes[i] > ratio * total):
            break
        taken.append(i)
        total += sizes[i]
    return taken if len(taken) >= max(2, at_least) else []


def in_order(which: NDArray[np.intp], time_ms: Int64, payload: Records) -> NDArray[np.intp]:
    """The order by (which, time, bytes of the row); depends on the set of rows alone."""
    order = np.argsort(which, kind="stable")
    ordered = which[order]
    alike = ordered[1:] == ordered[:-1]
    if not alike.any():
        return order
    # Few rows share their hash with another: only those need the longer comparison.
    tied = np.flatnonzero(np.concatenate([alike, [False]]) | np.concatenate([[False], alike]))
    rows = order[tied]
    texts = np.ascontiguousarray(payload[rows]).view(f"S{payload.dtype.itemsize}")
    order[tied] = rows[np.lexsort((texts, time_ms[rows], which[rows]))]
    return order
