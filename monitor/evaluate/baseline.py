"""The reference, aligned to a window's segments: all that an evaluation needs and that does not depend on the window.

A segment's own reference borrows from the pooled one, that of ALL, as much as the segments of its grouping are alike (``pooling``), so that
borrowing does not itself look like drift. A segment that the reference does not have is compared with the pool.

The cells of a categorical signal were chosen by the reference's own counts (``choice``). Where it has rare categories that count as other,
unseen ones count with them in distances, and noise floors grow by how far the luck of the choice alone puts production from the reference:
roots of the divergences are metrics, PSI's nearly, so they add. The floor of the unseen rate grows by the share of categories not met.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.config.evaluation import Evaluation
from monitor.evaluate.cells import applicable, cell_bounds, cell_positions, distance_cells, rate_counts, rows_counted
from monitor.evaluate.choice import as_chosen, divergences, new_share, without_luck
from monitor.evaluate.noise import BIAS_ROWS, FLOOR_ROWS, rarity
from monitor.evaluate.pooling import Groupings, along, borrowed, chi_square_of, location_and_spread, worth
from monitor.profile.layout import FAULT_CELLS, SignalBins
from monitor.reference.reference import Reference
from monitor.segment import ALL, parse_key

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Axis:
    """Where the cells of a numeric signal lie, in units of the feature."""

    position: Float64  # [cells] mean of the reference's values in the cell, or its middle
    gap: Float64  # [cells - 1] from position to position
    deviation: float  # standard deviation of the reference's values; NaN when they do not vary
    underflow: bool  # whether the first and the last of these cells are open to infinity
    overflow: bool


@dataclass(frozen=True, eq=False)
class SignalBaseline:
    """One signal of the reference for B cells that take part in distances and S segments."""

    cells: slice  # of the table's columns
    share: Float64  # [B, S]; sums to 1, or is all 0 without values
    compared: Float64  # [B, S] the same as distances compare it, see ``rest``; so are all of the following
    rest: bool  # whether unseen counts with other: which rare category has a name is chance
    log_share: Float64  # [B, S]; -inf for 0
    root_share: Float64  # [B, S]
    entropy: Float64  # [S] sum of share x log share, 0 log 0 = 0
    bias_rarity: NDArray[np.int16]  # [B, S] see ``noise.rarity``: of shares that stand for the true ones where PSI's bias is wanted
    floor_rarity: NDArray[np.int16]  # [B, S] and of such as large as they may well be, for noise floors
    effective: Float64  # [S] size of the sample that the shares are as good as
    axis: Axis | None  # None for a categorical signal
    luck: Float64 | None  # [4, S] roots of the divergences that the choice of a categorical signal's cells may make; None without a choice
    new: float  # part of the rows that may be of categories which the reference did not meet
    spread: Float64  # [2, S] for Wasserstein's floor: its mean times sqrt(ν), and a value's deviation; empty when categorical


@dataclass(frozen=True, eq=False)
class Baseline:
    """A reference aligned to S segments. ``of`` builds it; it stays valid while the segments do not change."""

    reference: Reference
    segments: tuple[str, ...]
    signals: tuple[SignalBaseline, ...]
    applicable: NDArray[np.bool_]  # [K, F] whether a statistic has a meaning for a signal
    n_reference: NDArray[np.int64]  # [S, F] values of the segment's own reference
    rate: Float64  # [RATES, F, S]
    rate_effective: Float64  # [RATES, F, S] size of the sample that the rate is as good as
    segment_share: Float64  # [S]
    has_grouping: NDArray[np.bool_]  # [S] whether the reference was built with the segment's grouping
    pooled_rows: int

    @staticmethod
    def of(reference: Reference, segments: tuple[str, ...], settings: Evaluation) -> Baseline:
        """Align ``reference`` to ``segments``. Raises ``ValueError`` for a reference without the segment ALL."""
        table, layout = reference.table, reference.layout
        if ALL not in table.index:
            raise ValueError(f"expected counts of the segment {ALL} in the reference of {reference.model}; build the reference again")
        most = np.array([0.0 if segment == ALL else float(settings.pooling_rows) for segment in segments])
        groupings = Groupings.of(table.index, segments)
        signals = tuple(_signal(reference, index, most, groupings) for index in range(len(layout.signals)))
        rows = rows_counted(layout, table.counts)
        rate, effective = _rates(reference, rows.astype(np.float64), most, groupings)
        pooled_rows = int(rows[:, table.index[ALL]].max())
        known = {frozenset(grouping) for grouping in reference.groupings}
        return Baseline(
            reference,
            segments,
            signals,
            applicable(layout, reference.stds),
            np.stack([groupings.aligned(table.counts[:, signal.cells].sum(axis=1)) for signal in signals], axis=1),
            rate,
            effective,
            groupings.aligned(rows).max(axis=0) / max(pooled_rows, 1),
            np.array([segment != ALL and frozenset(parse_key(segment)[0]) in known for segment in segments], np.bool_),
            pooled_rows,
        )


def _rates(reference: Reference, rows: Float64, most: Float64, groupings: Groupings) -> tuple[Float64, Float64]:
    """[RATES, F, S] the rates, and the sizes of the samples that they are as good as. ``rows`` [F, segments of the reference]."""
    every, whole = rate_counts(reference.layout, reference.table.counts), reference.table.index[ALL]
    cases, own, pool = groupings.aligned(every), groupings.aligned(rows), rows[:, whole, None]
    pool_rate = every[:, :, whole, None] / np.maximum(pool, 1.0)
    k = np.empty(cases.shape)
    for kind, signal in np.ndindex(cases.shape[:2]):
        share = np.array([pool_rate[kind, signal], 1 - pool_rate[kind, signal]])
        chi_square = chi_square_of(np.stack([every[kind, signal], rows[signal] - every[kind, signal]]), share)
        concentration = groupings.concentration(chi_square, 1.0, rows[signal])
        k[kind, signal] = borrowed(most, own[signal], concentration, groupings.aligned(chi_square), 1.0)
    return (cases + k * pool_rate) / np.maximum(own + k, 1e-30), worth(own, k, pool)


def _signal(reference: Reference, index: int, most: Float64, groupings: Groupings) -> SignalBaseline:
    layout, table = reference.layout, reference.table
    cells = distance_cells(layout, index)
    every = np.ascontiguousarray(table.counts[:, cells].T, np.float64)
    counts, pooled = groupings.aligned(every), every[:, table.index[ALL]]
    own, pool = counts.sum(axis=0), pooled.sum()
    pool_share = (pooled / max(float(pool), 1.0))[:, None]
    freedom = float((pooled > 0).sum() - 1)
    rows = every.sum(axis=0)
    chi_square = chi_square_of(every, pool_share)
    concentration = groupings.concentration(chi_square, freedom, rows)
    for scores in location_and_spread(pool_share[:, 0]) if layout.signals[index].kind == "numeric" else ():
        concentration = np.minimum(concentration, groupings.concentration(along(every, scores), 1.0, rows))
    k = borrowed(most, own, concentration, groupings.aligned(chi_square), freedom)
    share = (counts + k * pool_share) / np.maximum(own + k, 1e-30) if pool else np.zeros_like(counts)
    effective = worth(own, k, pool)
    signal = layout.signals[index]
    rest = bool(signal.tail)
    compared = share.copy()
    row = np.broadcast_to(1 / np.maximum(effective, 1.0), share.shape).copy()
    if rest:
        one_rest(compared)
        row[-1] = 0.0  # no value is ever counted there
    with np.errstate(divide="ignore"):
        log_share = np.log(compared)
    cautious = compared + BIAS_ROWS * row  # what a small reference has not seen is not impossible
    axis = _axis(reference, index, cells) if signal.kind == "numeric" else None
    spread = np.zeros((2, 0)) if axis is None else _spread(cautious / np.add.reduce(cautious, axis=0), axis)
    rarities = rarity(cautious), rarity(compared + FLOOR_ROWS * row)
    luck, new = _luck(compared, pooled, effective, signal)
    return SignalBaseline(
        cells, share, compared, rest, log_share, np.sqrt(compared), _entropy(compared), *rarities, effective, axis, luck, new, spread
    )


def one_rest(cells: Float64) -> None:
    """Count the last cell, unseen, with the one before it, other, in place."""
    cells[-2] += cells[-1]
    cells[-1] = 0.0


def _luck(compared: Float64, pooled: Float64, effective: Float64, signal: SignalBins) -> tuple[Float64 | None, float]:
    """``SignalBaseline.luck`` and ``new``."""
    if signal.kind != "categorical" or not pooled.sum():
        return None, 0.0
    known, tail = len(signal.categories), len(signal.tail)
    new = new_share(pooled, known, tail) + float(pooled[known + 1] / pooled.sum())  # of those without a name any may be the only row
    chosen = without_luck(compared.T, pooled, known, tail) if tail else as_chosen(compared.T, pooled, known, tail)
    least = 0.5 / np.maximum(effective, 1.0)
    return None if chosen is None else np.sqrt(divergences(compared, chosen.T, least)), min(new, 0.5)


_SMALLEST = np.finfo(np.float64).tiny


def _entropy(share: Float64) -> Float64:
    # The same operations as for the shares now, so that equal shares give the same bits.
    return np.asarray(np.add.reduce(share * np.log(np.maximum(share, _SMALLEST)), axis=0))


def _axis(reference: Reference, index: int, cells: slice) -> Axis:
    signal = reference.layout.signals[index]
    first, last = int(reference.layout.offsets[index]) + FAULT_CELLS, int(reference.layout.offsets[index + 1])
    low, high = cell_bounds(signal)
    inside = slice(cells.start - first, cells.stop - first)
    position = cell_positions(low, high, reference.bin_means[first:last])[inside]
    deviation = float(reference.stds[index])
    return Axis(
        position,
        np.diff(position),
        deviation if np.isfinite(deviation) and deviation > 0 else np.nan,
        cells.start == first and len(signal.edges) > 0,
        cells.stop == last and len(signal.edges) > 0,
    )


def _spread(share: Float64, axis: Axis) -> Float64:
    below = np.cumsum(share, axis=0)[:-1]
    variance = np.maximum(below * (1 - below), 0.0)
    expected = np.sqrt(2 / np.pi) * np.add.reduce(np.sqrt(variance) * axis.gap[:, None], axis=0)
    centre = np.add.reduce(share * axis.position[:, None], axis=0)
    away = axis.position[:, None] - centre
    scale = np.abs(away).max(axis=0, initial=_SMALLEST)  # so that no square overflows, nor all of them vanish
    deviation = scale * np.sqrt(np.add.reduce(share * (away / scale) ** 2, axis=0))
    return np.stack([expected, deviation]) / axis.deviation
