"""The rectifier: how far the labels that came say that the error table is off at present.

A prediction of segment g and cell s in pane t, labelled after lag l, is wrong with

    log odds = logit e[g, s] + level[t] + stratum[j] + segment[g, t] + effect[l] - neutral[j]

Level: what all predictions of a time have in common, by ``lookback``. Stratum: ranges of the score that hold equal information, apart by
predicted class; shrunk by how much they differ at all. Segment: what a segment has beyond, again by ``lookback``. Effect of the lag:
``lag``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.cohort import blocks_of, fractions, label_share, right_lags
from monitor.estimate.counts import LabelledRows, PaneCounts, labelled_rows, total
from monitor.estimate.delivery import spread_over_lags
from monitor.estimate.fit import Fit, LabelledBefore
from monitor.estimate.lag import LagEffect, still_ahead
from monitor.estimate.tables import ErrorTable, expit, logit

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

REFERENCE_ROWS = 20_000.0
"""What the lags of a reference weigh at most, in labelled rows: production's own shall prevail in time."""

_OLD_SD2 = 0.16  # variance of the level of a block before the look-back, in squared log odds


@dataclass(frozen=True)
class Settings:
    """How labels are used."""

    lookback_rows: int = 80_000  # labelled predictions looked back at, at most
    strata: int = 12  # ranges of the score
    interval: float = 0.95  # level of the intervals


@dataclass(frozen=True, eq=False)
class Rectifier:
    """What labels say: T panes, J strata, G segments, L lag bins."""

    table: ErrorTable  # of the G segments
    stratum_of: Int64  # [S, P] stratum by cell and predicted class
    lag: LagEffect
    fraction: Float64  # [T, L] how much of each lag bin each pane has been through
    label_share: float  # of the predictions, in the end
    level_path: Float64  # [T]
    level_variance: float  # at present
    failed: float  # how probable it is that the table does not hold at present
    segment_path: Float64  # [G, T]
    segment_variance: Float64  # [G]
    segment_failed: Float64  # [G]
    stratum: Float64  # [J]
    stratum_variance: Float64  # [J]
    current: Float64  # [T] how probable it is that a pane belongs to the current run
    dispersion: float  # variance of blocks in units of what single rows explain, at least 1
    labelled: Int64  # [G] rows looked back at
    lookback: Float64  # [G] of them in the current run
    weights: Float64  # [G, S] information of the labelled rows of the current run
    stratum_weights: Float64  # [J] the same by stratum, sums to 1

    def shift(self, pane: Int64, segment: Int64, stratum: Int64) -> Float64:
        """[K] log odds beyond the table's of predictions of these panes."""
        return np.asarray(self.level_path[pane] + self.segment_path[segment, pane] + self.current[pane] * self.stratum[stratum])

    @property
    def waiting(self) -> Float64:
        """[T, L + 1] share of each lag bin that each pane has still ahead of it."""
        return np.concatenate([1 - self.fraction, np.ones((len(self.fraction), 1))], axis=1)

    def unlabelled(self) -> Float64:
        """[T, J] log odds that predictions without label have beyond all of theirs: the sooner wrong ones are labelled, the fewer are left.

        Predictions that will never have a label are as the rest.
        """
        share = self.label_share
        right, wrong = (1 - share + share * still_ahead(shares, self.fraction) for shares in (self.lag.right, self.lag.wrong))
        return np.asarray(np.log(np.maximum(wrong, 1e-9) / np.maximum(right, 1e-9)))


def strata(table: ErrorTable, classes: int, ranges: int) -> Int64:
    """[S, P] stratum of each cell and predicted class: ranges of neighbouring cells with equal information in the reference."""
    pooled = expit(table.new_logit)
    information = table.rows * pooled * (1 - pooled)
    below = np.cumsum(information) - information / 2
    place = np.minimum((below / max(float(information.sum()), 1e-12) * ranges).astype(np.int64), ranges - 1)
    return np.asarray(place[:, None] * classes + np.arange(classes))


def rectify(table: ErrorTable, counts: PaneCounts, settings: Settings) -> Rectifier:
    """What the labels in ``counts`` say of ``table``. The lags of the reference are used if they have the bins of ``counts``."""
    table, counts = table.at(counts.segments), spread_over_lags(counts)
    rows = counts.labelled
    classes = 1 + int(max(counts.predictions.predicted.max(initial=0), rows.predicted.max(initial=0)))
    place = strata(table, classes, settings.strata)
    stratum, j = place[rows.cell, rows.predicted], int(place.max()) + 1
    block, older = blocks_of(counts.labelled_by_pane(), settings.lookback_rows)
    fraction = fractions(counts)
    known, residual = _reference_lags(table, place, j, counts)
    inside = block[rows.pane] >= older
    recent = _pooled(labelled_rows(rows, inside), block, fraction)
    fit = Fit(
        table, recent, block[recent.pane] - older, int(block.max()) + 1 - older, place[recent.cell, recent.predicted],
        fraction[recent.pane, recent.lag], right_lags(counts, stratum, j, known), residual,
    )  # fmt: skip
    old = _old_levels(table, labelled_rows(rows, ~inside), block, older, stratum[~inside], fraction, fit.lag)
    path = np.concatenate([old, fit.level.path[0]])
    segment_path = np.concatenate([np.zeros((len(table.segments), older)), fit.segment_level.path], axis=1)
    current = np.concatenate([np.zeros(older), fit.level.current[0]])
    weight = fit.information * fit.current
    by_stratum = total(fit.stratum, weight, j)
    segments = len(table.segments)
    return Rectifier(
        table=table,
        stratum_of=place,
        lag=fit.lag,
        fraction=fraction,
        label_share=label_share(counts, known),
        level_path=path[block],
        level_variance=float(fit.level.variance[0]),
        failed=float(fit.level.failed[0]),
        segment_path=segment_path[:, block],
        segment_variance=fit.segment_level.variance,
        segment_failed=fit.segment_level.failed,
        stratum=fit.stratum_shift,
        stratum_variance=fit.stratum_variance,
        current=current[block],
        dispersion=fit.dispersion,
        labelled=total(recent.segment, fit.n, segments).astype(np.int64),
        lookback=total(recent.segment, fit.n * fit.current, segments),
        weights=fit.by_cell(weight),
        stratum_weights=by_stratum / max(float(by_stratum.sum()), 1e-9),
    )


def _pooled(rows: LabelledRows, block: Int64, fraction: Float64) -> LabelledRows:
    """Rows of one block that only differ in panes that have been through as much of their lag: as one, since the fit sees no more."""
    through = np.unique(fraction, return_inverse=True)[1].reshape(fraction.shape)[rows.pane, rows.lag]
    parts = (block[rows.pane], rows.segment, rows.cell, rows.predicted, rows.lag, through)
    keys = np.ravel_multi_index(parts, [int(part.max(initial=0)) + 1 for part in parts])
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    right, wrong = (total(group, weights, len(first)) for weights in (rows.right, rows.wrong))
    return LabelledRows(rows.pane[first], rows.segment[first], rows.cell[first], rows.predicted[first], rows.lag[first], right, wrong)


def _reference_lags(table: ErrorTable, place: Int64, strata_: int, counts: PaneCounts) -> tuple[Float64 | None, LabelledBefore | None]:
    """Labelled rows of the reference by stratum and lag, [J, L, 2] right and wrong, and as the fit wants them."""
    lags = table.lags
    if lags is None or lags.edges_ms != counts.lag_edges_ms:
        return None, None
    scale = min(1.0, REFERENCE_ROWS / max(float((lags.right + lags.wrong).sum()), 1.0))
    known = np.zeros((strata_, counts.lags, 2))
    # A cell's predicted class is not known here: its rows go to its first stratum, and the others follow all rows.
    np.add.at(known, (place[:, 0],), scale * np.stack([lags.right.T, lags.wrong.T], axis=2))
    n, wrong = lags.right + lags.wrong, lags.wrong.sum(axis=1)
    return known, LabelledBefore(n.astype(np.float64) * scale, wrong.astype(np.float64) * scale, table.new_logit, place[:, 0])


def _effects(lag: LagEffect, rows: LabelledRows, fraction: Float64, stratum: Int64) -> Float64:
    """[K] what the rows' lags add to their log odds."""
    behind = lag.behind(rows.lag, fraction[rows.pane, rows.lag], stratum)
    return np.asarray(lag.of(rows.lag, behind) - lag.neutral[stratum])


def _old_levels(
    table: ErrorTable, rows: LabelledRows, block: Int64, older: int, stratum: Int64, fraction: Float64, lag: LagEffect
) -> Float64:
    """[older] level of each block before the look-back, from its own labels: those predictions matter while some have no label."""
    level = np.zeros(older)
    if not older:
        return level
    place, n = block[rows.pane], (rows.right + rows.wrong).astype(np.float64)
    base = logit(table.rate[rows.segment, rows.cell]) + _effects(lag, rows, fraction, stratum)
    for _ in range(4):
        p = expit(base + level[place])
        score = total(place, rows.wrong - n * p, older) - level / _OLD_SD2
        level = level + score / (total(place, n * p * (1 - p), older) + 1 / _OLD_SD2)
    return level
