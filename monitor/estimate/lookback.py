"""How far back labels speak of the present: levels that hold for a while and then may jump.

In block t of labelled rows the log odds of being wrong differ by y[t], known to a variance 1 / precision[t], from what the error table
expects. The level behind them is constant over a run and independent from run to run. In a run the table holds (level ~ N(0, its own
variance)) or has failed (level ~ N(0, its own variance + jump²)). What is known of the present is a weighted sum of normal distributions,
one for each place where the current run may have begun and each of the two cases; its weights follow exactly by one pass over the blocks
(Adams and MacKay, *Bayesian online changepoint detection*, 2007; Fearnhead and Liu, 2007).

So the shortest look-back that clearly disagrees with the longer ones wins, to the block; labels that say nothing against the table leave it
nearly as it is; and what cannot be decided yet shows in the width of the interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

FIRST_HOLDS, LATER_HOLDS = 0.95, 0.5
"""How probable it is beforehand that the table holds in the first run, and in one after a change."""


@dataclass(frozen=True)
class Habit:
    """What runs are like."""

    jump_sd: float  # usual size of a failure of the table, in log odds; 0.4: from 10 % wrong to 6.9 or 14.2 %
    rows: float  # labelled rows (of all streams) that a run usually lasts; enters by its logarithm


@dataclass(frozen=True, eq=False)
class Level:
    """Levels of G streams over T blocks."""

    value: Float64  # [G] at present
    variance: Float64  # [G]
    failed: Float64  # [G] how probable it is that the table does not hold at present
    current: Float64  # [G, T] how probable it is that a block belongs to the current run
    path: Float64  # [G, T] level of each block: the present one for blocks of the current run, else as known when it ended
    measured: Float64  # [G, T] the same with what ``offset_variance`` explains away left in


def present_level(y: Float64, precision: Float64, own_variance: Float64, offset_variance: Float64, rows: Float64, habit: Habit) -> Level:
    """Levels from ``y`` and ``precision``, [G, T] each, oldest block first; a precision of 0 is a block without labels.

    ``own_variance`` [G] is the error table's; ``offset_variance`` [T] that of an error common to all y of a run that begins at block t,
    which is not part of the level; ``rows`` [T] are labelled rows.
    """
    g, t = y.shape
    change = np.maximum(-np.expm1(-rows / habit.rows), 1e-12)
    # Runs come first, by the block that they begin at, then whether the table holds, then the streams: [T, 2, G].
    prior = np.stack([own_variance, own_variance + habit.jump_sd**2])
    offset = offset_variance[:, None, None]
    trusted = prior / (prior + offset)  # of what a run's rows measure, this share is level
    known, mean = 1 / (prior + offset), np.zeros((t, 2, g))  # precision and mean of each run's measured level
    log_weight = np.empty((t, 2, g))  # beside the likeliest
    log_weight[0] = np.log([[FIRST_HOLDS], [1 - FIRST_HOLDS]])
    later = np.log([[LATER_HOLDS], [1 - LATER_HOLDS]])
    path, measured, everything = np.zeros((g, t)), np.zeros((g, t)), np.zeros(g)
    for now in range(t):
        if now:
            log_weight[:now] += np.log1p(-change[now])
            log_weight[now] = everything + np.log(change[now]) + later
        so_far = slice(now + 1)
        p = precision[:, now]
        new = known[so_far] + p
        trust = known[so_far] / new
        difference = y[:, now] - mean[so_far]
        # The predictive density of y, without factors that all runs share.
        weighed = log_weight[so_far] + 0.5 * (np.log(trust) - difference**2 * p * trust)
        log_weight[so_far] = weighed - weighed.max(axis=(0, 1))
        mean[so_far] += difference * (p / new)
        known[so_far] = new
        weight = np.exp(log_weight[so_far])
        whole = weight.sum(axis=(0, 1))
        everything = np.log(whole)
        weight /= whole
        of_run = weight * mean[so_far]
        path[:, now] = (trusted[so_far] * of_run).sum(axis=(0, 1))
        measured[:, now] = of_run.sum(axis=(0, 1))
    value = path[:, -1]
    second = (weight * (trusted**2 / known + prior * (1 - trusted) + (trusted * mean) ** 2)).sum(axis=(0, 1))
    current = np.cumsum(weight.sum(axis=1), axis=0).T
    return Level(
        value,
        np.maximum(second - value**2, 0.0),
        weight[:, 1].sum(axis=0),
        current,
        current * value[:, None] + (1 - current) * path,
        current * measured[:, -1:] + (1 - current) * measured,
    )
