"""Structs to columns of floats: all numbers and codes of one struct at once."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, starmap
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import astuple

from monitor.batch import Float64
from monitor.decode.shape import Shape

Rows = Sequence[msgspec.Struct]

_CHUNKS_WITH_NULLS = 20
"""Packing is fastest but raises at a null; after that, so many chunks are taken to hold nulls as well."""


@dataclass(eq=False)
class FloatBlock:
    """The numbers and codes of one struct of the tree, and the signals that they are."""

    path: str  # attribute path to the struct, empty for the root
    names: tuple[str, ...]  # the fields, in their order
    choose: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None  # the fields out of all of the struct's; None: all
    fields: tuple[int, ...]  # per signal the index of its field in ``names``
    signals: tuple[int, ...]
    nulls_expected: int = 0  # chunks for which packing is not tried; of the last decoding, without meaning for the result

    def __post_init__(self) -> None:
        width = len(self.names)
        self._pack = struct.Struct(f"{width}d").pack
        one = f"{self.path}.{self.names[0]}" if self.path else self.names[0]
        self._get: Callable[[Any], Any] = attrgetter(one if width == 1 else self.path) if self.path or width == 1 else (lambda row: row)
        in_order = self.fields == tuple(range(width)) and self.signals == tuple(range(self.signals[0], self.signals[0] + width))
        self._place = slice(self.signals[0], self.signals[0] + width) if in_order else None

    def read(self, rows: Rows, values: Float64) -> None:
        """Write the block's signals into [rows, signals] values; null becomes NaN."""
        block = self._floats(rows)
        if self._place is not None:
            values[:, self._place] = block
        else:
            values[:, self.signals] = block[:, self.fields]

    def _floats(self, rows: Rows) -> Float64:
        width = len(self.names)
        if width == 1:
            return np.fromiter(map(self._get, rows), np.float64, len(rows)).reshape(-1, 1)
        if self.nulls_expected == 0:
            try:
                return np.frombuffer(b"".join(starmap(self._pack, self._tuples(rows)))).reshape(-1, width)
            except struct.error:
                self.nulls_expected = _CHUNKS_WITH_NULLS
        self.nulls_expected -= 1
        return np.fromiter(chain.from_iterable(self._tuples(rows)), np.float64, len(rows) * width).reshape(-1, width)

    def _tuples(self, rows: Rows) -> Iterator[tuple[Any, ...]]:
        tuples = map(astuple, map(self._get, rows) if self.path else rows)
        return tuples if self.choose is None else map(self.choose, tuples)


def blocks_of(shape: Shape, path: str = "") -> Iterator[FloatBlock]:
    """A block for each struct of the tree that holds numbers or codes."""
    packed = [place for place, field in enumerate(shape.fields) if field.is_packed]
    if packed:
        uses = [(index, use.column) for index, place in enumerate(packed) for use in shape.fields[place].leaf.uses]  # type: ignore[union-attr]
        fields, signals = zip(*uses, strict=True)
        names = tuple(shape.fields[place].name for place in packed)
        yield FloatBlock(path, names, _chosen(packed, len(shape.fields)), fields, signals)
    for field in shape.fields:
        if field.shape is not None:
            yield from blocks_of(field.shape, f"{path}.{field.name}" if path else field.name)


def _chosen(places: list[int], width: int) -> Callable[[tuple[Any, ...]], tuple[Any, ...]] | None:
    if len(places) == width or len(places) == 1:
        return None
    if places == list(range(len(places))):
        return itemgetter(slice(0, len(places)))
    return itemgetter(*places)
