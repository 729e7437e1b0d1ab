"""Distances between counts and shares, a signal at a time over all segments: [cells, segments] arrays that stay in cache.

A cell is a row of these arrays, so sums over cells add whole rows: every segment's sum is taken in the same order
wherever it stands, and signals need no padding to a common number of cells. With q the shares now and p those of the reference:

    PSI                sum (q' - p') log(q' / p'), q' and p' at least half a row of the effective sample ν = n m / (n + m)
    Jensen-Shannon     D = (sum q log q + sum p log p) / 2 - sum r log r, r = (p + q) / 2; its distance is sqrt(D / log 2)
    Hellinger          squared: sum (√q - √p)² / 2
    Cramér's V         squared: sum (q - p)² / (q + p) / 2, that of the 2 x cells table whose two rows weigh the same
    KS                 max |Q - P| of the distribution functions
    Wasserstein        sum |Q - P| x gap over the cells' positions
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.baseline import Axis, Baseline, SignalBaseline
from monitor.evaluate.noise import DIVERGENCES, cell_cumulants, table_steps
from monitor.profile.table import TAIL_SCALE, CountTable

Float64 = NDArray[np.float64]

PSI, JENSEN_SHANNON, HELLINGER, SQUARED_V = range(DIVERGENCES)

BLOCK_SEGMENTS = 1024  # of 34 cells: 280 KB an array
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class Distances:
    """Raw distances of S segments and F signals, and what their noise floors need."""

    divergence: Float64  # [4, F, S] PSI with its bias, Jensen-Shannon in nats, squared Hellinger, squared V
    ks: Float64  # [F, S]; NaN for categorical signals
    wasserstein: Float64  # [F, S] in reference standard deviations; NaN for categorical signals
    cumulants: Float64  # [F, S, 4, 3] of the divergences when nothing has changed, summed over cells
    effective: Float64  # [F, S] ν
    n: Float64  # [F, S] values that take part now


def distances(table: CountTable, baseline: Baseline) -> Distances:
    """Compare the counts with the baseline. Nothing is defined where ``n`` or ``effective`` is 0."""
    shape = (len(baseline.signals), len(table.segments))
    out = Distances(
        np.zeros((DIVERGENCES, *shape)),
        np.full(shape, np.nan),
        np.full(shape, np.nan),
        np.zeros((*shape, DIVERGENCES, 3)),
        np.zeros(shape),
        np.zeros(shape),
    )
    blocks = -(-shape[1] // BLOCK_SEGMENTS)
    ends = [shape[1] * block // max(blocks, 1) for block in range(blocks + 1)]  # blocks of almost the same size
    widest = max((end - start for start, end in itertools.pairwise(ends)), default=0)
    deepest = max((signal.cells.stop - signal.cells.start for signal in baseline.signals), default=0)
    work = _Workspace(deepest * widest)
    for f, signal in enumerate(baseline.signals):
        for start, end in itertools.pairwise(ends):
            _block(table, signal, f, slice(start, end), work, out)
    return out


class _Workspace:
    """Buffers for one block, allocated once."""

    def __init__(self, size: int) -> None:
        self.floats = [np.empty(size) for _ in range(4)]
        self.steps = np.empty(size, np.intp)
        self.cumulants = np.empty(size * DIVERGENCES * 3, np.float32)

    def arrays(self, cells: int, segments: int) -> list[Float64]:
        """Four arrays [cells, segments] without gaps between rows."""
        return [buffer[: cells * segments].reshape(cells, segments) for buffer in self.floats]


def _block(table: CountTable, signal: SignalBaseline, f: int, block: slice, work: _Workspace, out: Distances) -> None:
    p = signal.share[:, block]
    q, d, x, y = work.arrays(*p.shape)
    np.copyto(q, table.counts[block, signal.cells].T)
    n, m = np.add.reduce(q, axis=0), signal.effective[block]
    effective = n * m / np.maximum(n + m, 1.0)
    out.n[f, block], out.effective[f, block] = n, effective
    q /= np.maximum(n, 1.0)
    half_row = 0.5 / np.maximum(effective, 0.5)
    log_half_row = np.log(half_row)

    np.log(np.maximum(q, _TINY, out=x), out=x)  # log q, with 0 log 0 = 0
    own_entropy = np.add.reduce(np.multiply(q, x, out=y), axis=0)
    np.maximum(x, log_half_row, out=x)
    x -= np.maximum(signal.log_share[:, block], log_half_row, out=y)
    np.maximum(q, half_row, out=y)
    y -= np.maximum(p, half_row, out=d)
    x *= y
    np.add.reduce(x, axis=0, out=out.divergence[PSI, f, block])

    np.add(q, p, out=y)
    y *= 0.5
    np.maximum(y, _TINY, out=y)
    np.log(y, out=x)
    x *= y
    shannon = (own_entropy + signal.entropy[block]) / 2 - np.add.reduce(x, axis=0)
    out.divergence[JENSEN_SHANNON, f, block] = np.maximum(shannon, 0.0)

    np.subtract(q, p, out=d)
    np.multiply(d, d, out=x)
    x /= y
    out.divergence[SQUARED_V, f, block] = np.add.reduce(x, axis=0) / 4

    np.sqrt(q, out=x)
    x -= signal.root_share[:, block]
    x *= x
    out.divergence[HELLINGER, f, block] = np.add.reduce(x, axis=0) / 2

    out.cumulants[f, block] = _cumulants(signal.rarity[:, block], table_steps(effective), work)
    if signal.axis is not None:
        tails = table.tails[block, f] / TAIL_SCALE
        _along_axis(d, q, n, tails, signal.axis, f, block, out)


def _cumulants(rarity: NDArray[np.int16], steps: NDArray[np.intp], work: _Workspace) -> Float64:
    cells, segments = rarity.shape
    lookup = cell_cumulants()
    places = work.steps[: cells * segments].reshape(cells, segments)
    np.add(rarity, steps, out=places)
    found = work.cumulants[: places.size * lookup.shape[1]].reshape(cells, segments, -1)
    np.take(lookup, places, axis=0, out=found, mode="clip")
    return np.asarray(np.add.reduce(found, axis=0).reshape(segments, DIVERGENCES, 3), np.float64)


def _along_axis(d: Float64, q: Float64, n: Float64, tails: Float64, axis: Axis, f: int, block: slice, out: Distances) -> None:
    """KS and Wasserstein; ``d`` = q - p is overwritten, ``tails`` [S, 2] are the sums of log2|x| outside the edges."""
    for cell in range(1, len(d)):
        np.add(d[cell - 1], d[cell], out=d[cell])  # ``cumsum`` along rows is four times slower
    np.abs(d, out=d)
    out.ks[f, block] = np.maximum.reduce(d, axis=0, initial=0.0)
    d[:-1] *= axis.gap[:, None]
    moved = np.add.reduce(d[:-1], axis=0)
    if axis.overflow:
        moved += _tail(q[-1], n, tails[:, 1], float(axis.position[-1]))
    if axis.underflow:
        moved += _tail(q[0], n, tails[:, 0], -float(axis.position[0]))
    with np.errstate(over="ignore"):
        out.wasserstein[f, block] = np.clip(moved / axis.deviation, 0.0, np.finfo(np.float64).max)


def _tail(q: Float64, n: Float64, logs: Float64, edge: float) -> Float64:
    """What an open cell adds when its values now lie beyond ``edge``, the place of the reference's.

    They are placed at the geometric mean of their size, never before the edge. Seen with the open end on the right; the left
    one is its mirror image.
    """
    size = np.exp2(np.clip(logs / np.maximum(q * n, 1.0), -1022.0, 1023.0))
    # Beyond a negative edge a value nearer to 0 than the edge may have either sign: the smaller move is assumed.
    place = np.where((edge < 0) & (size < -edge), -size, size)
    return np.asarray((np.maximum(place, edge) - edge) * q)
