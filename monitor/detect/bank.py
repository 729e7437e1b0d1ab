"""Every stream of a model version: made once from its reference, moved on by evidence panes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.config.detection import Detection
from monitor.detect import budget, directions, season
from monitor.detect.clustering import BLOCK_PART, BOUNDED_FROM
from monitor.detect.directions import Alternatives, Direction
from monitor.detect.group import Group
from monitor.detect.leaves import Leaves, leaf_counts, leaves_of
from monitor.detect.null import null_of, sampling_errors
from monitor.detect.pairs import clustering_of, faults_of, for_strong_bets
from monitor.detect.season import Cycle
from monitor.detect.shares import Scale, aligned, smoothed
from monitor.evaluate.choice import as_chosen
from monitor.profile.layout import FAULT_CELLS, Layout
from monitor.reference.reference import Reference
from monitor.segment import ALL

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

MAX_RATIO_BYTES = 256 << 20
"""Directions fitted to each leaf are kept while they fit into this; beyond, all leaves share the pooled ones, each with its own null."""


@dataclass(frozen=True, eq=False)
class Watched:
    """One signal in one way: what ``Group`` arrays are stacked from."""

    signal: int
    cells: NDArray[np.intp]
    directions: tuple[Direction, ...]  # [K]
    weights: Float64  # [K]
    ratios: Float32  # [L or 1, cells, K] as in ``Group``
    psi: Float32  # [L, K]
    sampling: Float32  # [S, K]
    phi: Float64  # [S, K]
    block_ms: int
    cycle: Cycle | None


@dataclass(eq=False)
class Bank:
    """All streams over the features, the score and the predicted class."""

    reference: Reference
    leaves: Leaves
    hours: int  # hour slots of the reference; 1 when it has no times
    groups: tuple[Group, ...]
    log_threshold: float  # that the nulls were made for
    only: NDArray[np.intp] = field(init=False)  # [S] the leaf of a stream that has one; -1 for a sum of several
    several: list[int] = field(init=False)  # streams that are sums
    reference_rows: Float64 = field(init=False)  # [S]

    def __post_init__(self) -> None:
        members = self.leaves.members
        self.only = np.array([leaves[0] if len(leaves) == 1 else -1 for leaves in members], np.intp)
        self.several = [stream for stream, leaves in enumerate(members) if len(leaves) > 1]
        rows = self.reference.table.rows
        self.reference_rows = np.array([rows[self.reference.table.index[key]] for key in self.leaves.streams], np.float64)

    @property
    def doubles_per_stream(self) -> int:
        """State of one stream, in doubles."""
        return int(max((group.evidence.shape[2] * (2 if len(group.bounded) else 1) for group in self.groups), default=0))

    def update(self, end_ms: int, parts: Sequence[tuple[int, Int64]]) -> Iterator[tuple[int, NDArray[np.intp], Float64]]:
        """Take an evidence pane: quarters of an hour and their counts [leaves, cells]. Yields group number, streams and their M [A, F]."""
        rows = np.sum([counts.any(axis=1) for _, counts in parts], axis=0, dtype=np.int64)
        active = np.flatnonzero(rows)
        if not len(active):
            return
        chosen = [(slot, counts[active]) for slot, counts in parts]
        place = np.full(len(self.leaves.leaves), -1, np.intp)
        place[active] = np.arange(len(active))
        alone = np.flatnonzero((self.only >= 0) & (place[self.only] >= 0))
        sums = [(stream, place[self.leaves.members[stream]]) for stream in self.several]
        sums = [(stream, members[members >= 0]) for stream, members in sums if (members >= 0).any()]
        streams = np.array([*alone.tolist(), *(stream for stream, _ in sums)], np.intp)
        leaf = place[self.only[alone]]
        found = [group.increments(active, chosen) for group in self.groups]
        # A stream that is a sum takes its leaves of all groups at once, or most of the time would go into beginning to add.
        evidence = _streams(np.concatenate([each.reshape(len(active), -1) for each, _ in found], axis=1), leaf, sums)
        values = _streams(np.concatenate([n for _, n in found], axis=1), leaf, sums)
        del found  # as large as what was made of it
        start = first = 0
        for number, group in enumerate(self.groups):
            shape = group.weights.shape
            stop, last = start + shape[0] * shape[1], first + shape[0]
            increment, n = evidence[:, start:stop].reshape(-1, *shape), values[:, first:last]
            yield number, streams, group.advance(streams, increment, n, end_ms)
            start, first = stop, last


def _streams(by_leaf: NDArray[np.float32], alone: NDArray[np.intp], sums: Sequence[tuple[int, NDArray[np.intp]]]) -> NDArray[np.float32]:
    """[streams, ...] from [leaves, ...]: those of one leaf, then those that are sums, each added up in the order of its leaves."""
    found = np.empty((len(alone) + len(sums), by_leaf.shape[1]), by_leaf.dtype)
    found[: len(alone)] = by_leaf[alone]
    for place, (_, members) in enumerate(sums, len(alone)):
        np.add.reduce(by_leaf[members], axis=0, out=found[place])
    return found


def bank_of(reference: Reference, settings: Detection, log_threshold: float) -> Bank:
    """The bank of a reference before the first event. ``log_threshold`` is that of the whole traffic's streams.

    A reference of fewer rows than ``leaves.LEAST_ROWS`` has no streams.
    """
    leaves = leaves_of(reference, settings.max_streams)
    layout = reference.layout
    counts = leaf_counts(leaves, reference.table).astype(np.float64)
    pool = reference.table.counts[reference.table.index[ALL]].astype(np.float64)
    hours = 1 if reference.hours is None else reference.hours.slots
    if not leaves.leaves:  # too few rows to say what is normal
        return Bank(reference, leaves, hours, (), log_threshold)
    ways = [(signal, kind) for signal in range(len(layout.signals)) for kind in ("values", "missing")]
    maker = _Maker(reference, leaves, settings, log_threshold, counts, pool, pooled=True)
    if _ratio_bytes(maker, ways) <= MAX_RATIO_BYTES:
        maker = replace(maker, pooled=False)
    watched: dict[tuple[str, int], list[Watched]] = {}
    for signal, kind in ways:
        made = maker.watched(signal, kind)
        if made is not None:
            watched.setdefault((kind, _width(kind, len(made.cells))), []).append(made)
    groups = tuple(_group(key[0], layout, watched.pop(key), leaves, log_threshold) for key in sorted(watched))
    return Bank(reference, leaves, hours, groups, log_threshold)


def _width(kind: str, cells: int) -> int:
    """Signals whose cells are padded to the same number make a group."""
    return FAULT_CELLS + 1 if kind == "missing" else 1 << (cells - 1).bit_length()


def _ratio_bytes(maker: _Maker, ways: Sequence[tuple[int, str]]) -> int:
    """Memory of directions fitted to each leaf: as many as the pooled ones are, which are quickly made."""
    most: dict[tuple[str, int], list[int]] = {}
    for signal, kind in ways:
        counted = maker.counted(signal, kind)
        if counted is not None:
            found = len(maker.alternatives(signal, kind, counted)[0].weights)
            most.setdefault((kind, _width(kind, len(counted.cells))), []).append(found)
    return sum(len(maker.counts) * len(found) * min(width, 256) * max(found) * 4 for (_, width), found in most.items())


class _Counted(NamedTuple):
    """A signal in one way: columns of its cells in the layout, and what each of its own cells has."""

    cells: NDArray[np.intp]
    counts: Float64  # [L, own cells]
    pool: Float64  # [own cells]


@dataclass(frozen=True, eq=False)
class _Maker:
    reference: Reference
    leaves: Leaves
    settings: Detection
    log_threshold: float
    counts: Float64  # [L, layout cells]
    pool: Float64  # [layout cells]
    pooled: bool = False

    def counted(self, signal: int, kind: str) -> _Counted | None:
        """A signal's values, or whether it has one; None where there is nothing to tell apart."""
        span = self.reference.layout.span(signal)
        if kind == "values":
            own = slice(span.start + FAULT_CELLS, span.stop)
            found = _Counted(np.arange(own.start, own.stop), self.counts[:, own], self.pool[own])
        else:  # the faults, then whatever has a value
            found = _Counted(np.arange(span.start, span.stop), faults_of(self.counts[:, span]), faults_of(self.pool[span]))
        return found if len(found.pool) > 1 and found.pool.any() else None

    def alternatives(self, signal: int, kind: str, counted: _Counted) -> tuple[Alternatives, Float64]:
        """Where to look, and [L] how much of that was fitted to each leaf."""
        _, counts, pool = counted
        bins, span = self.reference.layout.signals[signal], self.reference.layout.span(signal)
        numeric = kind == "values" and bins.kind == "numeric"
        edges, positions = np.array(bins.edges), self.reference.bin_means[span][FAULT_CELLS:]
        targets = aligned(edges, counts, positions) if numeric and len(counts) > 1 and not self.pooled else None
        shares, own = smoothed(pool[None] if self.pooled else counts, pool, targets)
        own = np.zeros(len(counts)) if self.pooled else own
        gate = self.settings.gate(bins.name, kind if kind == "missing" else bins.kind)
        if kind == "missing":
            return directions.faults(shares, gate), own
        if numeric:
            return directions.numeric(Scale(edges, shares, positions), gate), own
        known = len(bins.categories)
        one_rest = bool(pool[known + 1] > 0)  # of the reference's own categories some are not known by name
        return directions.categorical(shares, known, gate, as_chosen(shares, pool, known, len(bins.tail)), one_rest), own

    def watched(self, signal: int, kind: str) -> Watched | None:
        """A signal in one way, ready for a group."""
        counted = self.counted(signal, kind)
        if counted is None:
            return None
        (cells, counts, pool), (bank, own) = counted, self.alternatives(signal, kind, counted)
        # As if there were a cycle, to begin with: rows that resemble each other must not be taken for one.
        clustering = clustering_of(self.reference.blocks, signal, kind, pool, bank, counts, True)
        typical = max(part.typical for part in clustering)
        null = null_of(counts, bank, own, typical)
        cycle = self._season(signal, kind, counts, bank, typical)
        if cycle is None:
            clustering = clustering_of(self.reference.blocks, signal, kind, pool, bank, counts, False)
        clustering = for_strong_bets(clustering, bank, pool, counts, self.log_threshold * BLOCK_PART)
        phi = np.stack([clustering[0 if len(members) == 1 and len(self.leaves.leaves) > 1 else 1].phi for members in self.leaves.members])
        sampling = sampling_errors(null, self.leaves.members, self.log_threshold, phi).astype(np.float32)
        block_ms = max(c.bounded_block_ms for c in clustering)
        ratios = bank.ratios.transpose(0, 2, 1)
        if len(ratios) == len(counts):
            ratios = ratios - null.log_mean[:, None, :]
        # Narrow at once: with many leaves these are by far the largest arrays, and all signals' are held until they are stacked.
        narrow = np.ascontiguousarray(ratios, np.float32), null.log_mean.astype(np.float32)
        return Watched(signal, cells, bank.directions, bank.weights, *narrow, sampling, phi, block_ms, cycle)

    def _slots(self, signal: int, kind: str) -> tuple[list[int], Float64] | None:
        """Leaves with counts by slot, those first in order, and the counts [known, slots, cells]."""
        hours = self.reference.hours
        if hours is None:
            return None
        span = self.reference.layout.span(signal)
        where = {key: row for row, key in enumerate(hours.segments)}
        known = [place for place, key in enumerate(self.leaves.leaves) if key in where]
        every = hours.counts[:, :, span]
        cells = faults_of(every) if kind == "missing" else every[:, :, FAULT_CELLS:].astype(np.float64)
        found = [cells[where[self.leaves.leaves[place]]] for place in known]
        if self.leaves.has_rest and all(self.leaves.leaves[place] in where for place in self.leaves.rest_of):
            known.append(len(self.leaves.leaves) - 1)
            found.append(cells[where[ALL]] - cells[[where[self.leaves.leaves[place]] for place in self.leaves.rest_of]].sum(axis=0))
        return (known, np.stack(found)) if known else None

    def _season(self, signal: int, kind: str, counts: Float64, bank: Alternatives, clustering: float) -> Cycle | None:
        """The cycle, if there is one; ``clustering`` is the number of rows that count for an independent one."""
        held = self._slots(signal, kind)
        if held is None:
            return None
        known, slots = held[0], held[1] / clustering
        own = counts[known]
        shares = own / np.maximum(own.sum(axis=1, keepdims=True), 1.0)
        pooled_ratios = bank.ratios.mean(axis=0)
        if not season.has_cycle(slots, shares, pooled_ratios):
            return None
        order = np.array([*known, *(place for place in range(len(counts)) if place not in set(known))], np.intp)
        back = np.argsort(order)
        ordered = kind == "values" and self.reference.layout.signals[signal].kind == "numeric"
        cycle = season.cycle_of(slots, counts[order], ordered).rows_of(back)
        return season.corrected(cycle, slots, np.array(known, np.intp), np.exp(bank.ratios).transpose(0, 2, 1))


def _group(kind: str, layout: Layout, of: Sequence[Watched], leaves: Leaves, log_threshold: float) -> Group:
    k = max(len(w.weights) for w in of)
    width = max(len(w.cells) for w in of)
    banks = len(of[0].ratios)
    b = FAULT_CELLS + 1 if kind == "missing" else width
    shape = (len(leaves.streams), len(of), k)
    weights, cells = np.zeros((len(of), k)), np.full((len(of), width), layout.cells, np.intp)
    ratios = np.zeros((banks, len(of), b, k), np.float32)
    psi = np.zeros((len(leaves.leaves), len(of), k), np.float32)
    sampling, phi = np.zeros(shape, np.float32), np.ones(shape)
    for place, w in enumerate(of):
        own, n = len(w.weights), w.ratios.shape[1]
        weights[place, :own], cells[place, : len(w.cells)] = w.weights, w.cells
        ratios[:, place, :n, :own] = w.ratios
        psi[:, place, :own], sampling[:, place, :own], phi[:, place, :own] = w.psi, w.sampling, w.phi
    return Group(
        kind=kind,
        signals=tuple(w.signal for w in of),
        cells=cells,
        directions=tuple(w.directions for w in of),
        weights=weights,
        ratios=ratios,
        psi=psi,
        sampling=sampling,
        phi=phi.astype(np.float32),
        block_ms=np.array([w.block_ms for w in of], np.int64),
        most_per_block=np.where(phi >= BOUNDED_FROM, log_threshold * BLOCK_PART, np.inf)[:, [w.block_ms > 0 for w in of]].astype(
            np.float32
        ),
        cycles={place: w.cycle for place, w in enumerate(of) if w.cycle is not None},
    )


def thresholds(bank: Bank, events: float, at_most: float, kinds: int) -> Float64:
    """[S] thresholds when the whole traffic has ``events`` in the period; segments have their share of the reference.

    ``kinds``: streams that each segment has.
    """
    rows = bank.reference_rows
    if not len(rows):
        return np.zeros(0)
    whole = np.array([key == ALL for key in bank.leaves.streams])
    return budget.thresholds(events * rows / rows[0], whole, kinds, at_most)
