"""Sequential detection to be shown: a version whose detectors have read a drift, and one of the flights made by hand."""

from __future__ import annotations

from functools import cache

import numpy as np

from benchmarks.detection.world import Drift
from monitor.detect.alarm import Alarm, CellChange, Effect, Level, Stream
from monitor.detect.detector import Detector
from monitor.detect.directions import Direction
from monitor.expose.snapshot import ModelView, Snapshot
from monitor.expose.watched import Stands, WatchView, watch_view
from monitor.sequential.version import FIRST_ROWS, Sequential
from tests.detect.make import PLAIN, changed, detector, outcomes

NOW_MS = 1_364_860_800_000  # 2013-04-02 00:00 UTC
HOUR_MS = 3_600_000


def drifted(labelled: bool = True) -> tuple[Detector, Sequential]:
    """Detectors that have read 1,000 rows as in the reference and 1,500 in which x0 moved and answers became wrong."""
    random = np.random.default_rng(7)
    found = detector(PLAIN, sooner=1.0 if labelled else None)
    events = changed(PLAIN, random, Drift("shift", 1.0, "x0"), 1_000, 1_500)
    sequential = Sequential(found.watch, found.panes, HOUR_MS, FIRST_ROWS, started_ms=int(events.time_ms[0]))
    sequential.inputs.take(found.predictions(events))
    sequential.ended_ms = (found.panes.closed or 0) * sequential.panes.pane_ms
    if labelled:
        truth, known_ms = outcomes(events, random, wrong=np.where(np.arange(len(events)) < 1_000, 0.05, 0.4))  # type: ignore[arg-type]
        sequential.outcomes.take(found.labels(events.ids, truth, known_ms) + found.finish())
        sequential.labelled = len(events)
    return found, sequential


@cache
def watched() -> WatchView:
    """How that is shown; not to be changed."""
    return watch_view("1", drifted()[1])


def snapshot(*views: WatchView) -> Snapshot:
    """Two models, of which the second is not watched."""
    return Snapshot(NOW_MS, NOW_MS, "1", models=(ModelView("m", "t", detection=views or (watched(),)), ModelView("plain", "t2")))


def alarm(level: Level, segment: str, signal: str, kind: str, effect: Effect | None, before_ms: int = HOUR_MS) -> Alarm:
    """An alarm that was raised so long ago, about a drift that began as long before."""
    worst = (CellChange("48", 0.11, 0.19), CellChange("30", 0.14, 0.08))
    time_ms = NOW_MS - before_ms
    also = (Stream("origin=JFK", signal, kind),)
    return Alarm(
        Stream(segment, signal, kind), level, time_ms, time_ms - before_ms, Direction("shift", 0.5), effect, 3e10, 8e9, worst, also
    )


def flights() -> WatchView:
    """Alarms about the flights of the sample."""
    standing = (
        alarm("trigger", "ALL", "temperature", "values", Effect("sd", 0.52, 0.41, 0.63, 1_840), 6 * HOUR_MS),
        alarm("trigger", "carrier=DL", "distance", "values", Effect("sd", 1.21, 0.74, 1.68, 212), 3 * HOUR_MS),
        alarm("warning", "carrier=DL", "wind_speed", "missing", Effect("share", 0.041, 0.008, 0.074, 410, "missing"), HOUR_MS),
    )
    past = alarm("warning", "ALL", "error", "error", Effect("share", 0.03, 0.001, 0.06, 900), 30 * HOUR_MS)
    return WatchView(
        "2013-02", FIRST_ROWS, streams=420, triggered=2, started_ms=NOW_MS - 90 * HOUR_MS, judged_ms=NOW_MS, threshold=8e9, frozen=True,
        labels=40_312, standing=tuple(Stands(each, each.time_ms - HOUR_MS, NOW_MS) for each in standing), past=(past, *standing),
        raised={("values", "trigger"): 2, ("missing", "warning"): 1, ("error", "warning"): 1},
        evidence=tuple((each.stream, each.evidence / each.threshold) for each in standing),
    )  # fmt: skip
