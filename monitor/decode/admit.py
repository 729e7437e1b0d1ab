"""Which messages are read at all: neither tombstones, nor longer or deeper than the bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.batch import RejectReason
from monitor.decode.depth import deeper_than
from monitor.decode.refusal import Refusal, without


@dataclass(frozen=True, slots=True)
class Admitted:
    """The messages of a chunk that are decoded, and what became of the others."""

    places: Sequence[int]
    messages: Sequence[bytes]
    tombstones: int
    refused: list[tuple[int, Refusal]]


def admit(values: Sequence[bytes | None], start: int, max_bytes: int, max_depth: int) -> Admitted:
    """Judge a chunk of messages, the first of which has the place ``start``. Looks at brackets only, and cannot recurse."""
    places: Sequence[int] = range(start, start + len(values))
    tombstones = 0
    try:
        longest = max(map(len, values))  # type: ignore[arg-type]
    except TypeError:
        tombstones = sum(value is None for value in values)
        places = [place for place, value in zip(places, values, strict=True) if value is not None]
        values = [value for value in values if value is not None]
        longest = max(map(len, values), default=0)  # type: ignore[arg-type]
    messages: Sequence[bytes] = values  # type: ignore[assignment]
    refused = {}
    if longest > max_bytes:
        refused = {
            index: Refusal(RejectReason.TOO_LARGE, f"expected at most {max_bytes} bytes, got {len(message)}")
            for index, message in enumerate(messages)
            if len(message) > max_bytes
        }
        longest = max_bytes
    found = [(places[index], refusal) for index, refusal in refused.items()]
    places, messages = without(places, refused), without(messages, refused)
    refused = {
        index: Refusal(RejectReason.TOO_DEEP, f"expected nesting of at most {max_depth}, got {depth}")
        for index, depth in deeper_than(messages, longest, max_depth)
    }
    found += [(places[index], refusal) for index, refusal in refused.items()]
    return Admitted(without(places, refused), without(messages, refused), tombstones, found)
