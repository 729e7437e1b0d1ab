"""Distances between counts and shares, a signal at a time over all segments: [cells, segments] arrays that stay in cache.

A cell is a row of these arrays, so sums over cells add whole rows: every segment's sum is taken in the same order
wherever it stands, and signals need no padding to a common number of cells. With q the shares now and p those of the reference:

    PSI                sum (q' - p') log(q' / p'), q' and p' at least half a row of the effective sample ν = n m / (n + m), less
                       its mean when nothing has changed; not below 0
    Jensen-Shannon     D = (sum q log q + sum p log p) / 2 - sum r log r, r = (p + q) / 2; the distance is sqrt(D / log 2)
    KS                 max |Q - P| of the distribution functions
    Wasserstein        sum |Q - P| x gap over the cells' positions, in standard deviations of the reference
    Hellinger          squared: sum (√q - √p)² / 2
    Cramér's V         squared: sum (q - p)² / (q + p) / 2, that of the 2 x cells table whose two rows weigh the same:
                       how long the reference is must not matter
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.config.evaluation import STATISTICS
from monitor.evaluate.baseline import Axis, Baseline, SignalBaseline, one_rest
from monitor.evaluate.cells import DISTANCES, beyond
from monitor.evaluate.noise import (
    cell_cumulants,
    cell_psi_means,
    divergence_floor,
    ks_floor,
    psi_bias,
    table_steps,
    wasserstein_floor,
)
from monitor.profile.table import TAIL_SCALE, CountTable

Float64 = NDArray[np.float64]

BLOCK_SEGMENTS = 1024  # of 34 cells: 280 KB an array; smaller blocks cost more in calls than they gain in cache

_PSI, _SHANNON, _HELLINGER, _SQUARED_V = range(4)  # as in ``cell_cumulants``
_PLACE = {name: k for k, name in enumerate(STATISTICS)}
_LOG2 = np.log(2.0)
_TINY = np.finfo(np.float64).tiny  # added to a share it changes only 0


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances of S segments and F signals. NaN for what a signal does not have, and without values on either side."""

    value: Float64  # [DISTANCES, F, S]
    noise: Float64  # [DISTANCES, F, S]
    n: NDArray[np.int64]  # [F, S] values that take part now


def distances(table: CountTable, baseline: Baseline, quantile: float) -> Distances:
    """Compare the counts with the baseline; ``noise`` is that quantile when nothing has changed."""
    signals, segments = len(baseline.signals), len(table.segments)
    shape = (DISTANCES, signals, segments)
    out = Distances(np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape[1:], np.int64))
    blocks = -(-segments // BLOCK_SEGMENTS)
    ends = [segments * block // max(blocks, 1) for block in range(blocks + 1)]  # blocks of almost the same size
    widest = max((end - start for start, end in itertools.pairwise(ends)), default=0)
    deepest = max((signal.cells.stop - signal.cells.start for signal in baseline.signals), default=0)
    work = _Workspace(deepest * widest)
    for f, signal in enumerate(baseline.signals):
        for start, end in itertools.pairwise(ends):
            _block(table, signal, f, slice(start, end), quantile, work, out)
    return out


class _Workspace:
    """Buffers for one block, allocated once."""

    def __init__(self, size: int) -> None:
        self.floats = [np.empty(size) for _ in range(4)]
        self.steps = np.empty(size, np.intp)
        self.cumulants = np.empty((size, cell_cumulants().shape[1]), np.float32)

    def arrays(self, cells: int, segments: int) -> list[Float64]:
        """Four arrays [cells, segments] without gaps between rows."""
        return [buffer[: cells * segments].reshape(cells, segments) for buffer in self.floats]


def _block(table: CountTable, signal: SignalBaseline, f: int, block: slice, quantile: float, work: _Workspace, out: Distances) -> None:
    p = signal.compared[:, block]
    q, d, x, y = work.arrays(*p.shape)
    np.copyto(q, table.counts[block, signal.cells].T)
    if signal.rest:
        one_rest(q)
    n, m = np.add.reduce(q, axis=0), signal.effective[block]
    out.n[f, block] = n
    defined = (n > 0) & (m > 0)
    effective = np.where(defined, n * m / np.maximum(n + m, 1.0), 1.0)
    nothing = np.where(defined, 0.0, np.nan)  # added, it leaves a number alone or makes it unknown
    q /= np.maximum(n, 1.0)
    half_row = 0.5 / effective
    log_half_row = np.log(half_row)

    np.log(np.add(q, _TINY, out=x), out=x)  # log q, with 0 log 0 = 0
    own_entropy = np.add.reduce(np.multiply(q, x, out=y), axis=0)
    np.maximum(x, log_half_row, out=x)
    x -= np.maximum(signal.log_share[:, block], log_half_row, out=y)
    np.maximum(q, half_row, out=y)
    y -= np.maximum(p, half_row, out=d)
    x *= y
    psi = np.add.reduce(x, axis=0)

    np.add(q, p, out=y)
    y *= 0.5
    y += _TINY
    np.log(y, out=x)
    x *= y
    shannon = np.clip((own_entropy + signal.entropy[block]) / 2 - np.add.reduce(x, axis=0), 0.0, _LOG2)  # beyond by rounding

    np.subtract(q, p, out=d)
    np.multiply(d, d, out=x)
    x /= y
    squared_v = np.minimum(np.add.reduce(x, axis=0) / 4, 1.0)

    np.sqrt(q, out=x)
    x -= signal.root_share[:, block]
    x *= x
    hellinger = np.minimum(np.add.reduce(x, axis=0) / 2, 1.0)

    steps = table_steps(effective)
    bias = psi_bias(_summed(cell_psi_means(), signal.bias_rarity[:, block], steps, work), effective)
    cumulants = _summed(cell_cumulants(), signal.floor_rarity[:, block], steps, work)
    top = divergence_floor(cumulants.reshape(3, 4, -1), effective, quantile)
    if signal.luck is not None:
        top = (np.sqrt(top) + signal.luck[:, block]) ** 2
    found = {
        "psi": (np.maximum(psi - bias, 0.0), top[_PSI] - bias),
        "jensen_shannon": (np.sqrt(shannon / _LOG2), np.sqrt(top[_SHANNON] / _LOG2)),
        "hellinger": (np.sqrt(hellinger), np.sqrt(top[_HELLINGER])),
        "chi_square": (np.sqrt(squared_v), np.sqrt(top[_SQUARED_V])),
    }
    if signal.axis is not None:
        ks, moved = _along_axis(d, q, n, table.tails[block, f] / TAIL_SCALE, signal.axis)
        found["ks"] = ks, ks_floor(effective, quantile)
        found["wasserstein"] = moved, wasserstein_floor(signal.spread[0, block], signal.spread[1, block], effective, quantile)
    for statistic, (value, noise) in found.items():
        place = (_PLACE[statistic], f, block)
        out.value[place], out.noise[place] = value + nothing, noise + nothing


def _summed(table: NDArray[np.float32], rarity: NDArray[np.int16], steps: NDArray[np.int16], work: _Workspace) -> Float64:
    """[..., S] what a table [steps of λ, ...] has for each cell, summed over the cells."""
    places = work.steps[: rarity.size].reshape(rarity.shape)
    np.add(rarity, steps, out=places)
    found = work.cumulants.reshape(-1)[: rarity.size * table[0].size].reshape(*rarity.shape, *table.shape[1:])
    np.take(table, places, axis=0, out=found, mode="clip")
    return np.array(np.add.reduce(found, axis=0).T, np.float64, order="C")


def _along_axis(d: Float64, q: Float64, n: Float64, tails: Float64, axis: Axis) -> tuple[Float64, Float64]:
    """KS and Wasserstein; ``d`` = q - p is overwritten, ``tails`` [S, 2] are the sums of log2|x| outside the edges."""
    for cell in range(1, len(d)):
        np.add(d[cell - 1], d[cell], out=d[cell])  # ``cumsum`` along rows is four times slower
    np.abs(d, out=d)
    ks = np.minimum(np.maximum.reduce(d, axis=0, initial=0.0), 1.0)
    d[:-1] *= axis.gap[:, None]
    moved = np.add.reduce(d[:-1], axis=0)
    if axis.overflow:
        moved += _tail(q[-1], n, tails[:, 1], float(axis.position[-1]))
    if axis.underflow:
        moved += _tail(q[0], n, tails[:, 0], -float(axis.position[0]))
    with np.errstate(over="ignore"):
        return ks, np.minimum(moved / axis.deviation, np.finfo(np.float64).max)


def _tail(q: Float64, n: Float64, logs: Float64, edge: float) -> Float64:
    """What an open cell adds when its values now lie beyond ``edge``, the place of the reference's."""
    return np.asarray((beyond(q * n, logs, edge) - edge) * q)
