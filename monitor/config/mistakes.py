"""pydantic's errors in the words of a person: path, expected, got."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Sequence
from datetime import date
from typing import Any

from pydantic import BaseModel, ValidationError

from monitor.config.types import Secret, messages_of, sections_in
from monitor.errors import Mistake


def explain(error: ValidationError, root: type[BaseModel]) -> list[Mistake]:
    """One ``Mistake`` per error, in the order of the file; unknown keys come with the nearest one that ``root`` knows."""
    found = error.errors(include_url=False)
    # A list all of whose items failed is then also reported as too short, which says nothing new.
    return [
        Mistake(_path(details["loc"]), message)
        for details in found
        if not (
            details["type"] == "too_short"
            and any(other["loc"][: len(details["loc"])] == details["loc"] for other in found if other is not details)
        )
        for message in _messages(details, root)
    ]


def _path(loc: tuple[int | str, ...]) -> str:
    text = ""
    for step in loc:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def _messages(details: Any, root: type[BaseModel]) -> Sequence[str]:
    error = details.get("ctx", {}).get("error")
    if isinstance(error, ValueError):
        return messages_of(error)
    secret = _about_secrets(details["loc"], root) if details["type"] in _NO_SECTION else ""
    return [secret or _message(details, root)]


def _message(details: Any, root: type[BaseModel]) -> str:
    kind, got, context = details["type"], details["input"], details.get("ctx", {})
    shown = _shown(got)
    match kind:
        case "missing":
            return "expected a value, got none"
        case "extra_forbidden":
            return _unknown(details["loc"], root)
        case "literal_error":
            return f"expected {str(context['expected']).replace(chr(39), '')}, got {shown}"
        case "too_short":
            least = context["min_length"]
            return f"expected at least {least} item{'s' if least != 1 else ''}, got {context['actual_length']}"
    hint = "; put it in quotes" if kind == "string_type" and isinstance(got, int | float | date) else ""
    said = str(details["msg"]).removeprefix("Input should be ").removeprefix("a valid ")
    expected = _TYPES[kind].format_map(context) if kind in _TYPES else said[0].lower() + said[1:]
    return f"expected {expected}, got {shown}{hint}"


def _about_secrets(loc: tuple[int | str, ...], root: type[BaseModel]) -> str:
    """What is said where a secret may stand in plain text: what should be there, never what is. Empty elsewhere."""
    here = _sections_at(loc, root)
    if Secret in here:
        return "expected {file: PATH} or {env: NAME}, which say where the secret is, got a value (not shown); a secret does not belong here"
    if any(Secret in sections_in(part) for section in here for part in _keys(section).values()):
        return "expected a mapping of keys to values, got another type (not shown: it may hold a secret)"
    return ""


_NO_SECTION = ("model_type", "model_attributes_type")

_TYPES = {
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "string_type": "text",
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_too_short": "text of at least {min_length} characters",
    "path_type": "the path of a file or folder",
}
"""Types as YAML has them, not Python; pydantic says the others well enough."""


def _unknown(loc: tuple[int | str, ...], root: type[BaseModel]) -> str:
    """A key is looked for where it stands first, then everywhere."""
    key, here = str(loc[-1]), _sections_at(loc[:-1], root)
    near = difflib.get_close_matches(key, sorted({name for section in here for name in _keys(section)}), n=1)
    if near:
        return f"unknown key; did you mean {near[0]!r}?"
    place = _known_keys(root).get(key)
    return "unknown key" if place is None else f"unknown key here; it belongs to {place}"


def _sections_at(loc: tuple[int | str, ...], root: type[BaseModel]) -> list[type[BaseModel]]:
    """Sections that can stand at a place; places of lists, and names that are no section's key, lead no further."""
    here = [root]
    for step in loc:
        here = [found for section in here for name, part in _keys(section).items() if name == step for found in sections_in(part)] or here
    return here


def _keys(section: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in section.model_fields.items()}


_REPR = reprlib.Repr()  # never writes all of a value out: a few aliases of YAML make one that no memory holds
_REPR.maxlevel = 4
_REPR.maxdict = _REPR.maxlist = _REPR.maxtuple = 20
_REPR.maxstring = _REPR.maxlong = _REPR.maxother = 200
_CREDENTIALS = re.compile(r"(['\"]?)\S+(?=@)")  # of an address, which may hold a password


def _shown(value: Any) -> str:
    text = _CREDENTIALS.sub(r"\1...", _REPR.repr(value))
    return text if len(text) <= 80 else text[:77] + "..."


def _known_keys(root: type[BaseModel]) -> dict[str, str]:
    """The nearest section, from the root, that knows each key."""
    keys: dict[str, str] = {}
    todo: list[tuple[str, type[BaseModel]]] = [("", root)]
    seen: set[type[BaseModel]] = set()
    while todo:
        path, section = todo.pop(0)
        if section in seen:
            continue
        seen.add(section)
        for name, field in section.model_fields.items():
            key = field.alias or name
            keys.setdefault(key, path or "the top level")
            listed = "[]" if getattr(field.annotation, "__origin__", None) in (list, tuple) else ""
            todo += [(f"{path}.{key}{listed}".lstrip("."), inner) for inner in sections_in(field.annotation)]
    return keys
