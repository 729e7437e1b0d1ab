"""Columns as they are handed in from outside, checked: what is wrong with one is said by its name, before anything is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.decode.arrays import values_of

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


def numbers(name: str, values: ArrayLike, rows: int | None = None) -> Float64:
    """[rows] numbers; NaN: none. Raises ``ValueError`` for another shape."""
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or rows not in (None, len(found)):
        raise ValueError(
            f"expected {name} [{'n' if rows is None else rows}], one number for each row, got an array of the shape {found.shape}"
        )
    return found


def values(name: str, column: Sequence[Any] | NDArray[Any], rows: int | None = None) -> list[Any]:
    """[rows] plain values, hashable. Raises ``ValueError`` for another number of them, or a text, which would be taken for its letters."""
    if isinstance(column, str | bytes) or not hasattr(column, "__len__"):
        raise ValueError(f"expected a column of {name}, one for each row, got {column!r:.60}")
    if rows not in (None, len(column)):
        raise ValueError(f"expected one value of {name} for each of the {rows} rows, got {len(column)} values")
    return values_of(column)


def milliseconds(name: str, times: ArrayLike, rows: int) -> Int64:
    """[rows] whole milliseconds of numbers, which are that, or of datetimes of numpy or Python.

    Raises ``ValueError`` for another shape and for a row without a time.

    >>> milliseconds("time_ms", np.array(["2026-01-01T00:00"], "datetime64[ns]"), 1).tolist()
    [1767225600000]
    """
    found = np.asarray(times)
    if found.dtype.kind == "O" and len(found):  # Python's datetimes
        found = found.astype("datetime64[ms]")
    if found.shape != (rows,):
        raise ValueError(f"expected {name} [{rows}], one time for each row, got an array of the shape {found.shape}")
    known = ~np.isnat(found) if found.dtype.kind == "M" else np.isfinite(found.astype(np.float64))
    if not known.all():
        raise ValueError(f"expected a time in every row, got none in row {int(known.argmin())} of {name}")
    return (found.astype("datetime64[ms]") if found.dtype.kind == "M" else found).astype(np.int64)
