"""Tables as events: each row of a CSV or Parquet file becomes the JSON event that the configuration's paths describe.

So a table has no meaning of its own: the events are decoded like those of production. A path takes its value
from the column named like the whole path, else like the feature or segment column, else like the last key of the path.
What production keeps outside the body stands beside the features in data files: ``$key`` under ``key``, ``$timestamp``
under ``timestamp``, ``$header.x`` under ``x``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

from monitor.config.model import ModelConfig
from monitor.config.path import Steps, parse_path

Kind = Literal["number", "integer", "boolean", "text", "time", "any"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_NS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A value that the configuration looks for, and the columns that may hold it."""

    steps: Steps
    names: tuple[str, ...]  # in order of preference
    kind: Kind


@dataclass(frozen=True, slots=True)
class Row:
    """How a row becomes an event: the columns to read, and the event's shape with a converter at each leaf."""

    columns: tuple[str, ...]
    shape: Any  # nested dict and list; a leaf is (index into columns, converter)

    def event(self, values: Sequence[Any]) -> bytes:
        """The event of a row with ``values`` of the ``columns``; NaN is written as NaN, None as null."""
        return json.dumps(_filled(self.shape, values), ensure_ascii=False, separators=(",", ":"), default=_written).encode(
            "utf-8", "replace"
        )


def wanted(model: ModelConfig, extra: Iterable[str] = ()) -> list[Wanted]:
    """Every value in the body of an event that the configuration, or a path of ``extra``, names."""
    predictions, found = model.predictions, []

    def want(path: str | None, name: str, kind: Kind) -> None:
        if path is not None and not path.startswith("$"):
            steps = parse_path(path)
            last = next((step for step in reversed(steps) if isinstance(step, str)), name)
            dotted = ".".join(str(step) for step in steps)
            # Elements of an array share their last key, so it can only name the whole array.
            short = (last,) if isinstance(steps[-1], str) else ()
            found.append(Wanted(steps, (path, dotted, name, *short), kind))

    kinds: dict[str, Kind] = {"string": "text", "integer": "integer", "boolean": "boolean"}
    for feature in model.features:
        want(feature.where, feature.name, "number" if feature.type == "numeric" else kinds[feature.values])
    want(predictions.score, "score", "number")
    want(predictions.time.path, "time", "text" if predictions.time.unit == "iso8601" else "time")
    for path, name in ((predictions.predicted_class, "predicted_class"), (predictions.model_version, "model_version")):
        want(path, name, "any")
    for name, path in model.segments.columns.items():
        want(path, name, "any")
    for path in extra:
        want(path, path, "any")
    return found


def rows_of(fields: Sequence[Wanted], columns: Sequence[str], time_unit: str, *, typed: bool) -> Row:
    """How rows with these columns become events; ``typed``: values have types (Parquet), else all are text (CSV).

    Where two fields want the same place, the first decides: features know their type best. Fields without a column are
    left out, and counted as missing later.
    """
    used: dict[str, int] = {}
    shape: dict[str, Any] = {}
    for field in fields:
        first = str(field.steps[0])
        if typed and len(field.steps) > 1 and first in columns:
            shape.setdefault(first, (used.setdefault(first, len(used)), _plain))
            continue
        name = next((name for name in field.names if name in columns), None)
        if name is not None:
            convert = _typed(field.kind, time_unit) if typed else _from_text(field.kind)
            _place(shape, field.steps, (used.setdefault(name, len(used)), convert))
    return Row(tuple(used), shape)


def _place(shape: Any, steps: Steps, leaf: Any) -> None:
    for step, following in zip(steps, (*steps[1:], None), strict=True):
        last = following is None
        empty: Any = leaf if last else [] if isinstance(following, int) else {}
        if isinstance(step, int) and isinstance(shape, list):
            shape.extend([None] * (step + 1 - len(shape)))
            shape[step] = empty if shape[step] is None else shape[step]
            shape = shape[step]
        elif isinstance(step, str) and isinstance(shape, dict):
            shape = shape.setdefault(step, empty)
        else:
            return  # a path through another path's value: that one decides


def _filled(shape: Any, values: Sequence[Any]) -> Any:
    if type(shape) is tuple:
        value = values[shape[0]]
        return None if value is None else shape[1](value)
    if type(shape) is dict:
        return {key: _filled(part, values) for key, part in shape.items()}
    return None if shape is None else [_filled(part, values) for part in shape]


def number_of(text: str) -> Any:
    """The number a text writes, None for empty text and R's ``NA``; the text itself when it is none.

    >>> number_of("3"), number_of("2.5e3"), number_of(""), number_of("1_000"), number_of("abc")
    (3, 2500.0, None, '1_000', 'abc')
    """
    if text in ("", "NA"):
        return None
    if "_" in text:
        return text
    for parse in (int, float):
        try:
            return parse(text)
        except ValueError:
            continue
    return text


def _from_text(kind: Kind) -> Callable[[str], Any]:
    match kind:
        case "number" | "integer" | "time":
            return number_of
        case "boolean":
            return lambda text: {"true": True, "false": False, "": None}.get(text.lower(), text)
        case "text":
            return lambda text: text or None
    # pandas writes booleans with a capital letter.
    return lambda text: {"True": True, "False": False, "": None}.get(text, text)


def _typed(kind: Kind, time_unit: str) -> Callable[[Any], Any]:
    if kind == "time":
        return lambda value: _in_unit(value, time_unit) if isinstance(value, date) else _plain(value)
    if kind == "number":
        return lambda value: float(value) if type(value) is Decimal else _plain(value)
    # A column of whole numbers with gaps is often stored as floats; production writes 3, not 3.0.
    return lambda value: int(value) if type(value) is float and value.is_integer() else _plain(value)


def _in_unit(value: date, unit: str) -> int | float:
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    passed = moment - _EPOCH
    microseconds = (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
    whole, rest = divmod(microseconds * 1_000, _UNIT_NS[unit])
    return whole if not rest else whole + rest / _UNIT_NS[unit]


def _written(value: Any) -> Any:
    """What JSON has no type for, such as a decimal inside a structure."""
    if type(value) is Decimal:
        return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value
