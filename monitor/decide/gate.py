"""Gates: what stands between a condition that holds and a trigger, each with a name and a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import StrEnum

from msgspec import Struct

from monitor.config.retraining import Retraining
from monitor.config.types import format_duration
from monitor.decide.control import Hold
from monitor.decide.facts import Facts, labelled_since
from monitor.decide.quiet import is_quiet


class Gate(StrEnum):
    """Why there is no trigger although a condition holds."""

    REBUILDING = "rebuilding"
    PARTIAL_VIEW = "partial_view"
    CONTROLS_UNREAD = "controls_unread"
    HOLD = "hold"
    QUIET_HOURS = "quiet_hours"
    COOLDOWN = "cooldown"
    BUDGET = "budget"
    FRESH_LABELS = "fresh_labels"
    LABEL_QUALITY = "label_quality"
    NOT_CURRENT = "not_current"


class Withheld(Struct, frozen=True):
    """A gate that is shut, and why."""

    gate: Gate
    detail: str


def shut(facts: Facts, policy: Retraining, hold: Hold | None, triggered_ms: Sequence[int], since_ms: int) -> tuple[Withheld, ...]:
    """All gates that are shut. ``triggered_ms``: event times of the model's triggers so far; ``since_ms``: where the change began."""
    return tuple(Withheld(gate, detail) for gate, detail in _shut(facts, policy, hold, triggered_ms, since_ms))


def _shut(facts: Facts, policy: Retraining, hold: Hold | None, triggered_ms: Sequence[int], since_ms: int) -> Iterator[tuple[Gate, str]]:
    now_ms = facts.event_ms
    if facts.rebuilding:
        yield Gate.REBUILDING, "lost state is being rebuilt from the log"
    if facts.partial:
        yield Gate.PARTIAL_VIEW, "this process does not read every partition"
    if facts.controls_unread:
        yield Gate.CONTROLS_UNREAD, "the control topic has not been read to its end yet"
    if hold is not None:
        yield Gate.HOLD, f"held by {hold.by}: {hold.why}"
    if policy.quiet_hours is not None and is_quiet(now_ms, policy.quiet_hours):
        yield Gate.QUIET_HOURS, f"quiet hours in {policy.quiet_hours.zone}"
    if triggered_ms and now_ms - max(triggered_ms) < policy.cooldown_ms:
        rest = policy.cooldown_ms - (now_ms - max(triggered_ms))
        yield Gate.COOLDOWN, f"{format_duration(rest)} left of the {format_duration(policy.cooldown_ms)} after the last trigger"
    recent = sum(each > now_ms - policy.period_ms for each in triggered_ms)
    if recent >= policy.at_most:
        yield Gate.BUDGET, f"{recent} triggers in {format_duration(policy.period_ms)}, at most {policy.at_most}"
    if policy.min_fresh_labels:
        rows = labelled_since(facts, since_ms)
        if rows is None:
            yield Gate.FRESH_LABELS, f"labels are not known, at least {policy.min_fresh_labels} rows are needed"
        elif rows < policy.min_fresh_labels:
            yield Gate.FRESH_LABELS, f"{rows} labelled rows since the change, at least {policy.min_fresh_labels} are needed"
    poor = list(_poor_labels(facts, policy))
    if poor:
        yield Gate.LABEL_QUALITY, "; ".join(poor)


def _poor_labels(facts: Facts, policy: Retraining) -> Iterator[str]:
    for limit in policy.label_quality:
        value = None if facts.label_quality is None else facts.label_quality.get(limit.measure)
        if value is None or not math.isfinite(value):
            yield f"{limit.measure} is not known"
        elif limit.at_most is not None and value > limit.at_most:
            yield f"{limit.measure} is {value:.4g}, at most {limit.at_most:.4g}"
        elif limit.at_least is not None and value < limit.at_least:
            yield f"{limit.measure} is {value:.4g}, at least {limit.at_least:.4g}"
