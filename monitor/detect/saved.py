"""The state of a watch as bytes, and back: to the bit for the same reference and the same effects, anew where they changed.

Evidence is kept by what it is about: kind, signal and segment. It goes on when only thresholds changed; a signal whose smallest effect
that matters is another now has another null, so its streams start anew, and so does everything when the reference is another.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from monitor.detect.group import Group
from monitor.detect.history import Block
from monitor.detect.outcomes import Outcome
from monitor.detect.watch import Watch

VERSION = 1
"""Of the banks of directions and of this format: a state of another version is no evidence for these streams."""

_MAX_BYTES = 4 << 30


def pack_watch(watch: Watch) -> bytes:
    """Bytes of the state; ``load_watch`` puts it back."""
    content = {
        "version": VERSION,
        "reference": watch.bank.reference.fingerprint,
        "streams": list(watch.bank.leaves.streams),
        "groups": [_group(watch, number, group) for number, group in enumerate(watch.bank.groups)],
        "outcomes": [_outcome(watch, place, outcome) for place, outcome in enumerate(watch.outcomes)],
        "rate": [watch.rate.first_ms, watch.rate.last_ms, watch.rate.events, watch.rate.per_ms, watch.rate.armed, watch.rate.risen],
        "waiting": [[fine, _bytes(rows)] for fine, rows in sorted(watch.waiting.items())],
        "history": [[block.start_ms, block.end_ms, _bytes(block.codes), _bytes(block.counts)] for block in watch.history.blocks],
    }
    return zstandard.ZstdCompressor(level=1).compress(msgspec.msgpack.encode(content))


def load_watch(watch: Watch, data: bytes) -> bool:
    """Bring a new watch to where ``pack_watch`` was; False, and nothing changed, when its reference or version was another.

    Raises ``ValueError`` for bytes that are no state of a watch.
    """
    try:
        content = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data, max_output_size=_MAX_BYTES))
        if content["version"] != VERSION or content["reference"] != watch.bank.reference.fingerprint:
            return False
        _load(watch, content)
    except (zstandard.ZstdError, msgspec.DecodeError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"expected the state of detection, got {len(data)} bytes that are none: {error}") from error
    return True


def _group(watch: Watch, number: int, group: Group) -> dict[str, Any]:
    layout = watch.bank.reference.layout
    signals = [layout.signals[signal] for signal in group.signals]
    gates = [watch.settings.gate(bins.name, "missing" if group.kind == "missing" else bins.kind) for bins in signals]
    return {
        "kind": group.kind,
        "signals": [[bins.fingerprint, gate] for bins, gate in zip(signals, gates, strict=True)],
        "evidence": _bytes(group.evidence),
        "spent": _bytes(group.spent),
        "block": _bytes(group.block),
        "warned": _bytes(watch.warned[number]),
        "triggered": _bytes(watch.triggered[number]),
    }


def _outcome(watch: Watch, place: int, outcome: Outcome) -> dict[str, Any]:
    number = len(watch.bank.groups) + place
    return {
        "kind": outcome.kind,
        "gate": watch.settings.gate(outcome.kind, "outcome"),
        "starts": _bytes(outcome.starts),
        "collected": _bytes(outcome.collected),
        "gained": _bytes(outcome.gained),
        "tally": _bytes(outcome.tally),
        "warned": _bytes(watch.warned[number]),
        "triggered": _bytes(watch.triggered[number]),
    }


def _load(watch: Watch, content: dict[str, Any]) -> None:
    if content["streams"] != list(watch.bank.leaves.streams):
        raise ValueError("expected the streams of this reference")
    for number, group in enumerate(watch.bank.groups):
        now = _group(watch, number, group)
        was = next((part for part in content["groups"] if part["kind"] == group.kind and _same_cells(part, now)), None)
        if was is None:
            continue
        same = np.array([a == b for a, b in zip(was["signals"], now["signals"], strict=True)])
        for array, name in (
            (group.evidence, "evidence"), (watch.warned[number], "warned"), (watch.triggered[number], "triggered")
        ):  # fmt: skip
            array[:, same] = _array(was[name], array)[:, same]
        bounded = same[group.bounded]
        group.spent[:, bounded] = _array(was["spent"], group.spent)[:, bounded]
        group.block = np.where(bounded, _array(was["block"], group.block), group.block)
    for place, outcome in enumerate(watch.outcomes):
        number = len(watch.bank.groups) + place
        was = next((part for part in content["outcomes"] if part["kind"] == outcome.kind), None)
        if was is None or was["gate"] != watch.settings.gate(outcome.kind, "outcome"):
            continue
        outcome.starts = np.frombuffer(was["starts"], np.int64).copy()
        buckets = len(outcome.starts)
        outcome.collected = np.frombuffer(was["collected"]).reshape(buckets, *outcome.collected.shape[1:]).copy()
        outcome.gained = np.frombuffer(was["gained"]).reshape(buckets, *outcome.gained.shape[1:]).copy()
        outcome.tally = np.frombuffer(was["tally"]).reshape(buckets, *outcome.tally.shape[1:]).copy()
        watch.warned[number][:] = _array(was["warned"], watch.warned[number])
        watch.triggered[number][:] = _array(was["triggered"], watch.triggered[number])
    rate = watch.rate
    rate.first_ms, rate.last_ms, rate.events, rate.per_ms, rate.armed, risen = content["rate"]
    rate.risen = [(end_ms, per_ms) for end_ms, per_ms in risen]
    watch.waiting = {fine: np.frombuffer(rows).copy() for fine, rows in content["waiting"]}
    watch.history.blocks = [
        Block(start, end, np.frombuffer(codes, np.int64), np.frombuffer(counts, np.int64))
        for start, end, codes, counts in content["history"]
    ]


def _same_cells(was: dict[str, Any], now: dict[str, Any]) -> bool:
    return [fingerprint for fingerprint, _ in was["signals"]] == [fingerprint for fingerprint, _ in now["signals"]]


def _bytes(array: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def _array(data: bytes, like: NDArray[Any]) -> NDArray[Any]:
    return np.frombuffer(data, like.dtype).reshape(like.shape)
