"""Evidence: what a trigger rests on, bounded, so that whoever retrains needs to ask nobody."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from monitor.config.retraining import Retraining
from monitor.decide.facts import Alarm, Facts, FailureMode, Measured, labelled_since
from monitor.decide.reading import Reading, Reason, Unknown
from monitor.decide.watch import Watch
from monitor.segment import ALL

MAX_MOVED = 50
MAX_MODES = 10
MAX_TEXT = 200


class Moved(Struct, frozen=True):
    """One condition that holds: what, where, since when and how large."""

    reason: Reason
    signal: str
    segment: str
    since_ms: int  # event time from which on data is of the new kind
    onset_ms: int  # event time of the first evaluation beyond the limit
    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    n: int | None
    share: float | None  # of traffic
    alarm: Alarm | None = None  # that it rests on


class Cost(Struct, frozen=True):
    """Expected cost per prediction."""

    value: float
    low: float
    high: float
    n: int


class TrainingWindow(Struct, frozen=True):
    """Data to train on, by the time of prediction: [start_ms, end_ms)."""

    start_ms: int
    end_ms: int
    labelled_rows: int | None


class Evidence(Struct, frozen=True):
    """What was known when retraining became required."""

    moved: tuple[Moved, ...]  # those of the trigger's reason first, by share of traffic
    moved_left_out: int
    since_ms: int  # earliest of what moved for the trigger's reason
    cost: Cost | None
    train: TrainingWindow
    fresh_labels: int | None  # labelled rows since the change
    reference: str | None
    dataset: str | None
    label_quality: dict[str, float]
    failure_modes: tuple[FailureMode, ...]  # what costs most first
    unknown: tuple[Unknown, ...]  # conditions that could not be judged
    triggers_in_period: int  # this one included


def evidence(
    facts: Facts, policy: Retraining, reason: Reason, asking: Sequence[Watch], unknown: Sequence[Unknown], triggers_in_period: int
) -> Evidence:
    """The bundle of a trigger. ``asking``: the watches that hold, at least one of them for the reason."""
    order = sorted(asking, key=lambda watch: (watch.latest.reason != reason, -(watch.latest.share or 0.0), *_place(watch.latest)))
    since_ms = since(asking, reason)
    start_ms = since_ms if policy.training_window_ms is None else facts.event_ms - policy.training_window_ms
    return Evidence(
        moved=tuple(map(_moved, order[:MAX_MOVED])),
        moved_left_out=max(0, len(order) - MAX_MOVED),
        since_ms=since_ms,
        cost=_cost(facts.cost),
        train=TrainingWindow(start_ms, facts.event_ms, labelled_since(facts, start_ms)),
        fresh_labels=labelled_since(facts, since_ms),
        reference=facts.reference,
        dataset=facts.dataset,
        label_quality={_cut(k): float(v) for k, v in sorted((facts.label_quality or {}).items())[:MAX_MOVED] if math.isfinite(v)},
        failure_modes=tuple(map(_mode, (facts.failure_modes or ())[:MAX_MODES])),
        unknown=tuple(unknown[:MAX_MOVED]),
        triggers_in_period=triggers_in_period,
    )


def since(asking: Sequence[Watch], reason: Reason) -> int:
    """Event time from which on data is of the new kind: the earliest of the watches that hold for this reason."""
    return min(watch.since_ms for watch in asking if watch.latest.reason is reason and watch.since_ms is not None)


def _place(reading: Reading) -> tuple[str, str, str]:
    return reading.reason, reading.signal, reading.segment


def _moved(watch: Watch) -> Moved:
    at = watch.latest
    assert watch.since_ms is not None
    assert watch.onset_ms is not None
    return Moved(
        at.reason, _cut(at.signal), _cut(at.segment), watch.since_ms, watch.onset_ms, at.value, at.low, at.high, at.limit, at.n, at.share,
        at.alarm,
    )  # fmt: skip


def _cost(found: Sequence[Measured] | None) -> Cost | None:
    for each in found or ():
        if each.name == "cost" and each.segment == ALL and all(map(math.isfinite, (each.value, each.low, each.high))):
            return Cost(each.value, each.low, each.high, each.n)
    return None


def _mode(mode: FailureMode) -> FailureMode:
    return FailureMode(
        _cut(mode.id), _cut(mode.segment), _cut(mode.predicted), _cut(mode.kind), mode.rate, mode.reference_rate, mode.rows, mode.impact,
        _cut(mode.trend), None if mode.status is None else _cut(mode.status), None if mode.owner is None else _cut(mode.owner),
    )  # fmt: skip


def _cut(text: str) -> str:
    """The text, at most ``MAX_TEXT`` letters of it."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
