"""How large a drift is: counts since its start against what the null expected of the same leaves at the same hours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.detect.alarm import CellChange, Effect
from monitor.detect.leaves import Leaves, leaf_counts
from monitor.detect.season import QUARTERS
from monitor.profile.layout import FAULT_CELLS
from monitor.reference.reference import Reference

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

WIDTH = 3.04
"""Half-width of an interval in standard errors: Robbins' normal mixture at 95 %, sqrt((1 + 1/8) log(9 / 0.05^2)), which holds at all times
at once when its prior is tuned to an eighth of the rows at hand."""

WORST_CELLS = 3


@dataclass(eq=False)
class Expected:
    """Shares of the reference per leaf and, where the signal has a cycle, hour slot."""

    reference: Reference
    leaves: Leaves
    counts: Float64  # [L, layout cells]

    @staticmethod
    def of(reference: Reference, leaves: Leaves) -> Expected:
        """From a reference's counts."""
        return Expected(reference, leaves, leaf_counts(leaves, reference.table).astype(np.float64))

    def measured(
        self, stream: int, signal: int, kind: str, codes: Int64, counts: Int64, phi: float, by_slot: Float64 | None
    ) -> tuple[Effect | None, tuple[CellChange, ...]]:
        """Effect and worst cells of a stream from the codes and counts of ``History.since``.

        ``by_slot`` [leaves, hours, cells of the kind] shares where the signal has a cycle.
        """
        layout = self.reference.layout
        span = layout.span(signal)
        leaf_slot, cell = np.divmod(codes, layout.cells)
        quarter, leaf = np.divmod(leaf_slot, len(self.leaves.leaves))
        slot = quarter // QUARTERS
        first = span.start + (FAULT_CELLS if kind == "values" else 0)
        mine = np.isin(leaf, self.leaves.members[stream]) & (cell >= first) & (cell < span.stop)
        if not mine.any():
            return None, ()
        places = np.minimum(cell[mine] - first, FAULT_CELLS) if kind == "missing" else cell[mine] - first
        slots = 1 if by_slot is None else by_slot.shape[1]
        width = FAULT_CELLS + 1 if kind == "missing" else span.stop - first
        of = (leaf[mine] * slots + (slot[mine] if slots > 1 else 0)) * width + places
        seen = np.bincount(of, counts[mine], minlength=len(self.leaves.leaves) * slots * width).reshape(-1, slots, width)
        base = self._shares(first, span.stop, kind)
        shares = base[:, None, :] if by_slot is None else by_slot
        rows = seen.sum(axis=2, keepdims=True)
        n = float(rows.sum())
        expected, share = (rows * shares).sum(axis=(0, 1)) / n, seen.sum(axis=(0, 1)) / n
        reference_rows = float(self.counts[self.leaves.members[stream], first : span.stop].sum())
        worst = self._worst(signal, kind, expected, share)
        spread = n / max(phi, 1.0)
        if kind == "values" and layout.signals[signal].kind == "numeric":
            return self._shift(signal, expected, share, int(n), spread, reference_rows), worst
        place = int(np.argmax(np.abs(share - expected) / np.sqrt(expected * (1 - expected) + 1.0 / n)[: len(share)]))
        if kind == "missing":
            place = int(np.argmax(np.abs(share - expected)[:FAULT_CELLS]))
        label = layout.signals[signal].labels()[place + (FAULT_CELLS if kind == "values" else 0)]
        return _difference("share", share[place], expected[place], int(n), spread, reference_rows, label), worst

    def _shares(self, first: int, stop: int, kind: str) -> Float64:
        own = self.counts[:, first:stop]
        if kind == "missing":
            own = np.concatenate([own[:, :FAULT_CELLS], own[:, FAULT_CELLS:].sum(axis=1, keepdims=True)], axis=1)
        return np.asarray(own / np.maximum(own.sum(axis=1, keepdims=True), 1.0))

    def _shift(self, signal: int, expected: Float64, share: Float64, n: int, spread: float, reference_rows: float) -> Effect:
        span = self.reference.layout.span(signal)
        means = self.reference.bin_means[span.start + FAULT_CELLS : span.stop]
        edges = np.array(self.reference.layout.signals[signal].edges)
        ends = np.concatenate([edges[:1], edges]) if len(edges) else np.zeros(1)
        position = np.where(np.isfinite(means), means, ends)
        deviation = float(self.reference.stds[signal])
        if not np.isfinite(deviation) or deviation <= 0:
            return _difference("share", share[0], expected[0], n, spread, reference_rows, None)
        difference = float((share - expected) @ position) / deviation
        centred = position - float(share @ position)
        variance = float(share @ centred**2) / deviation**2
        error = np.sqrt(variance / max(spread, 1.0) + 1.0 / max(reference_rows, 1.0))
        return Effect("sd", difference, difference - WIDTH * error, difference + WIDTH * error, n)

    def _worst(self, signal: int, kind: str, expected: Float64, share: Float64) -> tuple[CellChange, ...]:
        labels = self.reference.layout.signals[signal].labels()
        names = [*labels[:FAULT_CELLS], "usable"] if kind == "missing" else labels[FAULT_CELLS:]
        weight = (share - expected) ** 2 / np.maximum(expected, 1e-6)
        order = np.argsort(-weight, kind="stable")[:WORST_CELLS]
        return tuple(CellChange(names[cell], float(expected[cell]), float(share[cell])) for cell in order.tolist() if weight[cell] > 0)


def _difference(unit: str, now: float, then: float, n: int, spread: float, reference_rows: float, cell: str | None) -> Effect:
    error = np.sqrt(max(now * (1 - now), 1.0 / n) / max(spread, 1.0) + then * (1 - then) / max(reference_rows, 1.0))
    size = float(now - then)
    return Effect(unit, size, size - WIDTH * float(error), size + WIDTH * float(error), n, cell)


def outcome_effect(tally: Float64, reference_rows: float, phi: float) -> Effect:
    """Difference of a rate from ``Outcome.since``: labels, those that are wrong (or positive), and how many were expected to be."""
    n, yes, expected = tally.tolist()
    rows = max(int(n), 1)
    return _difference("share", yes / rows, expected / rows, rows, rows / phi, reference_rows, None)
