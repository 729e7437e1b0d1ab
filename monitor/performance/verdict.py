"""Performance verdicts: every metric of every segment of a window with its interval, against the reference's validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.noise import normal_quantile
from monitor.evaluate.verdict import Status
from monitor.outcome.counts import OutcomeCounts
from monitor.performance.cost import cost_table
from monitor.performance.interval import Estimate, difference
from monitor.performance.metric import METRICS, Columns, metric_columns
from monitor.performance.validation import Validation
from monitor.window import Window

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

View = Literal["prediction_time", "label_time", "audit"]
"""By the time of the prediction, restated as labels come; by the time of the label; labels of the audit sample, by their time."""


@dataclass(frozen=True)
class PerformanceSettings:
    """What performance is judged by."""

    min_labelled: int = 200  # labelled rows of a segment below which nothing is concluded
    min_metric_rows: int = 20  # rows that a metric itself rests on, such as the rows of a class for its recall
    confidence: float = 0.95  # of the intervals shown, two-sided
    noise_quantile: float = 0.999  # of a segment's conclusion: this sure, over all its metrics together
    least_changes: Mapping[str, float] = field(default_factory=dict)  # metric to the smallest change that matters; 0 when absent
    costs: tuple[tuple[float, ...], ...] = ()  # [true class][predicted class]; empty: no expected cost
    with_kpi: bool = False


@dataclass(frozen=True, eq=False)
class Restatement:
    """What revised labels changed of the panes of a window after they had been reported."""

    revision: Int64  # [G] labels taken back for others; 0: never restated
    last_ms: Int64  # [G] label time of the newest of these; 0: never
    first_value: Float64 | None = None  # [G, M] had every label kept its first value; None: not told


@dataclass(frozen=True, eq=False)
class Performance:
    """All metrics of one window of one model version. G segments, M columns: a metric, of one class where it is per class."""

    model: str
    version: str
    view: View
    window: Window
    segments: tuple[str, ...]  # [G]
    metrics: tuple[str, ...]  # [M] names in ``metric.METRICS``
    classes: tuple[str, ...]  # [M] class or, for quantiles, probability; "" for metrics of neither
    value: Float64  # [G, M] NaN: unknown
    low: Float64  # [G, M]
    high: Float64  # [G, M]
    n: Int64  # [G, M] rows that each rests on
    reference: Float64  # [G, M] of the same segment of the reference; NaN: unknown
    metric_status: NDArray[np.uint8]  # [G, M] ``Status``; DRIFTED: worse than the reference (or other, where neither way is better)
    status: NDArray[np.uint8]  # [G] ``Status``; DRIFTED: some metric is worse than the reference
    labelled: Int64  # [G]
    predictions: Int64  # [G] all predictions of the window; by label time 0
    counts: OutcomeCounts  # the evidence
    restatement: Restatement | None = None  # None: nothing is known of it

    @property
    def coverage(self) -> Float64:
        """[G] share of the window's predictions that have a label; NaN without predictions."""
        return np.where(self.predictions > 0, self.labelled / np.maximum(self.predictions, 1), np.nan)

    def column(self, metric: str, of: str = "") -> int:
        """Place of a metric, of a class where it is per class. Raises ``KeyError`` with the known ones."""
        for place, key in enumerate(zip(self.metrics, self.classes, strict=True)):
            if key == (metric, of):
                return place
        known = ", ".join(f"{name}[{of}]" if of else name for name, of in zip(self.metrics, self.classes, strict=True))
        raise KeyError(f"expected one of {known}, got {metric}[{of}]")


def performance(
    counts: OutcomeCounts,
    settings: PerformanceSettings,
    *,
    model: str,
    version: str,
    view: View,
    window: Window,
    validation: Validation | None = None,
    partial: bool = False,
) -> Performance:
    """Judge the counts of a window; ``partial``: this process does not see all partitions."""
    found = _columns(counts, settings, validation, normal_quantile((1 + settings.confidence) / 2))
    now = found.estimate
    better = np.array([METRICS[name].better for name in found.names])
    changed, told, reference = _changed(counts, settings, validation, found, better)
    labelled = counts.labelled

    metric_status = np.where(changed, Status.DRIFTED, Status.STABLE).astype(np.uint8)
    metric_status[~told] = Status.NOT_APPLICABLE
    metric_status[np.isnan(reference)] = Status.NO_REFERENCE
    if partial:
        metric_status[:] = Status.PARTIAL
    metric_status[np.isnan(now.value) | np.isnan(now.low) | np.isnan(now.high)] = Status.NOT_APPLICABLE
    few = labelled < settings.min_labelled
    metric_status[few[:, None] | (now.n < settings.min_metric_rows)] = Status.INSUFFICIENT_DATA

    status = np.full(len(labelled), Status.STABLE, np.uint8)
    status[((metric_status == Status.DRIFTED) & (better != 0)).any(axis=1)] = Status.DRIFTED
    judged = (metric_status == Status.DRIFTED) | (metric_status == Status.STABLE)
    status[~(judged & (better != 0)).any(axis=1)] = Status.NO_REFERENCE
    if partial:
        status[:] = Status.PARTIAL
    status[few] = Status.INSUFFICIENT_DATA
    return Performance(
        model, version, view, window, counts.segments, found.names, found.classes, now.value, now.low, now.high, now.n,
        reference, metric_status, status, labelled, counts.predicted_rows, counts,
    )  # fmt: skip


def nothing_judged(like: Performance, view: View, counts: OutcomeCounts) -> Performance:
    """What ``performance`` gives for counts without a labelled row, in the columns of another view: nothing, without computing it."""
    g, m = like.value.shape
    unknown, none = np.full((g, m), np.nan), np.zeros((g, m), np.int64)
    few = np.full((g, m), Status.INSUFFICIENT_DATA, np.uint8)
    return Performance(
        like.model, like.version, view, like.window, like.segments, like.metrics, like.classes, unknown, unknown, unknown, none,
        like.reference, few, few[:, 0], counts.labelled, counts.predicted_rows, counts,
    )  # fmt: skip


def _columns(counts: OutcomeCounts, settings: PerformanceSettings, validation: Validation | None, z: float) -> Columns:
    costs = cost_table(settings.costs) if settings.costs and counts.layout.task != "regression" else None
    means = None if validation is None else validation.score_means
    return metric_columns(counts, z, costs=costs, score_means=means, with_kpi=settings.with_kpi)


def _changed(
    counts: OutcomeCounts, settings: PerformanceSettings, validation: Validation | None, found: Columns, better: NDArray[np.int_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Float64]:
    """[G, M] whether a metric is worse than (or, with neither way better, other than) the reference's, whether that can be told, and the
    reference's value. Without the interval of either side it cannot.

    Surer than by ``noise_quantile`` for all metrics of a segment together (Bonferroni), both sides' noise included.
    """
    shape = found.estimate.value.shape
    if validation is None:
        return np.zeros(shape, np.bool_), np.zeros(shape, np.bool_), np.full(shape, np.nan)
    z = normal_quantile(1 - (1 - settings.noise_quantile) / shape[1] / 2)
    now = _columns(counts, settings, validation, z).estimate
    asked = (z, settings.costs, settings.with_kpi)
    if asked not in validation.columns:  # the reference stays the same from evaluation to evaluation
        validation.columns[asked] = _columns(validation.counts, settings, validation, z)
    before: Columns = validation.columns[asked]
    place = {key: column for column, key in enumerate(zip(before.names, before.classes, strict=True))}
    columns = np.array([place.get(key, -1) for key in zip(found.names, found.classes, strict=True)])
    rows = {segment: row for row, segment in enumerate(validation.counts.segments)}
    own = np.array([rows.get(segment, -1) for segment in counts.segments])
    known = (own[:, None] >= 0) & (columns[None, :] >= 0)
    cells = np.ix_(own, columns)
    reference = Estimate(*(np.asarray(getattr(before.estimate, end)[cells]) for end in ("value", "low", "high", "n"))).where(known)
    change = difference(now, reference)
    least = np.array([settings.least_changes.get(name, 0.0) for name in found.names])
    with np.errstate(invalid="ignore"):
        fell, rose = change.high < -least, change.low > least
    told = ~(np.isnan(change.low) | np.isnan(change.high))
    return np.where(better > 0, fell, np.where(better < 0, rose, fell | rose)), told, reference.value
