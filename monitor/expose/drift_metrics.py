"""Series of drift and of performance as text of Prometheus' exposition format 0.0.4, fast enough for 100,000 of them.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format

A line is four pieces: family and window, segment, signal and statistic, value. The middle two are made and escaped once
and shared by all lines, so there is nothing to keep from one evaluation to the next, and a vanished segment vanishes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.verdict import Verdicts
from monitor.expose.block import Block
from monitor.expose.canary_series import canary_blocks
from monitor.expose.catalogue import CATALOGUE, Metric
from monitor.expose.drift_series import blocks
from monitor.expose.performance_series import performance_blocks
from monitor.expose.snapshot import RiverAlarms
from monitor.labels import LabelsEvaluated


@dataclass(frozen=True, slots=True)
class DriftPage:
    """What was concluded, of the newest evaluations: the text, and the same compressed in a form that more can be appended to."""

    text: bytes
    deflated: bytes  # raw deflate blocks, flushed to a byte boundary and not ended
    exposed: int
    left_out: int


def drift_page(
    verdicts: Sequence[Verdicts],
    max_series: int,
    alarms: Sequence[tuple[str, RiverAlarms]] = (),
    labels: Sequence[LabelsEvaluated] = (),
) -> DriftPage:
    """Render the series of verdicts, alarms and labels, at most ``max_series`` of them; the most urgent ones when there are more."""
    candidates = [*blocks(verdicts, alarms), *performance_blocks(labels), *canary_blocks(labels)]
    total = sum(len(block.values) for block in candidates)
    kept = most_urgent(candidates, max_series) if total > max_series else candidates
    exposed = sum(len(block.values) for block in kept)
    text = render(kept, {"driftgauge_series_exposed": exposed, "driftgauge_series_left_out": total - exposed})
    return DriftPage(text, deflate(text), exposed, total - exposed)


def most_urgent(candidates: Sequence[Block], count: int) -> list[Block]:
    """The ``count`` most urgent series; among equals the earlier ones."""
    urgency = np.concatenate([block.urgency for block in candidates])
    least = np.partition(urgency, len(urgency) - count)[len(urgency) - count]
    keep = urgency > least
    equal = np.flatnonzero(urgency == least)
    keep[equal[: count - int(keep.sum())]] = True
    cuts = np.cumsum([len(block.values) for block in candidates])[:-1]
    return [block.only(mask) for block, mask in zip(candidates, np.split(keep, cuts), strict=True)]


def render(kept: Iterable[Block], totals: dict[str, int]) -> bytes:
    """Text of the series, families together and in the catalogue's order; ``totals`` are families of one series."""
    by_family: dict[str, list[Block]] = {}
    for block in kept:
        if len(block.values):
            by_family.setdefault(block.metric.name, []).append(block)
    parts: list[bytes] = []
    for metric in CATALOGUE:
        found = by_family.get(metric.name, ())
        if found or metric.name in totals:
            parts.append(family_head(metric))
        parts += [block_lines(block) for block in found]
        if metric.name in totals:
            parts.append(b"%s %d\n" % (metric.name.encode(), totals[metric.name]))
    return b"".join(parts)


def family_head(metric: Metric) -> bytes:
    """The HELP and TYPE lines."""
    text = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {metric.name} {text}\n# TYPE {metric.name} {metric.type}\n".encode()


def block_lines(block: Block) -> bytes:
    """The lines of one family and window."""
    heads, tails = np.divmod(block.cells, len(block.tails))
    pieces = np.empty((len(block.values), 4), object)
    pieces[:, 0] = block.start
    pieces[:, 1] = block.heads[heads]
    pieces[:, 2] = block.tails[tails]
    # Times need all their digits, counts have few; anything else is an estimate.
    pieces[:, 3] = numbers(block.values if block.metric.unit == "seconds" else six_digits(block.values))
    return b"".join(pieces.ravel().tolist())


def numbers(values: NDArray[np.float64] | NDArray[np.int64]) -> list[bytes]:
    """Finite numbers as text, each with a line end.

    >>> numbers(np.array([0.125, 1e-12, 250.0])), numbers(np.array([1234567890123]))
    ([b'0.125\\n', b'1e-12\\n', b'250.0\\n'], [b'1234567890123\\n'])
    """
    if not len(values):
        return []
    return (msgspec.json.encode(values.tolist())[1:-1] + b",").replace(b",", b"\n,").split(b",")[:-1]


def six_digits(values: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64] | NDArray[np.int64]:
    """Rounded to 6 significant digits: shorter text, and it compresses better. Whole numbers stay as they are.

    >>> six_digits(np.array([0.12345678, -98765.4321, 0.0])).tolist()
    [0.123457, -98765.4, 0.0]
    """
    if values.dtype.kind == "i":
        return values
    size = np.abs(values)
    exponent = np.floor(np.log10(np.where(size > 0, size, 1.0)))
    # A whole number divided by a power of ten is the float whose shortest text is that decimal, up to 1e22.
    up, down = 10.0 ** np.clip(5 - exponent, 0, 300), 10.0 ** np.clip(exponent - 5, 0, 300)
    return np.asarray(np.rint(values * up / down) * down / up)


def deflate(text: bytes) -> bytes:
    """Raw deflate blocks at level 1, flushed so that another stream can follow."""
    stream = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return stream.compress(text) + stream.flush(zlib.Z_FULL_FLUSH)


_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"  # RFC 1952: deflate, no name, no time, fastest, unknown system


def gzip_joined(page: DriftPage, crc: int, tail: bytes) -> bytes:
    """One gzip member of the page and ``tail``: only the tail is compressed now. ``crc`` is ``zlib.crc32(page.text)``.

    One member, because not every reader goes on after the first.
    """
    stream = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    end = stream.compress(tail) + stream.flush()
    length = (len(page.text) + len(tail)) & 0xFFFFFFFF
    return b"".join([_GZIP_HEAD, page.deflated, end, zlib.crc32(tail, crc).to_bytes(4, "little"), length.to_bytes(4, "little")])
