"""Configuration of one monitored model: its events, features, segments and windows."""

from __future__ import annotations

import importlib
import inspect
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from monitor.config.canary import Canary, canary_mistakes
from monitor.config.detection import Detection
from monitor.config.evaluation import Evaluation, threshold_mistakes
from monitor.config.judged import RETRAINING_CHECKS
from monitor.config.labels import LABEL_CHECKS, ClassName, Labels
from monitor.config.retraining import Retraining
from monitor.config.types import Duration, EventTime, JsonPath, Section, Topic, duration, future_tolerance

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z_][A-Za-z0-9_.:/-]*$")]

SCORE = "score"
PREDICTED_CLASS = "predicted_class"
RESERVED = (SCORE, PREDICTED_CLASS)
"""Signals that come from the prediction rather than from a configured feature."""


class Duplicates(Section):
    """How repeated deliveries of one prediction are recognised: by model, version and id."""

    enabled: bool = Field(True, description="Whether to drop repeats before counting.")
    horizon_ms: Duration = Field(
        duration("24h"), alias="horizon", description="How far back in event time an id is remembered; at least the lateness."
    )
    max_ids: int = Field(
        20_000_000, ge=1_000, description="Most ids remembered (about 40 bytes each); beyond, the oldest are forgotten and counted."
    )


class Predictions(Section):
    """The prediction topic and where in an event each thing stands."""

    topic: Topic = Field(description="Topic of the prediction events.")
    id: JsonPath = Field(description="Path of the prediction's id, unique within model and version.")
    time: EventTime = Field(default_factory=EventTime, description="Time of the prediction.")
    model_version: JsonPath | None = Field(None, description="Path of the model's version; absent: `version` of the model.")
    score: JsonPath | None = Field(
        None,
        description="Path of the score, a number (binary: probability of the positive class; multiclass: of the predicted one).",
    )
    predicted_class: JsonPath | None = Field(None, description="Path of the predicted class; absent with a threshold: score >= threshold.")
    threshold: float | None = Field(None, allow_inf_nan=False, description="Score from which on the positive class is predicted.")
    probabilities: dict[ClassName, JsonPath] | None = Field(
        None, description="multiclass: path of each class's probability, for exactly the classes of `labels`."
    )
    dead_letter_topic: Topic | None = Field(None, description="Topic for messages that cannot be used; absent: counted only.")
    max_message_bytes: int = Field(1_000_000, ge=1_000, description="Longer messages are rejected unread.")
    max_depth: int = Field(32, ge=2, le=500, description="Deeper nested messages are rejected.")
    future_tolerance_ms: Duration = future_tolerance()
    duplicates: Duplicates = Field(default_factory=Duplicates, description="Recognition of repeated deliveries.")

    @property
    def has_class(self) -> bool:
        """Whether a predicted class is known for each row."""
        return self.predicted_class is not None or (self.score is not None and self.threshold is not None)


def _finite(ends: tuple[float, float]) -> tuple[float, float]:
    # An open end, written .inf, is the largest number: edges are finite, and JSON has no infinity.
    return max(ends[0], -sys.float_info.max), min(ends[1], sys.float_info.max)


class Feature(Section):
    """One input of the model."""

    name: Name = Field(description="Name in metrics, verdicts and the reference.")
    type: Literal["numeric", "categorical"] = Field(description="numeric or categorical.")
    path: JsonPath | None = Field(None, description="Path in the event; the name itself when absent.")
    required: bool = Field(False, description="Whether a missing value is worth a warning by itself.")
    range: Annotated[tuple[float, float], AfterValidator(_finite)] | None = Field(
        None, description="numeric: smallest and largest value that can be right, .inf for an open end; others count as out of range."
    )
    categories: tuple[str, ...] | None = Field(None, description="categorical: the values that can be right; others count as out of range.")
    values: Literal["string", "integer", "boolean"] = Field(
        "string", description="categorical: how the event writes them; another type still counts, only slower."
    )

    def _own_name(self) -> Iterator[str]:
        if self.name in RESERVED:
            yield f"expected another name than {self.name!r}, which is the prediction's own"

    def _fits_type(self) -> Iterator[str]:
        if self.range is not None and (self.type != "numeric" or not self.range[0] < self.range[1]):
            yield f"expected range only for a numeric feature and low < high, got {list(self.range)} for {self.type}"
        if self.categories is not None and self.type != "categorical":
            yield "expected categories only for a categorical feature"

    def _distinct_categories(self) -> Iterator[str]:
        twice = [text for text, times in Counter(self.categories or ()).items() if times > 1]
        if twice:
            yield f"categories: expected each once, got {twice[0]!r} again"

    checks = (_own_name, _fits_type, _distinct_categories)

    @property
    def where(self) -> str:
        """Path in the event."""
        return self.path or f'"{self.name}"'


class Segments(Section):
    """Which slices of traffic are watched apart. Every row is in ALL and in one segment of each grouping."""

    columns: dict[str, JsonPath] = Field(
        default_factory=dict,
        description="Segment columns: name to path. The version of the feature pipeline, where events carry it, is such a column.",
    )
    groupings: tuple[tuple[str, ...], ...] = Field(
        (), description="Groupings, each a list of columns, such as [[country], [device], [country, device]]."
    )
    max_segments: int = Field(
        1_000, ge=1, le=100_000, description="Most segments over all groupings; further ones fold into __other__ of their grouping."
    )
    max_value_length: int = Field(64, ge=1, le=1_000, description="Longer segment values are cut.")

    def _known_columns(self) -> Iterator[str]:
        for index, grouping in enumerate(self.groupings):
            unknown = [column for column in grouping if column not in self.columns]
            if unknown or not grouping or len(set(grouping)) != len(grouping):
                yield f"groupings[{index}]: expected distinct columns out of {sorted(self.columns)}, got {list(grouping)}"

    def _distinct(self) -> Iterator[str]:
        sets = [frozenset(grouping) for grouping in self.groupings]
        for index, grouping in enumerate(self.groupings):
            if len(set(grouping)) == len(grouping) and sets[index] in sets[:index]:
                yield f"groupings[{index}]: expected each grouping once, got {list(grouping)} again"

    checks = (_known_columns, _distinct)


class Windows(Section):
    """How event time is cut. Windows are sums of panes."""

    pane_ms: Duration = Field(
        duration("5m"), alias="pane", description="Width of a pane, the smallest unit of counting; divides one hour or is a multiple of it."
    )
    short_ms: Duration = Field(duration("1h"), alias="short", description="Short window, a multiple of the pane.")
    long_ms: Duration = Field(duration("24h"), alias="long", description="Long window, a multiple of the short one.")
    lateness_ms: Duration = Field(
        duration("10m"), alias="lateness", description="How far an event may lag behind its partition's newest and still count."
    )
    idle_after_ms: Duration = Field(
        duration("1m"), alias="idle_after", description="A partition silent for this long (wall time) no longer holds the others up."
    )
    max_open_panes: int = Field(
        64, ge=2, le=10_000, description="A partition this many panes ahead of the slowest is paused until that one follows."
    )
    max_open_mb: int = Field(
        1_024, ge=1, description="Bound on the memory of panes that are still open; beyond, partitions that are ahead are paused."
    )

    @model_validator(mode="after")
    def _fitting_pane(self) -> Self:
        if not _is_pane(self.pane_ms):
            raise ValueError("expected a pane of at least 1s that divides one hour or is a multiple of it")
        return self

    @model_validator(mode="after")
    def _multiples(self) -> Self:
        short, long = self.short_ms, self.long_ms
        if not short or not long or long % short or (_is_pane(self.pane_ms) and short % self.pane_ms):
            raise ValueError("expected short to be a multiple of pane, and long a multiple of short")
        return self


def _is_pane(width_ms: int) -> bool:
    hour = 3_600_000
    return width_ms >= 1_000 and not (hour % width_ms and width_ms % hour)


def _river_name(value: str) -> str:
    module, _, name = value.rpartition(".")
    if not (module == "river.drift" or module.startswith("river.drift.")):
        raise ValueError(f"expected a detector of river.drift such as river.drift.ADWIN, got {value!r}")
    if module.startswith("river.drift.binary"):
        raise ValueError(
            f"expected a detector of numbers such as river.drift.ADWIN, since those of river.drift.binary take 0 and 1, got {value!r}"
        )
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"expected a detector of river.drift such as river.drift.ADWIN, but there is no module {module}") from error
    if not hasattr(found, name):
        raise ValueError(f"expected a detector of river.drift, but {module} has no {name!r}")
    return value


_MOST_TRIED = 100_000


def _values_until_it_works(kind: Any, parameters: dict[str, Any]) -> int:
    """How many values a detector may gather before it first looks at them: as its largest number says, given or by default."""
    settings = {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()} | parameters
    numbers = [value for name, value in settings.items() if name != "seed" and isinstance(value, int | float) and math.isfinite(value)]
    return min(_MOST_TRIED, 1 + math.ceil(max([0, *numbers])))


class RiverDetector(Section):
    """A detector of river.drift on the mean of a signal, pane by pane, for each segment."""

    river: Annotated[str, AfterValidator(_river_name)] = Field(
        description="Dotted name, such as river.drift.ADWIN; not of river.drift.binary."
    )
    signal: str = Field(description="A numeric feature's name, or score.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments of the detector; `seed` is 0 unless given.")
    segments: Literal["all", "every"] = Field("all", description="all: only on ALL; every: on each segment.")

    def _can_be_made(self) -> Iterator[str]:
        module, _, name = self.river.rpartition(".")
        try:
            kind = getattr(importlib.import_module(module), name)
            detector = kind(**self.parameters)
            for _ in range(_values_until_it_works(kind, self.parameters)):
                detector.update(0.0)
                _ = detector.drift_detected
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # whatever a class of river makes of the parameters; some are of Rust, whose panics are no Exception
            yield f"expected parameters that {self.river} takes, got {self.parameters}: {error}"

    checks = (_can_be_made,)


class ModelConfig(Section):
    """One monitored model."""

    name: Name = Field(description="Name of the model in metrics and verdicts.")
    version: str = Field("unversioned", min_length=1, max_length=100, description="Version of events that name none.")
    max_versions: int = Field(8, ge=1, le=1_000, description="Most versions watched at once; further ones fold into __other__.")
    predictions: Predictions = Field(description="The prediction topic and its field mapping.")
    labels: Labels | None = Field(None, description="The label topic; absent: nothing is known of the truth, and nothing judged by it.")
    features: tuple[Feature, ...] = Field(min_length=1, description="Inputs of the model.")
    segments: Segments = Field(default_factory=Segments, description="Slices watched apart.")
    references: tuple[Path, ...] = Field(
        (),
        description="Reference files, one per model version; relative to this file. `references/*.json.gz` stands for all that are"
        " there, and one that is put there later is taken while `driftgauge run` runs.",
    )
    windows: Windows = Field(default_factory=Windows, description="Panes and windows.")
    evaluation: Evaluation = Field(default_factory=Evaluation, description="Comparison with the reference.")
    detection: Detection = Field(default_factory=Detection, description="Sequential detection of drift.")
    detectors: tuple[RiverDetector, ...] = Field((), description="Detectors of river attached to signals.")
    retraining: Retraining | None = Field(None, description="When retraining is required; absent: never.")
    canary: Canary | None = Field(None, description="Two versions served side by side, compared by labels; absent: none are.")

    @property
    def keeps_probabilities(self) -> bool:
        """Whether rows that wait for labels keep the probability of each class; what labels carry has none."""
        return self.predictions.probabilities is not None and (self.labels is None or self.labels.prediction is None)

    def _distinct_names(self) -> Iterator[str]:
        names = [feature.name for feature in self.features]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            yield f"features: expected distinct names, got {', '.join(twice)} more than once"

    def _numeric_detectors(self) -> Iterator[str]:
        for index, detector in enumerate(self.detectors):
            is_score = detector.signal == SCORE and self.predictions.score
            if not is_score and not any(feature.type == "numeric" for feature in self.features if feature.name == detector.signal):
                yield f"detectors[{index}].signal: expected a numeric feature or score, got {detector.signal!r}"

    def _known_thresholds(self) -> Iterator[str]:
        kinds: dict[str, Callable[[], str]] = {SCORE: lambda: "numeric", PREDICTED_CLASS: lambda: "categorical"}
        yield from threshold_mistakes(self.evaluation, kinds | {each.name: partial(getattr, each, "type") for each in self.features})

    def _known_effects(self) -> Iterator[str]:
        known = {feature.name for feature in self.features} | {*RESERVED}
        for name in self.detection.signal_effects:
            if name not in known:
                yield f"detection.signal_effects: expected a feature, {' or '.join(sorted(RESERVED))}, got {name!r}"

    def _fitting_times(self) -> Iterator[str]:
        if self.evaluation.every_ms is not None and self.evaluation.every_ms % self.windows.pane_ms:
            yield "evaluation.every: expected a multiple of windows.pane"

    def _late_repeats(self) -> Iterator[str]:
        if self.predictions.duplicates.horizon_ms < self.windows.lateness_ms:
            yield "predictions.duplicates.horizon: expected at least windows.lateness, or late repeats would count twice"

    checks = (
        _distinct_names, _numeric_detectors, _known_thresholds, _known_effects, *LABEL_CHECKS, *RETRAINING_CHECKS, canary_mistakes,
        _fitting_times, _late_repeats,
    )  # fmt: skip
