"""What stands out in performance: how urgent each metric of each segment is, and which of them people look at first.

Shapes: G segments, M metrics, as in ``Performance``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.noise import normal_quantile
from monitor.evaluate.verdict import Status
from monitor.expose.block import DRIFTED, WHOLE
from monitor.label_verdicts import LabelVerdicts
from monitor.outcome.layout import LAG_EDGES_MS
from monitor.performance.delay import lag_quantile
from monitor.performance.interval import Estimate
from monitor.performance.metric import METRICS
from monitor.performance.verdict import Performance
from monitor.segment import ALL

Float64 = NDArray[np.float64]

RATES = ("label_rate", "label_mean")
"""Metrics that tell of the world rather than of the model: how often each class is true, or how large the label is."""

DELAY_QUANTILES = (0.5, 0.9, 0.99)


def delay_quantiles(one: LabelVerdicts) -> dict[float, Estimate]:
    """``DELAY_QUANTILES`` [G] each, in ms, of the delay of the labels that came in the window."""
    lags = one.by_label.counts.by_lag.sum(axis=2)
    return {probability: lag_quantile(lags, probability, normal_quantile(0.975), one.horizon_ms) for probability in DELAY_QUANTILES}


def delays_by_lag(one: LabelVerdicts, segment: int) -> tuple[list[float | None], list[float | None], list[int]]:
    """Ends in seconds (None: open) and labels of each bin of the delay of the labels that came in the window."""
    edges = [edge / 1000 for edge in LAG_EDGES_MS]
    return [None, *edges], [*edges, None], one.by_label.counts.by_lag[segment].sum(axis=1).tolist()


def views(one: LabelVerdicts) -> list[Performance]:
    """The views in which there is something: without audit labels there is no audit."""
    return [view for view in (one.by_prediction, one.by_label, one.audited) if view.view != "audit" or view.labelled.any()]


def gaps(one: Performance) -> Float64:
    """[G, M] how much better each metric is than the reference's, negative when worse; NaN: unknown, or neither way is better."""
    better = np.array([METRICS[name].better for name in one.metrics])
    return np.where(better != 0, (one.value - one.reference) * np.where(better == 0, 1, better), np.nan)


def is_worse(one: Performance) -> NDArray[np.bool_]:
    """[G, M] metrics that are worse than the reference's beyond noise."""
    better = np.array([METRICS[name].better for name in one.metrics])
    return np.asarray((one.metric_status == Status.DRIFTED) & (better != 0))


def metric_urgencies(one: Performance) -> Float64:
    """[G, M] urgency in the terms of ``block``: rising with the distance from the reference in half-widths of the interval."""
    distance = np.nan_to_num(np.abs(one.value - one.reference), nan=0.0, posinf=0.0)
    half = np.nan_to_num((one.high - one.low) / 2, nan=1.0, posinf=1.0)
    urgent = distance / np.maximum(distance + half, 1e-300)
    urgent = np.minimum(urgent, 1 - 1e-9)
    urgent[one.metric_status == Status.DRIFTED] += DRIFTED
    urgent += WHOLE * (np.array(one.segments) == ALL)[:, None]
    return np.asarray(urgent)
