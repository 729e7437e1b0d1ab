"""Scalars and comments of a YAML text that a user's names and values cannot break out of."""

from __future__ import annotations

import yaml


def scalar(name: str) -> str:
    """A name, quoted where YAML takes it for something else: Norway's ``no`` is false."""
    return name if yaml.safe_load(name) == name else quoted(name)


def quoted(text: str) -> str:
    """A double-quoted YAML scalar.

    >>> print(quoted('a "b" ä' + chr(7)))
    "a \\"b\\" ä\\U00000007"
    """
    escaped = (letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in text)
    return '"' + "".join(f"\\{letter}" if letter in '"\\' else letter for letter in escaped) + '"'


def comment(text: str) -> str:
    """Text that stays on the line of its comment."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
