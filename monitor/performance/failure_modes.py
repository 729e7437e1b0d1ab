"""Failure modes: in which segment the model errs in which way, ranked by what it costs beyond the reference.

A mode is a segment, the predicted class and the kind of error: ``false_positive`` or ``false_negative`` of a binary model, the true
class of a multiclass one, ``over`` or ``under`` of a regression (prediction off by at least the layout's scale). Its rate is its share
of the segment's labelled rows; what the reference's validation has of it in the same segment (in ALL where it does not know
the segment) is what was accepted. Impact = (rows - labelled x reference rate) x what one costs beyond a right prediction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.noise import normal_quantile
from monitor.outcome.counts import OutcomeCounts
from monitor.outcome.layout import RESIDUAL_EDGES, OutcomeLayout
from monitor.performance.interval import Estimate, difference, wilson
from monitor.performance.regression import residuals
from monitor.segment import ALL

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

Key = tuple[str, str, str]
"""Segment, predicted class (``""``: none of the classes, or a regression), kind of error."""


class Trend(IntEnum):
    """The rate now against the window before."""

    UNKNOWN = 0  # nothing before
    STEADY = 1  # no difference that chance does not explain
    RISING = 2
    FALLING = 3

    @property
    def label(self) -> str:
        """``rising`` and so on."""
        return self.name.lower()


def mode_id(key: Key) -> str:
    """Sixteen hexadecimal digits that name the mode in every state and report.

    >>> mode_id(("country=FR", "yes", "false_positive"))
    '385c00f4aa6b788f'
    """
    return hashlib.sha256("\x1f".join(key).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Mode:
    """One failure mode and its evidence in a window."""

    key: Key
    rows: int
    labelled: int  # of the segment
    rate: float
    low: float
    high: float
    reference_rate: float  # NaN without a reference: then all of it counts as excess
    excess_low: float  # interval of rate - reference rate
    excess_high: float
    certain: bool  # above the reference beyond what chance makes of any of all modes
    impact: float
    trend: Trend

    @property
    def id(self) -> str:
        """See ``mode_id``."""
        return mode_id(self.key)


@dataclass(frozen=True, eq=False)
class FailureModes:
    """The evidence for every mode: G segments, E errors (pairs of predicted class and kind)."""

    segments: tuple[str, ...]  # [G]
    errors: tuple[tuple[str, str], ...]  # [E] predicted class and kind
    rows: Int64  # [G, E]
    labelled: Int64  # [G]
    rate: Estimate  # [G, E]
    reference_rate: Float64  # [G, E]
    excess: Estimate  # [G, E] rate - reference rate
    certain: NDArray[np.bool_]  # [G, E] excess above 0 at ``noise_quantile`` for all modes together
    impact: Float64  # [G, E] in the unit of the costs; below 0 where it fails less than the reference
    trend: NDArray[np.uint8]  # [G, E] ``Trend``

    @cached_property
    def _segment_place(self) -> dict[str, int]:
        return {segment: place for place, segment in enumerate(self.segments)}

    def mode(self, key: Key) -> Mode | None:
        """Evidence for one mode; None when the window does not have its segment or error."""
        segment, *error = key
        if segment not in self._segment_place or tuple(error) not in self.errors:
            return None
        return self._at(self._segment_place[segment], self.errors.index((key[1], key[2])))

    def ranked(self, limit: int) -> list[Mode]:
        """The modes that cost most beyond the reference, at most ``limit``; ties by key. Those that cost nothing are left out.

        ALL is left out too: its errors are those of the segments.
        """
        cost = np.where(np.isnan(self.impact), 0.0, self.impact)
        if ALL in self._segment_place and len(self.segments) > 1:
            cost[self._segment_place[ALL]] = 0.0
        costly = np.argwhere(cost > 0)
        order = sorted(costly.tolist(), key=lambda at: (-cost[at[0], at[1]], self.segments[at[0]], self.errors[at[1]]))
        return [self._at(*at) for at in order[:limit]]

    def _at(self, g: int, e: int) -> Mode:
        rate, excess = self.rate[g, e], self.excess[g, e]
        return Mode(
            (self.segments[g], *self.errors[e]), int(self.rows[g, e]), int(self.labelled[g]),
            float(rate.value), float(rate.low), float(rate.high), float(self.reference_rate[g, e]),
            float(excess.low), float(excess.high), bool(self.certain[g, e]), float(self.impact[g, e]), Trend(int(self.trend[g, e])),
        )  # fmt: skip


def failure_modes(
    now: OutcomeCounts,
    before: OutcomeCounts | None,
    reference: OutcomeCounts | None,
    costs: Float64 | None,
    z: float,
    *,
    noise_quantile: float = 0.999,
) -> FailureModes:
    """All modes of a window; ``before``: an earlier one, for the trend; ``reference``: as ``validation.validation`` gives it.

    ``costs`` [P, T] as ``cost.cost_table`` gives them; without them each error costs 1. There are many modes: with all of them at the
    reference's rates, any of them is ``certain`` with probability 1 - ``noise_quantile`` (Bonferroni).
    """
    errors, rows = _errors(now)
    labelled = _judged(now)
    rate, accepted, excess = _excess(now, reference, rows, z)
    strict = normal_quantile(1 - (1 - noise_quantile) / max(rows.size, 1))
    earlier = _rates(now.segments, before, z, rows.shape, fall_back=False)
    moved = difference(rate, earlier)
    trend = np.full(rows.shape, Trend.UNKNOWN, np.uint8)
    with np.errstate(invalid="ignore"):
        certain = _excess(now, reference, rows, strict)[2].low > 0
        trend[~np.isnan(moved.value)] = Trend.STEADY
        trend[moved.low > 0], trend[moved.high < 0] = Trend.RISING, Trend.FALLING
    each = np.ones(len(errors)) if costs is None or now.layout.task == "regression" else _extra_costs(now.layout, costs)
    impact = np.nan_to_num(excess.value) * labelled[:, None] * each
    return FailureModes(now.segments, errors, rows, labelled, rate, accepted.value, excess, certain, impact, trend)


def _excess(now: OutcomeCounts, reference: OutcomeCounts | None, rows: Int64, z: float) -> tuple[Estimate, Estimate, Estimate]:
    """[G, E] the rate, the reference's, and their difference: the rate itself where there is no reference."""
    rate = wilson(rows, np.broadcast_to(_judged(now)[:, None], rows.shape), z)
    accepted = _rates(now.segments, reference, z, rows.shape, fall_back=True)
    known, beyond = ~np.isnan(accepted.value), difference(rate, accepted)
    value, low, high = (np.where(known, getattr(beyond, end), getattr(rate, end)) for end in ("value", "low", "high"))
    return rate, accepted, Estimate(value, low, high, rate.n)


def _places(layout: OutcomeLayout) -> list[tuple[int, int]]:
    """[E] predicted and true class of each error."""
    return [(p, t) for p in range(layout.predicted) for t in range(layout.truth) if p != t]


def _kinds(layout: OutcomeLayout) -> tuple[str, ...]:
    """Kinds of errors by the place of the true class, or of a regression by the side that it is off to."""
    if layout.task == "regression":
        return "over", "under"
    return ("false_positive", "false_negative") if layout.task == "binary" else layout.classes


def _errors(counts: OutcomeCounts) -> tuple[tuple[tuple[str, str], ...], Int64]:
    layout = counts.layout
    if layout.task == "regression":
        table, edges = residuals(counts), np.array(RESIDUAL_EDGES)
        over, under = int(np.searchsorted(edges, 1.0)) + 1, int(np.searchsorted(edges, -1.0)) + 1
        beyond = np.stack([table[:, over:].sum(axis=1), table[:, :under].sum(axis=1)], axis=1)
        return tuple(("", kind) for kind in _kinds(layout)), beyond
    kinds = _kinds(layout)
    names = (*layout.classes, "")
    places = _places(layout)
    predicted, truth = (np.array(column) for column in zip(*places, strict=True))
    return tuple((names[p], kinds[t]) for p, t in places), counts.confusion[:, predicted, truth]


def _judged(counts: OutcomeCounts) -> Int64:
    return residuals(counts).sum(axis=1) if counts.layout.task == "regression" else np.asarray(counts.confusion.sum(axis=(1, 2)))


def _rates(segments: Sequence[str], other: OutcomeCounts | None, z: float, shape: tuple[int, ...], *, fall_back: bool) -> Estimate:
    """[G, E] rates of another window in the same segments; with ``fall_back`` those of its ALL where it has no rows."""
    if other is None:
        nan = np.full(shape, np.nan)
        return Estimate(nan, nan, nan, np.zeros(shape, np.int64))
    rows, labelled = _errors(other)[1], _judged(other)
    place = {segment: g for g, segment in enumerate(other.segments) if labelled[g]}
    missing = place.get(ALL, -1) if fall_back else -1
    at = np.array([place.get(segment, missing) for segment in segments])
    held = at >= 0
    own_rows, own_labelled = np.where(held[:, None], rows[at], 0), np.where(held, labelled[at], 0)
    return wilson(own_rows, np.broadcast_to(own_labelled[:, None], shape), z)


def _extra_costs(layout: OutcomeLayout, costs: Float64) -> Float64:
    """[E] what an error costs beyond a right prediction of the same truth."""
    return np.array([costs[p, t] - costs[t, t] for p, t in _places(layout)])


def wrong_rows(layout: OutcomeLayout, rows: NDArray[np.void], value: Float64) -> tuple[NDArray[np.intp], Int64, Int64]:
    """Which of n labelled ``rows`` of ``row_dtype`` are wrong, and the predicted and true class of these, or the place of their kind."""
    if layout.task == "regression":
        error = (rows["score"] - value) / layout.scale
        wrong = np.flatnonzero((error >= 1.0) | (error < -1.0))
        return wrong, np.zeros(len(wrong), np.int64), (error[wrong] < 0).astype(np.int64)
    predicted, truth = np.minimum(rows["predicted"].astype(np.int64), layout.predicted - 1), value.astype(np.int64)
    wrong = np.flatnonzero(predicted != truth)
    return wrong, predicted[wrong], truth[wrong]


def rows_of_modes(
    keys: Sequence[Key], layout: OutcomeLayout, segments: Sequence[NDArray[np.str_]], predicted: Int64, truth: Int64
) -> list[NDArray[np.intp]]:
    """Which of n wrong rows are of each mode, to keep the ids of some.

    ``segments``: for each grouping the segment key of every row, [n]; ``predicted`` and ``truth`` [n] as ``wrong_rows`` gives them.
    """
    kinds = _kinds(layout)
    names = (*layout.classes, "")
    found = []
    for segment, of, kind in keys:
        erring = (predicted == names.index(of)) & (truth == kinds.index(kind))
        inside = np.logical_or.reduce([keys_of_rows == segment for keys_of_rows in segments])
        found.append(np.flatnonzero(erring & inside))
    return found
