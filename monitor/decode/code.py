"""Categories that decode straight to the numbers of their codes.

msgspec looks a value up among the members of an ``Enum`` and yields the member. With a float mixed in, the member *is* its
code: packing a row of them costs no lookup. (An int mixed in is refused by msgspec.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Literal, cast

from monitor.batch import UNSEEN


class Code(float, Enum):
    """A category as its code; the member's value is what events write."""

    def __new__(cls, written: str | int, code: float) -> Code:
        """``written`` is the member's value, ``code`` its number."""
        member = float.__new__(cls, code)
        member._value_ = written
        return member

    @classmethod
    def _missing_(cls, value: object) -> Code:
        return cls["UNSEEN"]


def code_type(codes: Mapping[str, float], written_as: Literal["string", "integer"]) -> type[Code] | None:
    """The type of a category with these codes; None when it cannot be typed: an integer of more than 64 bits."""
    if written_as == "string":
        return _enum([*codes.items(), ("\0" * (1 + max(map(len, codes), default=0)), UNSEEN)])
    integers = {int(text): code for text, code in codes.items() if _is_integer(text)}
    if any(not -(2**63) <= number < 2**63 for number in integers):
        return None
    unseen = next(number for number in range(len(integers) + 1) if number not in integers)
    return _enum([*integers.items(), (unseen, UNSEEN)])


def _enum(members: Sequence[tuple[str | int, float]]) -> type[Code]:
    # The last member, UNSEEN, needs a value too: one that is no category, so that reading it is right as well.
    names = [*(f"c{place}" for place in range(len(members) - 1)), "UNSEEN"]
    create = cast(Callable[[str, Mapping[str, tuple[str | int, float]]], type[Code]], Code)
    return create("Code", dict(zip(names, members, strict=True)))


def _is_integer(text: str) -> bool:
    """Whether the text is how an integer is written, and the only way: ``3``, but not ``03`` or ``+3``."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and len(digits) <= 100 and str(int(text)) == text
