"""What stands out in verdicts: how urgent each is, what each segment comes to, and which values moved.

Shapes: S segments, F signals, K statistics, as in ``Verdicts``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.verdict import Status, Verdicts
from monitor.profile.layout import Role
from monitor.segment import ALL

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
    size = np.abs(value)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = size / (size + threshold)
    return np.asarray(np.where(np.isfinite(share), share, 0.0) + DRIFTED_FROM * (status == Status.DRIFTED))


def share_distance(verdicts: Verdicts) -> Float64:
    """[S] difference of each segment's share of traffic from the reference, with its sign."""
    return verdicts.share.share - verdicts.share.reference_share


def reference_counts(verdicts: Verdicts, segment: int) -> NDArray[np.int64] | None:
    """[cells] what the segment is compared with: its own reference, the whole traffic's if it has none; None without any."""
    if verdicts.reference is None:
        return None
    table = verdicts.reference.table
    row = table.index.get(verdicts.segments[segment], table.index.get(ALL))
    return None if row is None or table.layout.cells != verdicts.table.layout.cells else table.counts[row]


@dataclass(frozen=True, slots=True)
class Shares:
    """One signal of one segment, as shares of all rows: now against the reference."""

    labels: tuple[str, ...]  # [cells]
    roles: tuple[Role, ...]
    now: Float64  # [cells]; sums to 1, or is all 0 without rows
    reference: Float64 | None


def shares(verdicts: Verdicts, segment: int, signal: int) -> Shares:
    """Shares of the cells of one signal."""
    layout = verdicts.table.layout
    bins, span = layout.signals[signal], layout.span(signal)
    expected = reference_counts(verdicts, segment)
    return Shares(
        tuple(bins.labels()),
        tuple(bins.roles),
        _shares(verdicts.table.counts[segment, span]),
        None if expected is None else _shares(expected[span]),
    )


def _shares(counts: NDArray[np.int64]) -> Float64:
    return np.asarray(counts / max(int(counts.sum()), 1), np.float64)


def worst_bins(both: Shares, count: int) -> list[tuple[str, float, float]]:
    """The cells whose share moved most, largest move first: label, share in the reference, share now."""
    if both.reference is None:
        return []
    move = np.abs(both.now - both.reference)
    order = np.argsort(-move, kind="stable")[:count]
    return [(both.labels[cell], float(both.reference[cell]), float(both.now[cell])) for cell in order.tolist() if move[cell] > 0]
