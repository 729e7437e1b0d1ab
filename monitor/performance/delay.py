"""How late labels come, how many are still out, and how fast they arrive.

The labels that have come show lags that are too short: of a prediction made yesterday only lags below a day can have been seen. So
the share labelled by an age is estimated as survival is: for each bin of the lag, of the predictions old enough to have passed the whole
bin and not labelled before it, the share labelled within it; one minus the product of the rest (Kaplan and Meier's product limit,
with panes of predictions as cohorts). Its variance is Greenwood's (1926); the interval is Wilson's for a share of that variance. Each
bin is told by the window's predictions where some are old enough, else by those before it. After the horizon no label counts, so
predictions that old have passed every bin.

An age counts from the end of a prediction's pane to the newest label time that all partitions of the labels have reached, so that every
label of that age has been read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.outcome.layout import LAG_EDGES_MS, LAGS, OutcomeLayout
from monitor.outcome.sparse import SparseCounts
from monitor.performance.interval import Estimate, wilson
from monitor.performance.quantile import quantile

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

AGES_MS = np.array(LAG_EDGES_MS, np.int64)
"""Ages at which coverage is estimated: the edges of the lag's bins, 0 to 90 days."""

_ENOUGH = 200
"""Predictions of the window that must be old enough for a bin to be told by them alone; labels due that are worth a comparison."""


@dataclass(frozen=True, eq=False)
class PaneLags:
    """Predictions of one pane and their labels so far. Sums of several are again such counts, of a longer pane."""

    end_ms: int
    predictions: Int64  # [G]
    labelled: Int64  # [G, LAGS]


def pane_lags(layout: OutcomeLayout, end_ms: int, counts: SparseCounts, places: Sequence[NDArray[np.intp]], segments: int) -> PaneLags:
    """Of one pane by prediction time; ``places`` [groupings, combinations] as ``Combinations.segments_of`` gives them."""
    combination, cell = np.divmod(counts.codes, layout.cells)
    is_prediction = cell < layout.first_outcome
    is_outcome = (cell >= layout.first_outcome) & (cell < layout.first_sum)
    lag = (cell[is_outcome] - layout.first_outcome) // (layout.score_cells * layout.predicted * layout.truth)
    predictions, labelled = np.zeros(segments, np.int64), np.zeros((segments, LAGS), np.int64)
    for place in places:
        segment = place[combination]
        np.add.at(predictions, segment[is_prediction], counts.counts[is_prediction])
        np.add.at(labelled, (segment[is_outcome], lag), counts.counts[is_outcome])
    return PaneLags(end_ms, predictions, labelled)


def lag_quantile(labelled: Int64, probability: float, z: float, horizon_ms: int | None = None) -> Estimate:
    """[G] quantile in ms of the lag of the labels that came, from [G, LAGS].

    A label at its prediction's time or before (clocks differ) has lag 0; beyond 90 days a quantile is unknown. Of a bin that ``horizon_ms``
    cuts all labels came before it.
    """
    edges = np.minimum(np.concatenate([[-1.0], AGES_MS]), np.inf if horizon_ms is None else horizon_ms)
    cells = np.concatenate([np.zeros((len(labelled), 1), np.int64), labelled], axis=1)
    return quantile(edges, cells, probability, z).mapped(lambda lag_ms: np.maximum(lag_ms, 0.0))


@dataclass(frozen=True, eq=False)
class Coverage:
    """Share of predictions labelled, by age; G segments, A ages. All but ``share`` is of the window's predictions."""

    share: Estimate  # [G, A] share labelled by the age of ``AGES_MS``; NaN for ages that no pane has reached, or beyond the horizon's bin
    predictions: Int64  # [G] all that were counted
    labelled: Int64  # [G] of them labelled so far
    pending: Int64  # [G] not labelled, and not older than the horizon
    expected: Float64  # [G] of the pending ones, how many the shares let expect; NaN when the horizon lies beyond what is known
    oldest_pending_ms: Int64  # [G] age of the oldest pane with pending predictions; -1: none
    in_time: Int64  # [G] labelled by the greatest age of ``AGES_MS`` that their pane has reached
    due: Float64  # [G] how many would be, had labels come as they did for the predictions of the window before; NaN: unknown

    @property
    def relative(self) -> Float64:
        """[G] labels that came in time by those that were due: 1 as in the window before; NaN where few were due."""
        enough = self.due >= _ENOUGH
        return np.asarray(np.where(enough, self.in_time / np.where(enough, self.due, 1.0), np.nan))


def coverage(panes: Sequence[PaneLags], now_ms: int, horizon_ms: int, z: float, window_ms: int | None = None) -> Coverage:
    """Coverage from the panes by prediction time, in any order; ``now_ms``: label time that has been read up to.

    Panes may reach back further than the window, which ends at ``now_ms``; without ``window_ms`` all are in it.
    """
    if not panes:
        raise ValueError("expected at least one pane of predictions")
    every = _Cohorts(
        np.array([now_ms - pane.end_ms for pane in panes], np.int64),
        np.stack([pane.predictions for pane in panes]),
        np.stack([pane.labelled for pane in panes]),
    )
    window_ms = int(every.age_ms.max()) + 1 if window_ms is None else window_ms
    newest = every.where(every.age_ms < window_ms)
    share = _share_by_age(every, window_ms, horizon_ms, z)
    age_ms, so_far = newest.age_ms, newest.labelled.sum(axis=2)
    alive = (age_ms <= horizon_ms)[:, None]
    pending = np.where(alive, np.maximum(newest.predictions - so_far, 0), 0)
    oldest = np.where(pending > 0, np.maximum(age_ms, 0)[:, None], -1).max(axis=0, initial=-1)
    before = every.where((every.age_ms >= window_ms) & (every.age_ms < 2 * window_ms))
    return Coverage(
        share,
        newest.predictions.sum(axis=0),
        so_far.sum(axis=0),
        pending.sum(axis=0),
        _expected(share, pending, age_ms, horizon_ms),
        oldest,
        *_due(newest, _share_by_age(before, window_ms, horizon_ms, z).value, horizon_ms),
    )


@dataclass(frozen=True, eq=False)
class _Cohorts:
    """K panes."""

    age_ms: Int64  # [K]
    predictions: Int64  # [K, G]
    labelled: Int64  # [K, G, LAGS]

    def where(self, chosen: NDArray[np.bool_]) -> _Cohorts:
        return _Cohorts(self.age_ms[chosen], self.predictions[chosen], self.labelled[chosen])


def _reached(age_ms: Int64, horizon_ms: int) -> NDArray[np.bool_]:
    """[K, A] whether all labels that come by an age have come."""
    return np.asarray((age_ms[:, None] >= AGES_MS) | (age_ms >= horizon_ms)[:, None])


def _due(newest: _Cohorts, share: Float64, horizon_ms: int) -> tuple[Int64, Float64]:
    """[G] labels that came by the greatest age reached, and how many these ages let expect after ``share`` [G, A]."""
    counting = int(np.searchsorted(AGES_MS, horizon_ms)) + 1  # ages up to the end of the horizon's bin
    reached = np.minimum(_reached(newest.age_ms, horizon_ms).sum(axis=1), counting)  # ages reached by each pane
    by_age = np.concatenate([np.zeros((len(share), 1)), share], axis=1)  # before the first age nothing is due
    by_lag = np.cumsum(newest.labelled, axis=2)
    rows = np.arange(len(reached))
    in_time = np.where((reached > 0)[:, None], by_lag[rows, :, np.maximum(reached - 1, 0)], 0).sum(axis=0)
    some = newest.predictions > 0
    return in_time, np.asarray(np.where(some, newest.predictions * np.where(some, by_age.T[reached], 0.0), 0.0).sum(axis=0))


def _share_by_age(every: _Cohorts, window_ms: int, horizon_ms: int, z: float) -> Estimate:
    predictions, labelled = every.predictions, every.labelled
    before = np.cumsum(labelled, axis=2) - labelled
    reached, in_window = _reached(every.age_ms, horizon_ms), (every.age_ms < window_ms)[:, None]
    left, factor = np.ones(predictions.shape[1]), np.zeros(predictions.shape[1])
    values, sizes = [], []
    for lag, start in enumerate([-1, *AGES_MS[:-1].tolist()]):
        rows = np.where(reached[:, lag, None], predictions - before[:, :, lag], 0)
        newest = rows * in_window
        rows = np.where(newest.sum(axis=0) >= _ENOUGH, newest, rows)
        at_risk = rows.sum(axis=0)
        came = np.where(rows > 0, labelled[:, :, lag], 0).sum(axis=0)
        known = (at_risk > 0) & (start < horizon_ms)
        hazard = np.where(known, came / np.maximum(at_risk, 1), np.nan)
        # Once all are labelled there is nobody left to be labelled later.
        hazard = np.where(~known & (left <= 0), 0.0, hazard)
        factor = factor + np.where(hazard < 1, hazard / np.maximum((1 - hazard) * at_risk, 1.0), 0.0)
        left = left * (1 - hazard)
        values.append(1 - left)
        # A share p of n rows has variance p (1 - p) / n; Greenwood's is (1 - p)² x factor.
        spread = left * factor
        sizes.append(np.where(spread > 0, (1 - left) / np.where(spread > 0, spread, 1.0), at_risk))
    value, size = np.stack(values, axis=1), np.stack(sizes, axis=1)
    known = ~np.isnan(value)
    n = np.where(known, np.maximum(np.rint(np.nan_to_num(size)), 1), 0).astype(np.int64)
    return wilson(np.nan_to_num(value) * n, n, z)


def _expected(share: Estimate, pending: Int64, age_ms: Int64, horizon_ms: int) -> Float64:
    """[G] pending predictions that will still be labelled within the horizon."""
    final = _share_at(share.value, np.array([horizon_ms]), horizon_ms)[:, 0]
    by_age = _share_at(share.value, np.clip(age_ms, 0, horizon_ms), horizon_ms).T  # [K, G]
    chance = (final - by_age) / np.where(by_age < 1, 1 - by_age, 1.0)
    return np.asarray(np.where(pending > 0, pending * np.clip(chance, 0.0, 1.0), 0.0).sum(axis=0))


def _share_at(share: Float64, age_ms: Int64, horizon_ms: int) -> Float64:
    """[G, K] share at ages between those estimated; NaN beyond. What comes in the horizon's bin comes before the horizon."""
    last = len(AGES_MS) - 2
    place = np.clip(np.searchsorted(AGES_MS, age_ms, side="right") - 1, 0, last)
    upper_ms = np.where(AGES_MS[place] < horizon_ms, np.minimum(AGES_MS[place + 1], horizon_ms), AGES_MS[place + 1])
    part = (age_ms - AGES_MS[place]) / (upper_ms - AGES_MS[place])
    upper = np.where(part > 0, share[:, place + 1], 0.0)  # unknown only where it is needed
    return np.where(part <= 1, share[:, place] * (1 - part) + upper * part, np.nan)


def arrivals_per_hour(labelled: Int64, window_ms: int, z: float) -> Estimate:
    """[G] labels an hour, from the labels [G] that arrived in a window of label time; interval for a Poisson count.

    Its ends are those counts whose own spread just reaches the one seen (the score interval): k + z²/2 ± z sqrt(k + z²/4).
    """
    hours = window_ms / 3_600_000
    k = labelled.astype(np.float64)
    middle, half = k + z * z / 2, z * np.sqrt(k + z * z / 4)
    return Estimate(k / hours, np.maximum(middle - half, 0.0) / hours, (middle + half) / hours, labelled)
