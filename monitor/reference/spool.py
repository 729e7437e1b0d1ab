"""Messages kept in a temporary file, to be read again in the order of their event times."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from monitor.batch import RawBatch
from monitor.reference.read import CHUNK_ROWS, Chunk


class _Frame(msgspec.Struct, array_like=True):
    topic: str
    partition: int
    values: list[bytes | None]
    offsets: list[int]
    timestamps_ms: list[int]
    keys: list[bytes | None] | None
    headers: list[list[tuple[str, bytes | None]]] | None


@dataclass(eq=False)
class Spool:
    """Frames of messages, one for each slice of event time in a batch; compressed, at most ``max_bytes`` on disk.

    The file has no name in the file system and goes when it is closed. Memory: an index entry a frame.
    """

    slice_ms: int
    max_bytes: int
    size: int = 0
    rows: int = 0
    frames: list[tuple[int, int, int, int]] = field(default_factory=list)  # slice, position, length, rows
    file: IO[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the spool)

    def add(self, raw: RawBatch, kept: NDArray[np.intp], time_ms: NDArray[np.int64]) -> bool:
        """Add the ``kept`` messages of a batch with their event times [kept]; False when there is no room for them."""
        slices = time_ms // self.slice_ms
        for number in np.unique(slices).tolist():
            chosen = kept[slices == number]
            body = zstandard.compress(msgspec.msgpack.encode(_frame(raw, chosen.tolist())), 1)
            if self.size + len(body) > self.max_bytes:
                return False
            self.file.write(body)
            self.frames.append((number, self.size, len(body), len(chosen)))
            self.size += len(body)
            self.rows += len(chosen)
        return True

    def size_of(self, start_ms: int, end_ms: int) -> int:
        """Bytes that ``read`` yields of the same stretch."""
        return sum(length for number, _, length, _ in self.frames if self._touches(number, start_ms, end_ms))

    def _touches(self, number: int, start_ms: int, end_ms: int) -> bool:
        return number * self.slice_ms < end_ms and (number + 1) * self.slice_ms > start_ms

    def read(self, start_ms: int, end_ms: int) -> Iterator[Chunk]:
        """The messages of slices that touch [start_ms, end_ms), slice by slice, some thousand at a time."""
        chunk: list[RawBatch] = []
        rows = size = 0
        for number, position, length, messages in sorted(self.frames):
            if self._touches(number, start_ms, end_ms):
                self.file.seek(position)
                chunk.append(_batch(msgspec.msgpack.decode(zstandard.decompress(self.file.read(length)), type=_Frame)))
                rows, size = rows + messages, size + length
                if rows >= CHUNK_ROWS:
                    yield chunk, size
                    chunk, rows, size = [], 0, 0
        if chunk:
            yield chunk, size

    def close(self) -> None:
        """Give the disk space back."""
        self.file.close()


def _frame(raw: RawBatch, chosen: Sequence[int]) -> _Frame:
    return _Frame(
        raw.topic,
        raw.partition,
        [raw.values[i] for i in chosen],
        raw.offsets[chosen].tolist(),
        raw.timestamps_ms[chosen].tolist(),
        None if raw.keys is None else [raw.keys[i] for i in chosen],
        None if raw.headers is None else [list(raw.headers[i]) for i in chosen],
    )


def _batch(frame: _Frame) -> RawBatch:
    return RawBatch(
        frame.topic,
        frame.partition,
        frame.values,
        np.array(frame.offsets, np.int64),
        np.array(frame.timestamps_ms, np.int64),
        frame.keys,
        frame.headers,
    )
