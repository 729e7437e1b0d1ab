"""A detector whose reference has 200,000 rows, and the labels of a stream."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.scenario import LABEL_LAG_EVENTS, LABEL_LAG_SPREAD, REFERENCE_ROWS, SETTINGS, SOONER, WRONG_BEFORE, world_of
from benchmarks.detection.world import DAY_MS, START_MS, World
from monitor.config.model import ModelConfig
from monitor.detect.detector import Detector
from monitor.detect.rows import Events, model_of, reference_of
from monitor.reference.reference import Reference

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

THRESHOLD = 0.5  # of the score, from which on the class is 1
LATENESS_MS = 2 * 3_600_000
PRODUCTION_MS = START_MS + 5 * DAY_MS


def lags(n: int, wrong: NDArray[np.bool_], world: World, rng: np.random.Generator) -> Int64:
    """[n] milliseconds from a prediction to its label: log-normal, shorter where the prediction was wrong."""
    median_ms = LABEL_LAG_EVENTS / world.per_day * DAY_MS
    return np.asarray(np.exp(rng.normal(np.log(median_ms), LABEL_LAG_SPREAD, n)) * np.where(wrong, SOONER, 1.0), np.int64)


def labelled(events: Events, rate: float | Float64, world: World, rng: np.random.Generator) -> tuple[NDArray[np.object_], Int64]:
    """True classes of rows that are wrong at a rate, and when they are known."""
    predicted = np.asarray(events.score) >= THRESHOLD
    wrong = rng.random(len(events)) < rate
    return np.where(predicted ^ wrong, "1", "0").astype(object), np.asarray(events.time_ms) + lags(len(events), wrong, world, rng)


def arranged(seed: int, cycle: float = 0.0, session: float | None = None) -> tuple[World, ModelConfig, Reference]:
    """World, model and reference of a seed; the reference has labels."""
    world, rng = world_of(seed, cycle), np.random.default_rng([seed, 0])
    events = world.events(REFERENCE_ROWS, START_MS, rng, session=session)
    model = model_of(events, None, THRESHOLD, LATENESS_MS)
    classes, known_ms = labelled(events, WRONG_BEFORE, world, rng)
    return world, model, reference_of(model, events, classes, known_ms)


def detector_of(model: ModelConfig, reference: Reference) -> Detector:
    """A detector before its first event, its thresholds those of 50,000 events a day."""
    return Detector.of(reference, model, SETTINGS)


def following(events: Events, first_id: int) -> Events:
    """The same rows under ids that begin with ``first_id``."""
    return replace(events, ids=np.arange(first_id, first_id + len(events)))
