"""Rows in memory, checked: what is wrong with columns is said before anything is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Events:
    """n predictions in arrival order.

    ``time_ms`` [n] event times in milliseconds since 1970, or numpy's datetimes. ``features``: per name [n] numbers (NaN: missing) or
    texts (None: missing). ``segments``: per column [n] texts. ``score`` [n] numbers; ``predicted`` [n] classes, which may be left out
    when the model has a threshold. ``ids`` [n] texts or whole numbers, needed only in production; ``partition`` [n] of the log, one when
    left out. Raises ``ValueError`` for columns of other lengths and for rows without a time.
    """

    time_ms: NDArray[np.int64]
    features: Mapping[str, Any]
    segments: Mapping[str, Any] = field(default_factory=dict)
    score: Any = None
    predicted: Any = None
    ids: Any = None
    partition: Any = None

    def __post_init__(self) -> None:
        if self.time_ms is None:
            raise ValueError("expected time_ms, the times of the rows in milliseconds since 1970, got None: panes and cycles go by them")
        times = np.asarray(self.time_ms)
        if times.ndim != 1 or (len(times) and times.dtype.kind not in "iufM"):
            raise ValueError(f"expected time_ms [n] in milliseconds since 1970, got {times.dtype} of the shape {times.shape}")
        unknown = np.isnan(milliseconds(times))
        if unknown.any():
            raise ValueError(f"expected a time in every row, got none in row {int(unknown.argmax())} of time_ms")
        others = {"score": self.score, "predicted": self.predicted, "ids": self.ids, "partition": self.partition}
        same_length(len(times), {**self.features, **self.segments, **others})

    def __len__(self) -> int:
        return len(self.time_ms)

    def rows(self, which: slice | NDArray[np.intp]) -> Events:
        """Some of the rows."""

        def cut(column: Any) -> Any:
            kept = object if isinstance(column, list | tuple) else None  # each value of a list stays what it is
            return None if column is None else np.asarray(column, kept)[which]

        return Events(
            np.asarray(self.time_ms)[which],
            {name: cut(column) for name, column in self.features.items()},
            {name: cut(column) for name, column in self.segments.items()},
            *(cut(column) for column in (self.score, self.predicted, self.ids, self.partition)),
        )


def milliseconds(times: Any) -> NDArray[np.float64]:
    """[n] milliseconds since 1970 of numbers, which are that, or of numpy's datetimes; NaN where there is none.

    >>> milliseconds(np.array(["2026-01-01T00:00", "NaT"], "datetime64[m]")).tolist()
    [1767225600000.0, nan]
    """
    found = np.asarray(times)
    if found.dtype.kind != "M":
        return found.astype(np.float64)
    return np.where(np.isnat(found), np.nan, found.astype("datetime64[ms]").astype(np.int64))


def same_length(rows: int, columns: Mapping[str, Any]) -> None:
    """Raises ``ValueError`` unless every column that is there has one value for each of so many rows."""
    for name, column in columns.items():
        if column is not None and np.shape(column) != (rows,):
            raise ValueError(f"expected one value of {name} for each of the {rows} rows, got an array of the shape {np.shape(column)}")
