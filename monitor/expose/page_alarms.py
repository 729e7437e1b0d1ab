"""The part of the status page about sequential detection: which alarms stand, how large each drift is, and what is watched."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from monitor.detect.alarm import Alarm, Effect
from monitor.detect.watch import MAX_ALSO
from monitor.expose.markup import Html, el, join, table
from monitor.expose.page_findings import link
from monitor.expose.snapshot import ModelView
from monitor.expose.text import clock, count, number, points
from monitor.expose.watched import Stands, WatchView, stream_name
from monitor.segment import ALL

MAX_ALARMS = 15
_NAMED = 2  # segments beside the one that stands for them

_OF_SIGNAL = {"values": "", "missing": "missing or unusable", "error": "error rate", "label": "label rate"}
_OF_OUTCOME = ("error", "label")


def alarms(model: ModelView) -> Html | None:
    """The section; None for a model without detection."""
    if not model.detection:
        return None
    href = f"/api/v1/alarms?{urlencode({'model': model.name})}"
    head = el("h2", "Alarms", el("small", el("a", "as JSON", href=href)), id="alarms")
    several = len(model.detection) > 1
    return el("section", head, [join(el("p", _watched(view, several)), _standing(model, view)) for view in model.detection])


def _watched(view: WatchView, several: bool) -> Html:
    version = f"version {view.version}: " if several else ""
    if not view.streams:
        return join(el("span", "not watched", class_="badge calm"), f" {version}{view.because}.")
    levels = [each.alarm.level for each in view.standing]
    triggers = levels.count("trigger")
    tone, state = ("bad", "triggered") if triggers else ("warn", "warned") if levels else ("good", "quiet")
    warnings = len(levels) - triggers
    standing = f"{count(triggers)} trigger{'s' * (triggers != 1)} and {count(warnings)} warning{'s' * (warnings != 1)} stand."
    said = f" {version}{standing}" if levels else f" {version}"
    since = "no evidence yet" if view.started_ms is None else f"evidence from {clock(view.started_ms)}, {view.because},"
    until = "" if view.judged_ms is None else f" judged until {clock(view.judged_ms)}"
    return join(el("span", state, class_=f"badge {tone}"), said, el("span", f" {_armed(view)}; {since}{until}.", class_="soft"))


def _armed(view: WatchView) -> str:
    fewer = f"; {count(view.left_out)} smaller segments are not watched, max_streams is reached" if view.left_out else ""
    if view.threshold is None:
        return f"{count(view.streams)} streams, without thresholds until the rate of rows is known{fewer}"
    moving = "" if view.frozen else ", thresholds still follow the rate of rows"
    return f"{count(view.armed)} of {count(view.streams)} streams armed{moving}{fewer}"


def _standing(model: ModelView, view: WatchView) -> Html | None:
    if not view.standing:
        return None
    shown = _by_signal(view.standing)
    head = ("Level", "Signal", "Segment", "Effect when raised", "Began about", "What moved most", "Moved too")
    caption = "Intervals hold although start and time were chosen by the data. A trigger stands until it is re-armed."
    caption += f" The newest first; {count(more)} more signals are not shown." if (more := len(shown) - MAX_ALARMS) > 0 else ""
    return table(head, [_row(model, each, others) for each, others in shown[:MAX_ALARMS]], numeric=(6,), caption=caption)


def _by_signal(standing: Sequence[Stands]) -> list[tuple[Stands, list[str]]]:
    """Of each signal the alarm that stands for the others: that of all traffic, else the one with most evidence, as are the next segments.

    A feature that breaks everywhere is an alarm of hundreds of segments, the smallest the newest: they must not hide where it broke.
    """
    groups: dict[tuple[str, str, str], list[Stands]] = {}
    for each in standing:
        groups.setdefault((each.alarm.level, each.alarm.stream.signal, each.alarm.stream.kind), []).append(each)
    ordered = [sorted(group, key=_stands_for_others, reverse=True) for group in groups.values()]
    found = [(group[0], [each.alarm.stream.segment for each in group[1:]]) for group in ordered]
    return sorted(found, key=lambda one: (one[0].alarm.level != "trigger", -one[0].alarm.time_ms, stream_name(one[0].alarm.stream)))


def _stands_for_others(each: Stands) -> tuple[bool, float, str]:
    alarm = each.alarm
    return alarm.stream.segment == ALL, alarm.strength, alarm.stream.segment


def _row(model: ModelView, each: Stands, others: list[str]) -> tuple[Html | str, ...]:
    alarm, stream = each.alarm, each.alarm.stream
    signal = stream.signal if stream.kind in _OF_OUTCOME else link(model, stream.signal, segment=stream.segment, signal=stream.signal)
    aside = _OF_SIGNAL.get(stream.kind, stream.kind)
    return (
        el("span", alarm.level, class_=f"badge {'bad' if alarm.level == 'trigger' else 'warn'}"),
        join(signal, el("div", aside, class_="small soft") if aside else None),
        join(el("span", stream.segment, class_="key"), el("div", _and(others), class_="small soft") if others else None),
        _effect(alarm.effect),
        join(el("span", clock(alarm.start_ms), class_="nowrap"), el("div", f"raised {clock(alarm.time_ms)}", class_="small soft nowrap")),
        _worst(alarm),
        _others(len(alarm.also)),
    )


def _and(segments: list[str]) -> str:
    more = len(segments) - _NAMED
    return f"and {', '.join(segments[:_NAMED])}" + (f", {count(more)} more" if more > 0 else "")


def _others(named: int) -> Html | str:
    """An alarm names at most so many; how many more moved with it is not counted."""
    if named >= MAX_ALSO:
        return f"{MAX_ALSO} or more"
    return count(named) if named else ""


def _effect(effect: Effect | None) -> Html | str:
    if effect is None:
        return "–"
    size, low, high = (_sized(value, effect.unit) for value in (effect.size, effect.low, effect.high))
    of = f" of {effect.cell}" if effect.cell else ""
    return join(f"{size}{of}", el("div", f"{low} to {high}, {count(effect.rows)} rows", class_="small soft"))


def _sized(value: float, unit: str) -> str:
    if unit == "share":
        return points(value)
    return f"{value:+.0%} spread" if unit == "spread" else f"{'+' if value > 0 else ''}{number(value)} {unit}"


def _worst(alarm: Alarm) -> str:
    return ", ".join(f"{each.cell} {points(each.share - each.expected)}" for each in alarm.worst)
