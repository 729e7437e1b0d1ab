"""What the sequential detectors of a version had said by the time it was replaced: the asking, typed, and the line about it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from monitor.demo.findings import date
from monitor.demo.loop.questions import get
from monitor.segment import ALL

MAX_SHOWN = 3


class Effect(msgspec.Struct, frozen=True):
    """How large: in standard deviations of the reference (``sd``), as growth of them (``spread``), or as a difference of shares."""

    unit: str
    size: float | None = None


class Alarm(msgspec.Struct, frozen=True):
    """An alarm of a stream. ``start`` is when the change probably began, ISO 8601."""

    segment: str
    signal: str
    kind: str
    start: str
    effect: Effect | None = None


class Watched(msgspec.Struct, frozen=True):
    """How the streams of a version stand."""

    streams: int
    triggered: int


class Suspicions(msgspec.Struct, frozen=True):
    """Triggers of a version's streams, the newest first."""

    detection: tuple[Watched, ...]
    alarms: tuple[Alarm, ...]


def suspicions(monitor: str, version: str) -> Suspicions:
    """Those of the monitor at that address. Raises ``OSError`` while nobody answers."""
    query = urlencode({"version": version, "level": "trigger", "limit": 500})
    return msgspec.json.decode(get(f"{monitor}/api/v1/alarms?{query}"), type=Suspicions)


def line(found: Suspicions) -> str:
    """How many streams, and what of all traffic began to change first; errors before inputs, which may change and do no harm.

    >>> line(Suspicions((Watched(966, 2),), (Alarm("ALL", "wind", "values", "2013-03-02T01:00:00Z", Effect("sd", 0.41)),)))
    '2 of 966 streams have triggered; of all traffic wind since 2013-03-02 (+0.41 sd)'
    """
    streams, triggered = (sum(getattr(each, name) for each in found.detection) for name in ("streams", "triggered"))
    everywhere = sorted((a for a in found.alarms if a.segment == ALL), key=lambda a: (a.kind not in ("error", "label"), a.start, a.signal))
    said = f"{triggered:,} of {streams:,} streams have triggered"
    if not everywhere:
        return said
    left = len(everywhere) - MAX_SHOWN
    return f"{said}; of all traffic {_named(everywhere[:MAX_SHOWN])}" + (f"; and {left} more" if left > 0 else "")


def _named(alarms: Sequence[Alarm]) -> str:
    return "; ".join(f"{_stream(each)} since {date(each.start)}{_size(each.effect)}" for each in alarms)


def _stream(alarm: Alarm) -> str:
    return {"error": "wrong answers", "label": "late flights", "missing": f"missing {alarm.signal}"}.get(alarm.kind, alarm.signal)


def _size(effect: Effect | None) -> str:
    if effect is None or effect.size is None:
        return ""
    return f" ({effect.size:+.2f} sd)" if effect.unit == "sd" else f" ({effect.size * 100:+.1f} {'%' if effect.unit == 'spread' else 'pp'})"
