"""Probable changes of unit: a numeric signal that drifted as if every value had been multiplied by a well-known factor.

For a candidate, the reference's distribution is transformed and counted into the same cells; it is named when what is counted now fits
that prediction: the distribution functions at all edges, and, where values left the edges, the geometric mean of their size.
Then location and spread have both moved as the factor demands. An ordinary shift moves one without the other and fits none.
Where all values lie beyond the edges only their size is left to compare; a candidate then has to be right within about 5 %.

Celsius and Fahrenheit differ by a factor and an offset; both are reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from monitor.config.model import STATISTICS
from monitor.evaluate.baseline import Axis, Baseline, SignalBaseline
from monitor.evaluate.cells import cell_bounds, cell_positions
from monitor.profile.layout import FAULT_CELLS, Layout
from monitor.profile.table import TAIL_SCALE, CountTable

Float64 = NDArray[np.float64]
Index = NDArray[np.intp]

FACTORS = ("10", "60", "100", "1000", "3600", "1e6", "1e9", "2.54", "25.4", "0.3048", "1.609344", "0.45359237", "3.6")
"""Scales of ten, minutes and hours in seconds, inches in centimetres and millimetres, feet in metres, miles in
kilometres, pounds in kilograms, metres per second in kilometres per hour. Each also the other way round."""

LOCATION_STATISTICS = ("ks", "wasserstein", "out_of_range_rate")
"""Only where one of these is DRIFTED is a change of unit looked for."""

_COARSE = 0.35  # octaves between a factor and the shift of the mean logarithm, to be looked at more closely
_RESOLUTION = 0.02  # of a distribution function predicted from cells
_TAIL_RESOLUTION = 0.06  # octaves
_TAIL_SHARE = 0.02  # of the values beyond the edges, from which on their size is compared


@dataclass(frozen=True, slots=True)
class Transformation:
    """now = factor x reference + offset, in exact fractions: 60 x 1 must meet an edge at 60."""

    factor: Fraction
    offset: Fraction = Fraction(0)

    def before(self, edges: Float64) -> Float64:
        """Where the edges lie in the reference's unit."""
        return (edges - float(self.offset)) * self.factor.denominator / self.factor.numerator

    def after(self, values: Float64) -> Float64:
        """Values of the reference in the unit of now."""
        return values * self.factor.numerator / self.factor.denominator + float(self.offset)


SCALES = tuple(Transformation(scale) for text in FACTORS for scale in (Fraction(text), 1 / Fraction(text)))
TEMPERATURES = (Transformation(Fraction(9, 5), Fraction(32)), Transformation(Fraction(5, 9), Fraction(-160, 9)))
_LOG2_SCALES = np.log2([float(scale.factor) for scale in SCALES])


@dataclass(frozen=True, eq=False)
class UnitChanges:
    """now = factor x reference + offset; NaN where no change of unit is probable."""

    factor: Float64  # [S, F]
    offset: Float64  # [S, F]


def unit_changes(table: CountTable, baseline: Baseline, drifted: NDArray[np.bool_]) -> UnitChanges:
    """Name probable changes of unit among the verdicts that are ``drifted`` [S, F, K]."""
    shape = drifted.shape[:2]
    out = UnitChanges(np.full(shape, np.nan), np.full(shape, np.nan))
    moved = np.zeros(shape, np.bool_)
    for name in LOCATION_STATISTICS:
        moved |= drifted[:, :, STATISTICS.index(name)]
    for f, signal in enumerate(baseline.signals):
        rows = np.flatnonzero(moved[:, f])
        if signal.axis is None or not len(rows) or not len(table.layout.signals[f].edges):
            continue
        near = _near(table, baseline, signal, signal.axis, f, rows)
        for row, transformation in _named(table, baseline, signal, f, rows, near):
            out.factor[row, f], out.offset[row, f] = float(transformation.factor), float(transformation.offset)
    return out


def _near(table: CountTable, baseline: Baseline, signal: SignalBaseline, axis: Axis, f: int, rows: Index) -> NDArray[np.bool_]:
    """[rows, transformations] which are worth a closer look: those that put the mean of log2|x| about where it is now."""
    cells = _value_cells(table.layout, f)
    logs = _log2_size(_positions(table, baseline, f))
    logs[[0, -1]] = 0.0  # what lies outside the edges is in the tails
    counts = table.counts[rows, cells].astype(np.float64)
    now = (counts @ logs + table.tails[rows, f].sum(axis=1) / TAIL_SCALE) / np.maximum(counts.sum(axis=1), 1.0)
    before, not_zero = _log2_size(axis.position) @ signal.share, (axis.position != 0) @ signal.share
    shift = (now - before[rows]) / np.maximum(not_zero[rows], 1e-9)  # zeros stay zeros on every scale
    affine = [now - (_log2_size(change.after(axis.position)) @ signal.share)[rows] for change in TEMPERATURES]
    return np.asarray(np.abs(np.column_stack([shift[:, None] - _LOG2_SCALES, *affine])) < _COARSE)


def _named(
    table: CountTable, baseline: Baseline, signal: SignalBaseline, f: int, rows: Index, near: NDArray[np.bool_]
) -> Iterator[tuple[int, Transformation]]:
    best = np.ones(len(rows))  # a misfit of 1 is the worst that is still named
    choice = np.full(len(rows), -1)
    for column in np.flatnonzero(near.any(axis=0)).tolist():
        tried = np.flatnonzero(near[:, column])
        misfit = _misfit(_observe(table, baseline, signal, f, rows[tried]), (*SCALES, *TEMPERATURES)[column])
        better = misfit < best[tried]
        best[tried[better]], choice[tried[better]] = misfit[better], column
    for place in np.flatnonzero(choice >= 0).tolist():
        yield int(rows[place]), (*SCALES, *TEMPERATURES)[choice[place]]


def _value_cells(layout: Layout, f: int) -> slice:
    return slice(int(layout.offsets[f]) + FAULT_CELLS, int(layout.offsets[f + 1]))


def _positions(table: CountTable, baseline: Baseline, f: int) -> Float64:
    low, high = cell_bounds(table.layout.signals[f])
    return cell_positions(low, high, baseline.reference.bin_means[_value_cells(table.layout, f)])


@dataclass(frozen=True, eq=False)
class _Observed:
    """A numeric signal in s segments, over all its B value cells, those outside the declared range included."""

    edges: Float64  # [B - 1]
    position: Float64  # [B] of the reference's values
    half_width: Float64  # [B] of what they spread over evenly: as much as their mean in the cell allows
    p: Float64  # [B, s] the reference's shares
    cumulative: Float64  # [B - 1, s] share of the values now that are below each edge
    ends: Float64  # [2, s] share of the values now in the under- and the overflow cell
    end_counts: Float64  # [2, s]
    end_logs: Float64  # [2, s] mean log2|x| of those
    effective: Float64  # [s] ν


def _observe(table: CountTable, baseline: Baseline, signal: SignalBaseline, f: int, rows: Index) -> _Observed:
    bins, cells = table.layout.signals[f], _value_cells(table.layout, f)
    low, high = cell_bounds(bins)
    position = _positions(table, baseline, f)
    counts = np.ascontiguousarray(table.counts[rows, cells].T, np.float64)
    n, m = np.maximum(counts.sum(axis=0), 1.0), signal.effective[rows]
    q = counts / n
    p = np.zeros(q.shape)
    p[signal.cells.start - cells.start : signal.cells.stop - cells.start] = signal.share[:, rows]
    ends = np.array([0, -1])
    end_logs = table.tails[rows, f].T / TAIL_SCALE / np.maximum(counts[ends], 1.0)
    half_width = np.maximum(np.minimum(position - low, high - position), 0.0)
    below = np.cumsum(q, axis=0)[:-1]
    return _Observed(np.array(bins.edges), position, half_width, p, below, q[ends], counts[ends], end_logs, n * m / (n + m))


def _misfit(seen: _Observed, transformation: Transformation) -> Float64:
    """[s] distance of what is counted now from the transformed reference, in units of what the cells can resolve."""
    below = _below(seen, seen.edges)
    changed = _below(seen, transformation.before(seen.edges))
    fit = np.abs(seen.cumulative - changed @ seen.p).max(axis=0)
    before = np.abs(seen.cumulative - below @ seen.p).max(axis=0)
    worst = np.minimum(_RESOLUTION + 1 / np.sqrt(seen.effective), before / 3)  # and at least two thirds are explained
    misfit = np.where(worst > 0, fit / np.maximum(worst, 1e-9), np.inf)

    logs = _log2_size(transformation.after(seen.position))
    reference_logs = _log2_size(seen.position)[:, None]
    mean_log = (seen.p * reference_logs).sum(axis=0)
    spread = np.sqrt((seen.p * (reference_logs - mean_log) ** 2).sum(axis=0))
    for end, weight in enumerate((changed[0], 1 - changed[-1])):
        mass = weight @ seen.p
        predicted = (weight * logs) @ seen.p / np.maximum(mass, 1e-9)
        tolerance = _TAIL_RESOLUTION + 2 * spread / np.sqrt(np.maximum(seen.end_counts[end], 1.0))
        far = np.where(seen.ends[end] >= _TAIL_SHARE, np.abs(seen.end_logs[end] - predicted) / tolerance, 0.0)
        misfit = np.maximum(misfit, far)
    return np.asarray(misfit)


def _below(seen: _Observed, places: Float64) -> Float64:
    """[places, B] how much of each cell of the reference lies below each place."""
    low, width = seen.position - seen.half_width, 2 * seen.half_width
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        part = np.clip((places[:, None] - low) / width, 0.0, 1.0)
    return np.where(width > 0, part, places[:, None] > seen.position)


def _log2_size(values: Float64) -> Float64:
    return np.asarray(np.log2(np.where(values == 0, 1.0, np.abs(values))))
