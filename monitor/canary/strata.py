"""Strata: rows of two versions that may be compared, because they were asked about the same segment at the same time.

A stratum is one combination of segment values in one stretch of panes. So neither another mix of traffic nor a share of traffic that
is raised step by step, while the day gets harder or easier, can make one version look better. Stretches are as short as the combination's
rows allow: sixteen labelled rows in the mean, for a stratum in which only one version has rows says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.canary.losses import PaneLosses

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_ROWS_PER_STRATUM = 16
_BORROWED_ROWS = 20.0
_FIRST_FORECAST = 0.05
"""Forecast of the loss while nothing is known; that it is wrong costs a little time, never validity."""


@dataclass(frozen=True, eq=False)
class Strata:
    """B strata, sorted by combination and time; the two sides are champion and candidate."""

    combination: Int64  # [B]
    rows: Float64  # [B, 2] labelled
    loss: Float64  # [B, 2] sums
    weight: Float64  # [B] n₀ n₁ / (n₀ + n₁), 0 where only one version has rows
    excess: Float64  # [B] weight × (candidate's mean loss - champion's)
    squares: Float64  # [B] sum of squared terms of the excess about their forecasts


def strata(sides: tuple[Mapping[int, PaneLosses], Mapping[int, PaneLosses]], first_pane: int, end_pane: int, ranks: Int64) -> Strata:
    """Put losses of champion and candidate, by pane in [first_pane, end_pane), side by side.

    ``ranks`` [combinations] is an order of the combinations that does not depend on how they were numbered: sums of floats are
    taken in it. The weight is Cochran's and that of Mantel and Haenszel's risk difference. Given how many rows each version got, the excess
    is a sum of terms (1 - share) × loss of the candidate's rows and -share × loss of the champion's, each within an interval of length
    1. A term's forecast comes from strata that had ended before.
    """
    panes = end_pane - first_pane
    side, pane, combination, columns = _table(sides, first_pane, end_pane)
    order = np.lexsort([side, pane, ranks[combination]])
    side, pane, combination, columns = side[order], pane[order], combination[order], columns[order]
    distinct, which = np.unique(ranks[combination], return_inverse=True)
    width = _widths(np.bincount(which, columns[:, 0], len(distinct)).astype(np.float64), panes)
    key = which * panes + pane // width[which]
    keys, stratum = np.unique(key, return_inverse=True)
    cells = np.zeros((len(keys), 2, 3))
    np.add.at(cells, (stratum, side), columns)
    first = np.zeros(len(keys), np.int64)
    first[stratum] = combination
    owner = keys // max(panes, 1)
    start = keys % max(panes, 1) * width[owner]
    forecast = _forecasts(owner, start, cells.sum(axis=1), _pooled(pane, columns, panes))
    rows, loss, squared = cells[:, :, 0], cells[:, :, 1], cells[:, :, 2]
    total = rows.sum(axis=1)
    both = np.asarray((rows > 0).all(axis=1))
    part = np.where(both[:, None], rows[:, ::-1] / total[:, None], 0.0)  # of the other side
    about = squared - 2 * forecast[:, None] * loss + forecast[:, None] ** 2 * rows
    return Strata(
        first,
        rows,
        loss,
        np.where(both, rows.prod(axis=1) / total, 0.0),
        part[:, 1] * loss[:, 1] - part[:, 0] * loss[:, 0],
        (part**2 * np.maximum(about, 0.0)).sum(axis=1),
    )


def _table(
    sides: tuple[Mapping[int, PaneLosses], Mapping[int, PaneLosses]], first_pane: int, end_pane: int
) -> tuple[Int64, Int64, Int64, Float64]:
    """Side, pane from the first on, combination, and [n, 3] rows, loss and squared."""
    found = [
        (np.full(len(each.rows), side), np.full(len(each.rows), number - first_pane), each)
        for side, panes in enumerate(sides)
        for number, each in sorted(panes.items())
        if first_pane <= number < end_pane
    ]
    if not found:
        none = np.zeros(0, np.int64)
        return none, none, none, np.zeros((0, 3))
    columns = np.concatenate([np.stack([each.rows, each.loss, each.squared], axis=1) for *_, each in found])
    return (
        np.concatenate([side for side, *_ in found]),
        np.concatenate([pane for _, pane, _ in found]),
        np.concatenate([each.combination for *_, each in found]),
        columns,
    )


def _widths(rows: Float64, panes: int) -> Int64:
    """[combinations] panes of a stretch, a power of two: it depends on how many rows there are, not on what they lost."""
    wanted = np.clip(_ROWS_PER_STRATUM * panes / np.maximum(rows, 1e-9), 1.0, max(panes, 1))
    return np.asarray(2 ** np.ceil(np.log2(wanted))).astype(np.int64)


def _pooled(pane: Int64, columns: Float64, panes: int) -> Float64:
    """[panes + 1] forecast from all rows of the panes before each."""
    rows, loss = (np.concatenate([[0.0], np.cumsum(np.bincount(pane, columns[:, i], panes))]) for i in (0, 1))
    return np.asarray((loss + _FIRST_FORECAST) / (rows + 1))


def _forecasts(owner: Int64, start: Int64, sums: Float64, pooled: Float64) -> Float64:
    """[B] from the combination's own earlier strata, leaning on what all rows before this stratum said."""
    before = np.cumsum(sums, axis=0) - sums
    opens = np.concatenate([[True], owner[1:] != owner[:-1]]) if len(owner) else np.zeros(0, np.bool_)
    before = before - before[opens][np.cumsum(opens) - 1]
    own_rows, own_loss = np.maximum(before[:, 0], 0.0), np.maximum(before[:, 1], 0.0)
    return np.asarray(np.clip((own_loss + _BORROWED_ROWS * pooled[start]) / (own_rows + _BORROWED_ROWS), 0.0, 1.0))
