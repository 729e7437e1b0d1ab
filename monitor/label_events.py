"""What the monitor reports about labels: more of ``events``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from monitor.events import Event


@dataclass(frozen=True, slots=True)
class LabelsJoined(Event):
    """This process reads every partition of a model's predictions and labels, so that each label meets its prediction."""

    model: str
    partitions: int
    label_partitions: int
    co_partitioned: bool  # as many partitions of both: with the same keys each label is in its prediction's partition


@dataclass(frozen=True, slots=True)
class LabelsSeparated(Event):
    """Some partitions are read elsewhere: labels whose predictions are read there find none here, and performance is partial."""

    level: ClassVar[int] = logging.ERROR
    model: str
    partitions: int  # read here
    of: int
    label_partitions: int
    of_labels: int


@dataclass(frozen=True, slots=True)
class LabelsEvaluated(Event):
    """Outcomes of all versions of one model were summed up to a pane's end."""

    level: ClassVar[int] = logging.DEBUG  # history has one for each pane
    model: str
    event_time_ms: int
    duration_seconds: float
    versions: int


@dataclass(frozen=True, slots=True)
class ReviewItemsDelivered(Event):
    """Predictions to look at by hand are in the review topic."""

    level: ClassVar[int] = logging.DEBUG
    model: str
    items: int


@dataclass(frozen=True, slots=True)
class ReviewItemsFailed(Event):
    """Predictions to look at by hand could not be delivered to the review topic; they are kept and tried again."""

    level: ClassVar[int] = logging.ERROR
    model: str
    items: int
    reason: str
