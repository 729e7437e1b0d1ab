"""The general decode, for messages that the typed one refuses: slower, and it finds fault with single features.

It accepts what Python's parser accepts, so also bare ``NaN`` and ``Infinity``, and fills the same structs. Nothing in it
recurses with the message but the parser itself: depth has been bounded before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from monitor.batch import Fault, RejectReason
from monitor.decode.mapping import Leaf
from monitor.decode.refusal import Refusal, kind_of
from monitor.decode.scalar import UNUSABLE, Scalar, category, integer, number
from monitor.decode.shape import Field, Shape

parse_json = json.JSONDecoder(parse_int=integer).decode
"""A JSON text as Python's parser reads it; a number that is too long is an infinity. Raises ``ValueError`` and ``RecursionError``."""

Faults = list[tuple[int, Fault]]
"""Signals of a row without a value for another reason than that it is missing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One event, in the struct of its shape."""

    struct: msgspec.Struct
    faults: Faults


def decode_any(shape: Shape, message: bytes) -> Row | Refusal:
    """One message as a row, or why it cannot be one."""
    try:
        event = parse_json(message.decode())
    except UnicodeDecodeError as error:
        return Refusal(RejectReason.NOT_JSON, f"expected UTF-8, got another byte at {error.start}")
    except json.JSONDecodeError as error:
        return Refusal(RejectReason.NOT_JSON, f"expected JSON: {error.msg} at character {error.pos}")
    except RecursionError:
        return Refusal(RejectReason.TOO_DEEP, "expected nesting that can be parsed; lower max_depth")
    if not isinstance(event, dict):
        return Refusal(RejectReason.NOT_AN_OBJECT, f"expected a JSON object, got {kind_of(event)}")
    faults: Faults = []
    return Row(_fill(shape, event, faults), faults)


def _fill(shape: Shape, value: Any, faults: Faults) -> msgspec.Struct:
    return shape.struct(*[_field_value(field, _child(value, field.key), faults) for field in shape.fields])


def _child(value: Any, key: str | int) -> Any:
    """What stands below a value; below null there is nothing, and below anything else that has no such parts, nothing usable."""
    if value is None:
        return None
    if isinstance(value, dict) and isinstance(key, str):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int):
        return value[key] if key < len(value) else None
    return UNUSABLE


def _field_value(field: Field, value: Any, faults: Faults) -> Any:
    if field.shape is not None:
        return _fill(field.shape, value, faults)
    if field.leaf is None:
        return field.default
    if not field.is_packed:
        return _accepted(field.leaf, value)
    scalar: Scalar = UNUSABLE if isinstance(value, dict | list) else value
    found, fault = number(scalar) if field.codes is None else category(scalar, field.codes)
    if fault is not None:
        faults.extend((use.column, fault) for use in field.leaf.uses)
    return found


def _accepted(leaf: Leaf, value: Any) -> Scalar:
    return value if value is None or type(value) in leaf.accepts else UNUSABLE
