"""What the monitor's API answers about labels, typed."""

from __future__ import annotations

import msgspec


class Metric(msgspec.Struct, frozen=True, rename={"of": "class"}):
    """One metric of one segment, from labels, with its interval."""

    version: str
    view: str
    segment: str
    metric: str
    status: str
    n: int
    labelled: int
    window_start: str
    window_end: str
    of: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    coverage: float | None = None


class MetricPage(msgspec.Struct, frozen=True):
    """A page of metrics, worst first."""

    next_offset: int | None
    metrics: tuple[Metric, ...]


class Share(msgspec.Struct, frozen=True):
    """A share or a time with its interval."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class AgeShare(msgspec.Struct, frozen=True):
    """Share of predictions labelled by an age."""

    age_seconds: int
    value: float | None = None


class PastEstimates(msgspec.Struct, frozen=True):
    """How right estimates were, once the labels came."""

    windows: int
    mean_absolute_error: float | None = None
    covered: float | None = None


class Estimate(msgspec.Struct, frozen=True):
    """Accuracy estimated before all labels are there."""

    window_start: str
    window_end: str
    predictions: int
    labelled: int
    rectified: bool
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    from_scores_alone: float | None = None
    before: PastEstimates | None = None


class Wanted(msgspec.Struct, frozen=True):
    """Labels that an interval of a wanted width needs."""

    interval_width: float
    accuracy: int


class Labelling(msgspec.Struct, frozen=True):
    """How the labels of one segment came."""

    segment: str
    predictions: int
    labelled: int
    delay_seconds: dict[str, Share]
    coverage_by_age: tuple[AgeShare, ...]
    coverage: float | None = None
    estimate: Estimate | None = None
    wanted: Wanted | None = None


class LabellingPage(msgspec.Struct, frozen=True):
    """Answers about segments."""

    labels: tuple[Labelling, ...]
