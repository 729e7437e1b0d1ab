"""The JSON API about what is worth a human look: the review queue, and the backlog of failure modes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from monitor.expose.query import Query, any_text, check_names, one_of, one_word_of, whole
from monitor.expose.snapshot import Snapshot
from monitor.expose.text import iso
from monitor.labels import LabelsEvaluated
from monitor.number import finite
from monitor.performance.backlog import ModeState, ModeStatus
from monitor.performance.failure_modes import Mode
from monitor.review.item import Item, Kind, Reason

MAX_LIMIT = 1_000


def item_json(item: Item) -> dict[str, Any]:
    """An item as the topic and the API say it."""
    return {
        "id": item.id,
        "prediction_id": item.prediction_id,
        "model": item.model,
        "version": item.version,
        "segment": item.segment,
        "kind": item.kind.value,
        "reasons": [reason.label for reason in item.reasons],
        "time": iso(item.time_ms),
        "score": item.score,
        "predicted": item.predicted,
        "label": item.label,
        "sampling_probability": item.sampling_probability,
    }


def review_json(snapshot: Snapshot, query: Query) -> bytes:
    """The newest items that the query asks for, newest first, one page of them. Raises ``BadParameterError``.

    A parameter that is given several times means any of its values. ``next_offset`` is null on the last page.
    """
    check_names(query, ("model", "segment", "reason", "kind", "limit", "offset"))
    limit, offset = whole(query, "limit", 100, 1, MAX_LIMIT), whole(query, "offset", 0, 0, 10**9)
    models = one_of(query, "model", [model.name for model in snapshot.models])
    kinds = one_of(query, "kind", [kind.value for kind in Kind])
    reasons = one_of(query, "reason", [reason.label for reason in Reason])
    segments = any_text(query, "segment")
    found = [
        item
        for model in snapshot.models
        if models is None or model.name in models
        for item in reversed(model.review)
        if (kinds is None or item.kind.value in kinds)
        and (segments is None or item.segment in segments)
        and (reasons is None or any(reason.label in reasons for reason in item.reasons))
    ]
    return _page(snapshot, "items", found, item_json, limit, offset)


def failure_modes_json(snapshot: Snapshot, query: Query) -> bytes:
    """The backlog with its newest evidence, what costs most first, one page of it. Raises ``BadParameterError``."""
    check_names(query, ("model", "version", "segment", "status", "limit", "offset"))
    limit, offset = whole(query, "limit", 100, 1, MAX_LIMIT), whole(query, "offset", 0, 0, 10**9)
    models = one_of(query, "model", [model.name for model in snapshot.models])
    statuses = one_word_of(query, "status", [status.value for status in ModeStatus])
    versions, segments = any_text(query, "version"), any_text(query, "segment")
    found = [
        (evaluated.model, state, mode)
        for evaluated in snapshot.labels
        if models is None or evaluated.model in models
        for state, mode in ranked_backlog(evaluated)
        if (statuses is None or state.status.value in statuses)
        and (versions is None or state.version in versions)
        and (segments is None or state.key[0] in segments)
    ]
    found.sort(key=lambda each: (-_impact(each[2]), each[1].id))
    return _page(snapshot, "failure_modes", found, lambda each: _mode(*each), limit, offset)


def ranked_backlog(evaluated: LabelsEvaluated) -> list[tuple[ModeState, Mode | None]]:
    """The modes of a model with their evidence in the version they were last seen in, what costs most first; None: none in the window."""
    by_version = {each.version: each.modes for each in evaluated.verdicts}
    found = [(state, by_version[state.version].mode(state.key) if state.version in by_version else None) for state in evaluated.backlog]
    return sorted(found, key=lambda each: (-_impact(each[1]), each[0].id))


def _impact(mode: Mode | None) -> float:
    return -math.inf if mode is None else mode.impact


def _mode(model: str, state: ModeState, mode: Mode | None) -> dict[str, Any]:
    segment, predicted, kind = state.key
    evidence = None
    if mode is not None:
        evidence = {
            "impact": mode.impact,
            "rows": mode.rows,
            "labelled": mode.labelled,
            "rate": finite(mode.rate),
            "low": finite(mode.low),
            "high": finite(mode.high),
            "reference_rate": finite(mode.reference_rate),
            "trend": mode.trend.label,
        }
    return {
        "id": state.id,
        "model": model,
        "version": state.version,
        "segment": segment,
        "predicted": predicted or None,
        "kind": kind,
        "status": state.status.value,
        "owner": state.owner,
        "fix_version": state.fix_version,
        "first_seen": iso(state.first_seen_ms),
        "changed": iso(state.changed_ms),
        "closed_by": state.closed_by,
        "sample_ids": list(state.sample_ids),
        "evidence": evidence,
    }


def _page(snapshot: Snapshot, name: str, found: list[Any], shown: Any, limit: int, offset: int) -> bytes:
    page: Iterable[Any] = found[offset : offset + limit]
    answer = {
        "taken": iso(snapshot.taken_ms),
        "total": len(found),
        "offset": offset,
        "limit": limit,
        "next_offset": offset + limit if offset + limit < len(found) else None,
        name: [shown(each) for each in page],
    }
    return msgspec.json.encode(answer) + b"\n"
