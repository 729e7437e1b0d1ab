"""The JSON API: verdicts with their evidence, and the state of the monitor. Pure: a snapshot and a query to bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.config.evaluation import STATISTICS
from monitor.evaluate.verdict import Status, Verdicts
from monitor.expose.findings import Float64, evidence, segment_rows, share_distance, share_urgencies, sizes, urgencies
from monitor.expose.health import health, is_ready
from monitor.expose.query import Query, any_text, check_names, one_of, one_word_of, whole
from monitor.expose.snapshot import LabelsView, ModelView, PartitionProgress, Snapshot
from monitor.expose.text import iso
from monitor.number import finite

SEGMENT_SHARE = "segment_share"
"""Name of the statistic about a segment's share of traffic; such a verdict has no signal."""

MAX_LIMIT = 1_000
WORST_BINS = 3

_PARAMETERS = ("model", "version", "window", "segment", "signal", "statistic", "status", "limit", "offset")


def verdicts_json(snapshot: Snapshot, query: Query) -> bytes:
    """The verdicts that the query asks for, worst first, one page of them. Raises ``BadParameterError``.

    A parameter that is given several times means any of its values. ``next_offset`` is null on the last page.
    """
    check_names(query, _PARAMETERS)
    limit = whole(query, "limit", 100, 1, MAX_LIMIT)
    offset = whole(query, "offset", 0, 0, 10**9)
    models = one_of(query, "model", [model.name for model in snapshot.models])
    windows = one_of(query, "window", ("short", "long"))
    versions = any_text(query, "version")
    chosen = [
        one
        for one in snapshot.verdicts
        if (models is None or one.model in models)
        and (windows is None or one.window.name in windows)
        and (versions is None or one.version in versions)
    ]
    found = [_matches(one, query) for one in chosen]
    urgent = np.concatenate([urgent for _, urgent in found]) if found else np.zeros(0)
    places = np.concatenate([places for places, _ in found]) if found else np.zeros(0, np.intp)
    owner = np.repeat(np.arange(len(found)), [len(places) for places, _ in found])
    page = np.argsort(-urgent, kind="stable")[offset : offset + limit]
    answer = {
        "taken": iso(snapshot.taken_ms),
        "total": len(urgent),
        "offset": offset,
        "limit": limit,
        "next_offset": offset + limit if offset + limit < len(urgent) else None,
        "verdicts": [_item(chosen[owner[at]], int(places[at])) for at in page.tolist()],
    }
    return msgspec.json.encode(answer) + b"\n"


def _matches(one: Verdicts, query: Query) -> tuple[NDArray[np.intp], Float64]:
    """Places and urgency of the verdicts asked for. Place S*F*K + s is the share of segment s."""
    statuses = one_word_of(query, "status", [status.label for status in Status])
    status_codes = [status for status in Status if statuses is None or status.label in statuses]
    statistics = one_of(query, "statistic", (*STATISTICS, SEGMENT_SHARE))
    segments = _mask(one.segments, any_text(query, "segment"))
    signals = _mask(one.signals, any_text(query, "signal"))
    kinds = _mask(one.statistics, statistics)
    wanted = np.isin(one.status, status_codes) & segments[:, None, None] & signals[None, :, None] & kinds
    places = np.flatnonzero(wanted)
    urgent = _unjudged_last(urgencies(one), one.status).ravel()[places]
    if "signal" in query or (statistics is not None and SEGMENT_SHARE not in statistics):
        return places, urgent
    shares_wanted = np.flatnonzero(np.isin(one.share.status, status_codes) & segments)
    of_share = _unjudged_last(share_urgencies(one), one.share.status)[shares_wanted]
    return np.concatenate([places, shares_wanted + one.value.size]), np.concatenate([urgent, of_share])


def _unjudged_last(urgent: Float64, status: NDArray[np.uint8]) -> Float64:
    return np.asarray(urgent - ((status != Status.DRIFTED) & (status != Status.STABLE)))


def _mask(names: Sequence[str], wanted: frozenset[str] | None) -> NDArray[np.bool_]:
    return np.array([wanted is None or name in wanted for name in names], bool)


def _item(one: Verdicts, place: int) -> dict[str, Any]:
    if place >= one.value.size:
        return _share_item(one, place - one.value.size)
    s, f, k = (int(i) for i in np.unravel_index(place, one.value.shape))
    item = _head(one, s, one.signals[f], one.statistics[k], Status(int(one.status[s, f, k])))
    n_now, n_reference = sizes(one, s, f, one.statistics[k])
    return item | {
        "value": finite(one.value[s, f, k]),
        "threshold": finite(one.threshold[f, k]),
        "noise_floor": finite(one.noise[s, f, k]),
        "n_now": n_now,
        "n_reference": n_reference,
        "since": _since(one.since_ms[s, f, k]),
        "unit_factor": finite(one.unit_factor[s, f]),
        "unit_offset": None if one.unit_offset is None else finite(one.unit_offset[s, f]),
        "worst_bins": [
            {"bin": shift.label, "reference_share": shift.reference_share, "share": shift.share}
            for shift in evidence(one, s, f, one.statistics[k], WORST_BINS)
        ],
    }


def _share_item(one: Verdicts, s: int) -> dict[str, Any]:
    share = one.share
    return _head(one, s, None, SEGMENT_SHARE, Status(int(share.status[s]))) | {
        "value": finite(share_distance(one)[s]),
        "threshold": share.threshold,
        "noise_floor": finite(share.noise[s]),
        "share": finite(share.share[s]),
        "reference_share": finite(share.reference_share[s]),
        "n_now": int(segment_rows(one)[s]),
        "since": _since(share.since_ms[s]),
    }


def _head(one: Verdicts, segment: int, signal: str | None, statistic: str, status: Status) -> dict[str, Any]:
    return {
        "model": one.model,
        "version": one.version,
        "window": one.window.name,
        "window_start": iso(one.window.start_ms),
        "window_end": iso(one.window.end_ms),
        "segment": one.segments[segment],
        "signal": signal,
        "statistic": statistic,
        "status": status.label,
        "reference": one.reference.fingerprint if one.reference else None,
    }


def _since(time_ms: int) -> str | None:
    return iso(int(time_ms)) if time_ms >= 0 else None


def status_json(snapshot: Snapshot, now_ms: int) -> bytes:
    """The state of the monitor: health, progress, ledger, partitions, versions, memory and river's alarms."""
    found = health(snapshot, now_ms)
    answer = {
        "condition": found.condition,
        "reason": found.reason,
        "ready": is_ready(snapshot),
        "phase": snapshot.phase,
        "program_version": snapshot.program_version,
        "started": iso(snapshot.started_ms),
        "taken": iso(snapshot.taken_ms),
        "committed": iso(snapshot.committed_ms),
        "rebuilding_since": iso(snapshot.rebuilding_since_ms),
        "notices": list(snapshot.notices),
        "models": [_model(model) for model in snapshot.models],
    }
    return msgspec.json.encode(answer) + b"\n"


def _model(model: ModelView) -> dict[str, Any]:
    ledger = model.ledger
    return {
        "name": model.name,
        "topic": model.topic,
        "complete": model.complete,
        "lag_messages": model.lag_messages,
        "watermark": iso(model.watermark_ms),
        "evaluated": iso(model.evaluated_ms),
        "evaluated_event_time": iso(model.evaluated_event_ms),
        "ledger": {
            "messages": ledger.messages,
            "tombstones": ledger.tombstones,
            "rejected": {reason.label: count for reason, count in ledger.rejected.items()},
            "rows_counted": ledger.rows_counted,
            "rows_duplicate": ledger.rows_duplicate,
            "rows_late": dict(ledger.rows_late),
            "rows_folded": ledger.rows_folded,
            "ids_evicted": ledger.ids_evicted,
            "offsets_lost": ledger.offsets_lost,
            "unaccounted": ledger.unaccounted,
        },
        "versions": [
            {
                "version": each.version,
                "reference": each.reference.fingerprint if each.reference else None,
                "reference_rows": each.reference.rows if each.reference else None,
                "reference_start": iso(each.reference.start_ms) if each.reference else None,
                "reference_end": iso(each.reference.end_ms) if each.reference else None,
                "dataset": each.reference.dataset_version if each.reference else None,
                "pipeline": each.reference.pipeline_version if each.reference else None,
            }
            for each in model.versions
        ],
        "partitions_in_topic": model.partitions_in_topic,
        "partitions": _partitions(model.partitions),
        "labels": None if model.labels is None else _labels(model.labels),
        "segments": {"reference": model.segments_reference, "new": model.segments_new, "limit": model.segments_limit},
        "open_panes": model.open_panes,
        "remembered_ids": model.remembered_ids,
        "memory_bytes": {"open": model.memory.open, "closed": model.memory.closed, "duplicates": model.memory.duplicates},
        "river": [
            {
                "version": each.version,
                "segment": each.segment,
                "signal": each.signal,
                "detector": each.detector,
                "alarms": each.alarms,
                "last_alarm": iso(each.last_alarm_event_ms),
            }
            for each in model.river
        ],
    }


def _partitions(partitions: Sequence[PartitionProgress]) -> list[dict[str, Any]]:
    return [
        {
            "partition": each.partition,
            "next_offset": each.next_offset,
            "lag_messages": each.lag_messages,
            "newest_event_time": iso(each.newest_event_ms),
            "idle": each.idle,
            "paused": each.paused,
        }
        for each in partitions
    ]


def _labels(labels: LabelsView) -> dict[str, Any]:
    return {
        "topic": labels.topic,
        "watermark": iso(labels.watermark_ms),
        "ledger": {
            "messages": labels.messages,
            "tombstones": labels.tombstones,
            "rejected": {reason.label: count for reason, count in labels.rejected.items()},
            **labels.outcomes,
            "waiting": labels.waiting,
            "offsets_lost": labels.offsets_lost,
            "unaccounted": labels.unaccounted,
        },
        "predictions": {
            "received": labels.predictions,
            "labelled": labels.labelled,
            "expired": labels.expired,
            "evicted": labels.evicted,
            "restated": labels.restated,
            "pending": labels.pending,
        },
        "records": labels.records,
        "bytes": {"disk": labels.disk_bytes, "memory": labels.memory_bytes},
        "partitions_in_topic": labels.partitions_in_topic,
        "partitions": _partitions(labels.partitions),
    }
