"""A trigger in the ledger: its row, and the states that a row goes through.

received ──▶ starting ──▶ started
    │            └──────▶ failed ──┐
    ├──▶ skipped ──────────────────┼──▶ received   (an operator released it)
    └──▶ failed  ──────────────────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import msgspec

from monitor.hook.alert import Trigger
from monitor.hook.target.outcome import Key
from monitor.hook.template import run_id


class State(StrEnum):
    """How far a trigger is."""

    RECEIVED = "received"  # its notification was answered with 200, nothing was started
    STARTING = "starting"  # what is started is decided; between attempts, or in one
    STARTED = "started"
    FAILED = "failed"
    SKIPPED = "skipped"


SCHEMA_VERSION = 1
SCHEMA = (
    """
    CREATE TABLE triggers (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        model TEXT NOT NULL,
        alert BLOB NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('received', 'starting', 'started', 'failed', 'skipped')),
        reason TEXT NOT NULL DEFAULT '',
        received_ms INTEGER NOT NULL,
        changed_ms INTEGER NOT NULL,
        seen_ms INTEGER NOT NULL,
        not_before_ms INTEGER NOT NULL,
        evidence TEXT,
        evidence_note TEXT NOT NULL DEFAULT '',
        request TEXT,
        claimed_ms INTEGER,
        started_ms INTEGER,
        attempts INTEGER NOT NULL DEFAULT 0,
        in_flight INTEGER NOT NULL DEFAULT 0,
        may_have_started INTEGER NOT NULL DEFAULT 0,
        releases INTEGER NOT NULL DEFAULT 0,
        answer TEXT NOT NULL DEFAULT ''
    )
    """,
    "CREATE VIEW pending AS SELECT * FROM triggers WHERE state IN ('received', 'starting')",
    # Starts that happened, are under way, or may have happened.
    "CREATE VIEW starts AS SELECT * FROM triggers WHERE claimed_ms IS NOT NULL AND (state IN ('starting', 'started') OR may_have_started)",
    "CREATE INDEX triggers_by_state ON triggers (state, model, seq)",
    "CREATE INDEX triggers_by_claim ON triggers (claimed_ms)",
    """
    CREATE TABLE audit (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        trigger_id TEXT NOT NULL,
        event TEXT NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL
    )
    """,
    "CREATE INDEX audit_by_trigger ON audit (trigger_id, seq)",
    "CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END",
    "CREATE TABLE totals (name TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (name, reason)) WITHOUT ROWID",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One trigger, its fields in the order of the table. Times are wall time in milliseconds."""

    seq: int
    id: str
    model: str
    alert: bytes  # the Trigger, as JSON
    state: str
    reason: str
    received_ms: int
    changed_ms: int
    seen_ms: int  # last delivery by Alertmanager, to the hour
    not_before_ms: int  # of the next step
    evidence: str | None  # JSON
    evidence_note: str
    request: str | None  # JSON of what is sent, without secrets
    claimed_ms: int | None  # when it was decided to start
    started_ms: int | None
    attempts: int
    in_flight: bool  # an attempt was begun whose outcome is not recorded, or is not clear
    may_have_started: bool  # a failed one that counts for cooldown and daily maximum
    releases: int
    answer: str

    @classmethod
    def of(cls, row: Sequence[Any]) -> Entry:
        """The entry of a row of the table."""
        found = cls(*row)
        return replace(found, in_flight=bool(found.in_flight), may_have_started=bool(found.may_have_started))

    @property
    def trigger(self) -> Trigger:
        """The alert it came from."""
        return msgspec.json.decode(self.alert, type=Trigger)

    @property
    def key(self) -> Key:
        """Which start this is."""
        return Key(self.id, run_id(self.model, self.id), self.releases)

    def shown(self) -> dict[str, Any]:
        """For the status page and the audit log's reader."""
        trigger = self.trigger
        return {
            "trigger_id": self.id, "run_id": self.key.run_id, "model": self.model, "reason_of_trigger": trigger.reason,
            "severity": trigger.severity, "state": self.state, "reason": self.reason, "received_ms": self.received_ms,
            "changed_ms": self.changed_ms, "claimed_ms": self.claimed_ms, "started_ms": self.started_ms, "attempts": self.attempts,
            "in_flight": self.in_flight, "may_have_started": self.may_have_started, "released": self.releases,
            "evidence": self.evidence_note, "answer": self.answer,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line of the audit log."""

    seq: int
    at_ms: int
    trigger_id: str
    event: str
    reason: str
    detail: str
