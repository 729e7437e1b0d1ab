"""The content of a reference file as typed JSON, and back: what is read is checked as far as later code relies on it.

Large arrays of counts are little-endian integers of the smallest width that holds them, in base64; all else is plain
JSON, null for NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.profile.layout import Layout, SignalBins
from monitor.profile.table import CountTable
from monitor.reference.reference import BlockMoments, HourSlots, Reference

_INTEGERS: tuple[tuple[str, Any], ...] = (("u1", np.uint8), ("u2", np.uint16), ("u4", np.uint32), ("i8", np.int64))


class Packed(msgspec.Struct, forbid_unknown_fields=True):
    """An array of whole numbers."""

    data: bytes
    shape: tuple[int, ...]
    kind: Literal["u1", "u2", "u4", "i8"]


class HoursContent(msgspec.Struct, forbid_unknown_fields=True):
    """``HourSlots`` as written."""

    counts: Packed
    segments: list[str]
    slots: Literal[24, 168]


class BlocksContent(msgspec.Struct, forbid_unknown_fields=True):
    """``BlockMoments`` as written; the products of all signals of a length one after the other."""

    across: list[Packed]
    across_n_total: list[Packed]
    across_totals: list[list[float]]
    lengths_ms: list[int]
    within: list[Packed]
    within_n_total: list[Packed]
    within_totals: list[list[float]]
    across_pair_totals: list[list[float]] | None = None
    across_pairs: list[Packed] | None = None
    within_pair_totals: list[list[float]] | None = None
    within_pairs: list[Packed] | None = None


class Content(msgspec.Struct, forbid_unknown_fields=True):
    """A ``Reference`` as written."""

    bin_means: list[float | None]
    blocks: BlocksContent | None
    counts: Packed
    dataset_version: str | None
    end_ms: int | None
    groupings: list[list[str]]
    hours: HoursContent | None
    labels: dict[str, Any] | None
    means: list[float | None]
    model: str
    model_version: str
    pipeline_version: str | None
    rows: int
    schema: list[dict[str, Any]]
    segments: list[str]
    signals: list[SignalBins]
    start_ms: int | None
    stds: list[float | None]
    tails: Packed


def pack(array: NDArray[Any]) -> Packed:
    """An array of whole numbers, whatever its type, in the fewest bytes."""
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    name, dtype = next((name, dtype) for name, dtype in _INTEGERS if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max)
    return Packed(np.ascontiguousarray(array.astype(np.dtype(dtype).newbyteorder("<"))).tobytes(), array.shape, name)  # type: ignore[arg-type]


def unpack(packed: Packed, dtype: Any, shape: Sequence[int]) -> NDArray[Any]:
    """The array. Raises ``ValueError`` when it does not have ``shape``."""
    stored = np.dtype(dict(_INTEGERS)[packed.kind]).newbyteorder("<")
    if packed.shape != tuple(shape) or len(packed.data) != math.prod(shape) * stored.itemsize:
        raise ValueError(f"expected an array of shape {tuple(shape)}, got {packed.shape} in {len(packed.data)} bytes")
    return np.frombuffer(packed.data, stored).reshape(tuple(shape)).astype(dtype)


def to_content(reference: Reference) -> Content:
    """What is written of a reference: everything but the fingerprint."""
    table, hours, blocks = reference.table, reference.hours, reference.blocks
    return Content(
        bin_means=_nulls(reference.bin_means),
        blocks=None if blocks is None else _blocks_content(blocks),
        counts=pack(table.counts),
        dataset_version=reference.dataset_version,
        end_ms=reference.end_ms,
        groupings=[list(grouping) for grouping in reference.groupings],
        hours=None if hours is None else HoursContent(pack(hours.counts), list(hours.segments), hours.slots),  # type: ignore[arg-type]
        labels=reference.labels,
        means=_nulls(reference.means),
        model=reference.model,
        model_version=reference.model_version,
        pipeline_version=reference.pipeline_version,
        rows=reference.rows,
        schema=list(reference.schema),
        segments=list(table.segments),
        signals=list(table.layout.signals),
        start_ms=reference.start_ms,
        stds=_nulls(reference.stds),
        tails=pack(table.tails),
    )


def from_content(content: Content, fingerprint: str) -> Reference:
    """The reference. Raises ``ValueError`` when the parts do not fit together."""
    layout = Layout(tuple(content.signals))
    segments, signals, cells = len(content.segments), len(layout.signals), layout.cells
    if content.segments != sorted(set(content.segments)) or not signals or len(set(layout.names)) != signals:
        raise ValueError("expected sorted, distinct segments and at least one signal, each of another name")
    counts = unpack(content.counts, np.int64, (segments, cells))
    rows = np.add.reduceat(counts, layout.offsets[:-1], axis=1)
    if (counts < 0).any() or (rows != rows[:, :1]).any():
        raise ValueError("expected the same number of rows in each signal of a segment")
    hours, blocks = content.hours, content.blocks
    return Reference(
        model=content.model,
        model_version=content.model_version,
        dataset_version=content.dataset_version,
        pipeline_version=content.pipeline_version,
        rows=content.rows,
        start_ms=content.start_ms,
        end_ms=content.end_ms,
        schema=tuple(content.schema),
        groupings=tuple(tuple(grouping) for grouping in content.groupings),
        table=CountTable(layout, tuple(content.segments), counts, unpack(content.tails, np.int64, (segments, signals, 2))),
        bin_means=_nans(content.bin_means, cells),
        means=_nans(content.means, signals),
        stds=_nans(content.stds, signals),
        hours=None if hours is None else _hours(hours, cells),
        blocks=None if blocks is None else _blocks(blocks, layout),
        labels=content.labels,
        fingerprint=fingerprint,
    )


def _hours(content: HoursContent, cells: int) -> HourSlots:
    segments = tuple(content.segments)
    return HourSlots(content.slots, segments, unpack(content.counts, np.int64, (len(segments), content.slots, cells)))


def _blocks_content(blocks: BlockMoments) -> BlocksContent:
    def joined(arrays: Sequence[NDArray[np.float64]]) -> Packed:
        return pack(np.concatenate([array.ravel() for array in arrays]))

    pairs = {}
    if blocks.across_pairs is not None and blocks.within_pairs is not None:
        assert blocks.across_pair_totals is not None and blocks.within_pair_totals is not None
        pairs = {
            "across_pair_totals": blocks.across_pair_totals.tolist(),
            "across_pairs": [joined(signals) for signals in blocks.across_pairs],
            "within_pair_totals": blocks.within_pair_totals.tolist(),
            "within_pairs": [joined(signals) for signals in blocks.within_pairs],
        }
    return BlocksContent(
        **pairs,
        across=[joined(signals) for signals in blocks.across],
        across_n_total=[joined(signals) for signals in blocks.across_n_total],
        across_totals=blocks.across_totals.tolist(),
        lengths_ms=list(blocks.lengths_ms),
        within=[joined(signals) for signals in blocks.within],
        within_n_total=[joined(signals) for signals in blocks.within_n_total],
        within_totals=blocks.within_totals.tolist(),
    )


def _blocks(content: BlocksContent, layout: Layout) -> BlockMoments:
    sizes = [signal.cells for signal in layout.signals]

    def parted(stored: Sequence[Packed], dimensions: int) -> tuple[tuple[NDArray[np.float64], ...], ...]:
        if len(stored) != len(content.lengths_ms):
            raise ValueError(f"expected moments for {len(content.lengths_ms)} block lengths, got {len(stored)}")
        shapes = [(size,) * dimensions for size in sizes]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        flat = [unpack(packed, np.float64, (int(ends[-1]),)) for packed in stored]
        return tuple(tuple(part.reshape(shape) for part, shape in zip(np.split(array, ends[:-1]), shapes, strict=True)) for array in flat)

    totals = [np.array(stored, np.float64) for stored in (content.across_totals, content.within_totals)]
    if any(array.shape != (len(content.lengths_ms), 3) for array in totals):
        raise ValueError("expected three totals for each block length")
    stored = (content.across_pairs, content.within_pairs, content.across_pair_totals, content.within_pair_totals)
    pairs: tuple[Any, ...] = (None, None, None, None)
    if any(part is not None for part in stored):
        if any(part is None for part in stored):
            raise ValueError("expected pairs of blocks across and within segments, with their totals, or none")
        of_pairs = [np.array(part, np.float64) for part in stored[2:]]
        if any(array.shape != (len(content.lengths_ms), 2) for array in of_pairs):
            raise ValueError("expected two totals for the pairs of each block length")
        pairs = (parted(stored[0] or [], 2), parted(stored[1] or [], 2), *of_pairs)
    return BlockMoments(
        tuple(content.lengths_ms), parted(content.across, 2), parted(content.within, 2),
        totals[0], totals[1], parted(content.across_n_total, 1), parted(content.within_n_total, 1), *pairs,
    )  # fmt: skip


def _nulls(values: NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _nans(values: Sequence[float | None], size: int) -> NDArray[np.float64]:
    if len(values) != size:
        raise ValueError(f"expected {size} numbers, got {len(values)}")
    return np.array([math.nan if value is None else value for value in values], np.float64)
