"""Columns of arrays and lists as the values that production decodes from JSON.

A whole number is the same text with and without a fraction, as in a message: a column of 0 and 1 that a missing value has made
floating is still one of 0 and 1. Of truths and numbers the reference decides how they are written, since arrays turn the ones into the
others by themselves.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.decode.scalar import text_of

_ABSENT = frozenset({"NoneType", "NAType", "NaTType"})
_ALIASES = {"true": "1", "false": "0", "1": "true", "0": "false"}


def values_of(column: Any) -> list[Any]:
    """The values of a column, each of its own type: a list is not first made an array, which would make a text of a NaN beside texts.

    >>> values_of(["a", float("nan")]), values_of(np.array([1, 2]))
    (['a', nan], [1, 2])
    """
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def is_absent(value: Any) -> bool:
    """Whether a value is None, not a number, or what pandas writes for them.

    >>> is_absent(None), is_absent(float("nan")), is_absent("")
    (True, True, False)
    """
    return (isinstance(value, float) and value != value) or type(value).__name__ in _ABSENT  # noqa: PLR0124 (NaN)


def as_text(value: Any, known: Collection[str] = ()) -> str | None:
    """The text of a value, None for one that is absent. ``known``: of a truth and a number, how the reference writes them.

    >>> as_text(1.0), as_text(2.5), as_text(True), as_text(None), as_text(1, {"true", "false"}), as_text(False, {"0", "1"})
    ('1', '2.5', 'true', None, 'true', '0')
    """
    if isinstance(value, str):
        return value
    if is_absent(value):
        return None
    text = text_of(value)
    if text is None:
        return str(value)  # a date, an infinity
    if known and text not in known and _ALIASES.get(text, text) in known:
        return _ALIASES[text]
    return text


def texts_of(column: Any, known: Collection[str] = ()) -> NDArray[np.object_]:
    """[n] ``as_text`` of every value."""
    return np.array([as_text(value, known) for value in values_of(column)], object)


def is_numeric(column: Any) -> bool:
    """Whether a column holds numbers, and nothing else but missing values.

    >>> is_numeric([1, None, 2.5]), is_numeric([True, False]), is_numeric(["1"]), is_numeric([None])
    (True, False, False, False)
    """
    kind = np.asarray(column).dtype.kind
    if kind != "O":
        return kind in "fiu"
    values = [value for value in values_of(column) if not is_absent(value)]
    return bool(values) and all(type(value) in (int, float) for value in values)


def numbers_of(column: Any, name: str) -> NDArray[np.float64]:
    """[n] numbers, NaN for missing ones. Raises ``ValueError`` for what is no number."""
    try:
        if np.asarray(column).dtype.kind == "O":
            column = [np.nan if is_absent(value) else value for value in values_of(column)]
        return np.array(column, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected numbers in {name}, as in the reference; got {error}") from None
