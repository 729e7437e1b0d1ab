"""What "nothing has changed" means: the normalisers psi that keep E[exp(w - psi)] <= 1.

The null contains the reference, the changes that are too small to matter, and the sampling error of a reference made from m rows:

    psi = log( mean of exp(w) over the reference's rows, times the largest factor by which an irrelevant change raises it, plus what
               choosing w from the same rows takes off the mean )
        + z sd(exp w) / (sqrt(m) mean) + z^2 max(exp w) / (3 m mean)

The last line is Bernstein's bound at z standard errors; its second part is what a rare cell needs, of which the reference may have seen
nothing. z = log c / (sd(w) sqrt(m)): a fixed direction falls by half its variance under the null, so an error of e standard
deviations raises the rate of alarms from 1/c to c^(2 e / sd(w)) / c, and averaged over references (e normal with variance 1/m) that is
1/c again for this z (Gaussian moment generating function).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.detect.directions import Alternatives

Float64 = NDArray[np.float64]

LEAST_Z, MOST_Z = 0.25, 4.0
_MOST_ERROR = 1e6  # finite, so that no row at all is no evidence at all


@dataclass(frozen=True, eq=False)
class Null:
    """Moments of exp(w) and w over the reference, per leaf segment and direction: arrays [L, K]."""

    rows: Float64  # [L] reference rows with a value
    log_mean: Float64  # of exp(w), gate and bias included: psi before the sampling error of the mean
    variance: Float64  # of exp(w), relative to the squared mean
    largest: Float64  # exp(w) at most, relative to the mean
    deviation: Float64  # of w


def null_of(counts: Float64, bank: Alternatives, own: Float64, clustering: float = 1.0) -> Null:
    """Moments over the counts [L, cells] that the segments really have; ``own`` [L]: how much w was fitted to them.

    ``clustering`` is the number of rows that count for one independent row.
    """
    rows = counts.sum(axis=1)
    m = np.maximum(rows, 1.0)[:, None]
    e = np.exp(bank.ratios)
    p = counts / m
    mean = (e @ p[:, :, None])[:, :, 0]
    under = np.stack([(e @ shares[:, :, None])[:, :, 0] for shares in bank.gates])
    gate = (under / under[0]).max(axis=0)
    # w was chosen to be large where these rows are few: their mean of exp(w) is too small by (own / m) sum exp(w) on average, less what
    # of q moves with p: p / p is 1 in every cell, whatever p is.
    chosen = np.where(p[:, None, :] > 0, np.maximum(e - bank.kept[:, None], 0.0), 0.0)
    bias = clustering * own[:, None] * chosen.sum(axis=2) / m
    # Half an independent row in each cell, so that a cell without rows has a variance.
    half = 0.5 * clustering
    share = (counts + half) / (m + half * counts.shape[1])
    moment = (e @ share[:, :, None])[:, :, 0]
    variance = np.maximum((e * e @ share[:, :, None])[:, :, 0] - moment**2, 0.0)
    first = (bank.ratios @ share[:, :, None])[:, :, 0]
    deviation = np.sqrt(np.maximum((bank.ratios**2 @ share[:, :, None])[:, :, 0] - first**2, 0.0))
    level = np.maximum(mean * gate + bias, 1e-100)  # a leaf without a row with a value: its sampling error forbids any evidence
    return Null(rows, np.log(level), variance / level**2, e.max(axis=2) / level, deviation)


def sampling_error(null: Null, members: NDArray[np.intp], log_threshold: float, clustering: Float64) -> Float64:
    """[K] what is added to psi for a stream that is the sum of some leaf segments.

    ``clustering`` [K] is the factor by which rows count for less than independent ones.
    """
    return np.asarray(sampling_errors(null, [members], log_threshold, clustering[None])[0])


def sampling_errors(null: Null, members: Sequence[NDArray[np.intp]], log_threshold: float, clustering: Float64) -> Float64:
    """[S, K] the same for many streams at once; ``clustering`` [S, K]."""
    every, sizes = np.concatenate(members), [len(leaves) for leaves in members]
    starts = np.cumsum([0, *sizes[:-1]])
    rows = np.maximum(null.rows[every], 1.0)
    of_stream = np.add.reduceat(rows, starts)
    share = (rows / np.repeat(of_stream, sizes))[:, None]
    m = of_stream[:, None] / np.maximum(clustering, 1.0)
    deviation = np.sqrt(np.add.reduceat(share * null.deviation[every] ** 2, starts, axis=0))
    z = np.clip(log_threshold / np.maximum(deviation * np.sqrt(m), 1e-12), LEAST_Z, MOST_Z)
    variance = np.add.reduceat(share * null.variance[every], starts, axis=0)
    largest = np.maximum.reduceat(null.largest[every], starts, axis=0)
    return np.asarray(z * np.sqrt(variance / m) + z * z * largest / (3.0 * m)).clip(max=_MOST_ERROR)
