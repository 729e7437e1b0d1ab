"""Episodes and curves: what verdicts, performance and alarms say of a signal, and for how long. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from monitor.decide.facts import Alarm, AlarmLevel
from monitor.evaluate.verdict import Status, Verdicts
from monitor.facts import plain
from monitor.performance.verdict import Performance

Key = tuple[str, str, str, str, str]
"""Kind (``window``, ``share``, ``performance``, ``detector``, ``warning`` or ``river``), version, window or view, segment and signal."""


@dataclass(slots=True)
class Episode:
    """Something that was said about one signal of one segment from ``began_ms`` on, until ``ended_ms`` (None: still at the end)."""

    key: Key
    began_ms: int
    statistic: str
    value: float
    limit: float  # NaN: none
    since_ms: int | None = None  # estimated event time of the change, of detectors
    ended_ms: int | None = None

    @property
    def kind(self) -> str:
        """What says so."""
        return self.key[0]

    @property
    def excess(self) -> float:
        """How far beyond its limit, as a ratio; 0 where there is no limit."""
        ratio = abs(self.value / self.limit) if self.limit else 0.0
        return ratio if math.isfinite(ratio) else 0.0


@dataclass(slots=True)
class Curve:
    """A number over event time, and how many segments were beyond their limits."""

    times_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)  # of ALL; NaN: not known
    segments: list[int] = field(default_factory=list)  # beyond their limits
    low: list[float] = field(default_factory=list)  # of metrics only
    high: list[float] = field(default_factory=list)
    reference: float = math.nan


def drifted(verdicts: Verdicts, event_ms: int) -> Iterator[Episode]:
    """What the verdicts of a window say."""
    version, window = plain(verdicts.version), verdicts.window.name
    beyond = verdicts.drifted()
    excess = np.where(beyond, np.abs(verdicts.value) / verdicts.threshold, 0.0)
    for row, column in zip(*(axis.tolist() for axis in np.nonzero(beyond.any(axis=2))), strict=True):
        k = int(excess[row, column].argmax())
        key = ("window", version, window, plain(verdicts.segments[row]), verdicts.signals[column])
        value, limit = float(verdicts.value[row, column, k]), float(verdicts.threshold[column, k])
        yield Episode(key, event_ms, verdicts.statistics[k], value, limit)
    share = verdicts.share
    for row in np.flatnonzero(share.status == Status.DRIFTED).tolist():
        key = ("share", version, window, plain(verdicts.segments[row]), "share of traffic")
        change = float(share.share[row] - share.reference_share[row])
        yield Episode(key, event_ms, "segment_share", change, share.threshold)


def worse(judged: Performance, event_ms: int) -> Iterator[Episode]:
    """Metrics that are worse than in the reference."""
    for row, m in zip(*(axis.tolist() for axis in np.nonzero(judged.metric_status == Status.DRIFTED)), strict=True):
        metric = f"{judged.metrics[m]}[{judged.classes[m]}]" if judged.classes[m] else judged.metrics[m]
        key = ("performance", plain(judged.version), judged.view, plain(judged.segments[row]), metric)
        yield Episode(key, event_ms, "value", float(judged.value[row, m]), float(judged.reference[row, m]))


def alarmed(alarm: Alarm, version: str, side: str, event_ms: int) -> Episode | None:
    """What a sequential detector says; None for one that is quiet."""
    if alarm.level == AlarmLevel.QUIET:
        return None
    kind = "detector" if alarm.level == AlarmLevel.TRIGGER else "warning"
    key = (kind, plain(version), side, plain(alarm.segment), alarm.signal)
    effect = math.nan if alarm.effect is None else alarm.effect
    return Episode(key, event_ms if alarm.time_ms is None else alarm.time_ms, "effect", effect, math.nan, alarm.start_ms)
