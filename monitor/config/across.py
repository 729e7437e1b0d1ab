"""What checks across the fields of a section find where the section was never made, since something in it is wrong by itself.

A check looks at what is right; where it asks for what is wrong, it ends: what follows from a mistake is none of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from monitor.config.types import Section, is_truth_for_a_number, messages_of, sections_in
from monitor.errors import Mistake


def mistakes_across(kind: type[Section], given: Any, path: str = "") -> Iterator[Mistake]:
    """Mistakes that validating ``given`` as ``kind`` does not tell, because it ends before the checks of a section, or with the first."""
    if not isinstance(given, dict):
        return
    if (told := _told(kind, given)) is not None:
        yield from (Mistake(path, text) for text in _found(_as_far_as_right(kind, given)) if text not in told)
    for name, field in kind.model_fields.items():
        key = field.alias or name
        for section, place, each in _inside(field.annotation, given.get(key)):
            yield from mistakes_across(section, each, f"{path}.{key}{place}".lstrip("."))


def _inside(annotation: Any, given: Any) -> Iterator[tuple[type[Section], str, Any]]:
    """The sections that a field holds: of which kind, where in it, and what is given. None if it should hold another type."""
    listed = tuple in {get_origin(part) for part in (annotation, *get_args(annotation))}
    if listed == isinstance(given, list):
        for place, each in [(f"[{index}]", item) for index, item in enumerate(given)] if listed else [("", given)]:
            yield from ((section, place, each) for section in sections_in(annotation))


def _told(kind: type[Section], given: dict[str, Any]) -> set[str] | None:
    """What validating tells of the section as a whole; None if all is right."""
    try:
        kind.model_validate(given)
    except ValidationError as error:
        return {text for details in error.errors() if not details["loc"] for text in messages_of(details["ctx"]["error"])}
    return None


def _found(section: Section) -> Iterator[str]:
    yield from _refusals(section)
    for check in section.checks:
        yield from _as_far_as_known(check, section)


def _refusals(section: Section) -> Iterator[str]:
    """What the section's own validators say of it, but for the one that does the ``checks``."""
    for name, validator in type(section).__pydantic_decorators__.model_validators.items():
        if name != Section._checked.__name__:
            try:
                yield from _as_far_as_known(validator.func, section)
            except ValueError as error:
                yield from messages_of(error)


def _as_far_as_known(check: Callable[[Any], Any], section: Section) -> Iterator[str]:
    try:
        found: Iterable[str] | Section = check(section)
        yield from () if isinstance(found, Section) else found
    except AttributeError as error:
        if not isinstance(error.obj, Section) or error.name not in type(error.obj).model_fields:
            raise


def _as_far_as_right(kind: type[Section], given: dict[str, Any]) -> Section:
    """The section without what is wrong in it, at any depth: who asks for that gets an ``AttributeError``.

    What ``checks`` find is wrong between fields that are right. What another validator refuses is wrong as a whole.
    """
    known = {key: name for name, field in kind.model_fields.items() for key in (name, field.alias or name)}
    names = {known[key]: value for key, value in given.items() if key in known}
    right = right_fields(kind, given)
    for name, value in names.items():
        if name not in right and (parts := _parts(kind.model_fields[name].annotation, value)) is not None:
            right[name] = parts
    if given.keys() - known.keys():  # any that is absent may be what an unknown key was meant to be
        right = {name: value for name, value in right.items() if name in names}
    section = kind.model_construct(_fields_set={*names} & right.keys(), **right)
    for name in kind.model_fields.keys() - right.keys():
        section.__dict__.pop(name, None)  # what it is made without may have a default
    return section


def _parts(annotation: Any, value: Any) -> Any:
    """Of a section, or a list of them, that is not right: what is right of it, or None."""
    inside = list(_inside(annotation, value))
    if not all(isinstance(each, dict) for _, _, each in inside):
        return None
    parts = tuple(_unless_refused(_as_far_as_right(section, each)) for section, _, each in inside)
    return (parts or None) if isinstance(value, list) else next(iter(parts), None)


def _unless_refused(section: Section) -> Section:
    if any(True for _ in _refusals(section)):
        section.__dict__.clear()
        section.model_fields_set.clear()
    return section


def right_fields(kind: type[Section], given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a section that are right by themselves, given or by default, validated."""
    right: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        key = field.alias or name
        value = given[key] if key in given else given.get(name, field.get_default(call_default_factory=True))
        with contextlib.suppress(ValidationError):
            if not is_truth_for_a_number(field.annotation, value):
                right[name] = _adapter(kind, name).validate_python(value)
    return right


@cache
def _adapter(kind: type[Section], name: str) -> TypeAdapter[Any]:
    annotated: Any = kind.model_fields[name].annotation
    for constraint in kind.model_fields[name].metadata:
        annotated = Annotated[annotated, constraint]
    return TypeAdapter(annotated)
