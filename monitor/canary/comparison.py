"""Is the candidate worse than the champion, how sure is that at this moment, and where: verdicts from strata, for all segments at once.

The difference of a segment is the mean over its strata of candidate less champion, weighted by how much each stratum can tell. Its interval
holds that mean at all times together with the probability asked for (see ``evidence``). What is claimed:

    worse       the loss is more than the margin
    not_worse   the loss is less than the margin
    better      there is a gain

each with half of the error that ``confidence`` leaves. So of all trials of a candidate that is not worse by more than the margin at most
that half are ever called worse, and of all trials of one that is, at most that half are ever called anything else. Segments share the same
error: of those named at most that part is named wrongly, in the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from monitor.canary.evidence import confidence, discoveries, log_evidence, reach
from monitor.canary.losses import CanaryMetric, LossScale
from monitor.canary.strata import Strata
from monitor.segment import ALL

Float64 = NDArray[np.float64]


class CanaryVerdict(IntEnum):
    """What can be said of the candidate."""

    INSUFFICIENT_DATA = 0  # too few labelled rows that can be compared
    UNDECIDED = 1
    NOT_WORSE = 2  # not by more than the margin
    BETTER = 3
    WORSE = 4  # by more than the margin

    @property
    def label(self) -> str:
        """Metric label value, ``not_worse`` and so on."""
        return self.name.lower()


@dataclass(frozen=True)
class CanarySettings:
    """What decides."""

    margin: float  # in the metric's unit
    confidence: float
    min_rows: int


@dataclass(frozen=True, eq=False)
class Comparison:
    """Candidate against champion, by segment: G segments, ALL among them. Differences are candidate less champion, in the metric's unit."""

    metric: CanaryMetric
    segments: tuple[str, ...]  # [G]
    labelled: Float64  # [G, 2] labelled rows of champion and candidate since the trial began
    compared: Float64  # [G, 2] of these, in strata where both have some
    plain: Float64  # [G, 2] the metric of all labelled rows, whatever their mix; NaN: none
    value: Float64  # [G, 2] the metric of both on the same mix of strata; NaN: nothing to compare
    difference: Float64  # [G]
    low: Float64  # [G]
    high: Float64  # [G]
    worse: Float64  # [G] confidence, 0 to 1, that the loss is more than the margin
    not_worse: Float64  # [G] that it is less
    better: Float64  # [G] that there is a gain
    verdict: NDArray[np.uint8]  # [G] ``CanaryVerdict``

    @property
    def whole(self) -> int:
        """Place of ALL."""
        return self.segments.index(ALL)


def compare(found: Strata, segments: tuple[str, ...], places: NDArray[np.intp], scale: LossScale, settings: CanarySettings) -> Comparison:
    """Compare; ``places`` [groupings, combinations] as ``Combinations.segments`` gives them."""
    size = len(segments)

    def by_segment(column: Float64) -> Float64:
        total = np.zeros((size, *column.shape[1:]))
        for place in places:
            np.add.at(total, place[found.combination], column)
        return total

    both = found.weight > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(both[:, None], found.loss / found.rows, 0.0)
        labelled, lost = by_segment(found.rows), by_segment(found.loss)
        compared = by_segment(np.where(both[:, None], found.rows, 0.0))
        weight, excess, squares = (by_segment(column) for column in (found.weight, found.excess, found.squares))
        level = by_segment(found.weight[:, None] * means) / weight[:, None]
        margin, half = settings.margin / abs(scale.per_loss), (1 - settings.confidence) / 2
        width = reach(squares, -np.log(half)) / weight
        centre = excess / weight
        ends = np.clip(np.stack([centre - width, centre + width]), -1.0, 1.0)
        plain = lost / labelled
    claims = {
        CanaryVerdict.NOT_WORSE: log_evidence(margin * weight - excess, squares),
        CanaryVerdict.BETTER: log_evidence(-excess, squares),
        CanaryVerdict.WORSE: log_evidence(excess - margin * weight, squares),
    }
    whole = segments.index(ALL)
    judged = np.asarray((compared >= settings.min_rows).all(axis=1))
    verdict = np.where(judged, np.uint8(CanaryVerdict.UNDECIDED), np.uint8(CanaryVerdict.INSUFFICIENT_DATA)).astype(np.uint8)
    parts = np.flatnonzero(judged & (np.arange(size) != whole))
    for claim, evidence in claims.items():
        verdict[parts[discoveries(evidence[parts], half)]] = claim
        if judged[whole] and evidence[whole] >= -np.log(half):
            verdict[whole] = claim
    ends = np.sort(ends * scale.per_loss, axis=0) + 0.0  # no negative zero
    return Comparison(
        metric=scale.metric,
        segments=segments,
        labelled=labelled,
        compared=compared,
        plain=scale.at_zero + scale.per_loss * plain,
        value=scale.at_zero + scale.per_loss * level,
        difference=centre * scale.per_loss + 0.0,
        low=ends[0],
        high=ends[1],
        worse=confidence(claims[CanaryVerdict.WORSE]),
        not_worse=confidence(claims[CanaryVerdict.NOT_WORSE]),
        better=confidence(claims[CanaryVerdict.BETTER]),
        verdict=verdict,
    )
