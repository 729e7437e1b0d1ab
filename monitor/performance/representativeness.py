"""Are the labelled predictions like all of them? Per segment and score cell, and what the difference does to the metrics.

Labels that have come are a part of all predictions. If which part were chance, the labelled rows of a cell would follow a hypergeometric
distribution: mean n p, variance n p (1 - p) (N - n) / (N - 1) with N predictions, n of them labelled, p the cell's share.

    distance    total variation between the labelled and all predictions of a segment over the score's cells: the share of labelled
                rows that would have to lie elsewhere. ``noise`` is what chance alone reaches at the configured quantile (``variation``)
    coverage    each segment's share labelled, against that of all traffic; ``coverage_noise`` is what chance alone reaches
    reweighted  a metric as it would be if labels had come evenly over the score's cells: each cell's rate, weighed by its share of all
                predictions (post-stratification). Its difference to the plain metric is the bias that the labels'
                choice, as far as it goes by the score, puts into it. Cells without labels take the segment's plain rate
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.noise import normal_quantile
from monitor.evaluate.verdict import Status
from monitor.outcome.counts import OutcomeCounts
from monitor.performance.calibration import judged
from monitor.performance.interval import Estimate, average, wilson
from monitor.performance.variation import total_variation, variation_noise
from monitor.segment import ALL

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Representativeness:
    """Labelled against all predictions of a window by prediction time. G segments, S score cells."""

    segments: tuple[str, ...]  # [G]
    labelled_share: Float64  # [G, S] of the labelled rows; NaN without any
    all_share: Float64  # [G, S] of all predictions
    distance: Float64  # [G]
    noise: Float64  # [G]
    coverage: Estimate  # [G] share labelled
    overall_coverage: float  # of all traffic
    coverage_noise: Float64  # [G] how far from it chance alone takes a segment's
    status: NDArray[np.uint8]  # [G] ``Status``; DRIFTED: the labelled rows are not like all
    coverage_status: NDArray[np.uint8]  # [G] DRIFTED: labelled more or less often than all traffic; NOT_APPLICABLE for ALL


def representativeness(
    counts: OutcomeCounts,
    *,
    noise_quantile: float,
    min_labelled: int,
    threshold: float = 0.05,
    confidence: float = 0.95,
    partial: bool = False,
) -> Representativeness:
    """Compare; ``threshold``: smallest distance, and smallest relative difference of coverage, that matters."""
    every, some = counts.predictions.sum(axis=2), counts.by_score.sum(axis=2)
    # A label's prediction is among all; where not (counts cut by a restart), the labelled ones are all there is.
    every = np.maximum(every, some)
    total, n = every.sum(axis=1), some.sum(axis=1)
    p = every / np.maximum(total, 1)[:, None]
    q = np.where(n[:, None] > 0, some / np.maximum(n, 1)[:, None], np.nan)
    left = np.maximum(total - n, 0) / np.maximum(total - 1, 1)
    distance = total_variation(q, p)
    noise = variation_noise(p, left / np.maximum(n, 1), noise_quantile)
    noise[n == 0] = np.nan

    z = normal_quantile((1 + confidence) / 2)
    share = wilson(n, total, z)
    whole = np.array([segment == ALL for segment in counts.segments], np.bool_)
    overall = float(share.value[whole][0]) if whole.any() and total[whole][0] else float("nan")
    coverage_noise = _coverage_noise(total, int(total[whole].sum()), overall, normal_quantile((1 + noise_quantile) / 2))
    with np.errstate(invalid="ignore"):
        unlike = (distance > noise) & (distance >= threshold)
        gap = np.abs(share.value - overall)
        uneven = (gap > coverage_noise) & (gap >= threshold * overall)
    few = total < min_labelled
    coverage_status = _status(uneven, few | np.isnan(gap), partial)
    coverage_status[whole] = Status.NOT_APPLICABLE
    return Representativeness(
        counts.segments, q, p, distance, noise, share, overall, coverage_noise,
        _status(unlike, n < min_labelled, partial), coverage_status,
    )  # fmt: skip


def _coverage_noise(rows: Int64, total: int, overall: float, z: float) -> Float64:
    """[G] how far a segment's coverage lies from that of all ``total`` predictions by chance; half a row for continuity."""
    n = np.maximum(rows, 1)
    left = np.maximum(total - rows, 0) / max(total - 1, 1)
    return np.asarray(z * np.sqrt(overall * (1 - overall) * left / n) + 0.5 / n)


def _status(found: NDArray[np.bool_], few: NDArray[np.bool_], partial: bool) -> NDArray[np.uint8]:
    status = np.where(found, Status.DRIFTED, Status.STABLE).astype(np.uint8)
    if partial:
        status[:] = Status.PARTIAL
    status[few] = Status.INSUFFICIENT_DATA
    return status


def reweighted_accuracy(counts: OutcomeCounts, z: float) -> Estimate:
    """[G] accuracy had labels come evenly over the score's cells. Raises ``ValueError`` for a regression."""
    if counts.layout.task == "regression":
        raise ValueError("expected a classification, got task regression")
    right = counts.right_wrong.sum(axis=1)
    return _reweighted(counts, right[:, :, 0], right.sum(axis=2), z)


def reweighted_positive_rate(counts: OutcomeCounts, z: float) -> Estimate:
    """[G] binary: rate of positives had labels come evenly over the score's cells. Raises ``ValueError`` for other tasks."""
    if counts.layout.task != "binary":
        raise ValueError(f"expected a binary model, got task {counts.layout.task}")
    return _reweighted(counts, *judged(counts), z)


def _reweighted(counts: OutcomeCounts, hits: Int64, rows: Int64, z: float) -> Estimate:
    plain = wilson(hits.sum(axis=1), rows.sum(axis=1), z)
    cells = wilson(hits, rows, z)
    held = rows > 0
    # What is said of a cell without labels is that it is like the segment: no more certain than one row.
    stand_in = (np.where(held, getattr(cells, end), getattr(plain, end)[:, None]) for end in ("value", "low", "high"))
    value, low, high = stand_in
    low, high = np.where(held, low, 0.0), np.where(held, high, 1.0)
    weights = counts.predictions.sum(axis=2)
    found = average(Estimate(value, low, high, rows), weights, axis=1)
    return found.where(rows.sum(axis=1) > 0)
