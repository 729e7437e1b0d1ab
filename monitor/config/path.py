"""Where a value stands in an event: a small path language, parsed once.

a.b             key b of the object under key a
inputs[0].x     first element of an array
"a.b".c         a key that itself holds a dot
$key            the message's key
$timestamp      the record's own timestamp
$header.name    a message header
"""

from __future__ import annotations

import re

_STEP = re.compile(r'(?P<dot>\.?)(?:(?P<key>[^.\[\]"\s$][^.\[\]"]*)|"(?P<quoted>[^"]+)"|\[(?P<index>\d{1,4})\])')
SPECIALS = ("$key", "$timestamp")
HEADER = "$header."

Steps = tuple[str | int, ...]


def parse_path(text: str) -> Steps:
    """Steps of a path: keys as str, array indices as int; ``("$key",)`` and the like for what is not in the body.

    >>> parse_path('features."a.b"[2].x')
    ('features', 'a.b', 2, 'x')
    >>> parse_path("$header.trace-id")
    ('$header', 'trace-id')
    """
    if text in SPECIALS:
        return (text,)
    if text.startswith(HEADER) and len(text) > len(HEADER):
        return ("$header", text[len(HEADER) :])
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        # A key needs a dot before it unless it is the first; an index needs none.
        if match is None or (match["index"] is None) == (bool(match["dot"]) == (not steps)):
            raise ValueError(
                f"expected a path such as a.b, inputs[0].x, $key, $timestamp or $header.name, got {text!r} (at character {at + 1})"
            )
        steps.append(int(match["index"]) if match["index"] is not None else match["key"] or match["quoted"])
        at = match.end()
    return tuple(steps)


def is_special(steps: Steps) -> bool:
    """Whether the value stands outside the message's body."""
    return isinstance(steps[0], str) and steps[0].startswith("$")
