"""Signals that are watched in the same way, as padded arrays: what is fixed, what changes, and one step of all their streams."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.detect.directions import Direction
from monitor.detect.season import Cycle
from monitor.detect.sr import step, within_block

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


_KEPT_BYTES = 1 << 24  # of one group
_STREAMS_AT_ONCE = 32  # of each signal
_OFFSETS_KEPT = 4  # quarters of an hour: rows come nearly in the order of their times


@dataclass(eq=False)
class Group:
    """F signals in S streams made of L leaves, K directions each.

    What is fixed is kept in single precision: it is read for every pane, and its rounding (1e-7 an event) is far below the sampling error.
    State of a stream: K doubles of ``evidence``, and K more of ``spent`` where the evidence of a block is bounded.
    """

    kind: str  # "values" or "missing"
    signals: tuple[int, ...]  # [F] numbers of the signals in the layout
    cells: NDArray[np.intp]  # [F, B] columns of the counts; one past the end for a cell that is only padding
    directions: tuple[tuple[Direction, ...], ...]  # [F][K']
    weights: Float64  # [F, K] prior, 0 where a signal has fewer directions
    ratios: Float32  # [L or 1, F, B, K] w; less psi when there is one for each leaf
    psi: Float32  # [L, F, K] normaliser without the sampling error, which depends on the stream
    sampling: Float32  # [S, F, K] sampling error of the reference
    phi: Float32  # [S, F, K] clustering
    block_ms: Int64  # [F] blocks whose evidence is bounded; 0: none
    most_per_block: Float32  # [S, bounded, K] bound on a block's evidence
    cycles: dict[int, Cycle]  # of signals (places in F) that have one
    evidence: Float64 = field(init=False)  # [S, F, K] R
    spent: Float64 = field(init=False)  # [S, bounded, K] of the present block
    block: Int64 = field(init=False)  # [bounded] number of the present block

    def __post_init__(self) -> None:
        self.evidence = np.zeros(self.sampling.shape)
        self.bounded = np.flatnonzero(self.block_ms > 0)
        self.spent = np.zeros((len(self.sampling), len(self.bounded), self.sampling.shape[2]))
        self.block = np.full(len(self.bounded), -1, np.int64)
        self.seasonal = np.array(sorted(self.cycles), np.intp)
        self._offsets: dict[int, Float32] = {}
        self._worst: dict[int, Float32] = {}
        self._kept: dict[int, tuple[Float64, Float64]] = {}
        self.clustered = bool((self.phi != 1.0).any())
        self.per_leaf = len(self.ratios) > 1 or len(self.psi) == 1

    def gathered(self, counts: Int64) -> Float32:
        """[A, F, B] this group's cells of counts [A, layout cells]."""
        whole = np.concatenate([counts, np.zeros((len(counts), 1), counts.dtype)], axis=1)
        own = whole[:, self.cells].astype(np.float32)
        if self.kind == "missing":  # three faults, then every cell with a value
            return np.concatenate([own[:, :, :3], own[:, :, 3:].sum(axis=2, keepdims=True)], axis=2)
        return own

    def increments(self, active: NDArray[np.intp], parts: Sequence[tuple[int, Int64]]) -> tuple[Float32, Float32]:
        """[A, F, K] evidence of the active leaves without the sampling error, and [A, F] values counted.

        ``parts`` are quarters of an hour and their counts [A, layout cells].
        """
        counted = [(slot, self.gathered(counts)) for slot, counts in parts]
        total = counted[0][1] if len(counted) == 1 else np.sum([n for _, n in counted], axis=0)
        rows = total.sum(axis=2)
        if self.per_leaf:
            evidence = np.empty((len(active), len(self.signals), self.weights.shape[1]), np.float32)
            if len(active) == len(self.ratios):
                np.matmul(total[:, :, None, :], self.ratios, out=evidence[:, :, None, :])
            else:
                # Leaves that follow one another are taken at once: to gather the others' ratios would cost more than the products.
                starts = [0, *(np.flatnonzero(np.diff(active) != 1) + 1).tolist(), len(active)]
                for start, stop in itertools.pairwise(starts):
                    ratios = self.ratios[active[start] : active[stop - 1] + 1]
                    np.matmul(total[start:stop, :, None, :], ratios, out=evidence[start:stop, :, None, :])
        else:
            evidence = np.matmul(total.transpose(1, 0, 2), self.ratios[0]).transpose(1, 0, 2) - rows[:, :, None] * self.psi[active]
        if len(self.seasonal):
            for slot, n in counted:
                values = n[:, self.seasonal].sum(axis=2)
                evidence[:, self.seasonal] -= values[:, :, None] * self._offset(slot)[active]
        return evidence, rows

    def _offset(self, quarter: int) -> Float32:
        """[L, seasonal, K] psi at a quarter of an hour less psi."""
        if quarter not in self._offsets:
            if len(self._offsets) >= _OFFSETS_KEPT:
                del self._offsets[next(iter(self._offsets))]
            found = np.zeros((self.psi.shape[0], len(self.seasonal), self.psi.shape[2]), np.float32)
            for place, signal in enumerate(self.seasonal.tolist()):
                cycle = self.cycles[signal]
                own = len(self.directions[signal])
                if cycle.rare(quarter):
                    found[:, place, :own] = self._rare(signal, quarter)
                else:
                    found[:, place, :own] = cycle.offsets(quarter, *self._weighed(signal))
            self._offsets[quarter] = found
        return self._offsets[quarter]

    def _rare(self, signal: int, quarter: int) -> Float32:
        """[L, K] of a quarter of an hour that the reference hardly has: the worst of all hours, which is much to compute, and once."""
        if signal not in self._worst:
            self._worst[signal] = self.cycles[signal].offsets(quarter, *self._weighed(signal)).astype(np.float32)
        return self._worst[signal]

    def _weighed(self, signal: int) -> tuple[Float64, Float64]:
        """exp(w) of a signal that has a cycle, and its usual means: they never change, and are kept where there is room."""
        if signal in self._kept:
            return self._kept[signal]
        grown = self._grown(signal, slice(len(self.directions[signal])))
        found = grown, self.cycles[signal].usual(grown)
        if sum(each.nbytes for each, _ in self._kept.values()) + grown.nbytes <= _KEPT_BYTES:
            self._kept[signal] = found
        return found

    def _grown(self, signal: int, directions: slice) -> Float64:
        """[L or 1, cells, K] exp(w) of some directions of a signal that has a cycle."""
        e = np.exp(self.ratios[:, signal, : self.cycles[signal].shares.shape[2], directions].astype(np.float64))
        if self.per_leaf:
            e *= np.exp(self.psi[:, signal, None, directions].astype(np.float64))  # ratios are less psi
        return np.asarray(e)

    def advance(self, streams: NDArray[np.intp], increment: Float32, rows: Float32, end_ms: int) -> Float64:
        """Take one pane into the given streams: ``increment`` [A, F, K] summed over leaves, ``rows`` [A, F]. Returns M [A, F]."""
        found = np.empty(rows.shape)
        # Some at a time: what is in between stays in the cache, where all of it would be 200 MB with a hundred thousand streams.
        for start in range(0, len(streams), _STREAMS_AT_ONCE):
            part = slice(start, start + _STREAMS_AT_ONCE)
            found[part] = self._advance(streams[part], increment[part], rows[part], end_ms)
        return found

    def _advance(self, streams: NDArray[np.intp], increment: Float32, rows: Float32, end_ms: int) -> Float64:
        n = rows[:, :, None]
        increment = increment - n * self.sampling[streams]
        if self.clustered:
            increment /= self.phi[streams]
        if len(self.bounded):
            increment[:, self.bounded] = self._bounded(streams, increment[:, self.bounded], end_ms)
        self.evidence[streams] = evidence = step(self.evidence[streams], n, increment)
        return np.asarray(np.einsum("sfk,fk->sf", evidence, self.weights))

    def _bounded(self, streams: NDArray[np.intp], increment: Float32, end_ms: int) -> Float64:
        # A pane too: what one long session brings must not be set off against what the rest of its block took away.
        increment = np.minimum(increment, self.most_per_block[streams])
        block = (end_ms - 1) // self.block_ms[self.bounded]
        self.spent[:, block != self.block] = 0.0
        self.block = block
        total, counted = within_block(self.spent[streams], increment, self.most_per_block[streams])
        self.spent[streams] = total
        return counted

    def now(self) -> Float64:
        """[S, F] M of every stream."""
        return np.asarray((self.evidence * self.weights).sum(axis=2))

    def forget(self, stream: int, place: int) -> None:
        """Start the evidence of one stream anew."""
        self.evidence[stream, place] = 0.0
        self.spent[stream, self.bounded == place] = 0.0

    def leading(self, stream: int, place: int) -> int:
        """The direction with the most evidence."""
        return int((self.weights[place] * self.evidence[stream, place]).argmax())

    def gains(self, stream: int, place: int, direction: int, blocks: Sequence[tuple[Int64, Int64, Int64, Int64]]) -> Float64:
        """Evidence of one direction in blocks of the past: leaves, quarters of an hour (-1: any), cells and counts of the stream's rows."""
        found = []
        # The past goes through every quarter of a day or a week, block after block: of this signal and direction, all at once.
        cycle = self.cycles[place].direction(direction) if place in self.cycles else None
        offsets = None if cycle is None else cycle.every_offset(self._grown(place, slice(direction, direction + 1)))
        for leaves, quarters, cells, counts in blocks:
            n = counts.astype(np.float64)
            of = leaves if self.per_leaf else np.zeros_like(leaves)
            gain = float((n * self.ratios[of, place, cells, direction]).sum())
            if not self.per_leaf:
                gain -= float((n * self.psi[leaves, place, direction]).sum())
            if offsets is not None:
                known = quarters >= 0
                gain -= float((n[known] * offsets[quarters[known], leaves[known]]).sum())
            found.append((gain - n.sum() * float(self.sampling[stream, place, direction])) / float(self.phi[stream, place, direction]))
        return np.array(found)
