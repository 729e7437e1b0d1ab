"""Messages to structs: typed, and one by one in general where that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from monitor.decode.general import Faults, decode_any
from monitor.decode.refusal import Refusal, without
from monitor.decode.shape import Shape

Typed = Callable[[bytes], msgspec.Struct]

_NO_ROW = msgspec.Struct()  # keeps the place of a refused message


@dataclass(frozen=True, slots=True)
class Decoded:
    """The structs of messages that are JSON objects, and what became of the others."""

    places: Sequence[int]
    rows: Sequence[msgspec.Struct]
    refused: list[tuple[int, Refusal]]
    faults: dict[int, Faults]  # by place


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
