"""What a labelled prediction lost, between 0 and 1, summed by pane and combination of segment values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from monitor.outcome.layout import OutcomeLayout
from monitor.outcome.sparse import SparseCounts
from monitor.performance.cost import cost_table

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

CanaryMetric = Literal["accuracy", "expected_cost"]


@dataclass(frozen=True, eq=False)
class LossScale:
    """A metric as a loss: ``metric = at_zero + per_loss * loss``."""

    metric: CanaryMetric
    table: Float64  # [P, T] loss by predicted and true class, 0 to 1
    at_zero: float
    per_loss: float  # negative where a higher metric is better


def loss_scale(metric: CanaryMetric, classes: int, costs: Sequence[Sequence[float]]) -> LossScale:
    """Losses by ``metric``; ``costs[true][predicted]``. A prediction of no class is wrong, and costs the most.

    >>> loss_scale("expected_cost", 2, ((0.0, 1.0), (20.0, 0.0))).table.tolist()
    [[0.0, 1.0], [0.05, 0.0], [0.05, 1.0]]
    """
    if metric == "accuracy":
        wrong = np.ones((classes + 1, classes))
        wrong[np.arange(classes), np.arange(classes)] = 0.0
        return LossScale(metric, wrong, 1.0, -1.0)
    table = cost_table(costs)
    least, span = float(table.min()), float(np.ptp(table))
    return LossScale(metric, (table - least) / span, least, span)


@dataclass(frozen=True, eq=False)
class PaneLosses:
    """Of one version and pane of predictions: [k] each, one a combination with labelled rows, rising."""

    combination: Int64
    rows: Float64  # whole numbers
    loss: Float64  # sum of losses
    squared: Float64  # sum of their squares
    predictions: int  # rows of all combinations, labelled or not


def pane_losses(layout: OutcomeLayout, counts: SparseCounts, scale: LossScale) -> PaneLosses:
    """Sums over the cells of a pane. Cells are added in their order, so the same counts give the same bits."""
    combination, cell = np.divmod(counts.codes, layout.cells)
    labelled = (cell >= layout.first_outcome) & (cell < layout.first_sum)
    joint = (cell[labelled] - layout.first_outcome) % (layout.predicted * layout.truth)
    terms, rows = scale.table.ravel()[joint], counts.counts[labelled].astype(np.float64)
    distinct, place = np.unique(combination[labelled], return_inverse=True)
    size = len(distinct)
    sums = [np.bincount(place, rows * terms**power, size).astype(np.float64) for power in (0, 1, 2)]
    return PaneLosses(
        distinct,
        sums[0],
        sums[1],
        sums[2],
        int(counts.counts[cell < layout.first_outcome].sum()),
    )
