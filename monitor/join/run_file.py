"""A run of one bucket as a file: written once, fsynced, then mapped and never changed.

    0      magic, length of the header, header (msgpack: rows, bucket, width of the buckets, the payload's dtype)
    4096   records
    ...    first words of the hashes, ascending, from the next multiple of 4096

Records come first, so that a merge can write them as it goes: the first words are all that it keeps in memory.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import crc32c
import msgspec
import numpy as np
from numpy.typing import NDArray

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

    def expect(self) -> None:
        """All of it will be read."""
        self.mapped.madvise(mmap.MADV_WILLNEED)

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


def write_run(directory: Path, name: str, parts: Iterable[Run], rows: int, layout: Layout, bucket: int, bucket_ms: int) -> RunFile:
    """Write, fsync and map a run of so many ``rows``, in parts whose hashes ascend and whose records are ``layout.in_file``.

    Raises ``StateError`` when it cannot be written.
    """
    head = msgspec.msgpack.encode(_Head(rows, bucket, bucket_ms, dtype_text(layout.payload)))
    path = directory / name
    checksum = length = 0
    try:
        with path.open("xb") as file:
            for piece in _whole(_pieces(head, parts)):
                file.write(piece)
                checksum = crc32c.crc32c(piece, checksum)
                length += len(piece)
            file.flush()
            os.fsync(file.fileno())
        return open_run(directory, name, layout, length, checksum)
    except OSError as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise StateError(f"{path}: rows could not be saved: {error}; free space or give the state another folder") from error


def _pieces(head: bytes, parts: Iterable[Run]) -> Iterator[memoryview]:
    yield memoryview((_MAGIC + len(head).to_bytes(4, "little") + head).ljust(_PAGE, b"\0"))
    low, length = [], 0
    for part in parts:
        low.append(part.low)
        yield (piece := _bytes_of(part.records))
        length += len(piece)
    yield memoryview(bytes(-length % _PAGE))
    length = 0
    for words in low:
        yield (piece := _bytes_of(words))
        length += len(piece)
    yield memoryview(bytes(-length % _PAGE))


def _whole(pieces: Iterable[memoryview]) -> Iterator[memoryview]:
    """The same bytes in multiples of 2 MB: the page cache can then keep them in large pages, and one fault maps one of those."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if whole := len(held) // _AROUND * _AROUND:
            yield memoryview(held)[:whole]
            held = held[whole:]
    yield memoryview(held)


def _bytes_of(array: NDArray[Any]) -> memoryview:
    # Of bytes: files and crc32c take any buffer, but its length is that in bytes only if its items are.
    return np.ascontiguousarray(array).view(np.uint8).data


def open_run(directory: Path, name: str, layout: Layout, length: int, checksum: int) -> RunFile:
    """Map a run of this length and checksum, which the store has verified. Raises ``ValueError`` for rows of another payload."""
    with (directory / name).open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    mapped.madvise(mmap.MADV_RANDOM)
    head = _head(name, mapped)
    if head.payload != dtype_text(layout.payload):
        raise ValueError(f"{name}: expected rows of {dtype_text(layout.payload)}, got {head.payload}")
    records: Any = np.frombuffer(mapped, layout.in_file, head.rows, _PAGE)
    start = _PAGE + -(-records.nbytes // _PAGE) * _PAGE
    blocks = np.frombuffer(mapped, "<u8", -(-head.rows // _BLOCK) * _BLOCK, start).reshape(-1, _BLOCK)
    low = blocks.reshape(-1)[: head.rows]
    run = RunFile(low, records, name, head.bucket, head.bucket_ms, length, checksum, mapped, blocks, blocks[:, 0].copy())
    run.release()  # the fences stood on every page
    return run


def _head(name: str, mapped: mmap.mmap) -> _Head:
    size = int.from_bytes(mapped[len(_MAGIC) : len(_MAGIC) + 4], "little")
    if mapped[: len(_MAGIC)] != _MAGIC or size > _PAGE:
        raise ValueError(f"{name} is no run of rows")
    try:
        return msgspec.msgpack.decode(mapped[len(_MAGIC) + 4 : len(_MAGIC) + 4 + size], type=_Head)
    except msgspec.DecodeError as error:
        raise ValueError(f"{name} is no run of rows: {error}") from error
