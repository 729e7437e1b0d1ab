"""The mapping's tree as msgspec structs, which both decodes fill.

A struct's fields stand in an order that keeps together what is packed into columns: numbers and codes, then other values, then
structs. What they are called in JSON is said by ``rename``; an array is a struct that is read by position.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, cast

import msgspec

from monitor.decode.code import code_type
from monitor.decode.identity import MAX_ID_LENGTH
from monitor.decode.mapping import Leaf, Node, Use
from monitor.profile.layout import Vocabulary

MAX_TYPED_INDEX = 255
"""A struct for an array has a field for every element up to the last that is read."""

_PLAIN_ID = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH)] | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""Values that are ids as they stand. Others, such as 1.0, may be ids too, but have to be looked at."""


@dataclass(frozen=True, eq=False)
class Field:
    """One field of a struct: a leaf, a nested shape, or, in an array, an element that nobody reads."""

    name: str
    key: str | int
    type: Any
    default: Any
    leaf: Leaf | None = None
    shape: Shape | None = None
    codes: Mapping[str, float] | None = None  # of a leaf that is read as a code

    @property
    def is_packed(self) -> bool:
        """Whether its value is a float, ready for a column."""
        return self.leaf is not None and (self.leaf.is_number or self.codes is not None)


@dataclass(frozen=True, eq=False)
class Shape:
    """A struct type and what its fields are for."""

    struct: type[msgspec.Struct]
    fields: tuple[Field, ...]
    typed: bool  # whether a typed decode can fill it: no key has two types
    closed: type[msgspec.Struct] | None = None  # the same struct, for objects without any other key; None where there are arrays

    @property
    def proves_id(self) -> bool:
        """Whether ``closed`` lets no object pass but with a valid id: then nobody need look at it again."""
        return self.closed is not None and any(
            field.shape.proves_id if field.shape is not None else field.leaf is not None and field.leaf.is_id for field in self.fields
        )

    @property
    def depth(self) -> int:
        """How deep an object is nested that holds nothing else."""
        return 1 + max((field.shape.depth for field in self.fields if field.shape is not None), default=0)


def codes_of(use: Use, vocabulary: Vocabulary) -> dict[str, float]:
    """Code of each category of a signal."""
    return {text: float(code) for code, text in enumerate(vocabulary.get(use.name, ()))}


def shape_of(node: Node, vocabulary: Vocabulary) -> Shape:
    """The structs of a tree."""
    leaves = [_leaf_field(key, leaf, vocabulary) for key, leaf in node.leaves.items()]
    nested = []
    for (key, _), child in node.nodes.items():
        shape = shape_of(child, vocabulary)
        nested.append(Field("", key, shape.struct, shape.struct(), shape=shape))
    fields = sorted(leaves, key=lambda field: not field.is_packed) + nested
    keys = [field.key for field in fields]
    typed = len(set(keys)) == len(keys) and all(field.shape is None or field.shape.typed for field in fields)
    if node.is_array:
        return _array_shape(fields, typed and max(cast(list[int], keys)) <= MAX_TYPED_INDEX)
    return _object_shape(fields, typed)


def _leaf_field(key: str | int, leaf: Leaf, vocabulary: Vocabulary) -> Field:
    if leaf.is_number:
        return Field("", key, float | None, math.nan, leaf)
    if leaf.is_code:
        (use,) = leaf.uses
        codes = codes_of(use, vocabulary)
        code = code_type(codes, cast(Literal["string", "integer"], use.values))
        if code is not None:
            return Field("", key, code | None, math.nan, leaf, codes=codes)
    return Field("", key, reduce(or_, leaf.accepts, None), None, leaf)


def _object_shape(fields: list[Field], typed: bool) -> Shape:
    numbered = [_named(field, place) for place, field in enumerate(fields)]
    try:
        if typed:
            rename = {field.name: cast(str, field.key) for field in numbered}
            return Shape(_struct(numbered, rename=rename), tuple(numbered), True, _closed(numbered, rename))
    except ValueError:
        pass  # a key with a character that msgspec cannot match, such as a quote
    return Shape(_struct(numbered), tuple(numbered), False)


def _closed(fields: list[Field], rename: dict[str, str]) -> type[msgspec.Struct] | None:
    inner = []
    for field in fields:
        if field.shape is not None:
            closed = field.shape.closed
            if closed is None:
                return None
            # An object that is not there has no id in it either.
            field = replace(field, type=closed, default=msgspec.NODEFAULT if field.shape.proves_id else closed())  # noqa: PLW2901
        elif field.leaf is not None and field.leaf.is_id:
            field = replace(field, type=_PLAIN_ID, default=msgspec.NODEFAULT)  # noqa: PLW2901
        inner.append(field)
    # By keyword, or what has no default could not stand behind what has one.
    return _struct(inner, rename=rename, forbid_unknown_fields=True, kw_only=True)


def _array_shape(fields: list[Field], typed: bool) -> Shape:
    if typed:
        by_index = {field.key: field for field in fields}
        unread = msgspec.Raw()
        fields = [by_index.get(index) or Field("", index, msgspec.Raw, unread) for index in range(max(cast(list[int], list(by_index))) + 1)]
    numbered = [_named(field, place) for place, field in enumerate(fields)]
    return Shape(_struct(numbered, array_like=True), tuple(numbered), typed)


def _named(field: Field, place: int) -> Field:
    return replace(field, name=f"f{place}")


def _struct(fields: list[Field], **options: Any) -> type[msgspec.Struct]:
    # Not tracked by the collector, which would walk all rows of a chunk; they cannot form cycles.
    return msgspec.defstruct("Row", [(f.name, f.type, f.default) for f in fields], frozen=True, gc=False, **options)
