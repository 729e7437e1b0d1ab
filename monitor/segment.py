"""Segments: slices of traffic, named by a canonical key string.

A grouping is a tuple of columns; a segment is a grouping with one value per column. Its key is
``country=FR,device=ios``; the whole traffic is ``ALL``. Segments merge by key, never by a dense id, so the
order in which values first appeared means nothing. Values are untrusted: cleaned and cut on entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

ALL = "ALL"
MISSING = "__missing__"  # the event has no value for the column
OTHER = "__other__"  # the value did not fit under the cap
_CACHED_KEYS = 1 << 16  # the same segments come again with every pane
_RESERVED = frozenset({MISSING, OTHER})
_ESCAPES = str.maketrans({"\\": "\\\\", ",": "\\,", "=": "\\="})


def clean_value(value: object, max_length: int) -> str:
    """A segment value as text: missing named, booleans as JSON writes them, unprintable characters replaced, cut.

    >>> clean_value(None, 64), clean_value(True, 64), clean_value("a\\x00b", 64), clean_value("__other__", 64)
    ('__missing__', 'true', 'a?b', '?_other__')
    """
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    text = printable(str(value)[:max_length])
    # A user's value must not pass for one of ours.
    return "?" + text[1:] if text in _RESERVED else text


def printable(text: str) -> str:
    """The text with a question mark for what a terminal would act on or not show."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


def shown_category(text: str) -> str:
    """A category for people: an empty one by a word."""
    return printable(text) or "(empty)"


def named_value(text: str | None, max_length: int, *, verbatim: bool) -> str:
    """A value of a segment column as it is named: cleaned, or verbatim, as categories are in references.

    Verbatim is as it stands in an event, cut; a lone surrogate, which has no UTF-8, is a question mark.

    >>> named_value("a\\u00a0b", 64, verbatim=True), named_value("", 64, verbatim=True), named_value("", 64, verbatim=False)
    ('a\\xa0b', '', '__missing__')
    """
    if verbatim and text is not None:
        return text[:max_length].encode("utf-8", "replace").decode()
    return clean_value(text, max_length)


@lru_cache(_CACHED_KEYS)
def segment_key(grouping: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Key of a segment; columns in the grouping's order, separators in values escaped.

    >>> segment_key(("country", "device"), ("FR", "a=b"))
    'country=FR,device=a\\\\=b'
    >>> segment_key((), ())
    'ALL'
    """
    if not grouping:
        return ALL
    return ",".join(f"{column}={value.translate(_ESCAPES)}" for column, value in zip(grouping, values, strict=True))


@lru_cache(_CACHED_KEYS)
def parse_key(key: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Grouping and values of a key, the inverse of ``segment_key``; of any other text as many columns as values.

    >>> parse_key(segment_key(("a", "b"), ("x,y", "1=2\\\\")))
    (('a', 'b'), ('x,y', '1=2\\\\'))
    """
    if key == ALL:
        return (), ()
    columns: list[str] = []
    values: list[str] = []
    text, escaped, in_value = "", False, False
    for letter in key:
        if escaped:
            text, escaped = text + letter, False
        elif letter == "\\":
            escaped = True
        elif letter == "=" and not in_value:
            columns.append(text)
            text, in_value = "", True
        elif letter == "," and in_value:
            values.append(text)
            text, in_value = "", False
        else:
            text += letter
    if in_value:
        values.append(text + "\\" if escaped else text)  # no key ends with an escape
    return tuple(columns), tuple(values)


def other_key(grouping: tuple[str, ...]) -> str:
    """Key of the segment that takes what does not fit under the cap."""
    return segment_key(grouping, (OTHER,) * len(grouping))


def wrong_segment(segment: str, groupings: Sequence[tuple[str, ...]]) -> str | None:
    """What is wrong with the key of a segment of these groupings; None: nothing. Whether traffic has its values is not known here."""
    columns, values = parse_key(segment)
    if segment == ALL or (columns in groupings and segment_key(columns, values) == segment):
        return None
    for grouping in groupings:
        if columns and sorted(grouping) == sorted(columns):
            of = dict(zip(columns, values, strict=True))
            return f"expected {segment_key(grouping, tuple(of[column] for column in grouping))!r}, as the grouping has it, got {segment!r}"
    shapes = [",".join(f"{column}=..." for column in grouping) for grouping in groupings]
    return f"expected {' or '.join([ALL, *shapes])}, by the groupings of the model, got {segment!r}"
