"""The field mapping as a tree: which places of an event are read, and what each of them is for.

A place with one use gets the type of that use, so that the typed decode already does the work. A place with several uses,
such as a country that is a feature and a segment, is kept as it is and read by each use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from monitor.config.model import PREDICTED_CLASS, SCORE, ModelConfig
from monitor.config.path import Steps, is_special, parse_path
from monitor.source.base import Needs

ANY_SCALAR: frozenset[type] = frozenset({str, int, float, bool})


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
    """One thing that a value is for. ``column`` counts signals, or segment columns."""

    role: Role
    steps: Steps
    column: int = 0
    name: str = ""
    values: str | None = None  # category: how events write it, where that is declared
    accepts: frozenset[type] = ANY_SCALAR  # types of values that it can look at


@dataclass(eq=False)
class Leaf:
    """A place that is read as one value."""

    uses: list[Use] = field(default_factory=list)

    @property
    def is_number(self) -> bool:
        """Whether it is only ever read as a number."""
        return all(use.role is Role.NUMBER for use in self.uses)

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
    """All that is read from an event. Signals are numbered as in ``Batch.values``."""
    return tuple(_uses(model))


def _uses(model: ModelConfig) -> Iterator[Use]:
    predictions = model.predictions
    yield Use(Role.ID, parse_path(predictions.id), accepts=ANY_SCALAR - {bool})
    written = {str} if predictions.time.unit == "iso8601" else {int, float}
    yield Use(Role.TIME, parse_path(predictions.time.path), accepts=frozenset(written))
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
    """What beside the values a source must read for this model."""
    special = [use.steps for use in uses_of(model) if is_special(use.steps)]
    return Needs(keys=("$key",) in special, headers=any(steps[0] == "$header" for steps in special))
