"""The business figure that label events carry: its mean and its sum, per segment.

The mean's interval is Student's. The sum is known exactly for the labels that came; its interval says what another window of such traffic
would bring: a compound Poisson sum, number of rows and figures both by chance, has the sum of squares as its variance.
Figures beyond the layout's ``kpi_max`` were cut to it and counted.
"""

from __future__ import annotations

import numpy as np

from monitor.outcome.counts import OutcomeCounts
from monitor.outcome.layout import KPI_SCALE
from monitor.performance.interval import Estimate, Float64, Int64, mean


def kpi_rows(counts: OutcomeCounts) -> Int64:
    """[G] labels with a figure."""
    return counts.sum_of("kpi_rows").astype(np.int64)


def _squares(counts: OutcomeCounts) -> Float64:
    # A square is rounded to a whole number of units; half a unit a row more keeps small ones from reading as no spread at all.
    return counts.sum_of("kpi_squared") + kpi_rows(counts) / (2 * KPI_SCALE)


def kpi_mean(counts: OutcomeCounts, z: float) -> Estimate:
    """[G] mean figure of a label."""
    largest = counts.layout.kpi_max
    return mean(counts.sum_of("kpi"), _squares(counts), kpi_rows(counts), z).mapped(lambda x: x * largest)


def kpi_sum(counts: OutcomeCounts, z: float) -> Estimate:
    """[G] sum of the figures."""
    largest, n = counts.layout.kpi_max, kpi_rows(counts)
    total, half = counts.sum_of("kpi") * largest, z * np.sqrt(_squares(counts)) * largest
    return Estimate(total, total - half, total + half, n).where(n > 0)
