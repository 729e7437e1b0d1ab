"""How large a drift is: counts since its start against what the null expected of the same leaves at the same hours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.detect.alarm import CellChange, Effect
from monitor.detect.leaves import Leaves, leaf_counts
from monitor.detect.season import QUARTERS, Cycle
from monitor.performance.interval import difference, wilson
from monitor.profile.layout import FAULT_CELLS
from monitor.reference.reference import Reference

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

WIDTH = 3.04
"""Half-width of an interval in standard errors: Robbins' normal mixture at 95 %, sqrt((1 + 1/8) log(9 / 0.05^2)), which holds at all times
at once when its prior is tuned to an eighth of the rows at hand."""

WORST_CELLS = 3

_OF_NUMBERS = {"shift": "sd", "rank shift": "sd", "spread": "spread", "rank spread": "spread"}
"""What a change of all values is measured in. Tails and single cells are a difference of shares: the mean would hardly tell of them."""


@dataclass(eq=False)
class Expected:
    """What the reference has, per leaf."""

    reference: Reference
    counts: Float64  # [L, layout cells]

    @staticmethod
    def of(reference: Reference, leaves: Leaves) -> Expected:
        """From a reference's counts."""
        return Expected(reference, leaf_counts(leaves, reference.table).astype(np.float64))

    def measured(
        self,
        members: NDArray[np.intp],
        signal: int,
        kind: str,
        rows: tuple[Int64, Int64, Int64, Int64],
        phi: float,
        cycle: Cycle | None,
        what: str,
    ) -> tuple[Effect | None, tuple[CellChange, ...]]:
        """Effect and worst cells of a stream that sums the leaves ``members``; ``what`` its leading direction is about.

        ``rows``: leaves, quarters of an hour (-1: any), cells and counts since the start, as from ``History.of``; cells of the kind.
        """
        leaf, quarter, cell, counts = rows
        if not len(counts):
            return None, ()
        layout = self.reference.layout
        span = layout.span(signal)
        base = _kind(self.counts[:, span], kind)
        width = base.shape[1]
        usual = base / np.maximum(base.sum(axis=1, keepdims=True), 1.0)
        share = np.bincount(cell, counts, minlength=width) / counts.sum()
        n = int(counts.sum())
        if cycle is None:
            expected = np.bincount(leaf, counts, minlength=len(usual)) @ usual / n
        else:
            hours = np.where(quarter < 0, 0, quarter // QUARTERS)
            shares = np.where((quarter < 0)[:, None], usual[leaf], cycle.shares[leaf, hours])
            expected = (counts[:, None] * shares).sum(axis=0) / n
        spread, reference_rows = n / max(phi, 1.0), float(base[members].sum())
        labels = layout.signals[signal].labels()
        names = [*labels[:FAULT_CELLS], "usable"] if kind == "missing" else labels[FAULT_CELLS:]
        worst = _worst(names, expected, share)
        if kind == "values" and layout.signals[signal].kind == "numeric" and what in _OF_NUMBERS:
            found = self._moved(signal, _OF_NUMBERS[what], expected, share, n, spread, reference_rows)
            if found is not None:
                return found, worst
        # The cell that stands out; of a signal's faults never "usable", whose share only mirrors theirs.
        score = np.abs(share - expected) / np.sqrt(expected * (1.0 - expected) + 1.0 / n)
        place = int(np.argmax(score[:FAULT_CELLS] if kind == "missing" else score))
        return _difference(share[place], expected[place], n, spread, reference_rows, names[place]), worst

    def _moved(
        self, signal: int, unit: str, expected: Float64, share: Float64, n: int, rows: float, reference_rows: float
    ) -> Effect | None:
        """Difference of the means in standard deviations, or by which part the deviation grew; None where values do not vary.

        ``rows``: independent ones. The error of a variance s^2 is s^2 sqrt((kurtosis - 1) / rows), that of log s half of it without s^2
        (delta method; Mood, Graybill and Boes, 1974, VI.2).
        """
        span = self.reference.layout.span(signal)
        means = self.reference.bin_means[span.start + FAULT_CELLS : span.stop]
        edges = np.array(self.reference.layout.signals[signal].edges)
        deviation = float(self.reference.stds[signal])
        if not len(edges) or not np.isfinite(deviation) or deviation <= 0:
            return None
        position = np.where(np.isfinite(means), means, np.concatenate([edges[:1], edges]))
        (now, kurtosis), (then, kurtosis_then) = _variance(share, position), _variance(expected, position)
        if unit == "sd":
            difference = float((share - expected) @ position) / deviation
            error = float(np.sqrt(now / deviation**2 / max(rows, 1.0) + 1.0 / max(reference_rows, 1.0)))
            return Effect("sd", difference, difference - WIDTH * error, difference + WIDTH * error, n)
        if now <= 0 or then <= 0:
            return None
        growth = 0.5 * np.log(now / then)
        error = 0.5 * np.sqrt((kurtosis - 1.0) / max(rows, 1.0) + (kurtosis_then - 1.0) / max(reference_rows, 1.0))
        size, low, high = np.expm1([growth, growth - WIDTH * error, growth + WIDTH * error]).tolist()
        return Effect("spread", size, low, high, n)


def _variance(share: Float64, position: Float64) -> tuple[float, float]:
    """Variance and kurtosis of cells at these positions; the kurtosis is 1, its least, where there is no variance."""
    away = (position - float(share @ position)) ** 2
    variance = float(share @ away)
    return variance, float(share @ away**2) / variance**2 if variance > 0 else 1.0


def of_kind(kind: str, cells: Int64) -> Int64:
    """Cells of a signal, the faults first, as those of a kind: for ``missing`` the faults and one for every value."""
    return np.minimum(cells, FAULT_CELLS) if kind == "missing" else cells


def _kind(counts: Float64, kind: str) -> Float64:
    if kind == "missing":
        return np.concatenate([counts[:, :FAULT_CELLS], counts[:, FAULT_CELLS:].sum(axis=1, keepdims=True)], axis=1)
    return counts[:, FAULT_CELLS:]


def _worst(names: list[str], expected: Float64, share: Float64) -> tuple[CellChange, ...]:
    weight = (share - expected) ** 2 / np.maximum(expected, 1e-6)
    order = np.argsort(-weight, kind="stable")[:WORST_CELLS]
    return tuple(CellChange(names[cell], float(expected[cell]), float(share[cell])) for cell in order.tolist() if weight[cell] > 0)


def _difference(now: float, then: float, n: int, spread: float, reference_rows: float, cell: str | None) -> Effect:
    """Difference of two shares with an interval from Wilson's of both, which stays within [-1, 1].

    ``spread`` of the ``n`` rows, and ``reference_rows``, are independent.
    """
    independent = np.maximum([spread, reference_rows], 1.0).astype(np.int64)
    shares = wilson(np.array([now, then]) * independent, independent, WIDTH)
    found = difference(shares[0], shares[1])
    return Effect("share", float(found.value), float(found.low), float(found.high), n, cell)


def outcome_effect(tally: Float64, reference_rows: float, phi: float) -> Effect:
    """Difference of a rate from ``Outcome.since``: labels, those that are wrong (or positive), and how many were expected to be."""
    n, yes, expected = tally.tolist()
    rows = max(int(n), 1)
    return _difference(yes / rows, expected / rows, rows, rows / phi, reference_rows, None)
