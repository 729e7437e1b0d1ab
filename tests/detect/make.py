"""Small worlds for the tests of detection: a reference of 40,000 rows, and streams of which the truth is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from benchmarks.detection.world import DAY_MS, START_MS, Drift, World
from monitor.config.detection import Detection, FalseAlarms
from monitor.detect.alarm import Alarm
from monitor.detect.detector import Detector
from monitor.detect.rows import Events, model_of, reference_of
from monitor.reference.reference import Reference

REFERENCE_ROWS = 40_000
SETTINGS = Detection(false_alarms=FalseAlarms(per="200d"))  # one false trigger in 10^7 events
PLAIN = World(numeric=2, categorical=1, segments=4, shapes=(0, 4))
CYCLE = replace(PLAIN, cycle=0.4)
THRESHOLD = 0.5


def outcomes(events: Events, random: np.random.Generator, wrong: float = 0.05, sooner: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """True classes, and when they were known: after about 2,000 events, ``sooner`` times that where the answer is wrong."""
    n = len(events)
    predicted = (np.asarray(events.score) >= THRESHOLD).astype(int)
    bad = random.random(n) < wrong
    lag_ms = np.exp(random.normal(np.log(2_000 / 50_000 * DAY_MS), 0.7, n)) * np.where(bad, sooner, 1.0)
    return np.where(bad, 1 - predicted, predicted).astype(str), np.asarray(events.time_ms) + lag_ms.astype(np.int64)


@cache
def reference(world: World, seed: int = 0, sooner: float | None = None, **changes: Any) -> Reference:
    random = np.random.default_rng(seed)
    events = world.events(REFERENCE_ROWS, START_MS, random, **changes)
    model = model_of(events, None, THRESHOLD, 600_000)
    labels = (None, None) if sooner is None else outcomes(events, random, sooner=sooner)
    return reference_of(model, events, *labels)


def detector(world: World, seed: int = 0, sooner: float | None = None, settings: Detection = SETTINGS, **changes: Any) -> Detector:
    model = model_of(world.events(10, START_MS, np.random.default_rng(0)), None, THRESHOLD, 600_000)
    return Detector.of(reference(world, seed, sooner, **changes), model, settings)


def start_ms(world: World) -> int:
    """When production begins: the day after the reference."""
    return START_MS + (REFERENCE_ROWS // world.per_day + 1) * DAY_MS


def renamed(events: Events, first: int) -> Events:
    """Other ids, beginning with ``first``."""
    return replace(events, ids=np.arange(first, first + len(events)))


def joined(*parts: Events) -> Events:
    """Rows of several parts, one after the other."""
    first = parts[0]
    return Events(
        np.concatenate([part.time_ms for part in parts]),
        {name: np.concatenate([part.features[name] for part in parts]) for name in first.features},
        {name: np.concatenate([part.segments[name] for part in parts]) for name in first.segments},
        np.concatenate([part.score for part in parts]),
        None,
        np.concatenate([part.ids for part in parts]),
    )


def changed(world: World, random: np.random.Generator, drift: Drift | None, before: int, after: int, **changes: Any) -> Events:
    """A stream that drifts after ``before`` events."""
    first = world.events(before, start_ms(world), random, **changes)
    second = world.events(after, int(first.time_ms[-1]), random, drift, **changes)
    return joined(first, renamed(second, before))


def feed(found: Detector, events: Events, at_once: int = 2_000) -> list[Alarm]:
    alarms = []
    for start in range(0, len(events), at_once):
        alarms += found.predictions(events.rows(slice(start, start + at_once)))
    return alarms


def triggers(alarms: list[Alarm]) -> list[Alarm]:
    return [alarm for alarm in alarms if alarm.level == "trigger"]
