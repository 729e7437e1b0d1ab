"""The field mapping as a tree: which places of an event are read, and what each of them is for.

A place with one use gets the type of that use, so that the typed decode already does the work. A place with several uses,
such as a country that is a feature and a segment, is kept as it is and read by each use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from monitor.config import PREDICTED_CLASS, SCORE, EventTime, ModelConfig
from monitor.config.path import Steps, is_special, parse_path
from monitor.profile.bare import signal_names
from monitor.source.base import Needs

ANY_SCALAR: frozenset[type] = frozenset({str, int, float, bool})

LABEL_TEXTS = ("annotator", "label_version", "source")
LABEL_SIGNALS = ("label", "confidence", "kpi", SCORE, PREDICTED_CLASS)
"""The columns of a label event; the last two are those of the prediction that it carries."""


class Role(Enum):
    """What a value is for."""

    ID = "id"
    TIME = "time"
    VERSION = "version"
    SEGMENT = "segment"
    NUMBER = "number"
    CATEGORY = "category"


@dataclass(frozen=True, slots=True)
class Use:
    """One thing that a value is for. ``column`` counts signals, segment columns, or times."""

    role: Role
    steps: Steps
    column: int = 0
    name: str = ""
    values: str | None = None  # category: how events write it, where that is declared
    accepts: frozenset[type] = ANY_SCALAR  # types of values that it can look at
    time: EventTime | None = None  # time: how events write it


@dataclass(eq=False)
class Leaf:
    """A place that is read as one value."""

    uses: list[Use] = field(default_factory=list)

    @property
    def is_number(self) -> bool:
        """Whether it is only ever read as a number."""
        return all(use.role is Role.NUMBER for use in self.uses)

    @property
    def is_id(self) -> bool:
        """Whether it is only read as the id."""
        return all(use.role is Role.ID for use in self.uses)

    @property
    def accepts(self) -> frozenset[type]:
        """Types that every use can look at; a value of another type is ``UNUSABLE`` for all: only ids and times are so narrow."""
        return frozenset.intersection(*(use.accepts for use in self.uses))

    @property
    def is_code(self) -> bool:
        """Whether it is only read as one category, written as text or integers."""
        return len(self.uses) == 1 and self.uses[0].role is Role.CATEGORY and self.uses[0].values in {"string", "integer"}


@dataclass(eq=False)
class Node:
    """An object, or an array, with the places below it. A key may lead to a leaf and to a node: then neither can be typed."""

    is_array: bool = False
    leaves: dict[str | int, Leaf] = field(default_factory=dict)
    nodes: dict[tuple[str | int, bool], Node] = field(default_factory=dict)  # (key, whether it is an array)


def uses_of(model: ModelConfig) -> tuple[Use, ...]:
    """All that is read from a prediction. Signals are numbered as in ``Batch.values``, with the probabilities of classes after them."""
    return tuple(_uses(model))


def _uses(model: ModelConfig) -> Iterator[Use]:
    predictions = model.predictions
    yield _id(predictions.id)
    yield _time(predictions.time, 0)
    if predictions.model_version is not None:
        yield Use(Role.VERSION, parse_path(predictions.model_version))
    for column, path in enumerate(model.segments.columns.values()):
        yield Use(Role.SEGMENT, parse_path(path), column)
    for column, feature in enumerate(model.features):
        if feature.type == "numeric":
            yield Use(Role.NUMBER, parse_path(feature.where), column, feature.name)
        else:
            yield Use(Role.CATEGORY, parse_path(feature.where), column, feature.name, feature.values)
    column = len(model.features)
    if predictions.score is not None:
        yield Use(Role.NUMBER, parse_path(predictions.score), column, SCORE)
        column += 1
    if predictions.predicted_class is not None:
        yield Use(Role.CATEGORY, parse_path(predictions.predicted_class), column, PREDICTED_CLASS)
    for column, (name, path) in enumerate(probabilities_of(model), len(signal_names(model))):
        yield Use(Role.NUMBER, parse_path(path), column, f"probability of {name}")


def probabilities_of(model: ModelConfig) -> list[tuple[str, str]]:
    """Class and path of each probability, in the order of the classes; none where none are configured."""
    paths = model.predictions.probabilities
    return [] if paths is None or model.labels is None else [(name, paths[name]) for name in model.labels.classes]


def label_uses(model: ModelConfig) -> tuple[Use, ...]:
    """All that is read from a label. Signals are ``LABEL_SIGNALS``, text columns ``LABEL_TEXTS`` and then the model's segment columns.

    These, the second time and the version are those of the prediction that the event carries.
    """
    return tuple(_label_uses(model))


def _label_uses(model: ModelConfig) -> Iterator[Use]:
    labels = model.labels
    assert labels is not None
    carried = labels.prediction
    yield _id(labels.id)
    yield _time(labels.time, 0)
    if carried is not None and carried.time is not None:
        yield _time(carried.time, 1)
    if carried is not None and carried.model_version is not None:
        yield Use(Role.VERSION, parse_path(carried.model_version))
    segments = [None if carried is None else carried.segments.get(name) for name in model.segments.columns]
    for column, path in enumerate((labels.annotator, labels.label_version, labels.source, *segments)):
        if path is not None:
            yield Use(Role.SEGMENT, parse_path(path), column)
    score, predicted_class = (None, None) if carried is None else (carried.score, carried.predicted_class)
    for column, path in enumerate((labels.label, labels.confidence, labels.kpi, score, predicted_class)):
        is_class = LABEL_SIGNALS[column] == PREDICTED_CLASS or (column == 0 and labels.task != "regression")
        if path is not None:
            yield Use(Role.CATEGORY if is_class else Role.NUMBER, parse_path(path), column, LABEL_SIGNALS[column])


def _id(path: str) -> Use:
    return Use(Role.ID, parse_path(path), accepts=ANY_SCALAR - {bool})


def _time(time: EventTime, column: int) -> Use:
    written = {str} if time.unit == "iso8601" else {int, float}
    return Use(Role.TIME, parse_path(time.path), column, accepts=frozenset(written), time=time)


def tree_of(uses: tuple[Use, ...]) -> Node:
    """The places inside the body, as a tree below the event's object."""
    root = Node()
    for use in uses:
        if is_special(use.steps):
            continue
        node = root
        for step, after in zip(use.steps, use.steps[1:], strict=False):
            is_array = isinstance(after, int)
            node = node.nodes.setdefault((step, is_array), Node(is_array))
        node.leaves.setdefault(use.steps[-1], Leaf()).uses.append(use)
    return root


def needs(model: ModelConfig) -> Needs:
    """What beside the values a source must read for this model, of predictions and of labels."""
    uses = uses_of(model) + (label_uses(model) if model.labels is not None else ())
    special = [use.steps for use in uses if is_special(use.steps)]
    return Needs(keys=("$key",) in special, headers=any(steps[0] == "$header" for steps in special))
