"""Probable changes of unit: a numeric signal that drifted as if every value had been multiplied by a well-known factor.

For a candidate, the reference's distribution is transformed and counted into the same cells; it is named when what is counted now fits
that prediction: the mean of log2|x| of values other than 0, to which those beyond the edges add their actual size, and the distribution
functions at all edges. Then location and spread have both moved as the factor demands; an ordinary shift moves one without the other.

Where all values lie beyond the edges only their size is left to compare: any change that hits a factor within a few percent is named,
but not where most became 0, 1 or -1: that is a default put in for them.
Where two candidates fit about equally well, none is named; so it is when all values fall into one cell around zero.

Celsius and Fahrenheit differ by a factor and an offset; both are reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from monitor.config.evaluation import STATISTICS
from monitor.evaluate.baseline import Baseline, SignalBaseline
from monitor.evaluate.cells import cell_bounds, cell_positions
from monitor.profile.layout import FAULT_CELLS, Layout
from monitor.profile.table import TAIL_SCALE, CountTable

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Index = NDArray[np.intp]

FACTORS = (
    "10", "60", "100", "1000", "3600", "1e6", "1e9", "2.54", "25.4", "12", "30.48", "0.3048", "1.609344", "0.45359237", "3.6",
)  # fmt: skip
"""Scales of ten, minutes and hours in seconds, inches in centimetres and millimetres, feet in inches, centimetres and metres, miles in
kilometres, pounds in kilograms, metres per second in kilometres per hour. Each also the other way round."""

LOCATION_STATISTICS = ("ks", "wasserstein", "out_of_range_rate")
"""Only where one of these is DRIFTED is a change of unit looked for."""

_RESOLUTION = 0.015  # of a distribution function predicted from cells
_LOG_RESOLUTION = 0.04  # of a mean logarithm predicted from cells, in octaves
_DOUBTFUL = 0.5  # below this misfit, or twice the best one's, a second candidate leaves the first in doubt


_SCALES = [scale for text in FACTORS for scale in (Fraction(text), 1 / Fraction(text))]
_TEMPERATURES = [(Fraction(9, 5), Fraction(32)), (Fraction(5, 9), Fraction(-160, 9))]  # to Fahrenheit, to Celsius
CANDIDATES: tuple[tuple[Fraction, Fraction], ...] = (*((scale, Fraction(0)) for scale in _SCALES), *_TEMPERATURES)
"""now = factor x reference + offset, in exact fractions: 60 x 1 must meet an edge at 60."""

_NUMERATOR, _DENOMINATOR = (np.array([[float(getattr(f, part))] for f, _ in CANDIDATES]) for part in ("numerator", "denominator"))
_OFFSET = np.array([[float(offset)] for _, offset in CANDIDATES])
_SMALLEST = np.finfo(np.float64).tiny


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
        rows = np.flatnonzero(moved[:, f] & (signal.effective > 0))
        if signal.axis is None or not len(rows) or not len(table.layout.signals[f].edges):
            continue
        with np.errstate(over="ignore", invalid="ignore"):  # near the largest number, where no candidate fits then
            choice = _choose(_cells(table.layout, baseline, signal, f), signal, table, f, rows)
        for row, candidate in zip(rows.tolist(), choice.tolist(), strict=True):
            if candidate >= 0:
                out.factor[row, f], out.offset[row, f] = map(float, CANDIDATES[candidate])
    return out


@dataclass(frozen=True, eq=False)
class _Cells:
    """A numeric signal: E + 1 value cells, those outside the declared range included, B of which the reference has shares of."""

    columns: slice  # of all E + 1 in the table
    zero: NDArray[np.bool_]  # [E + 1] whether a cell holds 0 alone, which no factor moves
    own: slice  # the B among them
    logs: Float64  # [E + 1] mean of log2|x| of the reference's values; 0 for the two ends, whose values are in the tails
    below: Float64  # [E, B] how much of each of the reference's cells lies below each edge
    below_after: Float64  # [candidates, E, B] and does so after each candidate
    logs_after: Float64  # [candidates, B] mean of log2|x| after each candidate, as the cells would show it


def _cells(layout: Layout, baseline: Baseline, signal: SignalBaseline, f: int) -> _Cells:
    columns = slice(int(layout.offsets[f]) + FAULT_CELLS, int(layout.offsets[f + 1]))
    edges = np.array(layout.signals[f].edges)
    ends_low, ends_high = cell_bounds(layout.signals[f])
    position = cell_positions(ends_low, ends_high, baseline.reference.bin_means[columns])
    # A cell's values are taken to spread evenly around their mean, as far as the cell allows.
    half_width = np.maximum(np.minimum(position - ends_low, ends_high - position), 0.0)
    low, high = position - half_width, position + half_width
    logs = _mean_log2(low, high)
    logs[[0, -1]] = 0.0
    own = slice(signal.cells.start - columns.start, signal.cells.stop - columns.start)
    low, high = low[own], high[own]
    before = _before(edges)
    after = _below(low, high, before)
    inner = np.einsum("c,kcb->kb", logs[1:-1], np.diff(after, axis=1))
    first, last = before[:, :1], before[:, -1:]
    under = _mean_log2(_after(np.minimum(low, first)), _after(np.minimum(high, first))) * after[:, 0]
    over = _mean_log2(_after(np.maximum(low, last)), _after(np.maximum(high, last))) * (1 - after[:, -1])
    zero = (np.abs(ends_low) < _SMALLEST) & (np.abs(ends_high) < _SMALLEST)
    return _Cells(columns, zero, own, logs, _below(low, high, edges), after, inner + under + over)


def _before(edges: Float64) -> Float64:
    """[candidates, E] where the edges lie in the reference's unit."""
    with np.errstate(over="ignore"):
        moved = (edges - _OFFSET) * _DENOMINATOR / _NUMERATOR
    # The smallest number above 0, which ends the cell of 0 alone, must not become 0.
    return np.where((np.abs(edges) < _SMALLEST) & (_OFFSET == 0), edges, moved)


def _after(values: Float64) -> Float64:
    """[candidates, B] values of the reference [candidates, B] in the unit of now."""
    with np.errstate(over="ignore"):
        return np.asarray(values * _NUMERATOR / _DENOMINATOR + _OFFSET)


def _choose(cells: _Cells, signal: SignalBaseline, table: CountTable, f: int, rows: Index) -> Index:
    """[rows] the candidate that is named, or -1."""
    counts = table.counts[rows, cells.columns].astype(np.float64)
    n, m = np.maximum(counts.sum(axis=1), 1.0), signal.effective[rows]
    uncertainty = np.sqrt(1 / n + 1 / m)
    p = signal.share[:, rows]
    # How many values are 0 says nothing of a factor; left in, the chance of it would hide by which the others have moved.
    others, rest = np.where(cells.zero, 0.0, counts), np.where(cells.zero[cells.own, None], 0.0, p)
    tails = table.tails[rows, f].sum(axis=1) / TAIL_SCALE
    scales, temperatures = cells.logs_after[: len(_SCALES)], cells.logs_after[len(_SCALES) :]
    parts = _log_misfit(scales, cells.logs, others, tails, rest, m), _log_misfit(temperatures, cells.logs, counts, tails, p, m)
    misfit = np.concatenate(parts)
    misfit[:, _defaults(counts, table.tails[rows, f])] = np.inf
    choice = np.full(len(rows), -1)
    fits = np.flatnonzero((misfit < 1).any(axis=0))
    if len(fits):
        choice[fits] = _best(cells, counts[fits].T / n[fits], p[:, fits], uncertainty[fits], misfit[:, fits])
    return choice


def _log_misfit(after: Float64, logs: Float64, counts: Float64, tails: Float64, p: Float64, m: Float64) -> Float64:
    """[candidates, rows] how far the mean logarithm is from a candidate's, in parts of what cells and chance, independently, may do."""
    n, share = np.maximum(counts.sum(axis=1), 1.0), np.maximum(p.sum(axis=0), _SMALLEST)
    now = (counts @ logs + tails) / n
    expected = after @ p / share
    spread = np.sqrt(np.maximum(after**2 @ p / share - expected**2, 0.0))
    misfit = np.abs(expected - now) / np.hypot(_LOG_RESOLUTION, 2.5 * spread * np.sqrt(1 / n + 1 / (m * share)))
    return np.asarray(np.nan_to_num(misfit, nan=np.inf))  # values near the largest number


def _defaults(counts: Float64, tails: Int64) -> NDArray[np.bool_]:
    """[rows] whether most values are beyond one edge and all of those 0, 1 or -1, in which case their logarithms are exactly 0."""
    return np.asarray(((tails == 0) & (2 * counts[:, [0, -1]] > counts.sum(axis=1, keepdims=True))).any(axis=1))


def _best(cells: _Cells, q: Float64, p: Float64, uncertainty: Float64, misfit: Float64) -> Index:
    """[rows] the only candidate that also fits the distribution functions, or -1; ``misfit`` is that of the mean logarithm."""
    below = np.cumsum(q, axis=0)[:-1]
    moved = np.abs(below - cells.below @ p).max(axis=0)
    worst = np.maximum(np.minimum(_RESOLUTION + 1.2 * uncertainty, moved / 3), 1e-9)  # and at least two thirds are explained
    for k in np.flatnonzero((misfit < 1).any(axis=1)).tolist():
        near = np.flatnonzero(misfit[k] < 1)
        left = np.abs(below[:, near] - cells.below_after[k] @ p[:, near]).max(axis=0)
        misfit[k, near] = np.maximum(misfit[k, near], left / worst[near])
    least, next_least = np.partition(misfit, 1, axis=0)[:2]
    return np.where((least < 1) & (next_least > np.maximum(_DOUBTFUL, 2 * least)), misfit.argmin(axis=0), -1)


def _below(low: Float64, high: Float64, places: Float64) -> Float64:
    """[..., B] how much of each stretch from ``low`` to ``high`` [B] lies below each place [...]."""
    width, distance = high - low, places[..., None] - low
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        part = np.clip(distance / width, 0.0, 1.0)
    return np.where(width > 0, part, distance > 0)


def _mean_log2(low: Float64, high: Float64) -> Float64:
    """Mean of log2|x| for x spread evenly between two places; 0 counts as 1, as in the tails of a table."""
    wide = high - low > 1e-6 * np.maximum(np.abs(low), np.abs(high))
    with np.errstate(all="ignore"):
        integral = (_log_integral(high) - _log_integral(low)) / (high - low)
    return np.where(wide, integral, _log2_size((low + high) / 2))


def _log_integral(x: Float64) -> Float64:
    return np.asarray(x * _log2_size(x) - x / math.log(2))


def _log2_size(values: Float64) -> Float64:
    return np.asarray(np.log2(np.where(values == 0, 1.0, np.abs(values))))
