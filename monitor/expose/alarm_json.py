"""The JSON API of sequential detection: alarms with all they say, and how the streams stand. Pure: a snapshot and a query to bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from monitor.detect.alarm import Alarm, Effect, Stream
from monitor.expose.query import Query, any_text, check_names, one_of, whole
from monitor.expose.snapshot import ModelView, Snapshot
from monitor.expose.text import iso
from monitor.expose.watched import KINDS, LEVELS, Stands, WatchView, stream_name
from monitor.facts import plain
from monitor.number import finite

MAX_LIMIT = 500

_PARAMETERS = ("model", "version", "segment", "signal", "kind", "level", "standing", "limit", "offset")


@dataclass(frozen=True, slots=True)
class _Shown:
    model: str
    version: str
    alarm: Alarm
    stands: Stands | None  # None: it is over


def alarms_json(snapshot: Snapshot, query: Query) -> bytes:
    """Alarms, the newest first, one page of them; and what is watched of each version. Raises ``BadParameterError``.

    A parameter that is given several times means any of its values. ``next_offset`` is null on the last page. Times are event time.
    """
    check_names(query, _PARAMETERS)
    limit, offset = whole(query, "limit", 50, 1, MAX_LIMIT), whole(query, "offset", 0, 0, 10**9)
    models = one_of(query, "model", [model.name for model in snapshot.models])
    versions = any_text(query, "version")
    chosen = [
        (model, view)
        for model in snapshot.models
        for view in model.detection
        if (models is None or model.name in models) and (versions is None or view.version in versions)
    ]
    wanted = _filter(query)
    found = [shown for model, view in chosen for shown in _alarms(model, view) if wanted(shown)]
    found.sort(
        key=lambda each: (-each.alarm.time_ms, each.alarm.level != "trigger", each.model, each.version, stream_name(each.alarm.stream))
    )
    answer = {
        "taken": iso(snapshot.taken_ms),
        "detection": [_version(model.name, view) for model, view in chosen],
        "total": len(found),
        "offset": offset,
        "limit": limit,
        "next_offset": offset + limit if offset + limit < len(found) else None,
        "alarms": [_item(each) for each in found[offset : offset + limit]],
    }
    return msgspec.json.encode(answer) + b"\n"


def _alarms(model: ModelView, view: WatchView) -> Iterator[_Shown]:
    """Those that stand, and those that are over and not forgotten."""
    standing = {_when(each.alarm): each for each in view.standing}
    for stands in view.standing:
        yield _Shown(model.name, view.version, stands.alarm, stands)
    for alarm in view.past:
        if _when(alarm) not in standing:
            yield _Shown(model.name, view.version, alarm, None)


def _when(alarm: Alarm) -> tuple[Stream, str, int]:
    return alarm.stream, alarm.level, alarm.time_ms


def _filter(query: Query) -> Callable[[_Shown], bool]:
    segments, signals = any_text(query, "segment"), any_text(query, "signal")
    kinds, levels = one_of(query, "kind", KINDS), one_of(query, "level", LEVELS)
    standing = one_of(query, "standing", ("true", "false"))

    def wanted(shown: _Shown) -> bool:
        stream = shown.alarm.stream
        return (
            (segments is None or stream.segment in segments)
            and (signals is None or stream.signal in signals)
            and (kinds is None or stream.kind in kinds)
            and (levels is None or shown.alarm.level in levels)
            and (standing is None or ("false" if shown.stands is None else "true") in standing)
        )

    return wanted


def _item(shown: _Shown) -> dict[str, Any]:
    alarm, stands = shown.alarm, shown.stands
    return {
        "model": shown.model,
        "version": plain(shown.version),
        **_stream(alarm.stream),
        "level": alarm.level,
        "standing": stands is not None,
        "raised": iso(alarm.time_ms),
        "start": iso(alarm.start_ms),
        "first_warned": None if stands is None else iso(stands.first_ms),
        "last_beyond": None if stands is None else iso(stands.last_ms),
        "direction": {"what": alarm.direction.what, "size": finite(alarm.direction.size)},
        "effect": None if alarm.effect is None else _effect(alarm.effect),
        "evidence": finite(alarm.evidence),
        "threshold": finite(alarm.threshold),
        "worst": [{"cell": plain(each.cell), "expected": each.expected, "share": each.share} for each in alarm.worst],
        "also_moved": [_stream(stream) for stream in alarm.also],
    }


def _stream(stream: Stream) -> dict[str, str]:
    return {"segment": plain(stream.segment), "signal": plain(stream.signal), "kind": stream.kind}


def _effect(effect: Effect) -> dict[str, Any]:
    return {
        "unit": effect.unit,
        "size": finite(effect.size),
        "low": finite(effect.low),
        "high": finite(effect.high),
        "rows": effect.rows,
        "cell": None if effect.cell is None else plain(effect.cell),
    }


def _version(model: str, view: WatchView) -> dict[str, Any]:
    stands = view.stands()
    return {
        "model": model,
        "version": plain(view.version),
        "watched": view.streams > 0,
        "because": view.because,
        "streams": view.streams,
        "segments_left_out": view.left_out,
        "armed": view.armed,
        "triggered": view.triggered,
        "since": iso(view.started_ms),
        "judged_until": iso(view.judged_ms),
        "labels_judged": view.labels,
        "threshold": view.threshold,
        "threshold_frozen": view.frozen,
        "standing": {kind: {level: stands.get((kind, level), 0) for level in LEVELS} for kind in KINDS},
        "raised": {kind: {level: view.raised.get((kind, level), 0) for level in LEVELS} for kind in KINDS},
        "strongest": [{**_stream(stream), "evidence_over_threshold": finite(over)} for stream, over in view.evidence[:10]],
    }
