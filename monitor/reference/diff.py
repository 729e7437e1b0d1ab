"""What differs between two references."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.profile.layout import FAULT_CELLS, Role, SignalBins
from monitor.reference.content import to_content
from monitor.reference.reference import Reference
from monitor.segment import ALL, shown_category

Float64 = NDArray[np.float64]


def diff(old: Reference, new: Reference) -> list[str]:
    """The differences, one a line; empty exactly when both have the same content."""
    if old.fingerprint == new.fingerprint:
        return []
    lines = [*_identity(old, new), *_signals(old, new), *_configured(old, new), *_segments(old, new)]
    if lines:
        return lines
    before, after = to_content(old), to_content(new)
    parts = [name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name)]
    return [f"the same counts of the same rows, but another content of {', '.join(parts)} (see `driftgauge reference show --json`)"]


def _identity(old: Reference, new: Reference) -> Iterator[str]:
    for name in ("model", "model_version", "dataset_version", "pipeline_version", "rows", "start_ms", "end_ms"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{name}: {before} -> {after}"
    for name, present in (("season", "hours"), ("clustering", "blocks"), ("labels", "labels")):
        before, after = getattr(old, present) is not None, getattr(new, present) is not None
        if before != after:
            yield f"{name}: {'known' if before else 'unknown'} -> {'known' if after else 'unknown'}"


def _signals(old: Reference, new: Reference) -> Iterator[str]:
    names = old.layout.names, new.layout.names
    yield from (f"signal {name}: removed" for name in names[0] if name not in names[1])
    yield from (f"signal {name}: added" for name in names[1] if name not in names[0])
    for name in names[0]:
        if name in names[1]:
            was, now = (_side(reference, reference.layout.names.index(name)) for reference in (old, new))
            changes = list(_changes(was, now))
            if changes:
                yield f"signal {name}: " + "; ".join(changes)


def _configured(old: Reference, new: Reference) -> Iterator[str]:
    """How features and labels were read; their type, range and categories are told of the signals."""
    sides = [{feature["name"]: feature for feature in reference.schema} for reference in (old, new)]
    for name in (name for name in sides[0] if name in sides[1]):
        for key in ("path", "values", "required"):
            before, after = (side[name].get(key) for side in sides)
            if before != after:
                yield f"feature {name}: {key} {before} -> {after}"
    if old.labels is not None and new.labels is not None and old.labels.get("path") != new.labels.get("path"):
        yield f"labels: path {old.labels.get('path')} -> {new.labels.get('path')}"


def _side(reference: Reference, place: int) -> tuple[SignalBins, NDArray[np.int64]]:
    table = reference.table
    return reference.layout.signals[place], table.counts[table.index[ALL]][reference.layout.span(place)]


def _changes(was: tuple[SignalBins, NDArray[np.int64]], now: tuple[SignalBins, NDArray[np.int64]]) -> Iterator[str]:
    before, after = was[0], now[0]
    if before.kind != after.kind:
        yield f"{before.kind} -> {after.kind}"
        return
    if before.kind == "numeric" and before.edges != after.edges:
        yield f"edges {_extent(before)} -> {_extent(after)}"
    if before.range != after.range:
        yield f"range {before.range} -> {after.range}"
    if before.kind == "categorical":
        known = {*before.categories, *before.tail}, {*after.categories, *after.tail}
        yield from (f"{what} {_some(found)}" for what, found in (("lost", known[0] - known[1]), ("gained", known[1] - known[0])) if found)
        if before.declared != after.declared:
            yield "declared categories changed"
    if np.array_equal(was[1], now[1]) and before == after:
        return
    # Production is judged by each of them, and PSI knows of none.
    for role, name in ((Role.MISSING, "missing"), (Role.INVALID, "invalid"), (Role.NON_FINITE, "not finite")):
        share = [counts[role] / max(counts.sum(), 1) for counts in (was[1], now[1])]
        if share[0] != share[1]:
            yield f"{name} {share[0]:.2%} -> {share[1]:.2%}"
    distance = psi(*was, *now)
    if distance is not None:
        yield f"PSI {distance:.4f}"


def _extent(signal: SignalBins) -> str:
    return f"{len(signal.edges)} in [{signal.edges[0]:g}, {signal.edges[-1]:g}]" if signal.edges else "none"


def _some(values: set[str]) -> str:
    shown = [shown_category(value) for value in sorted(values)[:5]]
    return ", ".join(shown) + (f" and {len(values) - 5} more" if len(values) > 5 else "")


def _segments(old: Reference, new: Reference) -> Iterator[str]:
    before, after = set(old.table.segments), set(new.table.segments)
    if old.groupings != new.groupings:
        yield f"groupings: {[list(g) for g in old.groupings]} -> {[list(g) for g in new.groupings]}"
    yield from (f"segments {what}: {_some(found)}" for what, found in (("lost", before - after), ("gained", after - before)) if found)


def psi(before: SignalBins, old: NDArray[np.int64], after: SignalBins, new: NDArray[np.int64]) -> float | None:
    """Population stability index of a signal between two references, on the cells of the older one; None without values.

    The sum of (q - p) ln(q / p), half a row added to each cell. Where edges differ, a cell's rows are spread evenly over
    its width, so the figure is an approximation then.
    """
    p = old[FAULT_CELLS:].astype(np.float64)
    if before.kind == "numeric":
        before, p = _without_steps(before, after, p)
        q = _on_edges(before, after, new)
    else:
        q = _on_categories(before, after, new)
    if not p.sum() or not q.sum():
        return None
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (p, q))
    return float(((q - p) * np.log(q / p)).sum())


def _without_steps(before: SignalBins, after: SignalBins, counts: Float64) -> tuple[SignalBins, Float64]:
    """Cells of one value that only the older has are joined to those beside them: rows that are spread evenly give them nothing."""
    edges, known = before.edges, {*after.edges}
    steps = [k for k in range(1, len(edges)) if edges[k] == math.nextafter(edges[k - 1], math.inf) and edges[k] not in known]
    dropped = {place for k in steps for place in (k - 1, k) if edges[place] not in known}
    kept = [place for place in range(len(edges)) if place not in dropped]
    if not dropped or not kept:
        return before, counts
    return replace(before, edges=tuple(edges[k] for k in kept)), np.add.reduceat(counts, [0, *(k + 1 for k in kept)])


def _on_edges(before: SignalBins, after: SignalBins, counts: NDArray[np.int64]) -> Float64:
    held = counts[FAULT_CELLS:].astype(np.float64)
    if before.edges == after.edges or not before.edges or not after.edges:
        return held if before.edges == after.edges else held.sum(keepdims=True)
    # What lies outside the newer edges is put at them; a step of one ulp stays a step.
    below = np.interp(before.edges, after.edges, np.cumsum(held)[:-1], left=0.0, right=float(held.sum()))
    return np.diff(below, prepend=0.0, append=held.sum())


def _on_categories(before: SignalBins, after: SignalBins, counts: NDArray[np.int64]) -> Float64:
    rows: dict[Any, float] = {}
    place = {name: index for index, name in enumerate(before.categories)}
    other = len(before.categories)
    for name, n in zip(after.categories, counts[FAULT_CELLS:], strict=False):
        cell = place.get(name, other if name in before.tail else other + 1)
        rows[cell] = rows.get(cell, 0.0) + float(n)
    for offset, n in enumerate(counts[FAULT_CELLS + len(after.categories) :]):
        rows[other + offset] = rows.get(other + offset, 0.0) + float(n)
    return np.array([rows.get(cell, 0.0) for cell in range(other + 3)])
