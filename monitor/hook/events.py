"""What the hook reports about itself, as the monitor does: see ``monitor.events``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from monitor.events import Event


@dataclass(frozen=True, slots=True)
class HookStarted(Event):
    """The hook has read its configuration and its ledger."""

    version: str
    target: str
    pending: int  # triggers that a former process left


@dataclass(frozen=True, slots=True)
class HookStopped(Event):
    """The hook has ended its work; ``drained`` is whether an attempt that was under way could be recorded."""

    duration_seconds: float
    drained: bool


@dataclass(frozen=True, slots=True)
class NotificationRefused(Event):
    """Requests that are no notification, or not from Alertmanager. Said at most every ten seconds for each reason."""

    level: ClassVar[int] = logging.WARNING
    reason: str
    requests: int  # since it was last said


@dataclass(frozen=True, slots=True)
class AlertsTruncated(Event):
    """Alertmanager left alerts out of a notification (max_alerts); triggers among them are lost unless they come again."""

    level: ClassVar[int] = logging.ERROR
    alerts: int


@dataclass(frozen=True, slots=True)
class NotificationTaken(Event):
    """A notification is in the ledger."""

    level: ClassVar[int] = logging.DEBUG
    received: int
    deduplicated: int
    ignored: int


@dataclass(frozen=True, slots=True)
class TriggerReceived(Event):
    """A trigger that was not known is in the ledger."""

    trigger_id: str
    model: str


@dataclass(frozen=True, slots=True)
class TriggerStarted(Event):
    """The target has the start of this trigger."""

    trigger_id: str
    model: str
    run_id: str
    reason: str
    attempts: int


@dataclass(frozen=True, slots=True)
class TriggerSkipped(Event):
    """A trigger starts nothing, by policy."""

    level: ClassVar[int] = logging.WARNING
    trigger_id: str
    model: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class TriggerFailed(Event):
    """A trigger could not be started; somebody has to look."""

    level: ClassVar[int] = logging.ERROR
    trigger_id: str
    model: str
    reason: str
    may_have_started: bool


@dataclass(frozen=True, slots=True)
class AttemptFailed(Event):
    """An attempt came to nothing; there will be another."""

    level: ClassVar[int] = logging.WARNING
    trigger_id: str
    model: str
    reason: str
    attempt: int
    next_in_ms: int


@dataclass(frozen=True, slots=True)
class EvidenceMissing(Event):
    """A trigger goes on without evidence."""

    level: ClassVar[int] = logging.WARNING
    trigger_id: str
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class LedgerFailed(Event):
    """The ledger cannot be read or written; nothing is started until it can."""

    level: ClassVar[int] = logging.ERROR
    reason: str


@dataclass(frozen=True, slots=True)
class WorkFailed(Event):
    """Working on a trigger raised; a bug. It is tried again later."""

    level: ClassVar[int] = logging.ERROR
    trigger_id: str
    reason: str
