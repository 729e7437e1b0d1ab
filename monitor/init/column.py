"""Events flattened into columns by path, with what their values look like."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

MAX_COLUMNS = 1_000
MAX_DEPTH = 8
MAX_ELEMENTS = 64
MAIN_SHARE = 0.9
MAX_CATEGORIES = 1_000
FEW_VALUES = 50
_PLAIN_KEY = re.compile(r'[^.\[\]"\s$][^.\[\]"]*')
_WORD = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+|\d+")  # letters beyond ASCII are taken for small ones


@dataclass(eq=False)
class Column:
    """All values of one path in the sample."""

    path: str
    keys: tuple[str, ...]  # the keys on the way, without array positions; a key with dots, as of a flattened table, is several
    of_kind: dict[str, list[Any]] = field(default_factory=dict)  # boolean, integer, number, text, time: the values
    of_row: dict[int, Any] = field(default_factory=dict)  # the values by the number of their row

    @property
    def name(self) -> str:
        """The last key."""
        return self.keys[-1] if self.keys else self.path

    @property
    def present(self) -> int:
        """Rows with a value."""
        return sum(map(len, self.of_kind.values()))

    @cached_property
    def kind(self) -> str:
        """What at least ``MAIN_SHARE`` of the values are, whole numbers among others being numbers; else ``mixed`` or ``none``."""
        sizes = {kind: len(values) for kind, values in self.of_kind.items()}
        if "number" in sizes:
            sizes["number"] += sizes.pop("integer", 0)
        kind = max(sizes, key=lambda kind: sizes[kind], default="none")
        return kind if kind == "none" or sizes[kind] >= MAIN_SHARE * self.present else "mixed"

    @cached_property
    def values(self) -> list[Any]:
        """The values of that kind; all for ``mixed``."""
        kinds = {"number": ("number", "integer"), "mixed": tuple(self.of_kind)}.get(self.kind, (self.kind,))
        return [value for kind in kinds for value in self.of_kind.get(kind, ())]

    @cached_property
    def distinct(self) -> int:
        """How many different values."""
        return len(set(self.values))

    @property
    def whole(self) -> bool:
        """Whether all are whole numbers: tables write those with gaps as floats."""
        return self.kind == "integer" or (self.kind == "number" and all(float(value).is_integer() for value in self.values))

    @property
    def words(self) -> set[str]:
        """The lower-case words of the last key: ``modelVersion`` and ``model_version`` are model and version."""
        return set(words_of(self.name))


@dataclass(frozen=True, slots=True)
class Chosen:
    """A column in a role, and why."""

    column: Column
    why: str
    detail: str = ""  # unit of a time, type of a feature, how categories are written


def shown(column: Column) -> str:
    """The first value, cleaned and cut; empty without one."""
    text = str(column.values[0]) if column.values else ""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= 40 else clean[:37] + "..."


def words_of(name: str) -> list[str]:
    """Lower-case words of a name.

    >>> words_of("modelVersion2"), words_of("HTTPStatus_code"), words_of("prix_étape2Größe")
    (['model', 'version', '2'], ['http', 'status', 'code'], ['prix', 'étape', '2', 'größe'])
    """
    return [word.lower() for word in _WORD.findall(name)]


def unnamed_keys(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Keys that no path can name, after those on their way, in the order in which they first appear, at most ``MAX_COLUMNS``."""
    found = dict.fromkeys(".".join(key or '""' for key in keys) for row in rows for path, keys, _ in _leaves(row, "", (), 0) if not path)
    return list(found)[:MAX_COLUMNS]


def columns_of(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The columns of events, in the order in which they first appear, at most ``MAX_COLUMNS``."""
    columns: dict[str, Column] = {}
    for number, row in enumerate(rows):
        for path, keys, leaf in _leaves(row, "", (), 0):
            if not path:
                continue
            value = float(leaf) if isinstance(leaf, Decimal) else leaf
            column = columns.get(path)
            if column is None:
                if len(columns) >= MAX_COLUMNS:
                    continue
                column = columns[path] = Column(path, keys)
            kind = _kind(value)
            if kind is not None:
                column.of_kind.setdefault(kind, []).append(value)
                column.of_row[number] = value
    return list(columns.values())


def _leaves(value: Any, path: str, keys: tuple[str, ...], depth: int) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Path, keys and value of each leaf; for a key that no path can name, what stands below it, without a path."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if not key or '"' in key or key.startswith("$"):
                yield "", (*keys, key), part
            elif depth < MAX_DEPTH:
                step = key if _PLAIN_KEY.fullmatch(key) else f'"{key}"'
                yield from _leaves(part, f"{path}.{step}" if path else step, (*keys, *_parts(key)), depth + 1)
    elif isinstance(value, list):
        for position, part in enumerate(value[:MAX_ELEMENTS]):
            if depth < MAX_DEPTH and path:
                yield from _leaves(part, f"{path}[{position}]", keys, depth + 1)
    elif path:
        yield path, keys, value


def _parts(key: str) -> tuple[str, ...]:
    """What tables call ``result.label`` was ``label`` in ``result``, and is to be recognised as that.

    >>> _parts("result.label"), _parts("v1."), _parts("amount")
    (('result', 'label'), ('v1.',), ('amount',))
    """
    parts = tuple(key.split("."))
    return parts if all(parts) else (key,)


def _kind(value: Any) -> str | None:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number" if math.isfinite(value) else None
        case date():
            return "time"
        case str():
            return "text" if value else None
    return None
