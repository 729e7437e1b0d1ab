"""The fit behind the rectifier: Newton's steps, part by part, on sums of observed minus expected wrong rows.

A sum over rows is a sum over any cut of them, so nothing depends on batches or order; the number of rounds is fixed, so equal counts give
equal results to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.counts import LabelledRows, total
from monitor.estimate.lag import LagEffect, lag_effect, no_effect
from monitor.estimate.lookback import Habit, Level, present_level
from monitor.estimate.tables import ErrorTable, expit, logit

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

EVERYONE = Habit(jump_sd=0.4, rows=50_000)
ONE_SEGMENT = Habit(jump_sd=0.4, rows=150_000)  # beyond what all traffic does

_ROUNDS = 5
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class LabelledBefore:
    """Labelled rows from before production, L lag bins and S cells."""

    n: Float64  # [L, S]
    wrong: Float64  # [L]
    log_odds: Float64  # [S] as the table has it
    stratum: Int64  # [S]


class Fit:
    """Parts of the log odds of K labelled rows of the look-back, beyond the table's: block, stratum, segment and lag.

    ``block``, ``stratum`` and ``fraction`` [K] are those of the rows; ``right`` [J, L + 1] shares of lags among right predictions;
    ``before``: labelled rows from before production, one more block for the effects of the lag.
    """

    def __init__(
        self, table: ErrorTable, rows: LabelledRows, block: Int64, blocks: int, stratum: Int64, fraction: Float64, right: Float64,
        before: LabelledBefore | None,
    ) -> None:  # fmt: skip
        self.table, self.rows, self.block, self.blocks, self.stratum, self.before = table, rows, block, blocks, stratum, before
        self.segments, self.strata, self.lags = len(table.segments), len(right), right.shape[1] - 1
        self.segment_at, self.stratum_at = rows.segment * blocks + block, stratum * blocks + block  # where each row is in tables by block
        self.base = logit(table.rate[rows.segment, rows.cell])
        self.n = (rows.right + rows.wrong).astype(np.float64)
        self.block_rows = total(block, self.n, blocks)
        self.lag: LagEffect = no_effect(right)
        self.behind = self.lag.behind(rows.lag, fraction, stratum)
        self.stratum_shift, self.stratum_variance = np.zeros(self.strata), np.zeros(self.strata)
        self.dispersion = 1.0
        self.level = _nothing(1, blocks)
        self.segment_level = _nothing(self.segments, blocks)
        self._refresh()
        for _ in range(_ROUNDS):
            self._fit_lag()
            self._fit_level()
            self._fit_strata()
            self._fit_segments()
        # Last, so that over all traffic the fit expects as many wrong rows as there were.
        self._fit_level()

    def _refresh(self) -> None:
        """Observed minus expected wrong rows, and their variance, at the current fit."""
        by_segment = self.level.measured + self.segment_level.measured
        by_stratum = self.level.current * self.stratum_shift[:, None] - self.lag.neutral[:, None]
        shift = by_segment.ravel()[self.segment_at] + by_stratum.ravel()[self.stratum_at]
        p = expit(self.base + shift + self.lag.of(self.rows.lag, self.behind))
        expected = self.n * p
        self.score = self.rows.wrong - expected
        self.information = expected * (1 - p)

    def _sums(self, places: Int64, size: int, weight: Float64 | float = 1.0) -> tuple[Float64, Float64]:
        return total(places, self.score * weight, size), total(places, self.information * weight, size)

    def _fit_lag(self) -> None:
        shape = (self.blocks, self.lags)
        score, information = (x.reshape(shape) for x in self._sums(self.block * self.lags + self.rows.lag, self.blocks * self.lags))
        if self.before is not None:
            before = self.before
            p = expit(before.log_odds + self.lag.effect[:-1, None] - self.lag.neutral[before.stratum])
            score = np.vstack([score, before.wrong - (before.n * p).sum(axis=1)])
            information = np.vstack([information, (before.n * p * (1 - p)).sum(axis=1)])
        self.lag = lag_effect(score, information, self.lag.effect, self.lag.right)
        self._refresh()

    def _fit_level(self) -> None:
        score, information = self._sums(self.block, self.blocks)
        y = self.level.measured[0] + np.where(information > 0, score / np.maximum(information, _TINY), 0.0)
        self.dispersion = _dispersion(y, information)
        flat = self.by_cell(self.information)
        variance = max(self.table.variance(flat) / max(float(flat.sum()), _TINY) ** 2, 1e-6)
        self.level = present_level(
            y[None], information[None] / self.dispersion, np.array([variance]), self._lag_variance(), self.block_rows, EVERYONE
        )
        self._refresh()

    def _lag_variance(self) -> Float64:
        """[B] variance that unsure effects of the lag lend to the level of a run that begins at a block."""
        size = self.lags + 1
        by_lag = total(self.block * size + self.rows.lag, self.information, self.blocks * size).reshape(self.blocks, size)
        run = np.cumsum(by_lag[::-1], axis=0)[::-1]
        whole = run.sum(axis=1, keepdims=True)
        by_stratum = total(self.stratum, self.information, self.strata)
        wrong = by_stratum @ self.lag.wrong / max(float(by_stratum.sum()), _TINY)
        off = np.where(whole > 0, run / np.maximum(whole, _TINY) - wrong, 0.0)
        return np.asarray(np.maximum(np.einsum("bl,lm,bm->b", off, self.lag.covariance, off), 0.0))

    def _fit_strata(self) -> None:
        score, information = self._sums(self.stratum, self.strata, self.current)
        information = np.maximum(information, _TINY)
        # What a step of Newton's from here would aim at, had the strata no prior.
        aim = score + information * self.stratum_shift
        precision = information / self.dispersion + 1 / max(_excess(aim, information, self.dispersion), _TINY)
        self.stratum_shift, self.stratum_variance = aim / self.dispersion / precision, 1 / precision
        self._refresh()

    def _fit_segments(self) -> None:
        shape = (self.segments, self.blocks)
        score, information = (x.reshape(shape) for x in self._sums(self.segment_at, self.segments * self.blocks))
        y = self.segment_level.measured + np.where(information > 0, score / np.maximum(information, _TINY), 0.0)
        flat = self.by_cell(self.information)
        variance = np.clip(self.table.segment_variance(flat) / np.maximum(flat.sum(axis=1), _TINY) ** 2, 1e-6, 1.0)
        self.segment_level = present_level(y, information / self.dispersion, variance, np.zeros(self.blocks), self.block_rows, ONE_SEGMENT)
        self._refresh()

    @property
    def current(self) -> Float64:
        """[K] how probable it is that a row belongs to the current run."""
        return np.asarray(self.level.current[0, self.block])

    def by_cell(self, weights: Float64) -> Float64:
        """[G, S] sum of ``weights`` [K]."""
        cells = self.table.rate.shape[1]
        return total(self.rows.segment * cells + self.rows.cell, weights, self.segments * cells).reshape(self.segments, cells)


def _nothing(streams: int, blocks: int) -> Level:
    zero, flat = np.zeros(streams), np.zeros((streams, blocks))
    return Level(zero, zero, zero, flat + 1.0, flat, flat)


def _dispersion(y: Float64, information: Float64) -> float:
    """How much more neighbouring blocks differ than their rows explain; 1 unless clearly more.

    From the smaller nine tenths of the squared differences: a jump of the level is one of many. Of squares of standard normal deviates
    these have the mean 0.62.
    """
    y, information = y[information > 0], information[information > 0]
    if len(y) < 8:
        return 1.0
    z2 = np.sort(np.diff(y) ** 2 / (1 / information[1:] + 1 / information[:-1]))
    kept = z2[: len(z2) - max(len(z2) // 10, 1)]
    found = float(kept.mean()) / 0.623
    return found if found > 1 + 2 * np.sqrt(3.0 / len(kept)) else 1.0


def _excess(score: Float64, information: Float64, dispersion: float) -> float:
    """Variance of true differences between groups, from ``score`` and ``information`` of each: DerSimonian and Laird's estimate (1986)."""
    seen = information > 1e-6
    score, information = score[seen] / dispersion, information[seen] / dispersion
    if len(score) < 2:
        return 0.0
    centre = score.sum() / information.sum()
    scale = information.sum() - (information**2).sum() / information.sum()
    misfit = float(((score - information * centre) ** 2 / information).sum())
    return max(0.0, (misfit - (len(score) - 1)) / scale) if scale > 0 else 0.0
