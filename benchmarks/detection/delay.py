"""Delays: rows with a change of which the truth is known, through the detector as production has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.detection.arrange import PRODUCTION_MS, detector_of, following, labelled
from benchmarks.detection.scenario import WRONG_BEFORE, Scenario
from benchmarks.detection.world import Drift, World
from monitor.config.model import ModelConfig
from monitor.detect.alarm import Alarm, Stream
from monitor.detect.rows import Events
from monitor.reference.reference import Reference

WARM = 2_000  # events before the change
WARM_LABELS = 30_000  # where labels of the time before have to have come
AT_ONCE = 250

Row = dict[str, Any]


def measure(scenario: Scenario, number: int, seed: int, world: World, model: ModelConfig, reference: Reference) -> Row:
    """One run: events from the change to the first trigger, what it named, and how near its estimated start lies."""
    variant, drift = scenario.variant(number)
    rng = np.random.default_rng([seed, 1, number])
    find = _outcome if scenario.outcome else _values
    alarms, times, change = find(scenario, drift, world, model, reference, rng)
    wanted = scenario.stream(drift)
    triggers = [alarm for alarm in alarms if alarm.level == "trigger"]
    false = [alarm for alarm in triggers if alarm.time_ms <= times[change]]
    true = [alarm for alarm in triggers if alarm.time_ms > times[change]]
    row: Row = {"part": "delay", "scenario": scenario.name, "variant": variant, "seed": seed, "false": len(false), "events": None}
    if not true:
        return row
    first = true[0]
    at_once = [alarm for alarm in true if alarm.time_ms == first.time_ms]
    named = [alarm for alarm in at_once if _same(alarm.stream, wanted, scenario)]
    warnings = [alarm for alarm in alarms if alarm.time_ms > times[change] and _same(alarm.stream, wanted, scenario)]
    start = int(np.searchsorted(times, (named or [first])[0].start_ms))
    return row | {
        "events": _events(times, change, first),
        "warned": _events(times, change, warnings[0]) if warnings else None,
        "named": bool(named),
        "stream": f"{first.stream.segment} {first.stream.signal} {first.stream.kind}",
        "direction": f"{first.direction.what} {first.direction.size:g}",
        "start": start - change,
    }


def _events(times: Any, change: int, alarm: Alarm) -> int:
    """Rows from the change to the one that closes the alarm's pane."""
    return int(np.searchsorted(times, alarm.time_ms)) + 1 - change


def _same(stream: Stream, wanted: Stream, scenario: Scenario) -> bool:
    """Whether a stream names the change: its segment only where the change is in one."""
    local = scenario.drift.segment is not None
    return (stream.signal, stream.kind) == (wanted.signal, wanted.kind) and (not local or stream.segment == wanted.segment)


Found = tuple[list[Alarm], Any, int]


def _stream(world: World, rng: np.random.Generator, warm: int, most: int, drift: Drift | None) -> tuple[Events, Events]:
    before = world.events(warm, PRODUCTION_MS, rng)
    after = world.events(most, int(before.time_ms[-1]), rng, drift)
    return before, following(after, warm)


def _values(scenario: Scenario, drift: Drift, world: World, model: ModelConfig, reference: Reference, rng: np.random.Generator) -> Found:
    detector = detector_of(model, reference)
    before, after = _stream(world, rng, WARM, scenario.most, drift)
    alarms = detector.predictions(before)
    for start in range(0, scenario.most, AT_ONCE):
        alarms += detector.predictions(after.rows(slice(start, start + AT_ONCE)))
        if any(alarm.level == "trigger" for alarm in alarms):
            break
    return alarms, np.concatenate([before.time_ms, after.time_ms]), WARM


def _outcome(scenario: Scenario, drift: Drift, world: World, model: ModelConfig, reference: Reference, rng: np.random.Generator) -> Found:
    detector = detector_of(model, reference)
    before, after = _stream(world, rng, WARM_LABELS, scenario.most, None)
    both = [(before, *labelled(before, WRONG_BEFORE, world, rng)), (after, *labelled(after, drift.size, world, rng))]
    ids, classes, known = (np.concatenate([part[place] for part in ((e.ids, c, t) for e, c, t in both)]) for place in range(3))
    order = np.argsort(known, kind="stable")
    ids, classes, known = ids[order], classes[order], known[order]
    alarms: list[Alarm] = []
    read = 0
    for events, _, _ in both:
        for start in range(0, len(events), 4 * AT_ONCE):
            part = events.rows(slice(start, start + 4 * AT_ONCE))
            alarms += detector.predictions(part)
            now = int(np.searchsorted(known, part.time_ms[-1]))
            alarms += detector.labels(ids[read:now], classes[read:now], known[read:now])
            read = now
            if any(alarm.level == "trigger" and alarm.stream.kind == "error" for alarm in alarms):
                break
    return alarms, np.concatenate([before.time_ms, after.time_ms]), WARM_LABELS
