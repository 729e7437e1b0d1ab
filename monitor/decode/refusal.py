"""Why a message yields no row: a reason out of a bounded set, and a sentence without the payload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from monitor.batch import Int64, RejectReason

Item = TypeVar("Item")

MAX_DETAIL = 200

_KINDS = {"dict": "an object", "list": "an array", "str": "text", "bool": "true or false", "NoneType": "null"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One message's reason."""

    reason: RejectReason
    detail: str

    @property
    def shown(self) -> str:
        """The detail, printable and cut: a path in it was written by a person, and may hold anything."""
        text = self.detail[:MAX_DETAIL]
        return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


def kind_of(value: object) -> str:
    """What a JSON value is, in words.

    >>> kind_of([1]), kind_of(1.5), kind_of(float("nan"))
    ('an array', 'a number with a fraction', 'a number that is not finite')
    """
    if isinstance(value, float):
        return "a number with a fraction" if abs(value) < float("inf") else "a number that is not finite"
    if isinstance(value, int) and not isinstance(value, bool):
        return "a number"
    return _KINDS.get(type(value).__name__, "another type")


def without(items: Sequence[Item], refused: Mapping[int, Refusal]) -> Sequence[Item]:
    """The items whose index is not refused."""
    return [item for index, item in enumerate(items) if index not in refused] if refused else items


def by_reason(refused: Sequence[tuple[int, Refusal]]) -> Int64:
    """[reasons] number of refused messages, which are given by their places."""
    return np.bincount([refusal.reason for _, refusal in refused], minlength=len(RejectReason)).astype(np.int64)
