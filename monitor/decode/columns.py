"""One column of unpacked values: read from the structs of rows, or from beside the messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from monitor.batch import Fault, Float64, Int64
from monitor.config.path import is_special
from monitor.decode.floats import Rows
from monitor.decode.mapping import Use
from monitor.decode.records import Records
from monitor.decode.scalar import Scalar, number, number_in_text
from monitor.decode.shape import Shape
from monitor.decode.tables import CategoryCodes


@dataclass(frozen=True, slots=True)
class RowValues(Sequence[Scalar]):
    """A column of rows' structs, read when it is looked at: a list of it would be another pass over the rows."""

    rows: Rows
    get: Callable[[Any], Scalar]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Scalar]:
        return map(self.get, self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.get(self.rows[index])


@dataclass(frozen=True, eq=False)
class Column:
    """One use of values that are not packed."""

    use: Use
    get: Callable[[Any], Scalar] | None  # from a row's struct; None: from beside the message

    def read(self, rows: Rows, records: Records, places: Int64) -> Sequence[Scalar]:
        """[n] values of the rows, which are the messages at ``places``."""
        if self.get is not None:
            return RowValues(rows, self.get)
        return records.outside(self.use.steps, places)

    def read_numbers(self, rows: Rows, records: Records, places: Int64) -> Sequence[Scalar]:
        """The same, and text from beside the message as the number that it spells."""
        values = self.read(rows, records, places)
        return values if self.get is not None else list(map(number_in_text, values))


@dataclass(frozen=True, eq=False)
class SignalColumn:
    """A signal whose values are not packed: it shares its place, is written as booleans, or stands beside the message."""

    column: Column
    codes: CategoryCodes | None  # of a categorical signal

    def read(self, rows: Rows, records: Records, places: Int64, values: Float64) -> list[tuple[int, Fault]]:
        """Write the signal into [rows, signals] values; returns the rows without a usable value though they hold something."""
        if self.codes is not None:
            floats, faults = self.codes.column(self.column.read(rows, records, places))
        else:
            judged = [number(value) for value in self.column.read_numbers(rows, records, places)]
            floats = np.array([value for value, _ in judged], np.float64)
            faults = [(row, fault) for row, (_, fault) in enumerate(judged) if fault is not None]
        values[:, self.column.use.column] = floats
        return faults


def columns_of(uses: Sequence[Use], shape: Shape) -> list[Column]:
    """A column for each use that is not packed, in the order of uses."""
    found = [*_unpacked(shape, ""), *(Column(use, None) for use in uses if is_special(use.steps))]
    return sorted(found, key=lambda column: uses.index(column.use))


def _unpacked(shape: Shape, path: str) -> Iterator[Column]:
    for field in shape.fields:
        where = f"{path}.{field.name}" if path else field.name
        if field.shape is not None:
            yield from _unpacked(field.shape, where)
        elif field.leaf is not None and not field.is_packed:
            for use in field.leaf.uses:
                yield Column(use, attrgetter(where))
