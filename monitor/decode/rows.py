"""Messages to structs: typed, and one by one in general where that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from monitor.decode.general import Faults, decode_any
from monitor.decode.refusal import Refusal, without
from monitor.decode.shape import Shape

Typed = Callable[[bytes], msgspec.Struct]

_CHUNKS_WITH_OTHERS = 20

_NO_ROW = msgspec.Struct()  # keeps the place of a refused message


@dataclass(frozen=True, slots=True)
class Decoded:
    """The structs of messages that are JSON objects, and what became of the others."""

    places: Sequence[int]
    rows: Sequence[msgspec.Struct]
    refused: list[tuple[int, Refusal]]
    faults: dict[int, Faults]  # by place


@dataclass(eq=False)
class KnownOnly:
    """Decodes chunks whose messages hold nothing but what is mapped: none is deeper than the mapping, so no bracket need be counted.

    Events that hold more are none of its business; after a chunk with some, it lets others pass without a try.
    """

    decode: Typed | None
    max_bytes: int
    others_expected: int = 0  # chunks that are not tried; without meaning for the result

    @staticmethod
    def of(shape: Shape, max_bytes: int, max_depth: int) -> KnownOnly:
        """For messages of at most so many bytes; where the mapping itself is too deep, no chunk is decoded."""
        usable = shape.typed and shape.closed is not None and shape.depth <= max_depth
        return KnownOnly(msgspec.json.Decoder(shape.closed).decode if usable else None, max_bytes)

    def rows(self, values: Sequence[bytes | None]) -> list[msgspec.Struct] | None:
        """The structs of all messages; None when not all are such, or it was not tried."""
        if self.decode is None:
            return None
        if self.others_expected > 0:
            self.others_expected -= 1
            return None
        try:
            # Where all of them together are no longer than one may be, each is not: a sum is quicker than a maximum.
            if sum(map(len, values)) <= self.max_bytes or max(map(len, values)) <= self.max_bytes:  # type: ignore[arg-type]
                return list(map(self.decode, values))  # type: ignore[arg-type]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
            pass  # a tombstone has no length
        self.others_expected = _CHUNKS_WITH_OTHERS
        return None


def typed_decode(shape: Shape) -> Typed | None:
    """The typed decode; None when only the general one can fill the shape."""
    return msgspec.json.Decoder(shape.struct).decode if shape.typed else None


def decode_rows(typed: Typed | None, shape: Shape, places: Sequence[int], messages: Sequence[bytes]) -> Decoded:
    """Decode messages that are bounded in size and depth."""
    rows: list[msgspec.Struct] = []
    refused: dict[int, Refusal] = {}
    faults: dict[int, Faults] = {}
    for index in _refused_by(typed, messages, rows):
        row = decode_any(shape, messages[index])
        if isinstance(row, Refusal):
            refused[index] = row
            rows.append(_NO_ROW)
            continue
        rows.append(row.struct)
        if row.faults:
            faults[places[index]] = row.faults
    return Decoded(
        without(places, refused),
        without(rows, refused),
        [(places[index], refusal) for index, refusal in refused.items()],
        faults,
    )


def _refused_by(typed: Typed | None, messages: Sequence[bytes], rows: list[msgspec.Struct]) -> Iterator[int]:
    """Append a row for each message; where the typed decode refuses one, yield its index, and go on once its row was appended."""
    if typed is None:
        yield from range(len(messages))
        return
    rest = iter(messages)
    while True:
        try:
            # What raises has left ``rest``, and the rows before it are in ``rows``: nothing is decoded twice.
            rows.extend(map(typed, rest))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            yield len(rows)
        else:
            return
