"""Sparse counts: (combination, cell) to a whole number; a commutative group under addition.

A pane of outcomes touches few of its many cells, so it is kept as sorted codes and their counts. What was counted can be
taken back: a label that is restated subtracts what it added before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

Int64 = NDArray[np.int64]

_MAX_BYTES = 4 << 30


@dataclass(frozen=True, eq=False)
class SparseCounts:
    """``codes`` strictly rising, none of ``counts`` zero."""

    codes: Int64  # combination * cells + cell
    counts: Int64

    def __len__(self) -> int:
        return len(self.codes)

    def __neg__(self) -> SparseCounts:
        return SparseCounts(self.codes, -self.counts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SparseCounts) and np.array_equal(self.codes, other.codes) and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]

    @property
    def memory_bytes(self) -> int:
        """Memory of the arrays."""
        return self.codes.nbytes + self.counts.nbytes


EMPTY = SparseCounts(np.zeros(0, np.int64), np.zeros(0, np.int64))


def sparse(codes: Int64, weights: Int64) -> SparseCounts:
    """Sum of ``weights`` by code.

    >>> counts = sparse(np.array([7, 3, 7]), np.array([1, 2, -1]))
    >>> counts.codes.tolist(), counts.counts.tolist()
    ([3], [2])
    """
    if not len(codes):
        return EMPTY
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sums = np.add.reduceat(weights[order].astype(np.int64), starts)
    kept = sums != 0
    return SparseCounts(ordered[starts][kept], sums[kept])


def add(parts: Sequence[SparseCounts]) -> SparseCounts:
    """The sum of several."""
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        return parts[0] if parts else EMPTY
    return sparse(np.concatenate([part.codes for part in parts]), np.concatenate([part.counts for part in parts]))


def pack_sparse(counts: SparseCounts) -> bytes:
    """Bytes for the state: codes as differences, compressed."""
    steps = np.diff(counts.codes, prepend=0)
    content = [steps.astype("<i8").tobytes(), counts.counts.astype("<i8").tobytes()]
    return zstandard.ZstdCompressor(level=1).compress(msgspec.msgpack.encode(content))


def unpack_sparse(data: bytes) -> SparseCounts:
    """The inverse of ``pack_sparse``. Raises ``ValueError`` for other bytes."""
    try:
        steps, counts = msgspec.msgpack.decode(
            zstandard.ZstdDecompressor().decompress(data, max_output_size=_MAX_BYTES), type=tuple[bytes, bytes]
        )
        codes = np.cumsum(np.frombuffer(steps, "<i8")).astype(np.int64)
        return SparseCounts(codes, np.frombuffer(counts, "<i8").astype(np.int64))
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise ValueError(f"expected packed sparse counts, got {len(data)} bytes that are none: {error}") from error
