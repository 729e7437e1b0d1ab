"""What an alarm says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from monitor.detect.directions import Direction

Level = Literal["warning", "trigger"]


@dataclass(frozen=True, slots=True)
class Stream:
    """Which stream: a segment, a signal (a feature, the score, the predicted class; ``error`` or ``label`` for outcomes), and what of it.

    ``kind``: ``values`` that are there, ``missing`` or otherwise unusable ones, ``error`` rate, ``label`` rate.
    """

    segment: str
    signal: str
    kind: str


@dataclass(frozen=True, slots=True)
class Effect:
    """The size of a drift since its estimated start, with an interval that holds although start and time were chosen by the data.

    ``unit``: ``sd`` difference of the mean in standard deviations of the reference, ``spread`` part by which the standard deviation
    grew, ``share`` difference of a share.
    """

    unit: str
    size: float
    low: float
    high: float
    rows: int
    cell: str | None = None  # whose share


@dataclass(frozen=True, slots=True)
class CellChange:
    """One of the cells that moved most."""

    cell: str
    expected: float  # share
    share: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """A stream's evidence has crossed a level.

    ``time_ms`` end of the evidence pane; ``start_ms`` estimated start of the drift; ``evidence`` and ``threshold`` M and the level
    it crossed; ``also`` the streams whose evidence stands out with it (e-d-BH).
    """

    stream: Stream
    level: Level
    time_ms: int
    start_ms: int
    direction: Direction
    effect: Effect | None
    evidence: float
    threshold: float
    worst: tuple[CellChange, ...] = ()
    also: tuple[Stream, ...] = field(default=())

    @property
    def strength(self) -> float:
        """The evidence for what the level takes."""
        return self.evidence / self.threshold
