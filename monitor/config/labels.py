"""Configuration of labels: what turned out to be true, minutes to weeks after the prediction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from monitor.config.types import Duration, EventTime, JsonPath, Section, Topic, duration, future_tolerance

if TYPE_CHECKING:
    from monitor.config.model import ModelConfig

MIN_CLASSES, MAX_CLASSES = 3, 50


def _class_name(value: Any) -> Any:
    """YAML reads 1 and true as a number and a truth value; events that write them so mean the same class as "1" and "true"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2.0**53:
        return str(int(value))
    return str(value) if isinstance(value, int) else value


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError(f"expected printable characters, got {name!r}")
    return name


ClassName = Annotated[
    str,
    BeforeValidator(_class_name),
    Field(min_length=1, max_length=100),
    AfterValidator(_printable),
    WithJsonSchema({"type": ["string", "integer", "boolean", "number"]}),
]
"""How a class is written in events, as text: ``1`` in the file is "1", ``true`` is "true". YAML takes a bare yes for true: quote it."""


class Cost(Section):
    """What a right and a wrong prediction cost, in any one unit."""

    false_positive: float = Field(1.0, allow_inf_nan=False, description="binary: predicted positive, truly negative.")
    false_negative: float = Field(1.0, allow_inf_nan=False, description="binary: predicted negative, truly positive.")
    true_positive: float = Field(0.0, allow_inf_nan=False, description="binary: rightly predicted positive; negative for a gain.")
    true_negative: float = Field(0.0, allow_inf_nan=False, description="binary: rightly predicted negative.")
    matrix: dict[ClassName, dict[ClassName, Annotated[float, Field(allow_inf_nan=False)]]] | None = Field(
        None, description="multiclass: true class to predicted class to cost; what is absent costs 0 when right and 1 when wrong."
    )

    @model_validator(mode="after")
    def _mistakes_cost(self) -> Self:
        if self.matrix is not None and self.model_fields_set - {"matrix"}:
            raise ValueError("expected either matrix (multiclass) or false_positive and the like (binary), got both")
        excess = (self.false_positive - self.true_negative, self.false_negative - self.true_positive)
        if min(excess) < 0 or max(excess) == 0:
            raise ValueError("expected a wrong prediction to cost more than a right one of the same true class")
        return self


class LabelPrediction(Section):
    """Where a label event carries the prediction that it is about; then predictions need not be remembered until their label comes."""

    score: JsonPath | None = Field(None, description="Path of the score that was predicted.")
    predicted_class: JsonPath | None = Field(
        None, description="Path of the class that was predicted; absent with predictions.threshold: score >= threshold."
    )
    model_version: JsonPath | None = Field(None, description="Path of the version of the model; absent: `version` of the model.")
    time: EventTime | None = Field(None, description="Time of the prediction; the label's own when absent.")
    segments: dict[str, JsonPath] = Field(
        default_factory=dict, description="Path of each segment column; the value of a column that is not named is missing."
    )


class Review(Section):
    """What is worth a human look: edge cases, and an audit sample that represents the traffic."""

    topic: Topic | None = Field(None, description="Topic for the items; absent: /api/v1/review only.")
    per_hour: int = Field(10, ge=2, le=1_000, description="Most edge cases of a segment and model version in an hour of event time.")
    audit_per_day: int = Field(5, ge=0, le=1_000, description="Audited predictions of a segment and model version a day; 0: none.")
    grouping: tuple[str, ...] | None = Field(
        None, description="Which of segments.groupings is drawn from segment by segment; [] for the whole traffic; absent: the first."
    )
    margin: float = Field(0.02, ge=0, le=1, description="A score that is this close to predictions.threshold is an edge case.")
    confidence: float = Field(0.9, gt=0, le=1, description="A wrong prediction that the model was this sure of is an edge case.")
    seed: int = Field(0, ge=0, lt=2**32, description="Other seeds draw other predictions.")


class Labels(Section):
    """The label topic, where in an event each thing stands, and how labels meet their predictions."""

    topic: Topic = Field(description="Topic of the label events; no other topic's name.")
    id: JsonPath = Field(description="Path of the id of the prediction that the label is about.")
    time: EventTime = Field(default_factory=EventTime, description="Time at which the truth became known.")
    label: JsonPath = Field(description="Path of the label: a class, or a number with the task regression.")
    annotator: JsonPath | None = Field(None, description="Path of who or what made the label; absent: all are of one annotator.")
    confidence: JsonPath | None = Field(None, description="Path of the annotator's confidence, a number from 0 to 1.")
    label_version: JsonPath | None = Field(None, description="Path of the label's version: the greater one of an annotator holds.")
    source: JsonPath | None = Field(None, description="Path of how the label came about, see review_sources and audit_sources.")
    kpi: JsonPath | None = Field(None, description="Path of a business figure that came of the prediction, such as revenue.")
    task: Literal["binary", "multiclass", "regression"] = Field("binary", description="What the model predicts.")
    positive: tuple[ClassName, ...] = Field(
        ("1", "true"),
        min_length=1,
        description='binary: how events write the positive class; 1 and true mean the same with and without quotes, but quote "yes".',
    )
    negative: tuple[ClassName, ...] = Field(("0", "false"), min_length=1, description="binary: how events write the negative class.")
    classes: tuple[ClassName, ...] = Field(
        (), description=f"multiclass: the {MIN_CLASSES} to {MAX_CLASSES} classes, as labels and predictions name them."
    )
    horizon_ms: Duration = Field(
        duration("30d"), alias="horizon", description="A label later than its prediction by more than this no longer counts."
    )
    lateness_ms: Duration = Field(
        duration("1d"), alias="lateness", description="How far a label may lag behind its partition's newest label and still count."
    )
    early_allowance_ms: Duration = Field(
        duration("1h"), alias="early_allowance", description="How far a label's time may lie before its prediction's (clocks differ)."
    )
    pane_ms: Duration = Field(duration("1h"), alias="pane", description="Width of the panes that outcomes are counted in.")
    window_ms: Duration = Field(duration("7d"), alias="window", description="What performance is judged over, a multiple of pane.")
    estimate_window_ms: Duration = Field(
        duration("1d"),
        alias="estimate_window",
        description="The newest predictions, whose accuracy is estimated before their labels come; whole panes, at least one.",
    )
    idle_after_ms: Duration = Field(
        duration("1m"), alias="idle_after", description="A partition silent for this long (wall time) no longer holds the others up."
    )
    max_pending_rows: int = Field(
        50_000_000, ge=1_000, description="Most predictions remembered for their label; beyond, the oldest are forgotten and counted."
    )
    max_label_rows: int = Field(
        50_000_000, ge=1_000, description="Most labels remembered for a revision; beyond, the oldest are forgotten and counted."
    )
    max_inbox_rows: int = Field(
        200_000, ge=1_000, description="Most labels that wait for their prediction; beyond, the label topic is paused."
    )
    review_sources: tuple[str, ...] = Field(
        ("review",), description="Values of source for labels that the model's own output asked for: kept out of performance."
    )
    audit_sources: tuple[str, ...] = Field(
        ("audit",), description="Values of source for labels of randomly chosen predictions: counted in a view of their own."
    )
    consensus: Literal["latest", "majority", "confidence"] = Field(
        "latest", description="Which of several annotators' labels holds: the latest, the most frequent, or the one of most confidence."
    )
    max_annotators: int = Field(1_000, ge=1, le=100_000, description="Most annotators judged one by one; further ones fold into __other__.")
    cost: Cost = Field(default_factory=Cost, description="What mistakes cost.")
    min_labelled: int = Field(200, ge=1, description="Fewer labelled predictions in a window give INSUFFICIENT_DATA.")
    interval_width: float = Field(
        0.05, gt=0, lt=1, description="Wanted width of the interval of the accuracy: decides how many labels are worth collecting."
    )
    target_scale: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="regression: a typical error; absent: the reference's standard deviation of predictions.",
    )
    kpi_max: float = Field(
        1_000_000.0, gt=0, allow_inf_nan=False, description="Largest magnitude of kpi; larger values are cut to it and counted."
    )
    dead_letter_topic: Topic | None = Field(None, description="Topic for messages that cannot be used; absent: counted only.")
    max_message_bytes: int = Field(1_000_000, ge=1_000, description="Longer messages are rejected unread.")
    max_depth: int = Field(32, ge=2, le=500, description="Deeper nested messages are rejected.")
    future_tolerance_ms: Duration = future_tolerance()
    prediction: LabelPrediction | None = Field(
        None, description="Where a label event carries its prediction; absent: they are joined by id."
    )
    review: Review | None = Field(None, description="Predictions to look at by hand; absent: none are drawn.")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class by its index: for binary the first spelling, negative then positive; none for regression."""
        return (self.negative[0], self.positive[0]) if self.task == "binary" else self.classes

    @property
    def class_indices(self) -> dict[str, int]:
        """Class index of every spelling of a class."""
        if self.task == "binary":
            return dict.fromkeys(self.negative, 0) | dict.fromkeys(self.positive, 1)
        return {name: index for index, name in enumerate(self.classes)}

    @property
    def costs(self) -> tuple[tuple[float, ...], ...]:
        """[true class][predicted class] cost; empty for regression."""
        cost = self.cost
        if self.task == "binary":
            return (cost.true_negative, cost.false_positive), (cost.false_negative, cost.true_positive)
        given = cost.matrix or {}
        return tuple(tuple(given.get(true, {}).get(other, float(true != other)) for other in self.classes) for true in self.classes)

    @model_validator(mode="after")
    def _fitting_task(self) -> Self:
        self._classes_fit_task()
        self._cost_fits_task()
        return self

    @model_validator(mode="after")
    def _whole_panes(self) -> Self:
        if not self.horizon_ms or not self.pane_ms or not self.window_ms or self.window_ms % self.pane_ms:
            raise ValueError("expected horizon and pane above 0, and window a multiple of pane")
        return self

    @model_validator(mode="after")
    def _sources_apart(self) -> Self:
        both = sorted(set(self.review_sources) & set(self.audit_sources))
        if both:
            raise ValueError(f"expected a source to be of review or of audit, got {both[0]!r} in both")
        return self

    @model_validator(mode="after")
    def _fitting_consensus(self) -> Self:
        if self.consensus == "confidence" and self.confidence is None:
            raise ValueError("expected the path of confidence with consensus confidence")
        if self.consensus == "majority" and self.annotator is None:
            raise ValueError("expected the path of annotator with consensus majority: without one all labels are of one annotator")
        return self

    @model_validator(mode="after")
    def _scale_of_numbers(self) -> Self:
        if self.target_scale is not None and self.task != "regression":
            raise ValueError(f"expected target_scale only with task regression, got task {self.task}")
        return self

    def _classes_fit_task(self) -> None:
        for key, task in (("positive", "binary"), ("negative", "binary"), ("classes", "multiclass")):
            if key in self.model_fields_set and self.task != task:
                raise ValueError(f"expected {key} only with task {task}, got task {self.task}")
        if self.task == "multiclass" and not MIN_CLASSES <= len(self.classes) <= MAX_CLASSES:
            raise ValueError(f"expected {MIN_CLASSES} to {MAX_CLASSES} classes with task multiclass, got {len(self.classes)}")
        names = self.classes if self.task == "multiclass" else (*self.positive, *self.negative)
        twice = [name for index, name in enumerate(names) if name in names[:index]]
        if twice:
            raise ValueError(f"expected each class only once, got {twice[0]!r} again")

    def _cost_fits_task(self) -> None:
        if self.task == "regression" and self.cost.model_fields_set:
            raise ValueError("cost: expected none with task regression, where errors are measured")
        if self.task == "binary" and self.cost.matrix is not None:
            raise ValueError("cost: expected false_positive and false_negative with task binary, got matrix")
        if self.task == "multiclass" and self.cost.model_fields_set - {"matrix"}:
            raise ValueError("cost: expected matrix with task multiclass, got false_positive or the like")
        for true, row in (self.cost.matrix or {}).items():
            for name in (true, *row):
                if name not in self.classes:
                    raise ValueError(f"cost.matrix: expected classes out of {', '.join(self.classes)}, got {name!r}")


def _classes_of_probabilities(model: ModelConfig) -> Iterator[str]:
    given = model.predictions.probabilities
    if given is None:
        return
    classes = model.labels.classes if model.labels is not None else ()
    if not classes:
        yield "predictions.probabilities: expected only beside labels with task multiclass"
    elif set(given) != set(classes):
        yield f"predictions.probabilities: expected exactly the classes of labels.classes, {', '.join(classes)}, got {', '.join(given)}"


def _something_to_compare(model: ModelConfig) -> Iterator[str]:
    labels = model.labels
    if labels is None:
        return
    given, where = (model.predictions, "predictions") if labels.prediction is None else (labels.prediction, "labels.prediction")
    missing = {
        "binary": "score or predicted_class" if given.score is None and given.predicted_class is None else "",
        "multiclass": "predicted_class" if given.predicted_class is None else "",
        "regression": "score" if given.score is None else "",
    }[labels.task]
    if missing:
        yield f"labels.task: expected {where} with {missing} for task {labels.task}, or there is nothing to compare labels with"


def _known_segments(model: ModelConfig) -> Iterator[str]:
    labels = model.labels
    if labels is None:
        return
    for column in labels.prediction.segments if labels.prediction is not None else ():
        if column not in model.segments.columns:
            yield f"labels.prediction.segments: expected columns out of segments.columns {sorted(model.segments.columns)}, got {column!r}"
    grouping = labels.review.grouping if labels.review is not None else None
    if grouping and grouping not in model.segments.groupings:
        known = [list(each) for each in model.segments.groupings]
        yield f"labels.review.grouping: expected one of segments.groupings {known}, got {list(grouping)}"


def _fitting_pane(model: ModelConfig) -> Iterator[str]:
    if model.labels is not None and model.labels.pane_ms % model.windows.pane_ms:
        yield "labels.pane: expected a multiple of windows.pane"


LABEL_CHECKS = (_classes_of_probabilities, _something_to_compare, _known_segments, _fitting_pane)
"""What labels need of the rest of the model, and the other way round: see ``Section.checks``."""
