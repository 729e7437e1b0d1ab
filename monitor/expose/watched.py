"""What the sequential detectors of a model version say, as it is shown: pure, and made anew only after evidence was judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from monitor.detect.alarm import Alarm, Stream
from monitor.detect.watch import Watch
from monitor.sequential.said import Said, Standing
from monitor.sequential.version import Sequential

KINDS = ("values", "missing", "error", "label")
"""What of a signal a stream watches."""

LEVELS = ("warning", "trigger")

MAX_STRONGEST = 50
"""Streams whose evidence is shown, those with the most of it."""

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Stands:
    """An alarm that stands: since when its stream has been out of its normal state, and when its evidence was last beyond the level."""

    alarm: Alarm
    first_ms: int
    last_ms: int


@dataclass(frozen=True, eq=False, slots=True)
class WatchView:
    """The streams of one version. Times are event time."""

    version: str
    because: str  # why evidence begins where it does, or why nothing is watched
    key: Key = ()  # alike: nothing has changed
    streams: int = 0  # 0: nothing is watched
    left_out: int = 0  # segments of the reference that are not watched, because that would be too many streams
    triggered: int = 0  # streams that have triggered and were not re-armed
    started_ms: int | None = None  # of the first evidence
    judged_ms: int | None = None  # up to which evidence was judged
    threshold: float | None = None  # of the streams of all traffic; None: how many events there are is not known yet
    frozen: bool = False  # whether thresholds still follow the rate of events
    labels: int | None = None  # judged so far; None: labels are not watched
    standing: tuple[Stands, ...] = ()  # the gravest first: triggers, then those raised first
    past: tuple[Alarm, ...] = ()  # raised, the newest last; the oldest are forgotten
    raised: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by kind and level, since the version was first seen
    evidence: tuple[tuple[Stream, float], ...] = ()  # over the threshold: 1 triggers; of the strongest streams, the most first

    @property
    def armed(self) -> int:
        """Streams that can trigger."""
        return 0 if self.threshold is None else self.streams - self.triggered

    def stands(self) -> Mapping[tuple[str, str], int]:
        """Alarms that stand, by kind and level."""
        return Counter((each.alarm.stream.kind, each.alarm.level) for each in self.standing)


def unwatched(version: str, why: str) -> WatchView:
    """A version that has a reference and no streams."""
    return WatchView(version, why, key=(why,))


def watch_view(version: str, sequential: Sequential, before: WatchView | None = None) -> WatchView:
    """The streams of a version; ``before`` as it was shown last, which is returned when nothing has changed."""
    watch, sides = sequential.watch, (sequential.inputs, sequential.outcomes)
    triggered = sum(int(flags.sum()) for flags in watch.triggered)
    key = (
        sequential.because, sequential.ended_ms, sequential.labelled, triggered, watch.rate.armed, watch.rate.per_ms,
        *(len(side.standing) for side in sides), *(side.past[-1] if side.past else None for side in sides),
    )  # fmt: skip
    if before is not None and before.key == key:
        return before
    limits = watch.thresholds()
    return WatchView(
        version,
        sequential.because,
        key,
        streams=sum(flags.size for flags in watch.triggered),
        left_out=watch.bank.leaves.left_out,
        triggered=triggered,
        started_ms=sequential.started_ms,
        judged_ms=sequential.ended_ms,
        threshold=None if limits is None else float(limits[0]),  # the first stream is ALL
        frozen=watch.rate.armed,
        labels=sequential.labelled if watch.outcomes else None,
        standing=_standing(sides),
        past=tuple(sorted(chain.from_iterable(side.past for side in sides), key=lambda alarm: alarm.time_ms)),
        raised={(kind, level): count for side in sides for kind, levels in side.raised.items() for level, count in levels.items()},
        evidence=() if limits is None else tuple(_strongest(watch, limits)),
    )


def _standing(sides: tuple[Said, ...]) -> tuple[Stands, ...]:
    found = [_stands(each) for side in sides for each in side.standing.values()]
    return tuple(sorted(found, key=lambda each: (each.alarm.level != "trigger", each.alarm.time_ms, stream_name(each.alarm.stream))))


def _stands(each: Standing) -> Stands:
    return Stands(each.alarm, each.alarm.time_ms if each.first_ms is None else each.first_ms, each.last_ms)


def stream_name(stream: Stream) -> tuple[str, str, str]:
    """What streams are sorted by."""
    return stream.segment, stream.signal, stream.kind


def _strongest(watch: Watch, limits: NDArray[np.float64]) -> Iterator[tuple[Stream, float]]:
    """The streams with the most evidence for what it takes: ``limits`` [S] thresholds."""
    parts = [(number, m / limits[:, None]) for number, m in watch.evidence()]
    flat = np.concatenate([part.ravel() for _, part in parts])
    starts = np.cumsum([0, *(part.size for _, part in parts)])
    count = min(MAX_STRONGEST, len(flat))
    chosen = np.argpartition(-flat, count - 1)[:count]
    for at in chosen[np.argsort(-flat[chosen], kind="stable")].tolist():
        if flat[at] > 0:
            place = int(np.searchsorted(starts, at, side="right")) - 1
            number, part = parts[place]
            row, column = divmod(at - int(starts[place]), part.shape[1])
            yield watch.stream(number, row, column), float(flat[at])
