"""Expected cost of a prediction, from the confusion table and what each kind of mistake costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.performance.classes import has_classes
from monitor.performance.interval import Estimate, mean_of_positive

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


def cost_table(costs: Sequence[Sequence[float]]) -> Float64:
    """[P, T] cost by predicted and true class, as confusion tables lie, from ``costs[true][predicted]``.

    A prediction that is none of the classes costs what the worst one for that truth costs.

    >>> cost_table(((0.0, 1.0), (20.0, 0.0))).tolist()
    [[0.0, 20.0], [1.0, 0.0], [1.0, 20.0]]
    """
    table = np.array(costs, np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise ValueError(f"expected a cost for each pair of classes, got {table.shape}")
    return np.concatenate([table.T, table.max(axis=1)[None, :]])


def expected_cost(confusion: Int64, costs: Float64, z: float) -> Estimate:
    """[G] mean cost of a labelled prediction; ``confusion`` [G, P, T], ``costs`` [P, T] as ``cost_table`` gives them.

    A costly mistake may be too rare to have been seen, so its cost must widen the interval all the same. Costs, counted from the
    cheapest outcome up, are taken in groups within a factor of two; each group's mean has its own interval
    (``interval.mean_of_positive``), and the square-and-add rule joins them. That outcomes exclude each other makes this a little
    wide, never narrow.
    """
    if costs.shape != confusion.shape[1:]:
        raise ValueError(f"expected costs of shape {confusion.shape[1:]}, got {costs.shape}")
    cheapest = float(costs.min())
    above = costs - cheapest
    rows, counted = confusion.sum(axis=(1, 2)), confusion.astype(np.float64)
    octave = np.floor(np.log2(above, where=above > 0, out=np.full(above.shape, np.nan)))
    value = below = beyond = np.zeros(len(rows))
    for group in np.unique(octave[above > 0]):
        own = np.where(octave == group, above, 0.0)
        total, squares = (np.tensordot(counted, own**power, axes=2) for power in (1, 2))
        part = mean_of_positive(total, squares, rows, z, float(own.max()))
        value, below = value + part.value, below + (part.value - part.low) ** 2
        beyond = beyond + (part.high - part.value) ** 2
    found = Estimate(value, value - np.sqrt(below), value + np.sqrt(beyond), rows)
    return found.mapped(lambda cost: cost + cheapest).where((rows > 0) & has_classes(confusion))
