"""Detection of a version as bytes, and back: streams, open evidence panes, alarms; to the bit for the same reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import zstandard

from monitor.detect.alarm import Alarm, Stream
from monitor.detect.saved import load_watch, pack_watch
from monitor.sequential.said import AsOf, Said, Standing
from monitor.sequential.version import Sequential

PARTS = ("flow", "streams")
"""Names of the blobs."""

_MAX_BYTES = 1 << 30


class _Side(msgspec.Struct):
    """One ``Said``."""

    standing: list[Standing]
    past: list[Alarm]
    raised: dict[str, dict[str, int]]
    as_of: list[AsOf]


class _Saved(msgspec.Struct):
    """What is beside the streams."""

    definition: list[Any]
    because: str
    started_ms: int | None
    ended_ms: int | None
    labelled: int
    closed: int | None
    open: list[tuple[tuple[int, int, int], bytes, bytes]]
    inputs: _Side
    outcomes: _Side


_DECODER = msgspec.msgpack.Decoder(_Saved)


def pack_sequential(sequential: Sequential) -> dict[str, bytes]:
    """Blobs by name; ``load_sequential`` puts them back."""
    saved = _Saved(
        definition=_definition(sequential),
        because=sequential.because,
        started_ms=sequential.started_ms,
        ended_ms=sequential.ended_ms,
        labelled=sequential.labelled,
        closed=sequential.panes.closed,
        open=sequential.panes.packed(),
        inputs=_side(sequential.inputs),
        outcomes=_side(sequential.outcomes),
    )
    body = zstandard.ZstdCompressor(level=1).compress(msgspec.msgpack.encode(saved))
    return {"flow": body, "streams": pack_watch(sequential.watch)}


def load_sequential(sequential: Sequential, blobs: Mapping[str, bytes]) -> str | None:
    """Bring new detectors to where ``pack_sequential`` was; a reason when they begin anew instead, because they are others.

    Raises ``ValueError`` or ``KeyError`` for blobs that are no state of detection.
    """
    try:
        saved = _DECODER.decode(zstandard.ZstdDecompressor().decompress(blobs["flow"], max_output_size=_MAX_BYTES))
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise ValueError(f"expected the state of detection, got {len(blobs['flow'])} bytes that are none: {error}") from error
    if saved.definition != msgspec.msgpack.decode(msgspec.msgpack.encode(_definition(sequential))):
        return "its reference, groupings or labels are others"
    if not load_watch(sequential.watch, blobs["streams"]):
        return "its streams are those of another version of the program"
    watched = sequential.watch
    sequential.because, sequential.started_ms, sequential.ended_ms = saved.because, saved.started_ms, saved.ended_ms
    sequential.labelled, sequential.panes.closed = saved.labelled, saved.closed
    sequential.panes.restore(saved.open)
    latched = {*watched.latched()}
    for said, side in ((sequential.inputs, saved.inputs), (sequential.outcomes, saved.outcomes)):
        said.past, said.raised, said.as_of = side.past, side.raised, side.as_of
        # Streams whose smallest effect is another now have started anew: what they said does not stand.
        standing = {each.alarm.stream: each for each in side.standing}
        said.standing = {stream: each for stream, each in standing.items() if stream in latched or _warned(sequential, stream)}
        said.forget((standing.keys() - said.standing.keys()).__contains__)
    return None


def _warned(sequential: Sequential, stream: Stream) -> bool:
    try:
        number, row, place = sequential.watch.place_of(stream)
    except KeyError:
        return False
    return bool(sequential.watch.warned[number][row, place])


def _side(said: Said) -> _Side:
    return _Side(list(said.standing.values()), said.past, said.raised, said.as_of)


def _definition(sequential: Sequential) -> list[Any]:
    """What the streams are about."""
    watch = sequential.watch
    return [
        sequential.reference.fingerprint,
        sequential.reference.layout.fingerprint,
        list(watch.bank.leaves.leaves),
        list(watch.bank.leaves.streams),
        [outcome.kind for outcome in watch.outcomes],
        sequential.panes.pane_ms,
    ]
