"""A reference in a few numbers a signal, for people and programs that do not want its arrays."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.profile.layout import FAULT_CELLS, Role, SignalBins
from monitor.reference.reference import Reference
from monitor.segment import ALL, parse_key

SHOWN_QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
_TOP = 10


def summarize(reference: Reference) -> dict[str, Any]:
    """Identity, extent, signals and segments as plain JSON; shares between 0 and 1, times in milliseconds and as text."""
    table = reference.table
    total = table.counts[table.index[ALL]]
    signals = []
    for place, signal in enumerate(reference.layout.signals):
        counts = total[reference.layout.span(place)]
        means = reference.bin_means[reference.layout.span(place)]
        signals.append(_signal(signal, counts, means) | {"mean": _finite(reference.means[place]), "std": _finite(reference.stds[place])})
    hours, blocks = reference.hours, reference.blocks
    measured: list[float] = [] if blocks is None else blocks.across_totals[:, 0].tolist()
    return {
        "model": reference.model,
        "model_version": reference.model_version,
        "dataset_version": reference.dataset_version,
        "pipeline_version": reference.pipeline_version,
        "fingerprint": reference.fingerprint,
        "rows": reference.rows,
        "start_ms": reference.start_ms,
        "end_ms": reference.end_ms,
        "start": time_text(reference.start_ms),
        "end": time_text(reference.end_ms),
        "season": "unknown" if hours is None else {24: "hour of day", 168: "hour of week"}[hours.slots],
        "season_segments": 0 if hours is None else len(hours.segments),
        "block_lengths_ms": None if blocks is None else [length for length, some in zip(blocks.lengths_ms, measured, strict=True) if some],
        "labels": reference.labels,
        "signals": signals,
        "segments": {segment: int(rows) for segment, rows in zip(table.segments, table.rows, strict=True)},
        "groupings": [list(grouping) for grouping in reference.groupings],
    }


def segments_of(reference: Reference, grouping: tuple[str, ...]) -> list[tuple[str, int]]:
    """Segments of one grouping and their rows, the largest first."""
    rows = zip(reference.table.segments, reference.table.rows.tolist(), strict=True)
    return sorted(((key, n) for key, n in rows if parse_key(key)[0] == grouping), key=lambda item: (-item[1], item[0]))


def time_text(time_ms: int | None) -> str | None:
    """A time as text, to the minute.

    >>> time_text(1_357_020_900_000), time_text(None)
    ('2013-01-01 06:15 UTC', None)
    """
    if time_ms is None:
        return None
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _signal(signal: SignalBins, counts: NDArray[np.int64], means: NDArray[np.float64]) -> dict[str, Any]:
    rows = max(int(counts.sum()), 1)
    roles = np.array(signal.roles)
    found: dict[str, Any] = {
        "name": signal.name,
        "type": signal.kind,
        "cells": signal.cells,
        "missing": int(counts[Role.MISSING]) / rows,
        "invalid": int(counts[Role.INVALID]) / rows,
        "non_finite": int(counts[Role.NON_FINITE]) / rows,
        "out_of_range": int(counts[roles == Role.OUT_OF_RANGE].sum()) / rows,
    }
    if signal.kind == "numeric":
        found["quantiles"] = {f"{q:g}": quantile(signal, counts, means, q) for q in SHOWN_QUANTILES}
        return found
    values = counts[FAULT_CELLS : FAULT_CELLS + len(signal.categories)]
    present = max(int(counts[FAULT_CELLS:].sum()), 1)
    order = np.argsort(-values, kind="stable")[:_TOP]
    found["top"] = {signal.categories[i]: int(values[i]) / present for i in order.tolist()}
    found["categories"] = len(signal.categories) + len(signal.tail)
    return found


def quantile(signal: SignalBins, counts: NDArray[np.int64], means: NDArray[np.float64], q: float) -> float | None:
    """A quantile of a numeric signal by its counts, linear within a cell; None without values.

    ``counts`` and ``means`` [cells]: a cell whose mean is its lower end holds that value alone. Values outside the
    declared range take no part. Below the first and above the last edge it is that edge.
    """
    inside = np.where(np.array(signal.roles) == Role.VALUE, counts, 0)[FAULT_CELLS:]
    if not inside.sum() or not signal.edges:
        return None
    below = np.cumsum(inside)
    cell = int(np.searchsorted(below, q * below[-1]))
    low = signal.edges[max(cell - 1, 0)]
    high = signal.edges[min(cell, len(signal.edges) - 1)]
    if means[FAULT_CELLS + cell] == low:
        return low
    share = (q * below[-1] - (below[cell] - inside[cell])) / inside[cell]
    return float(low + min(max(share, 0.0), 1.0) * (high - low))


def _finite(value: np.float64) -> float | None:
    return None if math.isnan(value) else float(value)
