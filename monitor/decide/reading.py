"""Readings: what the facts say about each condition of a policy, segment by segment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from monitor.config.retraining import CostCeiling, DriftCondition, EstimatedLoss, PerformanceLimit, Persistence, Retraining, Where
from monitor.decide.facts import Alarm, AlarmLevel, Facts, Measured
from monitor.number import finite
from monitor.segment import ALL


class Reason(StrEnum):
    """Why retraining is required, in the order in which a trigger with several reasons is named."""

    PERFORMANCE = "performance"
    COST = "cost"
    CONCEPT_DRIFT = "concept_drift"
    ESTIMATED_LOSS = "estimated_loss"
    DATA_DRIFT = "data_drift"


class Vote(IntEnum):
    """What one evaluation says about a condition. BETWEEN the two levels nothing changes: that is the hysteresis."""

    CLEAR = 0  # on the good side of the clear level
    BETWEEN = 1
    OVER = 2  # beyond the limit


class Reading(Struct, frozen=True):
    """A condition at one segment, as of one evaluation."""

    reason: Reason
    signal: str  # the metric, the feature, or cost
    segment: str
    vote: Vote
    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    clear: float | None
    n: int | None
    since_ms: int | None  # event time at which what it rests on begins
    share: float | None = None  # of traffic
    alarm: Alarm | None = None  # that it rests on


class Unknown(Struct, frozen=True):
    """A condition that cannot be judged, and why."""

    reason: Reason
    signal: str
    segment: str
    detail: str


Key = tuple[Reason, str, str]
"""Reason, signal and segment: what a condition at one segment is known by."""

DRIFTS = frozenset({Reason.CONCEPT_DRIFT, Reason.DATA_DRIFT})
"""Reasons that rest on alarms."""


@dataclass(frozen=True, slots=True)
class Readings:
    """All readings of one evaluation."""

    known: Mapping[Key, Reading]
    unknown: tuple[Unknown, ...]
    persistence: Mapping[Key, Persistence]  # of what is known
    silent_is_clear: frozenset[Reason]  # there are detectors: a stream of which they say nothing is quiet


def key_of(reading: Reading | Unknown) -> Key:
    """What the reading is about."""
    return reading.reason, reading.signal, reading.segment


def read(facts: Facts, policy: Retraining) -> Readings:
    """Every condition of the policy at every segment it watches. Of two conditions about the same, the first counts."""
    known: dict[Key, Reading] = {}
    unknown: dict[Key, Unknown] = {}
    persistence: dict[Key, Persistence] = {}
    for reading, where in _conditions(facts, policy):
        key = key_of(reading)
        if isinstance(reading, Unknown):
            unknown.setdefault(key, reading)
        elif key not in known:
            known[key], persistence[key] = reading, where.persistence or policy.persistence
    alarms = {Reason.CONCEPT_DRIFT: facts.concept_alarms, Reason.DATA_DRIFT: facts.data_alarms}
    silent = frozenset(reason for reason, found in alarms.items() if found is not None)
    return Readings(known, tuple(unknown.values()), persistence, silent)


def as_of(facts: Facts, reason: Reason) -> int:
    """Event time of what is known about a reason."""
    if reason is Reason.DATA_DRIFT:
        return facts.windows_ms
    return facts.estimates_ms if reason is Reason.ESTIMATED_LOSS else facts.labels_ms


class _Level(NamedTuple):
    """A limit of a number, and which side of it is bad."""

    where: Where
    limit: float
    clear: float
    floor: bool
    by_value: bool


def _level(given: PerformanceLimit | CostCeiling | EstimatedLoss) -> _Level:
    limit = given.loss if isinstance(given, EstimatedLoss) else given.limit if isinstance(given, PerformanceLimit) else given.ceiling
    floor = isinstance(given, PerformanceLimit) and given.floor is not None
    return _Level(given, limit, limit if given.clear is None else given.clear, floor, given.judged_by == "value")


def _conditions(facts: Facts, policy: Retraining) -> Iterator[tuple[Reading | Unknown, Where]]:
    for limit in policy.performance:
        yield from _each(limit, _measured(facts, Reason.PERFORMANCE, facts.performance, limit.metric, _level(limit)))
    if policy.cost is not None:
        yield from _each(policy.cost, _measured(facts, Reason.COST, facts.cost, "cost", _level(policy.cost)))
    if policy.concept_drift is not None:
        found = _alarmed(facts, Reason.CONCEPT_DRIFT, facts.concept_alarms, policy.concept_drift, ())
        yield from _each(policy.concept_drift, found)
    for loss in policy.estimated_loss:
        yield from _each(loss, _measured(facts, Reason.ESTIMATED_LOSS, facts.estimated_loss, loss.metric, _level(loss)))
    if policy.data_drift is not None:
        found = _alarmed(facts, Reason.DATA_DRIFT, facts.data_alarms, policy.data_drift, policy.data_drift.features)
        yield from _each(policy.data_drift, found)


def _each(where: Where, readings: Iterator[Reading | Unknown]) -> Iterator[tuple[Reading | Unknown, Where]]:
    return ((reading, where) for reading in readings)


def share_of(facts: Facts, segment: str) -> float | None:
    """A segment's share of traffic, None when unknown."""
    return 1.0 if segment == ALL else (facts.shares or {}).get(segment)


def _is_watched(where: Where, segment: str, facts: Facts) -> bool:
    return segment in where.segments or (where.min_share is not None and (share_of(facts, segment) or 0.0) >= where.min_share)


def _measured(facts: Facts, reason: Reason, found: Sequence[Measured] | None, name: str, level: _Level) -> Iterator[Reading | Unknown]:
    if found is None:
        yield Unknown(reason, name, "", "nothing is measured")
        return
    named = {each.segment: each for each in found if each.name == name}
    for segment in level.where.segments:
        if segment not in named:
            yield Unknown(reason, name, segment, "not measured")
    for segment, each in named.items():
        if not _is_watched(level.where, segment, facts):
            continue
        if each.n <= 0 or not all(map(math.isfinite, (each.value, each.low, each.high))):
            yield Unknown(reason, name, segment, "too few rows")
            continue
        yield Reading(
            reason, name, segment, _vote(each, level), each.value, each.low, each.high, level.limit, level.clear, each.n, each.since_ms,
            share_of(facts, segment),
        )  # fmt: skip


def _vote(each: Measured, level: _Level) -> Vote:
    sign = -1.0 if level.floor else 1.0  # turned so that larger is worse
    least_bad = each.value if level.by_value else each.high if level.floor else each.low
    if sign * least_bad > sign * level.limit:
        return Vote.OVER
    return Vote.CLEAR if sign * each.value <= sign * level.clear else Vote.BETWEEN


def _alarmed(
    facts: Facts, reason: Reason, alarms: Sequence[Alarm] | None, condition: DriftCondition, features: Sequence[str]
) -> Iterator[Reading | Unknown]:
    if alarms is None:
        yield Unknown(reason, "", "", "there are no detectors")
        return
    for alarm in alarms:
        if not (alarm.signal in features or _is_watched(condition, alarm.segment, facts)):
            continue
        # What is kept of it must survive being saved, and a number that is none does not.
        effect = None if alarm.effect is None else finite(alarm.effect)
        over = alarm.time_ms is not None and as_of(facts, reason) - alarm.time_ms > condition.hold_ms
        yield Reading(
            reason, alarm.signal, alarm.segment, Vote.CLEAR if over else _alarm_vote(alarm.level, effect, condition), effect, alarm.low,
            alarm.high, condition.min_effect, condition.clear_effect, alarm.n, alarm.start_ms, share_of(facts, alarm.segment),
            replace(alarm, effect=effect),
        )  # fmt: skip


def _alarm_vote(level: AlarmLevel, effect: float | None, condition: DriftCondition) -> Vote:
    size = None if effect is None else abs(effect)
    if level == AlarmLevel.QUIET or (size is not None and size < condition.clear_effect):
        return Vote.CLEAR
    large = condition.min_effect == 0.0 if size is None else size >= condition.min_effect
    return Vote.OVER if level == AlarmLevel.TRIGGER and large else Vote.BETWEEN
