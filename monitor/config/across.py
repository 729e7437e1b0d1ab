"""What checks across the fields of a section find where the section was never made, since a field of it is wrong by itself.

A check looks at what is right; where it asks for what is wrong, it ends: what follows from a mistake is none of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from monitor.config.types import Section, sections_in
from monitor.errors import Mistake


def mistakes_across(kind: type[Section], given: Any, path: str = "") -> Iterator[Mistake]:
    """Mistakes that validating ``given`` as ``kind`` does not tell, because it ends before the checks of a section."""
    if not isinstance(given, dict):
        return
    if _is_unmade(kind, given):
        yield from (Mistake(path, text) for text in _found(kind, given))
    for name, field in kind.model_fields.items():
        key = field.alias or name
        inner, value, where = sections_in(field.annotation), given.get(key), f"{path}.{key}".lstrip(".")
        for section in inner:
            if isinstance(value, list):
                for index, each in enumerate(value):
                    yield from mistakes_across(section, each, f"{where}[{index}]")
            else:
                yield from mistakes_across(section, value, where)


def _is_unmade(kind: type[Section], given: dict[str, Any]) -> bool:
    try:
        kind.model_validate(given)
    except ValidationError as error:
        return any(details["loc"] for details in error.errors())  # else it is what a check has said
    return False


def _found(kind: type[Section], given: dict[str, Any]) -> Iterator[str]:
    section, wrong = _as_far_as_right(kind, given)
    for check in kind.checks:
        try:
            yield from check(section)
        except AttributeError as error:
            if error.name not in wrong:
                raise


def _as_far_as_right(kind: type[Section], given: dict[str, Any]) -> tuple[Section, set[str]]:
    """The section without the fields that are wrong, and their names."""
    right = right_fields(kind, given)
    wrong = kind.model_fields.keys() - right.keys()
    section = kind.model_construct(**right)
    for name in wrong:
        section.__dict__.pop(name, None)  # what it is made without may have a default
    return section, wrong


def right_fields(kind: type[Section], given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a section that are right by themselves, given or by default, validated."""
    right: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        key = field.alias or name
        value = given[key] if key in given else given.get(name, field.get_default(call_default_factory=True))
        annotated: Any = field.annotation
        for constraint in field.metadata:
            annotated = Annotated[annotated, constraint]
        with contextlib.suppress(ValidationError):
            right[name] = TypeAdapter(annotated).validate_python(value)
    return right
