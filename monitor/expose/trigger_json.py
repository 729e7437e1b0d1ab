"""Triggers as JSON: what a retraining job needs to know, and what it can be asked for."""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.decide.control import kind_of
from monitor.decide.facts import Alarm
from monitor.decide.reading import Unknown
from monitor.decide.state import Phase, Trigger, VersionPolicy
from monitor.decide.watch import Watch
from monitor.expose.decided import RetrainingView
from monitor.expose.query import Query, any_text, check_names, one_of, one_word_of, whole
from monitor.expose.snapshot import ModelView, Snapshot
from monitor.expose.text import iso

MAX_LIMIT = 100
MAX_CONDITIONS = 100

_TRIGGER_PHASES = (Phase.REQUIRED, Phase.ACKNOWLEDGED, Phase.SUPERSEDED, Phase.EXPIRED)


def trigger_fields(trigger: Trigger, phase: Phase) -> dict[str, Any]:
    """A trigger with its evidence; the same wherever the same log was read. Times are event time, but for ``acknowledged.when``."""
    evidence, ack = trigger.evidence, trigger.ack
    return {
        "id": trigger.id,
        "model": trigger.model,
        "version": trigger.version,
        "phase": phase,
        "reason": trigger.reason,
        "decided": iso(trigger.event_ms),
        "onset": iso(trigger.onset_ms),
        "acknowledged": None if ack is None else {"by": ack.by, "when": iso(ack.time_ms), "why": ack.why},
        "superseded_by": trigger.ended_by,
        "moved": [
            {
                "reason": each.reason,
                "signal": each.signal,
                "segment": each.segment,
                "since": iso(each.since_ms),
                "onset": iso(each.onset_ms),
                "value": each.value,
                "low": each.low,
                "high": each.high,
                "limit": each.limit,
                "n": each.n,
                "share": each.share,
                "alarm": None if each.alarm is None else _alarm(each.alarm),
            }
            for each in evidence.moved
        ],
        "moved_left_out": evidence.moved_left_out,
        "since": iso(evidence.since_ms),
        "expected_cost": evidence.cost,
        "training_data": {
            "start": iso(evidence.train.start_ms),
            "end": iso(evidence.train.end_ms),
            "labelled_rows": evidence.train.labelled_rows,
        },
        "fresh_labels": evidence.fresh_labels,
        "label_quality": evidence.label_quality,
        "reference": evidence.reference,
        "dataset": evidence.dataset,
        "failure_modes": evidence.failure_modes,
        "unknown": [_unknown(each) for each in evidence.unknown],
        "triggers_in_period": evidence.triggers_in_period,
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    """What a detector said: value, low and high beside it are its effect."""
    return {
        "level": alarm.level.name.lower(),
        "kind": alarm.kind,
        "unit": alarm.unit,
        "cell": alarm.cell,
        "start": iso(alarm.start_ms),
        "last": iso(alarm.time_ms),
        "worst": [{"cell": cell, "expected": expected, "share": share} for cell, expected, share in alarm.worst],
        "also_moved": [{"segment": segment, "signal": signal, "kind": kind} for segment, signal, kind in alarm.also],
    }


def _unknown(each: Unknown) -> dict[str, str]:
    return {"reason": each.reason, "signal": each.signal, "segment": each.segment, "detail": each.detail}


def _shown(view: RetrainingView, trigger: Trigger) -> dict[str, Any]:
    raised = view.raised.get(trigger.id)
    wall = {"raised": iso(raised.raised_ms), "expires": iso(raised.expires_ms)} if raised else {"raised": None, "expires": None}
    return trigger_fields(trigger, view.phase(trigger)) | wall


def trigger_json(snapshot: Snapshot, name: str) -> bytes | None:
    """One trigger; None when there is none of that id."""
    for view in (model.retraining for model in snapshot.models):
        for trigger in view.policy.triggers if view is not None else ():
            if view is not None and trigger.id == name:
                return msgspec.json.encode(_shown(view, trigger)) + b"\n"
    return None


def triggers_json(snapshot: Snapshot, query: Query) -> bytes:
    """Triggers, the newest first, one page of them; and where each model's policy is. Raises ``BadParameterError``."""
    check_names(query, ("model", "version", "phase", "limit", "offset"))
    limit, offset = whole(query, "limit", 20, 1, MAX_LIMIT), whole(query, "offset", 0, 0, 10**9)
    models = one_of(query, "model", [model.name for model in snapshot.models])
    phases = one_word_of(query, "phase", _TRIGGER_PHASES)
    versions = any_text(query, "version")
    chosen = [(model, model.retraining) for model in snapshot.models if model.retraining and (models is None or model.name in models)]
    found = [
        (trigger.event_ms, trigger.id, view, trigger)
        for _, view in chosen
        for trigger in view.policy.triggers
        if (phases is None or view.phase(trigger) in phases) and (versions is None or trigger.version in versions)
    ]
    found.sort(key=lambda each: each[:2], reverse=True)
    answer = {
        "taken": iso(snapshot.taken_ms),
        "models": [_policy(model, view) for model, view in chosen],
        "total": len(found),
        "offset": offset,
        "limit": limit,
        "next_offset": offset + limit if offset + limit < len(found) else None,
        "triggers": [_shown(view, trigger) for _, _, view, trigger in found[offset : offset + limit]],
    }
    return msgspec.json.encode(answer) + b"\n"


def _policy(model: ModelView, view: RetrainingView) -> dict[str, Any]:
    policy, hold = view.policy, view.policy.hold
    return {
        "model": model.name,
        "hold": None if hold is None else {"by": hold.by, "when": iso(hold.time_ms), "why": hold.why, "until": iso(hold.until_ms)},
        "versions": [_version(version, view, each) for version, each in sorted(policy.versions.items())],
        "triggers": policy.triggered,
        "accepted": [
            {
                "id": each.control.id,
                "by": each.control.by,
                "why": each.control.why,
                "version": each.control.version,
                "signal": each.control.signal,
                "segment": each.control.segment,
                "until": iso(each.control.until_ms),
            }
            for each in policy.accepted[:MAX_CONDITIONS]
        ],
        "baselines": [
            {"id": each.control.id, "kind": kind_of(each.control), "since": iso(each.event_ms)} for each in policy.baselines[-10:]
        ],
    }


def _version(version: str, view: RetrainingView, each: VersionPolicy) -> dict[str, Any]:
    return {
        "version": version,
        "phase": view.version_phase(version),
        "evaluated": iso(each.event_ms),
        "withheld": [{"gate": shut.gate, "detail": shut.detail} for shut in each.withheld],
        "conditions": [_condition(watch) for watch in each.watches[:MAX_CONDITIONS]],
        "unknown": [_unknown(unknown) for unknown in each.unknown[:MAX_CONDITIONS]],
    }


def _condition(watch: Watch) -> dict[str, Any]:
    at = watch.latest
    return {
        "reason": at.reason,
        "signal": at.signal,
        "segment": at.segment,
        "active": watch.active,
        "onset": iso(watch.began_ms),
        "value": at.value,
        "limit": at.limit,
        "clear": at.clear,
    }
