"""Means and variances inside cells, summed exactly: the result does not depend on the order of the rows.

A value is measured from its cell's lower end in units of the cell's width, rounded to a fraction of 2**-bits. With the number
of rows known, ``bits`` is chosen so that no sum reaches 2**53: sums of whole numbers in float64 are exact then, in any
order. A mean is right to 2**-bits of its cell's width, whatever else is in the data (2**-33 for a million rows).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.profile.layout import FAULT_CELLS, Layout, Role

_LARGEST = 2.0**1022  # differences of values within it are finite


@dataclass(frozen=True)
class Moments:
    """Per cell the mean of its values; per signal mean and standard deviation of the values within the declared range."""

    bin_means: NDArray[np.float64]  # [cells]; NaN for cells without values
    means: NDArray[np.float64]  # [signals]; NaN for categorical ones and those without a value
    stds: NDArray[np.float64]


@dataclass(eq=False)
class CellSums:
    """Sums over the values of each numeric cell. ``extents`` [numeric signals, 2] hold each signal's smallest and largest value."""

    layout: Layout
    extents: Sequence[tuple[float, float]]
    rows: int
    first: NDArray[np.float64] = field(init=False)  # [cells] sum of the fractions
    second: NDArray[np.float64] = field(init=False)  # [cells] sum of their squares

    def __post_init__(self) -> None:
        self.numeric = np.array([i for i, signal in enumerate(self.layout.signals) if signal.kind == "numeric"], np.intp)
        self.bits = 53 - (self.rows + 1).bit_length()
        self.start, self.width = np.zeros(self.layout.cells), np.ones(self.layout.cells)
        for i, (low, high) in zip(self.numeric.tolist(), self.extents, strict=True):
            edges = np.array(self.layout.signals[i].edges)
            ends = np.clip(np.concatenate([[min([low, *edges[:1]])], edges, [max([high, *edges[-1:]])]]), -_LARGEST, _LARGEST)
            ends[~np.isfinite(ends)] = 0.0
            values = slice(int(self.layout.offsets[i]) + FAULT_CELLS, int(self.layout.offsets[i + 1]))
            self.start[values] = ends[:-1]
            self.width[values] = np.where(ends[1:] > ends[:-1], ends[1:] - ends[:-1], 1.0)
        self.first, self.second = np.zeros(self.layout.cells), np.zeros(self.layout.cells)

    def add(self, cells: NDArray[np.uint8], values: NDArray[np.float64]) -> None:
        """Add rows: their cells [signals, rows] as counted and their values [rows, signals]."""
        local = cells[self.numeric]
        flat = local + self.layout.offsets[self.numeric, None]
        numbers = np.clip(values.T[self.numeric], -_LARGEST, _LARGEST)
        fraction = (numbers - self.start[flat]) / self.width[flat]
        fraction = np.where(local >= FAULT_CELLS, np.clip(fraction, 0.0, 1.0), 0.0)
        self.first += self._sum(flat, fraction)
        self.second += self._sum(flat, fraction * fraction)

    def _sum(self, flat: NDArray[np.int64], terms: NDArray[np.float64]) -> NDArray[np.float64]:
        whole = np.rint(np.ldexp(terms, self.bits))
        return np.bincount(flat.ravel(), whole.ravel(), minlength=self.layout.cells).astype(np.float64, copy=False)

    def moments(self, counts: NDArray[np.int64]) -> Moments:
        """Means and standard deviations, with the counts [cells] of the same rows."""
        signals = len(self.layout.signals)
        bin_means, means, stds = np.full(self.layout.cells, np.nan), np.full(signals, np.nan), np.full(signals, np.nan)
        for i in self.numeric.tolist():
            span = self.layout.span(i)
            held = np.flatnonzero(counts[span][FAULT_CELLS:] > 0) + span.start + FAULT_CELLS
            n = counts[held].astype(np.float64)
            fraction, square = (np.ldexp(sums[held], -self.bits) / n for sums in (self.first, self.second))
            bin_means[held] = self.start[held] + fraction * self.width[held]
            inside = self.layout.roles[held] == Role.VALUE
            if inside.any():
                n, centre, width = n[inside], bin_means[held][inside], self.width[held][inside]
                variance = np.maximum(square - fraction**2, 0.0)[inside]  # within each cell, in squared widths
                means[i] = (n / n.sum() * centre).sum()
                # Within cells plus between them: no difference of large numbers. Scaled, so that no square overflows.
                away = centre - means[i]
                scale = max(float(np.abs(away).max()), float(width.max()))
                stds[i] = scale * np.sqrt((n * (variance * (width / scale) ** 2 + (away / scale) ** 2)).sum() / n.sum())
        return Moments(bin_means, means, stds)
