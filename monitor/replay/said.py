"""A replay's result in words: lines for a terminal, and JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from monitor.decide.control import kind_of
from monitor.decide.state import Trigger
from monitor.decide.transition import Change, Transition
from monitor.expose.text import clock, iso, number, span
from monitor.expose.trigger_json import trigger_fields
from monitor.replay.episode import Episode
from monitor.replay.result import Result

_MOST_LINES = 40
KINDS = {
    "window": "drift of a window",
    "share": "share of a segment",
    "performance": "performance",
    "detector": "detector",
    "warning": "detector's warning",
    "river": "detector of river",
}


def lines(result: Result) -> Iterator[str]:
    """What would have fired and when, for a terminal."""
    for note in result.notes:
        yield f"note: {printable(note)}"
    for model in result.findings:
        yield from _model(result, model)


def printable(text: str) -> str:
    """Text that does nothing to a terminal: names come from events."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _model(result: Result, model: str) -> Iterator[str]:
    found, stretch = result.findings[model], result.stretches[model]
    labels = f", {found.labels_read:,} labels" if found.labels_read else ""
    rejected = f", {found.rejected:,} messages rejected" if found.rejected else ""
    yield f"{model}: {found.rows:,} predictions{labels}{rejected}, {clock(stretch.first_ms)} to {clock(stretch.last_ms)} (event time, UTC)"
    yield from _warm_up(result, model)
    triggers = result.triggers(model)
    yield "" if triggers else "  no trigger would have fired"
    for trigger in triggers:
        yield from _trigger(trigger)
    moves = [each for each in result.transitions(model) if each.change is not Change.REQUIRED]
    if moves:
        yield "  policy"
        yield from _bounded([f"    {_transition(result, model, each)}" for each in moves])
    if episodes := result.episodes(model):
        yield "  verdicts and alarms"
        yield from _bounded([f"    {printable(each)}" for each in _together(episodes)])
    if found.episodes_left_out:
        yield f"  {found.episodes_left_out:,} more were not kept"


def _warm_up(result: Result, model: str) -> Iterator[str]:
    stretch = result.stretches[model]
    if stretch.all_warm_up:
        yield (
            f"  all of it is warm-up, which would end {clock(stretch.counts_from_ms)}: nothing counts;"
            " give more history, or a shorter --warm-up"
        )
    elif stretch.counts_from_ms > stretch.first_ms:
        yield f"  warm-up to {clock(stretch.counts_from_ms)} ({span(stretch.counts_from_ms - stretch.first_ms)}), left out below"
    for trigger in result.warm_up_triggers(model):
        yield f"  in the warm-up a trigger ({trigger.reason}, {clock(trigger.event_ms)}) fired; its cooldown holds later ones back"


def _trigger(trigger: Trigger) -> Iterator[str]:
    reason = str(trigger.reason).replace("_", " ")
    yield f"  {clock(trigger.event_ms)}  TRIGGER {trigger.id}  {reason}, version {printable(trigger.version)}"
    for moved in trigger.evidence.moved[:5]:
        value = "" if moved.value is None else f" {number(moved.value)}"
        limit = "" if moved.limit is None else f", limit {number(moved.limit)}"
        yield f"      {printable(moved.signal)} of {printable(moved.segment)}{value}{limit}, since {clock(moved.since_ms)}"
    more = len(trigger.evidence.moved) - 5 + trigger.evidence.moved_left_out
    if more > 0:
        yield f"      and {more:,} more"


def transition_text(each: Transition) -> str:
    """What changed, in a few words."""
    about = "" if each.version is None else f" version {each.version}"
    why = "; ".join(f"{shut.gate}: {shut.detail}" for shut in each.withheld)
    if each.control is not None:
        why = f"{kind_of(each.control).replace('_', ' ')} by {each.control.by}: {each.control.why}"
    trigger = "" if each.trigger is None else f" {each.trigger.id[:12]}"
    parts = (str(each.change).replace("_", " "), trigger, about, f" ({why})" if why else "", f" {each.detail}" if each.detail else "")
    return "".join(parts)


def _transition(result: Result, model: str, each: Transition) -> str:
    early = "" if each.event_ms is None or result.counts(model, each.event_ms) else " [warm-up]"
    return f"{clock(each.event_ms)}  {printable(transition_text(each))}{early}"


def _together(episodes: list[Episode]) -> list[str]:
    """A line for each signal and what says something about it: since when, of how many segments, and the worst of them."""
    groups: dict[tuple[str, ...], list[Episode]] = {}
    for each in episodes:
        kind, version, window, _, signal = each.key
        groups.setdefault((kind, version, window, signal), []).append(each)
    found = []
    for (kind, version, window, signal), mine in groups.items():
        segments = {each.key[3] for each in mine}
        worst = max(mine, key=lambda each: each.excess)
        value = "" if math.isnan(worst.value) else f" {worst.statistic} {number(worst.value)}"
        limit = "" if math.isnan(worst.limit) else f" against {number(worst.limit)}"
        since = "" if worst.since_ms is None else f", changed about {clock(worst.since_ms)}"
        where = worst.key[3] if len(segments) == 1 else f"{len(segments):,} segments, worst {worst.key[3]}"
        times = "" if len(mine) == len(segments) else f", {len(mine):,} times"
        by = f"{KINDS.get(kind, kind)} {window}, version {version}"
        # The first may have been chance, and the worst weeks later.
        then = "" if worst.began_ms == mine[0].began_ms else f" from {clock(worst.began_ms)}"
        found.append(f"{clock(mine[0].began_ms)}  {signal} of {where}{value}{limit}{then} ({by}){since}{times}")
    return found


def _bounded(found: list[str]) -> Iterator[str]:
    yield from found[:_MOST_LINES]
    if len(found) > _MOST_LINES:
        yield f"    and {len(found) - _MOST_LINES:,} more; --html and --json have them"


def as_json(result: Result) -> bytes:
    """Everything, as one JSON object."""
    answer = {
        "notes": result.notes,
        "fired": result.fired,
        "models": [_model_fields(result, model) for model in result.findings],
    }
    return msgspec.json.encode(answer) + b"\n"


def _model_fields(result: Result, model: str) -> dict[str, Any]:
    found, stretch = result.findings[model], result.stretches[model]
    phases = {each.id: each.phase for each in found.triggers()}
    return {
        "model": model,
        "from": iso(stretch.first_ms),
        "warm_up_until": iso(stretch.counts_from_ms),
        "until": iso(stretch.last_ms),
        "predictions": found.rows,
        "labels": found.labels_read,
        "rejected": found.rejected,
        "evaluations": found.evaluations,
        "triggers": [trigger_fields(each, phases[each.id]) for each in result.triggers(model)],
        "warm_up_triggers": [each.id for each in result.warm_up_triggers(model)],
        "transitions": [
            {
                "time": iso(each.event_ms),
                "warm_up": each.event_ms is not None and not result.counts(model, each.event_ms),
                "change": each.change,
                "version": each.version,
                "trigger": None if each.trigger is None else each.trigger.id,
                "withheld": [{"gate": shut.gate, "detail": shut.detail} for shut in each.withheld],
                "control": each.control,
                "detail": each.detail,
            }
            for each in result.transitions(model)
        ],
        "alarms": [_episode_fields(each) for each in result.episodes(model)],
        "alarms_left_out": found.episodes_left_out,
    }


def _episode_fields(each: Episode) -> dict[str, Any]:
    kind, version, window, segment, signal = each.key
    return {
        "kind": kind,
        "version": version,
        "by": window,
        "segment": segment,
        "signal": signal,
        "began": iso(each.began_ms),
        "ended": iso(each.ended_ms),
        "changed": iso(each.since_ms),
        "statistic": each.statistic,
        "value": None if math.isnan(each.value) else each.value,
        "limit": None if math.isnan(each.limit) else each.limit,
    }
