"""Alertmanager's webhook, payload version 4: from a body to triggers, and a reason for every alert that is none.

Pure. A body is somebody else's text: whatever stands in it ends in triggers with checked ids, in a bounded reason, or
in ``MalformedError``. Fields that are not needed are not looked at, so that newer releases can add some.

Source of the format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from monitor.hook.config import AlertFilter

VERSION = "4"
MAX_TEXT = 1_000
"""Longer labels and annotations are cut."""

MAX_LABELS = 64
"""Further labels, and annotations, are left out."""

_ID = re.compile(r"[A-Za-z0-9_][!-~]{0,199}")
_MODEL = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,99}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class MalformedError(Exception):
    """A body that is no notification of version 4. Says what was expected, never what stood there."""


class Ignored(StrEnum):
    """Why an alert is no trigger."""

    RESOLVED = "resolved"
    OTHER_ALERT = "other_alert"
    OTHER_ACTION = "other_action"
    OTHER_MODEL = "other_model"
    NO_TRIGGER_ID = "no_trigger_id"  # a test alert, or a rule without the label
    BAD_TRIGGER_ID = "bad_trigger_id"
    BAD_MODEL = "bad_model"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Trigger:
    """An alert that asks for a retraining. ``starts_at`` is Alertmanager's text, labels and annotations are cut."""

    id: str
    model: str
    reason: str
    severity: str
    starts_at: str
    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Notification:
    """What a body holds: distinct triggers in the order of their first alert; ``repeated`` counts further alerts of one."""

    triggers: tuple[Trigger, ...]
    ignored: Mapping[Ignored, int]
    repeated: int
    truncated: int  # alerts that Alertmanager left out, by max_alerts


class _Body(msgspec.Struct):
    version: str
    alerts: list[msgspec.Raw]
    truncatedAlerts: int = 0  # noqa: N815 (Alertmanager's name)


class _Alert(msgspec.Struct):
    status: str
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    startsAt: str = ""  # noqa: N815
    fingerprint: str = ""


_BODY = msgspec.json.Decoder(_Body)
_ALERT = msgspec.json.Decoder(_Alert)
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


def parse(body: bytes, wanted: AlertFilter) -> Notification:
    """The triggers in a body. Raises ``MalformedError``."""
    try:
        read = _BODY.decode(body)
    except _UNREADABLE as error:
        raise MalformedError("expected the JSON of an Alertmanager notification with version and alerts") from error
    if read.version != VERSION:
        raise MalformedError(f"expected version {VERSION} of the notification")
    triggers: dict[str, Trigger] = {}
    ignored: Counter[Ignored] = Counter()
    repeated = 0
    for raw in read.alerts:
        found = _read(raw, wanted)
        if isinstance(found, Ignored):
            ignored[found] += 1
        elif found.id in triggers:
            repeated += 1
        else:
            triggers[found.id] = found
    return Notification(tuple(triggers.values()), ignored, repeated, max(0, read.truncatedAlerts))


def _read(raw: msgspec.Raw, wanted: AlertFilter) -> Trigger | Ignored:
    try:
        alert = _ALERT.decode(raw)
    except _UNREADABLE:
        return Ignored.MALFORMED
    labels = alert.labels
    model, trigger_id = labels.get("model", ""), labels.get("trigger_id", "")
    # The first that is true is the reason: from what the alert is about to what is wrong with it.
    reasons = {
        Ignored.OTHER_ALERT: labels.get("alertname") != wanted.name,
        Ignored.RESOLVED: alert.status == "resolved",
        Ignored.MALFORMED: alert.status != "firing",
        Ignored.OTHER_ACTION: labels.get("action") != "retrain",
        Ignored.NO_TRIGGER_ID: not trigger_id,
        Ignored.BAD_TRIGGER_ID: not _ID.fullmatch(trigger_id),
        Ignored.BAD_MODEL: not _MODEL.fullmatch(model),
        Ignored.OTHER_MODEL: bool(wanted.models) and model not in wanted.models,
    }
    for reason, holds in reasons.items():
        if holds:
            return reason
    cut = {name: clean(value) for name, value in list(labels.items())[:MAX_LABELS]}
    notes = {name: clean(value) for name, value in list(alert.annotations.items())[:MAX_LABELS]}
    of = {name: clean(labels.get(name, "")) for name in ("reason", "severity")}
    return Trigger(trigger_id, model, of["reason"], of["severity"], clean(alert.startsAt)[:64], clean(alert.fingerprint)[:64], cut, notes)


def clean(text: str) -> str:
    """One line of at most ``MAX_TEXT`` characters.

    >>> clean("drift\\nof age")
    'drift of age'
    """
    return _CONTROLS.sub(" ", text[:MAX_TEXT])
