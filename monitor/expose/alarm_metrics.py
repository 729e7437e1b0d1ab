"""Metrics of sequential detection. What may be many, streams, is cut to the gravest; what is counted never is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monitor.expose.family import Row, seconds
from monitor.expose.snapshot import ModelView
from monitor.expose.watched import KINDS, LEVELS, Stands, WatchView

MAX_ALARMS = 50
"""Alarms of a version that have series of their own."""


def alarm_rows(models: Sequence[ModelView]) -> Iterator[tuple[str, list[Row]]]:
    """Each family's name and rows."""
    views = [((model.name, view.version), view) for model in models for view in model.detection]
    watched = [(at, view) for at, view in views if view.streams]
    stands = [(at, view.stands()) for at, view in watched]
    counted = [(kind, level) for kind in KINDS for level in LEVELS]
    yield "alarms_standing", [((*at, *key), found.get(key, 0)) for at, found in stands for key in counted]
    yield "alarms_total", [((*at, *key), view.raised.get(key, 0)) for at, view in watched for key in counted]
    gravest = [(at, each) for at, view in watched for each in view.standing[:MAX_ALARMS]]
    yield "alarm_start_timestamp_seconds", [((*at, *_stream(each)), seconds(each.alarm.start_ms)) for at, each in gravest]
    sized = [(at, each, each.alarm.effect) for at, each in gravest]
    yield "alarm_effect", [((*at, *_stream(each), effect.unit), effect.size) for at, each, effect in sized if effect is not None]
    yield "detection_evidence", [((*at, s.segment, s.signal, s.kind), m) for at, view in watched for s, m in view.evidence]
    yield from _versions(views)


def _versions(views: Sequence[tuple[tuple[str, str], WatchView]]) -> Iterator[tuple[str, list[Row]]]:
    yield "detection_streams", [(at, view.streams) for at, view in views]
    yield "detection_streams_armed", [(at, view.armed) for at, view in views]
    watched = [(at, view) for at, view in views if view.streams]
    yield "detection_segments_left_out", [(at, view.left_out) for at, view in watched]
    yield "detection_threshold", [(at, view.threshold) for at, view in watched]
    yield "detection_threshold_frozen", [(at, view.frozen) for at, view in watched]
    yield "detection_end_timestamp_seconds", [(at, seconds(view.judged_ms)) for at, view in watched]
    yield "detection_labels_total", [(at, view.labels) for at, view in watched]


def _stream(each: Stands) -> tuple[str, str, str, str]:
    stream = each.alarm.stream
    return stream.segment, stream.signal, stream.kind, each.alarm.level
