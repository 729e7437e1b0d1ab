"""What stands out in verdicts: how urgent each is, what each segment comes to, and which values moved.

Shapes: S segments, F signals, K statistics, as in ``Verdicts``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.config.evaluation import STATISTICS
from monitor.evaluate.cells import DISTANCES, rows_counted
from monitor.evaluate.evaluate import TWO_SIDED
from monitor.evaluate.verdict import Status, Verdicts
from monitor.evaluate.worst import BinShift, worst_bins
from monitor.profile.layout import Role
from monitor.segment import ALL

RATE_NAMES = frozenset(STATISTICS[DISTANCES:])

Float64 = NDArray[np.float64]

_PRECEDENCE = (Status.DRIFTED, Status.STABLE, Status.PARTIAL, Status.INSUFFICIENT_DATA, Status.NO_REFERENCE, Status.NOT_APPLICABLE)
"""What several conclusions come to: the first of these that occurs. One judged statistic outweighs any unjudged one."""
_RANK = np.zeros(len(Status), np.uint8)
_RANK[list(_PRECEDENCE)] = np.arange(len(_PRECEDENCE))
_OF_RANK = np.array(_PRECEDENCE, np.uint8)


DRIFTED_FROM = 2.0
"""Least urgency of a DRIFTED verdict; that of any other is below 1."""


def is_quality(statistic: str) -> bool:
    """Whether a statistic looks at missing, invalid, unseen or out-of-range values rather than at the distribution.

    >>> is_quality("missing_rate"), is_quality("psi")
    (True, False)
    """
    return statistic.endswith("_rate")


def conclude(status: NDArray[np.uint8], axis: int | tuple[int, ...]) -> NDArray[np.uint8]:
    """What the statuses along ``axis`` come to; NOT_APPLICABLE where there are none.

    >>> conclude(np.array([[Status.STABLE, Status.DRIFTED], [Status.STABLE, Status.INSUFFICIENT_DATA]], np.uint8), axis=1).tolist()
    [1, 0]
    """
    return np.asarray(_OF_RANK[np.min(_RANK[status], axis=axis, initial=_RANK[Status.NOT_APPLICABLE])])


def urgency(value: Float64, threshold: Float64, status: NDArray[np.uint8]) -> Float64:
    """How urgent a verdict is: [2, 3) when DRIFTED, [0, 1) otherwise, rising with value / threshold; 0 where undefined.

    >>> urgency(np.array([0.3, 0.05, np.nan]), np.full(3, 0.1), np.array([1, 0, 2], np.uint8)).round(3).tolist()
    [2.75, 0.333, 0.0]
    """
    # A distance less its bias, or a difference of rates, can be negative. In place: there may be a million of them.
    share = np.clip(value, 0.0, 1e300)
    with np.errstate(invalid="ignore", divide="ignore"):
        share /= share + threshold
    share[np.isnan(share)] = 0.0
    share[status == Status.DRIFTED] += DRIFTED_FROM
    return np.asarray(share)


def segment_rows(one: Verdicts) -> NDArray[np.int64]:
    """[S] rows in the window; a signal that started anew within it has fewer."""
    return np.asarray(rows_counted(one.table.layout, one.table.counts).max(axis=0, initial=0))


def sizes(one: Verdicts, s: int, f: int, statistic: str) -> tuple[int, int]:
    """What a verdict rests on, now and in the segment's own reference: values for a distance, all rows for the rate of a fault."""
    if statistic not in RATE_NAMES:
        return int(one.n_now[s, f]), int(one.n_reference[s, f])
    sides = [one.table] if one.reference is None else [one.table, one.reference.table]
    span, key = one.table.layout.span(f), one.segments[s]
    rows = [int(side.counts[side.index[key], span].sum()) if key in side.index else 0 for side in sides]
    return rows[0], sum(rows[1:])


def share_distance(verdicts: Verdicts) -> Float64:
    """[S] difference of each segment's share of traffic from the reference, with its sign."""
    return verdicts.share.share - verdicts.share.reference_share


def urgencies(one: Verdicts) -> Float64:
    """[S, F, K] urgency of every verdict. Only what is drift can be urgent: a rate of invalid values that fell is not."""
    value = one.value.copy()
    for k in (k for k, name in enumerate(one.statistics) if name in TWO_SIDED):
        np.abs(value[:, :, k], out=value[:, :, k])
    return urgency(value, one.threshold, one.status)


def share_urgencies(one: Verdicts) -> Float64:
    """[S] urgency of the verdicts about shares of traffic."""
    return urgency(np.abs(share_distance(one)), np.array(one.share.threshold), one.share.status)


@dataclass(frozen=True, slots=True)
class Shares:
    """One signal of one segment, as shares of all rows: now against what was expected."""

    labels: tuple[str, ...]  # [cells]
    roles: tuple[Role, ...]
    now: Float64  # [cells]; sums to 1, or is all 0 without rows
    reference: Float64 | None


def shares(one: Verdicts, segment: int, signal: int) -> Shares:
    """Shares of the cells of one signal. What a small segment borrowed from the pooled reference is part of what was expected."""
    layout = one.table.layout
    bins, span = layout.signals[signal], layout.span(signal)
    expected: Float64 | None = None
    if one.reference is not None and one.baseline is not None:
        table = one.reference.table
        row = table.index.get(one.segments[segment], table.index[ALL])
        expected = _shares(table.counts[row, span])
        compared = one.baseline.signals[signal]
        inside = slice(compared.cells.start - span.start, compared.cells.stop - span.start)
        expected[inside] = compared.share[:, segment] * expected[inside].sum()
    return Shares(tuple(bins.labels()), tuple(bins.roles), _shares(one.table.counts[segment, span]), expected)


def _shares(counts: NDArray[np.int64]) -> Float64:
    return np.asarray(counts / max(int(counts.sum()), 1), np.float64)


_ROLES_OF_RATE = {
    "missing_rate": (Role.MISSING,),
    "invalid_rate": (Role.INVALID, Role.NON_FINITE),
    "unseen_rate": (Role.UNSEEN,),
    "out_of_range_rate": (Role.OUT_OF_RANGE,),
}


def evidence(one: Verdicts, segment: int, signal: int, statistic: str, count: int) -> list[BinShift]:
    """The cells that a verdict is about, largest move first: of a distance the worst bins, of a rate its own cells."""
    if not is_quality(statistic):
        return list(worst_bins(one, segment, signal, count))
    both = shares(one, segment, signal)
    if both.reference is None:
        return []
    wanted = [i for i, role in enumerate(both.roles) if role in _ROLES_OF_RATE[statistic]]
    moved = [BinShift(both.labels[i], float(both.reference[i]), float(both.now[i]), 0.0) for i in wanted]
    return sorted(moved, key=lambda shift: -abs(shift.share - shift.reference_share))[:count]
