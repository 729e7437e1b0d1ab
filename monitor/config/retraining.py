"""When a model is to be retrained: conditions, how long they must hold, and what stands in the way."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator

from monitor.config.types import Duration, Section, Topic, duration

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)|24:00")


def _clock(value: Any) -> str:
    """A time of day. YAML reads a bare 18:30 as a number of base 60, which is its minutes."""
    text = f"{value // 60:02}:{value % 60:02}" if type(value) is int else str(value)
    if not _CLOCK.fullmatch(text):
        raise ValueError(f"expected a time of day from 00:00 to 24:00, got {value!r}")
    return text.zfill(5)


def minutes_of(clock: str) -> int:
    """Minutes since midnight.

    >>> minutes_of("18:30")
    1110
    """
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


ClockTime = Annotated[str, BeforeValidator(_clock)]
"""HH:MM, up to 24:00."""


class Persistence(Section):
    """How long a condition must hold before it counts, and be clear before it is over."""

    evaluations: int | None = Field(None, ge=1, le=100, description="So many evaluations beyond the level ...")
    of: int | None = Field(None, ge=1, le=100, description="... out of so many that could be judged; as many as evaluations when absent.")
    lasting_ms: Duration | None = Field(None, alias="lasting", description="Or: beyond the level for this long, and never clear meanwhile.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.evaluations is None) == (self.lasting_ms is None):
            raise ValueError("expected exactly one of evaluations, lasting")
        if self.of is not None and (self.evaluations is None or self.of < self.evaluations):
            raise ValueError(f"of: expected at least as many as evaluations, got {self.of} with evaluations {self.evaluations}")
        return self

    @property
    def window(self) -> int:
        """Evaluations that are looked at."""
        return self.of or self.evaluations or 1


class Where(Section):
    """Base of conditions about segments."""

    segments: tuple[str, ...] = Field(("ALL",), max_length=1_000, description="Keys of segments that are watched, such as country=FR.")
    min_share: float | None = Field(None, gt=0, le=1, description="Watch also each segment that holds at least this share of traffic.")
    persistence: Persistence | None = Field(None, description="Of this condition; that of the policy when absent.")


class PerformanceLimit(Where):
    """A performance metric that is too low (or, of a loss, too high)."""

    metric: str = Field(
        min_length=1,
        max_length=100,
        description="The metric, such as recall, or recall[yes] of a class; of a binary model the positive one.",
    )
    floor: float | None = Field(None, allow_inf_nan=False, description="Below is too low.")
    ceiling: float | None = Field(None, allow_inf_nan=False, description="Above is too high, for a metric that is better when lower.")
    clear: float | None = Field(
        None, allow_inf_nan=False, description="The condition is over on the good side of this; the limit itself when absent."
    )
    judged_by: Literal["interval", "value"] = Field(
        "interval", description="interval: the whole confidence interval must be beyond the limit; value: the estimate alone."
    )

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.floor is None) == (self.ceiling is None):
            raise ValueError("expected exactly one of floor, ceiling")
        if self.clear is not None and ((self.floor or 0.0) > self.clear if self.floor is not None else (self.ceiling or 0.0) < self.clear):
            raise ValueError(f"clear: expected a value on the good side of the limit {self.limit:g}, got {self.clear:g}")
        return self

    @property
    def limit(self) -> float:
        """The level beyond which the condition holds."""
        return float(self.floor if self.floor is not None else self.ceiling or 0.0)


class CostCeiling(Where):
    """Expected cost of the model's mistakes that is too high."""

    ceiling: float = Field(gt=0, allow_inf_nan=False, description="Cost per prediction, in the unit of labels.cost; above is too high.")
    clear: float | None = Field(None, allow_inf_nan=False, description="The condition is over at or below this; the ceiling when absent.")
    judged_by: Literal["interval", "value"] = Field("interval", description="See performance.")

    @model_validator(mode="after")
    def _good_side(self) -> Self:
        if self.clear is not None and self.clear > self.ceiling:
            raise ValueError(f"clear: expected at most the ceiling {self.ceiling:g}, got {self.clear:g}")
        return self


class DriftCondition(Where):
    """Base of conditions over the sequential detectors' alarms."""

    min_effect: float = Field(0.0, ge=0, allow_inf_nan=False, description="Smallest effect that counts, in the detector's unit.")
    clear_effect: float = Field(0.0, ge=0, allow_inf_nan=False, description="An alarm whose effect fell below this is over.")
    hold_ms: Duration = Field(duration("1d"), alias="hold", description="How long an alarm counts unless it is raised again.")

    @model_validator(mode="after")
    def _good_side(self) -> Self:
        if self.clear_effect > self.min_effect:
            raise ValueError(f"clear_effect: expected at most min_effect {self.min_effect:g}, got {self.clear_effect:g}")
        return self


class ConceptDrift(DriftCondition):
    """Detectors on the model's errors and labels: the relation of inputs and truth has changed."""


class DataDrift(DriftCondition):
    """Detectors on the inputs: of features that matter, or wherever enough traffic is."""

    segments: tuple[str, ...] = Field((), max_length=1_000, description="Keys of segments of which any drifted signal counts.")
    features: tuple[str, ...] = Field((), description="Signals that matter in every segment, ALL included.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.features and not self.segments and self.min_share is None:
            raise ValueError("expected features, segments or min_share, or nothing could ever hold")
        return self


class EstimatedLoss(Where):
    """Performance that is estimated, before labels come, to be worse than in the reference."""

    metric: Literal["accuracy"] = Field("accuracy", description="The metric; only accuracy is estimated.")
    loss: float = Field(gt=0, allow_inf_nan=False, description="Worse than in the reference by more than this.")
    clear: float | None = Field(None, allow_inf_nan=False, description="The condition is over at or below this loss; `loss` when absent.")
    judged_by: Literal["interval", "value"] = Field("interval", description="See performance.")

    @model_validator(mode="after")
    def _good_side(self) -> Self:
        if self.clear is not None and self.clear > self.loss:
            raise ValueError(f"clear: expected at most the loss {self.loss:g}, got {self.clear:g}")
        return self


LabelMeasure = Literal["coverage_ratio", "selection_distance", "disagreement_ratio", "flip_ratio", "alpha"]
"""What is measured of labels themselves: see ``facts.label_measures``."""


class QualityLimit(Section):
    """A measure of label quality beyond which labels are too poor to retrain on."""

    measure: LabelMeasure = Field(
        description="Of all traffic: coverage_ratio, predictions of the window with a label; selection_distance, how far the labelled ones"
        " are from all, by score; disagreement_ratio, predictions of several annotators on which they differ; flip_ratio, labels restated"
        " to another value; alpha, Krippendorff's, agreement beyond chance."
    )
    at_most: float | None = Field(None, allow_inf_nan=False, description="Larger is too poor.")
    at_least: float | None = Field(None, allow_inf_nan=False, description="Smaller is too poor.")

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("expected exactly one of at_most, at_least")
        return self


Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
DAYS: tuple[Day, ...] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class QuietWindow(Section):
    """A stretch of each of some days; one that ends at or before its start goes on into the next day."""

    days: tuple[Day, ...] = Field(DAYS, min_length=1, description="Days on which it starts.")
    start: ClockTime = Field("00:00", description="Time of day, such as 18:00.")
    end: ClockTime = Field("24:00", description="Time of day, up to 24:00.")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.start == self.end:
            raise ValueError("expected another end than start; leave both out for whole days")
        return self


class QuietHours(Section):
    """When no retraining is asked for, in event time."""

    zone: str = Field("UTC", description="Zone of the times below, such as Europe/Paris.")
    windows: tuple[QuietWindow, ...] = Field(min_length=1, max_length=50, description="The quiet stretches.")

    @model_validator(mode="after")
    def _known_zone(self) -> Self:
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"zone: expected an IANA time zone such as UTC or Europe/Paris, got {self.zone!r}") from error
        return self


class Retraining(Section):
    """When retraining is required. Times are event time, but for expire_after."""

    performance: tuple[PerformanceLimit, ...] = Field((), max_length=100, description="Limits of measured performance.")
    cost: CostCeiling | None = Field(None, description="Limit of the expected cost.")
    concept_drift: ConceptDrift | None = Field(None, description="Alarms on errors and labels.")
    data_drift: DataDrift | None = Field(None, description="Alarms on inputs.")
    estimated_loss: tuple[EstimatedLoss, ...] = Field((), max_length=100, description="Limits of estimated loss of performance.")
    persistence: Persistence = Field(
        default_factory=lambda: Persistence.model_validate({"evaluations": 2, "of": 3}),
        description="How long a condition must hold; two evaluations of three when absent.",
    )
    max_evidence_age_ms: Duration = Field(
        duration("2d"), alias="max_evidence_age", description="What was last judged longer ago is no reason for a trigger any more."
    )
    view: Literal["label_time", "prediction_time", "audit"] = Field(
        "label_time",
        description="Which view of performance is judged: labels by their own time, predictions by theirs, or the audit sample.",
    )
    cooldown_ms: Duration = Field(duration("7d"), alias="cooldown", description="After a trigger, none for this long, whatever holds.")
    at_most: int = Field(2, ge=1, le=50, description="Most triggers ...")
    period_ms: Duration = Field(duration("30d"), alias="period", description="... in any stretch of this length.")
    min_fresh_labels: int = Field(
        1_000, ge=0, description="Labelled rows from after the change that there must be to retrain on; 0: not asked for."
    )
    label_quality: tuple[QualityLimit, ...] = Field(
        (), max_length=50, description="Beyond any of these, labels are too poor to retrain on."
    )
    quiet_hours: QuietHours | None = Field(None, description="When a trigger waits.")
    training_window_ms: Duration | None = Field(
        None, alias="training_window", description="Length of the data window that is proposed for training; since the change when absent."
    )
    new_version_rows: int = Field(
        100, ge=1, description="A version not seen before ends what was required of older ones once it has so many rows."
    )
    expire_after_ms: Duration = Field(
        duration("3d"), alias="expire_after", description="Wall time after which an unacknowledged requirement is no longer shown."
    )
    topic: Topic | None = Field(None, description="Topic for triggers, as CloudEvents; absent: metrics, API and alert only.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not (self.performance or self.cost or self.concept_drift or self.data_drift or self.estimated_loss):
            raise ValueError("expected one of performance, cost, concept_drift, data_drift, estimated_loss, or nothing could ever trigger")
        for name in ("cooldown_ms", "period_ms", "expire_after_ms"):
            if getattr(self, name) < 1_000:
                raise ValueError(f"{name.removesuffix('_ms')}: expected at least 1s")
        return self


class Controls(Section):
    """Decisions of operators, as messages."""

    topic: Topic = Field(
        description="Topic that `driftgauge control` writes to; keep it for ever (retention.ms=-1), and let only operators write.",
    )
