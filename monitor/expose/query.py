"""Query parameters, checked: what was expected and what was got."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import parse_qs

Query = Mapping[str, Sequence[str]]

MAX_PARAMETERS = 50


class BadParameterError(ValueError):
    """A query parameter that cannot be used."""

    def __init__(self, parameter: str, expected: str, got: str) -> None:
        self.parameter, self.expected, self.got = parameter, expected, got[:200]
        super().__init__(f"{parameter}: expected {expected}, got {self.got!r}")


def parse_query(text: str) -> dict[str, list[str]]:
    """Parameters of the part after the question mark. Raises ``BadParameterError`` when there are too many."""
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="replace")
    except ValueError as error:
        raise BadParameterError("query", f"at most {MAX_PARAMETERS} parameters", f"{text.count('&') + 1} parameters") from error


def check_names(query: Query, known: Collection[str]) -> None:
    """Raises ``BadParameterError`` for a parameter that does not exist."""
    for name in query:
        if name not in known:
            raise BadParameterError(name[:100], f"one of the parameters {', '.join(known)}", name)


def one_of(query: Query, name: str, values: Collection[str]) -> frozenset[str] | None:
    """The values asked for; None for any. Raises ``BadParameterError`` for one that does not exist."""
    if name not in query:
        return None
    for value in query[name]:
        if value not in values:
            raise BadParameterError(name, f"one of {', '.join(values) or 'none, there are none yet'}", value)
    return frozenset(query[name])


def one_word_of(query: Query, name: str, words: Collection[str]) -> frozenset[str] | None:
    """As ``one_of``, of words of ours, which are in lower case and written in capitals too. Raises ``BadParameterError``."""
    values = [value.lower() if value.lower() in words else value for value in query.get(name, ())]
    return one_of({name: values} if values else {}, name, words)


def any_text(query: Query, name: str) -> frozenset[str] | None:
    """The values asked for; None for any."""
    return frozenset(query[name]) if name in query else None


def whole(query: Query, name: str, default: int, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``. Raises ``BadParameterError``."""
    if name not in query:
        return default
    values = query[name]
    text = values[0] if len(values) == 1 else ",".join(values)
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and low <= int(text) <= high):
        raise BadParameterError(name, f"a whole number from {low} to {high}", text)
    return int(text)
