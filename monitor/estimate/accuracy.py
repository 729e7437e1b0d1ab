"""Accuracy without labels, as it is reported: for all traffic and each segment, with intervals and beside what the table says alone."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.counts import PaneCounts
from monitor.estimate.estimate import Wrong, wrong_predictions
from monitor.estimate.rectifier import Rectifier, Settings, rectify
from monitor.estimate.tables import ErrorTable
from monitor.segment import ALL

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates of a window, [N] each: ALL first, then the segments. NaN: there were no predictions."""

    segments: tuple[str, ...]  # [N]
    n: Int64  # predictions
    labelled: Int64  # of them labelled so far
    value: Float64  # accuracy of all n
    low: Float64
    high: Float64
    table_value: Float64  # from the error table alone, as without any label (binned CBPE)
    table_low: Float64
    table_high: Float64
    rectified: Bool  # whether labels say clearly otherwise than the error table
    lookback: Int64  # labelled predictions that speak of the present


def accuracy(wrong: Wrong, fit: Rectifier, interval: float = 0.95) -> Estimates:
    """Accuracy from wrong predictions; ``interval`` is the intervals' level."""
    z = NormalDist().inv_cdf(0.5 + interval / 2)
    n, labelled = wrong.n.sum(axis=1), wrong.labelled.sum(axis=1)
    value, known = wrong.value, wrong.known.sum(axis=1)
    # Half a row for continuity: the truth is a whole number of rows. No more can be wrong than all without label, and no fewer than none.
    half = z * np.sqrt(wrong.variance) + np.where(labelled < n, 0.5, 0.0)
    most, least = np.minimum(value + half, known + n - labelled), np.maximum(value - half, known)
    table, table_half = wrong.table_alone.sum(axis=1), z * np.sqrt(wrong.table_variance) + 0.5
    unsure = wrong.level * wrong.sensitivity.sum(axis=1) ** 2 + wrong.other
    correction = np.abs((wrong.expected - wrong.table_unlabelled).sum(axis=1))
    some = np.where(n > 0, n, np.nan)
    return Estimates(
        (ALL, *fit.table.segments),
        n.astype(np.int64),
        labelled.astype(np.int64),
        1 - value / some,
        1 - most / some,
        1 - least / some,
        1 - table / some,
        np.maximum(1 - (table + table_half) / some, 0.0),
        np.minimum(1 - (table - table_half) / some, 1.0),
        correction > z * np.sqrt(unsure),
        np.rint(np.append(fit.lookback.sum(), fit.lookback)).astype(np.int64),
    )


def estimate_accuracy(table: ErrorTable, counts: PaneCounts, panes: Bool, settings: Settings | None = None) -> Estimates:
    """Accuracy of the predictions in the chosen ``panes`` [T]: the whole way in one call.

    To estimate several windows of the same counts call ``rectify`` once and ``wrong_predictions`` for each.
    """
    settings = settings or Settings()
    fit = rectify(table, counts, settings)
    return accuracy(wrong_predictions(counts, panes, fit), fit, settings.interval)
