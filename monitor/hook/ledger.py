"""The ledger: one SQLite file that knows every trigger, what became of it, and in which order everything happened.

Each method that changes something is one transaction: the state of the trigger, the line in the audit log and the
totals change together or not at all. WAL with synchronous=FULL: what is committed survives kill -9 and a power cut.
One process works on a ledger (a lock beside the file); others may read it, and release triggers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import msgspec

from monitor.errors import StateError
from monitor.hook.alert import Trigger
from monitor.hook.database import Database
from monitor.hook.entry import SCHEMA, SCHEMA_VERSION, AuditLine, Entry, State
from monitor.hook.policy import DAY_MS, Starts
from monitor.hook.target.outcome import Failed, NotTaken, Outcome, Started, Unsure

MAX_DETAIL = 2_000
"""Characters of an answer or a detail that are kept."""

_SEEN_EVERY_MS = 3_600_000  # a repeat writes not more often than this: Alertmanager's floods cost no disk


class LedgerFullError(Exception):
    """More triggers wait than the configuration allows; the sender has to come again."""


@dataclass(frozen=True, slots=True)
class Received:
    """What a notification added."""

    new: tuple[str, ...]
    known: int


def _nothing(_: str) -> None:
    return None


class Ledger:
    """An open ledger. ``at_step`` is called before and after each commit, for tests of crashes."""

    def __init__(self, path: Path, *, working: bool = True, at_step: Callable[[str], None] = _nothing) -> None:
        """Open it. ``working``: create it when it is not there, and be the one process that works on it. Raises ``StateError``."""
        self._database = Database(path, SCHEMA, SCHEMA_VERSION, working=working, at_step=at_step)

    def close(self) -> None:
        """Let the file go."""
        self._database.close()

    # What a notification does.

    def receive(self, triggers: Sequence[Trigger], max_pending: int, now_ms: int) -> Received:
        """Remember triggers; those that are known change nothing. Raises ``LedgerFullError`` and then remembers none."""
        one = self._database.one
        seen = {t.id: one("SELECT seen_ms FROM triggers WHERE id = ?", t.id) for t in triggers}
        stale = [key for key, found in seen.items() if found is not None and now_ms - found[0] >= _SEEN_EVERY_MS]
        if not stale and all(seen.values()):
            return Received((), len(triggers))
        new: list[Trigger] = []
        with self._database.transaction("receive") as db:
            room = max_pending - self.pending()
            for trigger in triggers:
                # Asked again, since another connection may have brought it meanwhile.
                if db.execute("SELECT 1 FROM triggers WHERE id = ?", (trigger.id,)).fetchone() is None:
                    new.append(trigger)
                    self._insert(db, trigger, now_ms)
            if len(new) > room:
                raise LedgerFullError
            db.executemany("UPDATE triggers SET seen_ms = ? WHERE id = ?", [(now_ms, key) for key in stale])
        return Received(tuple(t.id for t in new), len(triggers) - len(new))

    def _insert(self, db: Connection, trigger: Trigger, now_ms: int) -> None:
        query = """
            INSERT INTO triggers (id, model, alert, state, received_ms, changed_ms, seen_ms, not_before_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """
        alert = msgspec.json.encode(trigger)
        db.execute(query, (trigger.id, trigger.model, alert, State.RECEIVED, now_ms, now_ms, now_ms, now_ms))
        _note(db, trigger.id, "received", trigger.reason, f"model {trigger.model}, alert since {trigger.starts_at}", now_ms)
        _count(db, "received")

    # What the worker asks.

    def due(self, now_ms: int) -> Entry | None:
        """The next trigger to work on: the oldest of its model, once its time has come."""
        query = """
            SELECT * FROM pending WHERE not_before_ms <= ? AND seq IN (SELECT min(seq) FROM pending GROUP BY model)
            ORDER BY not_before_ms, seq LIMIT 1
        """
        found = self._database.one(query, now_ms)
        return Entry.of(found) if found else None

    def next_due_ms(self) -> int | None:
        """When the next trigger will be due; None when none waits."""
        found = self._database.one("SELECT min(not_before_ms) FROM pending WHERE seq IN (SELECT min(seq) FROM pending GROUP BY model)")
        return found[0] if found else None

    def starts(self, model: str, now_ms: int) -> Starts:
        """What the policy has to know."""
        last = self._database.one("SELECT max(claimed_ms) FROM starts WHERE model = ?", model)
        recent = self._database.all("SELECT claimed_ms FROM starts WHERE claimed_ms > ?", now_ms - DAY_MS)
        return Starts(last[0] if last else None, [row[0] for row in recent])

    # What the worker does.

    def skip(self, entry: Entry, reason: str, detail: str, now_ms: int) -> None:
        """It starts nothing, by policy."""
        with self._database.transaction("skip") as db:
            _move(db, entry, State.RECEIVED, State.SKIPPED, now_ms, reason=reason, answer=detail[:MAX_DETAIL])
            _note(db, entry.id, "skipped", reason, detail, now_ms)
            _count(db, "skipped", reason)

    def postpone(self, entry: Entry, until_ms: int) -> None:
        """Nothing has happened; look again later."""
        with self._database.transaction("postpone") as db:
            db.execute("UPDATE triggers SET not_before_ms = ? WHERE id = ?", (until_ms, entry.id))

    def give_up_evidence(self, entry: Entry, detail: str, now_ms: int) -> None:
        """It fails for want of evidence, before anything was tried."""
        with self._database.transaction("record") as db:
            answer = detail[:MAX_DETAIL]
            _move(db, entry, State.RECEIVED, State.FAILED, now_ms, reason="no_evidence", evidence_note=answer, answer=answer)
            _note(db, entry.id, "failed", "no_evidence", detail, now_ms)
            _count(db, "failed", "no_evidence")

    def claim(self, entry: Entry, request: Mapping[str, Any], evidence: str | None, note: str, now_ms: int) -> Entry:
        """It is decided that it is started, and what is sent; returns the entry as it is now."""
        text = msgspec.json.encode(request).decode()
        with self._database.transaction("claim") as db:
            _move(
                db, entry, State.RECEIVED, State.STARTING, now_ms,
                claimed_ms=now_ms, request=text, evidence=evidence, evidence_note=note[:MAX_DETAIL], attempts=0, not_before_ms=now_ms,
            )  # fmt: skip
            _note(db, entry.id, "claimed", "", f"evidence: {note}", now_ms)
            _count(db, "evidence", "none" if evidence is None else "fetched")
        return self.entry(entry.id)

    def begin_attempt(self, entry: Entry, unsure_until_ms: int, now_ms: int) -> Entry:
        """An attempt begins; whoever finds it so after a crash waits until then before it looks."""
        with self._database.transaction("attempt") as db:
            _move(
                db,
                entry,
                State.STARTING,
                State.STARTING,
                now_ms,
                attempts=entry.attempts + 1,
                in_flight=True,
                not_before_ms=unsure_until_ms,
            )
            _note(db, entry.id, "attempt", "", f"number {entry.attempts + 1}", now_ms)
        return self.entry(entry.id)

    def record(self, entry: Entry, outcome: Outcome, now_ms: int, next_ms: int | None = None) -> None:
        """What came of an attempt; ``next_ms`` is when there will be another, for ``NotTaken`` and ``Unsure``."""
        answer, reason = outcome.answer[:MAX_DETAIL], outcome.reason
        with self._database.transaction("record") as db:
            match outcome:
                case Started():
                    _move(
                        db, entry, State.STARTING, State.STARTED, now_ms, reason=reason, answer=answer, in_flight=False, started_ms=now_ms
                    )
                    _count(db, "started", reason)
                case Failed(may_have_started=maybe):
                    _move(
                        db, entry, State.STARTING, State.FAILED, now_ms,
                        reason=reason, answer=answer, in_flight=False, may_have_started=maybe,
                    )  # fmt: skip
                    _count(db, "failed", reason)
                case NotTaken() | Unsure():
                    unsure = isinstance(outcome, Unsure)
                    later = {"reason": reason, "answer": answer, "in_flight": unsure, "not_before_ms": next_ms}
                    _move(db, entry, State.STARTING, State.STARTING, now_ms, **later)
                    _count(db, "attempts_failed", reason)
            event = {Started: "started", Failed: "failed", NotTaken: "not_taken", Unsure: "unsure"}[type(outcome)]
            _note(db, entry.id, event, reason, answer, now_ms)

    # What an operator does.

    def release(self, trigger_id: str, now_ms: int) -> Entry:
        """Let a failed or skipped trigger be started after all, whatever the policy says. Raises ``StateError``."""
        entry = self.entry(trigger_id)
        if entry.state not in (State.FAILED, State.SKIPPED):
            raise StateError(f"{trigger_id}: expected a trigger that failed or was skipped, got one that is {entry.state}")
        with self._database.transaction("release") as db:
            _move(
                db, entry, State(entry.state), State.RECEIVED, now_ms, reason="released", releases=entry.releases + 1, received_ms=now_ms,
                not_before_ms=now_ms, claimed_ms=None, may_have_started=False, attempts=0, request=None, answer="",
            )  # fmt: skip
            _note(db, entry.id, "released", entry.reason, "by an operator; cooldown and daily maximum are not asked", now_ms)
            _count(db, "released")
        return self.entry(trigger_id)

    # What readers ask.

    def entry(self, trigger_id: str) -> Entry:
        """A trigger by id. Raises ``StateError`` when there is none."""
        found = self.find(trigger_id)
        if found is None:
            raise StateError(f"{trigger_id}: expected the id of a trigger in the ledger; `driftgauge hook audit` lists them")
        return found

    def find(self, trigger_id: str) -> Entry | None:
        """A trigger by id, or None."""
        found = self._database.one("SELECT * FROM triggers WHERE id = ?", trigger_id)
        return Entry.of(found) if found else None

    def pending(self) -> int:
        """Triggers that are received or starting."""
        found = self._database.one("SELECT count(*) FROM pending")
        return found[0] if found else 0

    def oldest_pending_ms(self) -> int | None:
        """When the trigger that waits longest was received."""
        found = self._database.one("SELECT min(received_ms) FROM pending")
        return found[0] if found else None

    def last_start_ms(self) -> int | None:
        """When something was last started."""
        found = self._database.one("SELECT max(started_ms) FROM triggers")
        return found[0] if found else None

    def totals(self) -> dict[tuple[str, str], int]:
        """(name, reason) to how often that happened, since the ledger was made."""
        return {(name, reason): count for name, reason, count in self._database.all("SELECT name, reason, count FROM totals")}

    def recent(self, limit: int) -> list[Entry]:
        """The triggers that changed last, newest first."""
        return [Entry.of(row) for row in self._database.all("SELECT * FROM triggers ORDER BY changed_ms DESC, seq DESC LIMIT ?", limit)]

    def audit(self, limit: int, trigger_id: str | None = None) -> list[AuditLine]:
        """The last lines of the audit log, of one trigger or of all, oldest first."""
        query = "SELECT * FROM audit WHERE trigger_id = ? OR ? IS NULL ORDER BY seq DESC LIMIT ?"
        return [AuditLine(*row) for row in reversed(self._database.all(query, trigger_id, trigger_id, limit))]

    def forget(self, before_ms: int) -> list[Entry]:
        """Drop triggers that are done and were not heard of since, with their lines of the audit log; returns them."""
        old = "SELECT * FROM triggers WHERE state NOT IN ('received', 'starting') AND max(seen_ms, changed_ms) < ?"
        gone = [Entry.of(row) for row in self._database.all(old, before_ms)]
        if gone:
            with self._database.transaction("forget") as db:
                db.executemany("DELETE FROM audit WHERE trigger_id = ?", [(entry.id,) for entry in gone])
                db.executemany("DELETE FROM triggers WHERE id = ?", [(entry.id,) for entry in gone])
        return gone


def _move(db: Connection, entry: Entry, before: State, after: State, now_ms: int, **columns: object) -> None:
    columns |= {"state": after, "changed_ms": now_ms}
    assignments = ", ".join(f"{name} = ?" for name in columns)
    query = f"UPDATE triggers SET {assignments} WHERE id = ? AND state = ?"  # noqa: S608 (names of columns are this module's own)
    moved = db.execute(query, (*columns.values(), entry.id, before))
    if moved.rowcount != 1:
        raise StateError(f"{entry.id}: expected a trigger that is {before}, to make it {after}; somebody else changed the ledger")


def _note(db: Connection, trigger_id: str, event: str, reason: str, detail: str, now_ms: int) -> None:
    values = (now_ms, trigger_id, event, reason[:MAX_DETAIL], detail[:MAX_DETAIL])
    db.execute("INSERT INTO audit (at_ms, trigger_id, event, reason, detail) VALUES (?, ?, ?, ?, ?)", values)


def _count(db: Connection, name: str, reason: str = "") -> None:
    query = "INSERT INTO totals (name, reason, count) VALUES (?, ?, 1) ON CONFLICT (name, reason) DO UPDATE SET count = count + 1"
    db.execute(query, (name, reason))
