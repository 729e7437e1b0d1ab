"""The worker: one trigger at a time, from the ledger to its target.

Steps are small and each ends in a transaction, so the process may die between any two of them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from monitor.errors import StateError
from monitor.hook import events
from monitor.hook.alert import Trigger
from monitor.hook.config import HookConfig, MonitorAccess
from monitor.hook.entry import Entry, State
from monitor.hook.evidence import NoEvidence, evidence_url, fetch_evidence
from monitor.hook.ledger import Ledger
from monitor.hook.policy import DAY_MS, skip_reason
from monitor.hook.target.config import Retry
from monitor.hook.target.outcome import Failed, NotTaken, Outcome, Started, Target, Unsure
from monitor.hook.template import Fields
from monitor.telemetry import Telemetry, reason_of

_LOOK_EVERY_S = 1.0  # for triggers that another process released, and for those whose time has come
_AFTER_BUG_MS = 60_000


def _nothing(_: str) -> None:
    return None


class Worker:
    """Works on triggers in a thread of its own until it is stopped. ``at_step`` is for tests of crashes."""

    def __init__(
        self,
        config: HookConfig,
        ledger: Ledger,
        target: Target,
        telemetry: Telemetry,
        stopping: threading.Event,
        clock_ms: Callable[[], int],
        *,
        at_step: Callable[[str], None] = _nothing,
        forget: Callable[[Entry], None] = lambda _: None,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._target = target
        self._telemetry = telemetry
        self._stopping = stopping
        self._clock_ms = clock_ms
        self._at_step = at_step
        self._forget = forget
        self._wake = threading.Event()
        self._forgot_ms = 0
        self._thread = threading.Thread(target=self._run, name="hook-worker", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the ledger."""
        self._wake.set()

    def join(self, seconds: float) -> bool:
        """Wait for the thread, after ``stopping`` was set; whether it has ended."""
        self._wake.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            wait_s = _LOOK_EVERY_S
            try:
                if self.turn():
                    continue
                next_ms = self._ledger.next_due_ms()
                if next_ms is not None:
                    wait_s = min(wait_s, max(0.0, (next_ms - self._clock_ms()) / 1000))
            except StateError as error:
                self._telemetry.emit(events.LedgerFailed(reason_of(error)))
            if not self._stopping.is_set():
                self._wake.wait(wait_s)

    def turn(self) -> bool:
        """One step of the trigger that is due; false when none is. Raises ``StateError`` when the ledger fails."""
        now = self._clock_ms()
        if now - self._forgot_ms >= DAY_MS:
            self._forgot_ms = now
            for gone in self._ledger.forget(now - self._config.ledger.keep_ms):
                self._forget(gone)
        entry = self._ledger.due(now)
        if entry is None:
            return False
        try:
            if entry.state == State.RECEIVED:
                self._decide(entry)
            else:
                self._attempt(entry)
        except StateError:
            raise
        except Exception as error:
            # One trigger must not stop all others; the log names the bug.
            self._telemetry.emit(events.WorkFailed(entry.id, reason_of(error)))
            self._ledger.postpone(entry, self._clock_ms() + _AFTER_BUG_MS)
        return True

    def _decide(self, entry: Entry) -> None:
        """From ``received``: skip it, wait for evidence, or claim it.

        1 ask the policy; a skip is recorded and ends it (an operator's release is not asked)
        2 fetch the evidence; without it, come again later until the wait is over
        3 claim: what is sent is rendered and recorded, and the cooldown begins. From here on it counts as started
        """
        now = self._clock_ms()
        skip = None if entry.releases else skip_reason(self._config.policy, self._ledger.starts(entry.model, now), now)
        if skip is not None:
            self._ledger.skip(entry, skip.reason, skip.detail, now)
            self._telemetry.emit(events.TriggerSkipped(entry.id, entry.model, str(skip.reason), skip.detail))
            return
        access = self._config.monitor
        evidence, note = None, "not asked for"
        if access is not None:
            found = fetch_evidence(access, entry.id)
            if isinstance(found, NoEvidence):
                if not self._without(entry, access, found):
                    return
                note = f"started without: {found.reason}"
            else:
                evidence, note = found.text, f"{len(found.text)} bytes"
        rendered = self._target.render(fields_of(entry.trigger, entry.received_ms, access, evidence))
        if rendered.note:
            note = f"{note}; {rendered.note}"
        self._ledger.claim(entry, rendered.request, evidence, note, self._clock_ms())

    def _without(self, entry: Entry, access: MonitorAccess, found: NoEvidence) -> bool:
        """Whether it goes on without evidence; when not, what comes next is recorded."""
        now = self._clock_ms()
        if now - entry.received_ms < access.wait_ms:
            self._ledger.postpone(entry, now + max(100, min(2_000, access.wait_ms // 4)))
            return False
        self._telemetry.emit(events.EvidenceMissing(entry.id, entry.model, found.reason))
        if access.evidence == "required":
            self._ledger.give_up_evidence(entry, found.reason, now)
            self._telemetry.emit(events.TriggerFailed(entry.id, entry.model, "no_evidence", may_have_started=False))
            return False
        return True

    def _attempt(self, entry: Entry) -> None:
        """From ``starting``: one attempt. The order of effects is what makes a start happen once:

        1 an attempt that was begun before and whose outcome is not known is settled first, see ``_settle``
        2 record that an attempt begins; it is on disk before anything leaves this process
        3 make the attempt
        4 record what came of it

        Killed before 2: nothing has happened, and the next process begins the attempt. Killed after 4: it is done. Killed
        between 2 and 4: the next process finds the attempt without an outcome and goes to 1. What can happen then depends on the
        target, and its module says it.
        """
        request = json.loads(entry.request or "{}")
        if entry.in_flight:
            outcome = self._settle(entry)
            if not isinstance(outcome, NotTaken):
                self._record(entry, outcome)
                return
        now = self._clock_ms()
        entry = self._ledger.begin_attempt(entry, now + delay_ms(self._target.retry, entry.attempts + 1), now)
        outcome = self._target.start(request, entry.key)
        self._at_step("attempt: made")
        self._record(entry, outcome)

    def _settle(self, entry: Entry) -> Outcome:
        """An attempt that has no clear outcome: ``NotTaken`` to make it again."""
        if self._target.when_unsure == "repeat":
            return NotTaken("repeated")
        if self._target.when_unsure == "ask":
            return self._target.find(json.loads(entry.request or "{}"), entry.key)
        return Failed("unsure", "the hook ended before it had an answer", may_have_started=True)

    def _record(self, entry: Entry, outcome: Outcome) -> None:
        now = self._clock_ms()
        if isinstance(outcome, Unsure) and self._target.when_unsure == "stop":
            outcome = Failed("unsure", f"{outcome.reason}: {outcome.answer}", may_have_started=True)
        wait = max(delay_ms(self._target.retry, entry.attempts), outcome.wait_ms if isinstance(outcome, NotTaken) else 0)
        running = isinstance(outcome, Unsure) and outcome.running
        if (
            isinstance(outcome, NotTaken | Unsure)
            and not running
            and now - (entry.claimed_ms or now) >= self._target.retry.give_up_after_ms
        ):
            outcome = Failed("gave_up", f"{outcome.reason}: {outcome.answer}", may_have_started=isinstance(outcome, Unsure))
        next_ms = now if running else now + min(wait, self._target.retry.longest_ms)
        self._ledger.record(entry, outcome, now, next_ms)
        match outcome:
            case Started():
                self._telemetry.emit(events.TriggerStarted(entry.id, entry.model, entry.key.run_id, outcome.reason, entry.attempts))
            case Failed():
                self._telemetry.emit(events.TriggerFailed(entry.id, entry.model, outcome.reason, outcome.may_have_started))
            case NotTaken() | Unsure():
                self._telemetry.emit(events.AttemptFailed(entry.id, entry.model, outcome.reason, entry.attempts, next_ms - now))


def delay_ms(retry: Retry, attempts: int) -> int:
    """Wait after so many attempts: doubling, up to the longest.

    >>> [delay_ms(Retry(), attempts) for attempts in (1, 2, 9, 10, 1000)]
    [1000, 2000, 256000, 300000, 300000]
    """
    return int(min(retry.longest_ms, retry.first_ms * 2 ** min(max(0, attempts - 1), 40)))


def fields_of(trigger: Trigger, received_ms: int, access: MonitorAccess | None, evidence: str | None) -> Fields:
    """What a template can name of a trigger."""
    received = datetime.fromtimestamp(received_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Fields(
        trigger.id, trigger.model, trigger.reason, trigger.severity, trigger.starts_at, received, evidence_url(access, trigger.id),
        trigger.labels, trigger.annotations, None if evidence is None else json.loads(evidence),
    )  # fmt: skip


def wall_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
