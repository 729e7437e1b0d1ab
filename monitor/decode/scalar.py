"""What one JSON value means as a number, as a category, and as text.

The typed decode enforces the same rules by its types; these functions state them for every other path.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from enum import Enum

from monitor.batch import UNSEEN, Fault

MAX_INTEGER_DIGITS = 4300
"""Longer integers count as infinite, as Python and msgspec refuse them: reading digits takes quadratic time."""

WHOLE_FLOAT = 2.0**53
"""Up to here every whole float is one integer and no other."""

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


class Unusable(Enum):
    """Stands for a value that is there, but of a type that means nothing at its place."""

    UNUSABLE = 0


UNUSABLE = Unusable.UNUSABLE

Scalar = str | int | float | bool | None | Unusable
"""A JSON value without parts; None for null and for absent."""


def integer(digits: str) -> int | float:
    """An integer literal of JSON; an infinity when it is too long.

    >>> integer("-17"), integer("1" * 5000), integer("-" + "1" * 5000)
    (-17, inf, -inf)
    """
    return int(digits) if len(digits.removeprefix("-")) <= MAX_INTEGER_DIGITS else math.copysign(math.inf, -1 if digits[0] == "-" else 1)


def number(value: Scalar) -> tuple[float, Fault | None]:
    """The number that a value is, or NaN and why not. Text is no number, and neither are true and false.

    >>> number(3), number(None), number("3"), number(True), number(10**400)
    ((3.0, None), (nan, None), (nan, <Fault.INVALID: 1>), (nan, <Fault.INVALID: 1>), (nan, <Fault.NON_FINITE: 2>))
    """
    if value is None:
        return math.nan, None
    if type(value) is not float and type(value) is not int:
        return math.nan, Fault.INVALID
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    return (result, None) if math.isfinite(result) else (math.nan, Fault.NON_FINITE)


def text_of(value: Scalar) -> str | None:
    """The text that a value stands for; None when it stands for none. A whole number is written without a fraction.

    >>> text_of("3"), text_of(3), text_of(3.0), text_of(2.5), text_of(True), text_of(None), text_of(float("nan"))
    ('3', '3', '3', '2.5', 'true', None, None)
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) <= WHOLE_FLOAT else repr(value)
    return None


def category(value: Scalar, codes: Mapping[str, float]) -> tuple[float, Fault | None]:
    """The code of the category that a value names, ``UNSEEN`` when it is not in ``codes``, or NaN and why not.

    >>> category(3.0, {"3": 7.0}), category("x", {"3": 7.0}), category(None, {}), category(float("inf"), {})
    ((7.0, None), (-1.0, None), (nan, None), (nan, <Fault.NON_FINITE: 2>))
    """
    if value is None:
        return math.nan, None
    text = text_of(value)
    if text is None:
        return math.nan, Fault.NON_FINITE if isinstance(value, float) else Fault.INVALID
    return codes.get(text, UNSEEN), None


def number_in_text(value: Scalar) -> Scalar:
    """A number where only text can stand, as in a header: JSON's spelling of it; other text as it is.

    >>> number_in_text("1.5e3"), number_in_text("17"), number_in_text("1_000"), number_in_text(" 1")
    (1500.0, 17, '1_000', ' 1')
    """
    if not isinstance(value, str) or not _JSON_NUMBER.fullmatch(value):
        return value
    parsed: int | float = json.loads(value, parse_int=integer)
    return parsed
