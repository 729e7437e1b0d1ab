"""A run of one bucket as a file: written once, fsynced, then mapped and never changed.

0      magic, length of the header, header (msgpack: rows, bucket, width of the buckets, the payload's dtype)
4096   first words of the hashes, ascending
...    records, from the next multiple of 4096
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import crc32c
import msgspec
import numpy as np

from monitor.errors import StateError
from monitor.join.run import Int64, Layout, Places, Records, Run, UInt64

SUFFIX = ".rows"
_MAGIC = b"driftgauge-rows\n"
_PAGE = 4096
_AROUND = 1 << 21  # the kernel maps up to this much around a page that is touched
_BLOCK = 16  # hashes, two cache lines


class _Head(msgspec.Struct, frozen=True):
    rows: int
    bucket: int
    bucket_ms: int
    payload: str


@dataclass(eq=False)
class RunFile(Run):
    """A mapped run."""

    name: str
    bucket: int
    bucket_ms: int
    length: int  # bytes
    checksum: int  # crc32c of the whole file
    mapped: mmap.mmap
    blocks: UInt64  # [blocks, 16] the same hashes, padded with zeros
    fences: UInt64  # [blocks] the first hash of each block, in memory
    touched: int = field(default=0)  # bytes that are resident at most

    def overlaps(self, from_ms: int | None, before_ms: int | None) -> bool:
        """Whether its bucket does."""
        start_ms = self.bucket * self.bucket_ms
        return (before_ms is None or start_ms < before_ms) and (from_ms is None or start_ms + self.bucket_ms > from_ms)

    def time_of(self, records: Records) -> Int64:
        """Times of records of it, in ms."""
        return self.bucket * self.bucket_ms + records["offset"].astype(np.int64)

    def first(self, keys: UInt64) -> tuple[Places, Places]:
        """As for any run, with one look into the file a key: which block it is in is known in memory."""
        block = np.maximum(np.searchsorted(self.fences, keys) - 1, 0)
        equal = self.blocks.take(block, axis=0) == keys[:, np.newaxis]
        within = equal.argmax(axis=1)
        hit = equal[np.arange(len(keys)), within]
        start = block * _BLOCK + within
        # Or it is the first of the next block, whose fence it then equals.
        following = np.minimum(block + 1, len(self.fences) - 1)
        at_fence = ~hit & (self.fences.take(following) == keys)
        start[at_fence] = following[at_fence] * _BLOCK
        found = np.flatnonzero((hit | at_fence) & (start < len(self)))
        return found, start.take(found)

    def touch(self, places: int) -> int:
        """Note that so many places were looked at; returns how many bytes more may be resident."""
        before, self.touched = self.touched, min(self.length, self.touched + places * _AROUND)
        return self.touched - before

    def release(self) -> None:
        """Unmap the pages that were touched: they stay in the page cache, and are no longer this process's resident memory."""
        self.mapped.madvise(mmap.MADV_DONTNEED)
        self.touched = 0


def dtype_text(payload: np.dtype[np.void]) -> str:
    """A dtype as text that is equal exactly for equal dtypes."""
    return repr(payload.descr)


def write_run(directory: Path, name: str, run: Run, layout: Layout, bucket: int, bucket_ms: int) -> RunFile:
    """Write and fsync a run whose records are ``layout.in_file``, and map it. Raises ``StateError`` when it cannot be written."""
    head = msgspec.msgpack.encode(_Head(len(run), bucket, bucket_ms, dtype_text(layout.payload)))
    path = directory / name
    checksum = length = 0
    try:
        with path.open("xb") as file:
            for part in _parts(head, run):
                file.write(part)
                checksum = crc32c.crc32c(part, checksum)
                length += len(part)
            file.flush()
            os.fsync(file.fileno())
        return open_run(directory, name, layout, length, checksum)
    except OSError as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise StateError(f"{path}: rows could not be saved: {error}; free space or give the state another folder") from error


def _parts(head: bytes, run: Run) -> Iterator[memoryview]:
    first = _MAGIC + len(head).to_bytes(4, "little") + head
    for part in (first.ljust(_PAGE, b"\0"), run.low, run.records):
        # A view of bytes: crc32c and files take any buffer, but count it in bytes only when it is one of bytes.
        view = memoryview(part if isinstance(part, bytes) else np.ascontiguousarray(part).view(np.uint8).data)
        yield view
        if part is not run.records and len(view) % _PAGE:
            yield memoryview(bytes(-len(view) % _PAGE))


def open_run(directory: Path, name: str, layout: Layout, length: int, checksum: int) -> RunFile:
    """Map a run of this length and checksum, which the store has verified. Raises ``ValueError`` for rows of another payload."""
    with (directory / name).open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    mapped.madvise(mmap.MADV_RANDOM)
    head = _head(name, mapped)
    if head.payload != dtype_text(layout.payload):
        raise ValueError(f"{name}: expected rows of {dtype_text(layout.payload)}, got {head.payload}")
    blocks = np.frombuffer(mapped, "<u8", -(-head.rows // _BLOCK) * _BLOCK, _PAGE).reshape(-1, _BLOCK)
    low = blocks.reshape(-1)[: head.rows]
    records: Any = np.frombuffer(mapped, layout.in_file, head.rows, _PAGE + -(-low.nbytes // _PAGE) * _PAGE)
    return RunFile(low, records, name, head.bucket, head.bucket_ms, length, checksum, mapped, blocks, blocks[:, 0].copy())


def _head(name: str, mapped: mmap.mmap) -> _Head:
    size = int.from_bytes(mapped[len(_MAGIC) : len(_MAGIC) + 4], "little")
    if mapped[: len(_MAGIC)] != _MAGIC or size > _PAGE:
        raise ValueError(f"{name} is no run of rows")
    try:
        return msgspec.msgpack.decode(mapped[len(_MAGIC) + 4 : len(_MAGIC) + 4 + size], type=_Head)
    except msgspec.DecodeError as error:
        raise ValueError(f"{name} is no run of rows: {error}") from error
