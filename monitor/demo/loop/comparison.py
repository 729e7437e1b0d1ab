"""What retraining was worth: the same flights, answered by the version that served them and by an older one. Pure.

Before and after are different seasons, so a fall of the cost from June to October proves nothing. The same flights answered
by two versions do: the older one goes on answering aside, what it would have said is never sent, and the outcomes are those
that happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
DAY_MS = 86_400_000
_NORMAL_975 = 1.959964


@dataclass(frozen=True, slots=True)
class Costs:
    """What mistakes cost, and from which score on a flight is warned of."""

    threshold: float
    false_positive: float
    false_negative: float

    def of(self, outcomes: Float64, scores: Float64) -> Float64:
        """[n] cost of each answer; NaN where the outcome is not known. ``outcomes``: 1 late, 0 not.

        >>> Costs(0.5, 1, 4).of(np.array([0.0, 0.0, 1.0, 1.0, np.nan]), np.array([0.1, 0.9, 0.1, 0.9, 0.9])).tolist()
        [0.0, 1.0, 4.0, 0.0, nan]
        """
        warned = scores >= self.threshold
        return np.where(warned, self.false_positive * (1 - outcomes), self.false_negative * outcomes)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """n flights with what came of them, and two answers to each."""

    time_ms: NDArray[np.int64]  # [n] scheduled departure
    outcomes: Float64  # [n] 1 late, 0 not, NaN not known
    old: Float64  # [n] scores of the older version
    new: Float64  # [n] scores of the version that served

    def where(self, rows: NDArray[np.bool_]) -> Answers:
        """The flights for which ``rows`` holds."""
        return Answers(self.time_ms[rows], self.outcomes[rows], self.old[rows], self.new[rows])


@dataclass(frozen=True, slots=True)
class Saved:
    """Cost saved per flight, with its 95 % interval; the interval is NaN of fewer than two days. Negative: it cost more."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Compared:
    """Two answers to the same flights. Costs per flight; recall: share of late flights that were warned of. NaN without any flight."""

    flights: int  # with a known outcome
    cost_old: float
    cost_new: float
    recall_old: float
    recall_new: float
    saved: Saved

    @property
    def saved_in_all(self) -> float:
        """Cost saved over all these flights; negative when it cost more."""
        return (self.cost_old - self.cost_new) * self.flights


def compare(answers: Answers, costs: Costs) -> Compared:
    """Both answers over the flights with a known outcome."""
    known = answers.where(~np.isnan(answers.outcomes))
    late = known.outcomes == 1
    cost_old, cost_new = costs.of(known.outcomes, known.old), costs.of(known.outcomes, known.new)
    return Compared(
        len(known.outcomes),
        _mean(cost_old),
        _mean(cost_new),
        _mean((known.old[late] >= costs.threshold).astype(np.float64)),
        _mean((known.new[late] >= costs.threshold).astype(np.float64)),
        saved(known.time_ms, cost_old - cost_new),
    )


def saved(time_ms: NDArray[np.int64], gain: Float64) -> Saved:
    """Mean of ``gain`` per flight. Flights of a day share their weather, so days are what is sampled: the ratio of sums over days.

    The interval is the ratio estimator's (Cochran, Sampling Techniques, 3rd ed., 1977, 6.3), normal, 95 %.

    >>> saved(np.array([0, 1, DAY_MS]), np.array([0.5, 0.5, 0.5]))
    Saved(mean=0.5, low=0.5, high=0.5)
    """
    _, day = np.unique(time_ms // DAY_MS, return_inverse=True)
    days = int(day.max()) + 1 if len(day) else 0
    if days < 2:
        return Saved(_mean(gain), float("nan"), float("nan"))
    sums, counts = np.bincount(day, gain), np.bincount(day)
    mean = float(sums.sum() / counts.sum())
    residual = sums - mean * counts
    error = float(np.sqrt((residual**2).sum() / (days - 1) / days) / counts.mean())
    return Saved(mean, mean - _NORMAL_975 * error, mean + _NORMAL_975 * error)


def by_name(names: NDArray[np.str_], answers: Answers, costs: Costs) -> Mapping[str, Compared]:
    """The comparison for each name (``names``: [n]), those with the most flights first."""
    found = {str(name): compare(answers.where(names == name), costs) for name in np.unique(names)}
    return dict(sorted(found.items(), key=lambda each: (-each[1].flights, each[0])))


def _mean(values: Float64) -> float:
    return float(values.mean()) if len(values) else float("nan")
