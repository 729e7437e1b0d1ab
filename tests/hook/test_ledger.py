"""The ledger: every change is one transaction, on disk when it returns, and only in the order that the states allow."""

from __future__ import annotations

import sqlite3

import pytest

from monitor.errors import StateError
from monitor.hook.alert import parse
from monitor.hook.config import AlertFilter
from monitor.hook.entry import State
from monitor.hook.ledger import Ledger, LedgerFullError
from monitor.hook.target.outcome import Failed, NotTaken, Started, Unsure
from tests.hook.world import DAY_MS, NOW_MS, alert, notification

HOUR_MS = 3_600_000


def triggers(*alerts):
    return parse(notification(*alerts), AlertFilter()).triggers


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deeper" / "hook.sqlite"


@pytest.fixture
def ledger(path):
    opened = Ledger(path)
    yield opened
    opened.close()


def received(ledger, *ids, model="churn", now=NOW_MS):
    ledger.receive(triggers(*(alert(each, model) for each in ids)), 1_000, now)
    return [ledger.entry(each) for each in ids]


def claimed(ledger, trigger_id, model="churn", now=NOW_MS):
    [entry] = received(ledger, trigger_id, model=model, now=now)
    return ledger.claim(entry, {"body": "{}"}, None, "not asked for", now)


def test_what_was_committed_is_there_for_the_next_process(path):
    first = Ledger(path)
    entry = claimed(first, "t-1")
    first.record(first.begin_attempt(entry, NOW_MS + 10, NOW_MS), Started("accepted", "200 ok"), NOW_MS + 5)
    before = first.entry("t-1"), first.audit(100), first.totals()
    first.close()
    second = Ledger(path)
    assert (second.entry("t-1"), second.audit(100), second.totals()) == before
    assert before[0].state == State.STARTED
    assert [line.event for line in before[1]] == ["received", "claimed", "attempt", "started"]
    second.close()


def test_commits_are_synchronous_and_the_file_is_the_owners_alone(ledger, path):
    assert path.stat().st_mode & 0o077 == 0
    assert ledger._database.one("PRAGMA synchronous") == (2,)  # FULL
    assert ledger._database.one("PRAGMA journal_mode") == ("wal",)


def test_a_known_trigger_changes_nothing(ledger):
    received(ledger, "t-1")
    again = ledger.receive(triggers(alert("t-1", severity="critical"), alert("t-2")), 1_000, NOW_MS + 1)
    assert (again.new, again.known) == (("t-2",), 1)
    assert ledger.entry("t-1").trigger.severity == "warning"
    assert [line.trigger_id for line in ledger.audit(10)] == ["t-1", "t-2"]
    assert ledger.totals() == {("received", ""): 2}


def test_a_flood_of_one_trigger_writes_nothing_but_once_an_hour(ledger):
    received(ledger, "t-1")
    writes = ledger._database._connection.total_changes
    for minute in range(60):
        assert ledger.receive(triggers(alert("t-1")), 1, NOW_MS + minute * 60_000).known == 1
    assert ledger._database._connection.total_changes == writes
    ledger.receive(triggers(alert("t-1")), 1, NOW_MS + HOUR_MS)
    assert ledger.entry("t-1").seen_ms == NOW_MS + HOUR_MS


def test_when_too_many_wait_none_of_a_notification_is_taken(ledger):
    ledger.receive(triggers(alert("a"), alert("b")), 3, NOW_MS)
    with pytest.raises(LedgerFullError):
        ledger.receive(triggers(alert("a"), alert("c"), alert("d")), 3, NOW_MS)
    assert ledger.find("c") is None
    assert ledger.receive(triggers(alert("a"), alert("c")), 3, NOW_MS).new == ("c",)
    assert ledger.receive(triggers(alert("a"), alert("b")), 3, NOW_MS).known == 2, "known ones need no room"


def test_the_oldest_of_each_model_is_due_and_holds_the_later_ones_back(ledger):
    received(ledger, "c1", "c2")
    received(ledger, "f1", model="fraud", now=NOW_MS + 1)
    first = ledger.due(NOW_MS + 5)
    assert first.id == "c1"
    ledger.postpone(first, NOW_MS + 100)
    assert ledger.due(NOW_MS + 5).id == "f1"
    ledger.skip(ledger.entry("f1"), "cooldown", "why", NOW_MS + 6)
    assert ledger.due(NOW_MS + 99) is None
    assert ledger.due(NOW_MS + 100).id == "c1"
    ledger.skip(ledger.entry("c1"), "cooldown", "why", NOW_MS + 101)
    assert ledger.due(NOW_MS + 101).id == "c2"


class TestStarts:
    def test_what_started_or_may_have_counts_and_nothing_else(self, ledger):
        outcomes = {
            "started": Started("accepted"),
            "unsure": Failed("unsure", may_have_started=True),
            "refused": Failed("refused"),
            "between": NotTaken("not_reached"),
        }
        for number, (name, outcome) in enumerate(outcomes.items()):
            entry = ledger.begin_attempt(claimed(ledger, name, model=name, now=NOW_MS + number), NOW_MS, NOW_MS)
            ledger.record(entry, outcome, NOW_MS, NOW_MS)
        received(ledger, "waiting", model="waiting")
        assert {name: ledger.starts(name, NOW_MS).last_of_model_ms for name in [*outcomes, "waiting"]} == {
            "started": NOW_MS,
            "unsure": NOW_MS + 1,
            "refused": None,
            "between": NOW_MS + 3,
            "waiting": None,
        }
        assert sorted(ledger.starts("any", NOW_MS).of_all_models_ms) == [NOW_MS, NOW_MS + 1, NOW_MS + 3]

    def test_starts_of_the_last_24_hours_are_those_of_the_policy(self, ledger):
        claimed(ledger, "old", model="a")
        claimed(ledger, "new", model="b", now=NOW_MS + HOUR_MS)
        assert ledger.starts("x", NOW_MS + DAY_MS).of_all_models_ms == [NOW_MS + HOUR_MS]


class TestStates:
    def test_an_attempt_without_an_outcome_is_seen_by_the_next_process(self, ledger):
        entry = ledger.begin_attempt(claimed(ledger, "t-1"), NOW_MS + 1_000, NOW_MS)
        assert (entry.in_flight, entry.attempts) == (True, 1)
        assert ledger.due(NOW_MS + 999) is None
        assert ledger.due(NOW_MS + 1_000).in_flight

    def test_after_a_clear_no_nothing_is_in_flight_and_after_an_unclear_answer_it_is(self, ledger):
        entry = ledger.begin_attempt(claimed(ledger, "t-1"), NOW_MS, NOW_MS)
        ledger.record(entry, NotTaken("not_reached", "refused"), NOW_MS, NOW_MS + 50)
        assert not ledger.entry("t-1").in_flight
        entry = ledger.begin_attempt(ledger.entry("t-1"), NOW_MS, NOW_MS)
        ledger.record(entry, Unsure("no_answer"), NOW_MS, NOW_MS + 70)
        assert ledger.entry("t-1").in_flight
        assert ledger.due(NOW_MS + 69) is None
        assert ledger.totals()["attempts_failed", "not_reached"] == ledger.totals()["attempts_failed", "no_answer"] == 1

    def test_a_step_from_another_state_is_refused_and_changes_nothing(self, ledger):
        [entry] = received(ledger, "t-1")
        ledger.skip(entry, "cooldown", "why", NOW_MS)
        before = ledger.entry("t-1"), ledger.audit(100), ledger.totals()
        with pytest.raises(StateError, match="t-1: expected a trigger that is received, to make it starting"):
            ledger.claim(entry, {}, None, "", NOW_MS)
        with pytest.raises(StateError, match="expected a trigger that is starting, to make it started"):
            ledger.record(entry, Started("accepted"), NOW_MS)
        assert (ledger.entry("t-1"), ledger.audit(100), ledger.totals()) == before

    def test_what_failed_or_was_skipped_can_be_released_and_nothing_else(self, ledger):
        [entry] = received(ledger, "t-1")
        with pytest.raises(StateError, match="expected a trigger that failed or was skipped, got one that is received"):
            ledger.release("t-1", NOW_MS)
        ledger.skip(entry, "cooldown", "why", NOW_MS)
        released = ledger.release("t-1", NOW_MS + 7)
        assert (released.state, released.releases, released.not_before_ms) == ("received", 1, NOW_MS + 7)
        with pytest.raises(StateError, match="expected the id of a trigger in the ledger"):
            ledger.release("nobody", NOW_MS)

    def test_a_long_answer_is_cut(self, ledger):
        entry = ledger.begin_attempt(claimed(ledger, "t-1"), NOW_MS, NOW_MS)
        ledger.record(entry, Failed("refused", "x" * 10_000), NOW_MS)
        assert len(ledger.entry("t-1").answer) == len(ledger.audit(1)[0].detail) == 2_000


def test_the_audit_log_is_never_changed(ledger):
    received(ledger, "t-1")
    with pytest.raises(sqlite3.IntegrityError, match="the audit log is never changed"):
        ledger._database._connection.execute("UPDATE audit SET reason = 'better'")


def test_the_audit_log_of_one_trigger_and_its_last_lines(ledger):
    received(ledger, "t-1", "t-2", "t-3")
    assert [line.trigger_id for line in ledger.audit(2)] == ["t-2", "t-3"]
    assert [line.trigger_id for line in ledger.audit(10, "t-2")] == ["t-2"]


def test_what_is_done_and_not_heard_of_is_forgotten_and_what_waits_is_not(ledger):
    done, still_firing, _ = received(ledger, "done", "still-firing", "waiting")
    for entry in (done, still_firing):
        ledger.skip(entry, "cooldown", "why", NOW_MS)
    ledger.receive(triggers(alert("still-firing")), 10, NOW_MS + 10 * DAY_MS)
    assert [entry.id for entry in ledger.forget(NOW_MS + DAY_MS)] == ["done"]
    assert ledger.find("done") is None
    assert {line.trigger_id for line in ledger.audit(100)} == {"still-firing", "waiting"}
    assert ledger.totals()["skipped", "cooldown"] == 2, "totals go on"


class TestOpening:
    def test_two_hooks_cannot_work_on_one_ledger(self, ledger, path):
        with pytest.raises(StateError, match="another hook works on this ledger"):
            Ledger(path)
        reader = Ledger(path, working=False)
        received(ledger, "t-1")
        assert reader.find("t-1") is not None
        reader.close()

    def test_the_lock_goes_with_the_process(self, path):
        Ledger(path).close()
        Ledger(path).close()

    def test_a_reader_creates_nothing(self, path):
        with pytest.raises(StateError, match="there is no ledger here"):
            Ledger(path, working=False)
        assert not path.exists()

    def test_another_version_is_refused(self, path):
        Ledger(path).close()
        with sqlite3.connect(path) as other:
            other.execute("PRAGMA user_version = 7")
        other.close()
        with pytest.raises(StateError, match="expected a ledger of version 1, got 7"):
            Ledger(path)

    def test_what_is_no_ledger_is_refused(self, path):
        path.parent.mkdir()
        path.write_bytes(b"this is no database" * 1_000)
        with pytest.raises(StateError, match="the ledger cannot be read: file is not a database"):
            Ledger(path)

    def test_a_database_of_somebody_else_is_refused(self, path):
        path.parent.mkdir()
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE theirs (x)")
        other.close()
        with pytest.raises(StateError, match="expected a ledger of version 1, got 0"):
            Ledger(path)

    def test_damage_is_said(self, path):
        first = Ledger(path)
        received(first, *(f"t-{n}" for n in range(200)))
        first.close()
        content = bytearray(path.read_bytes())
        content[4096 * 3 : 4096 * 12] = b"\xa5" * (4096 * 9)
        path.write_bytes(content)
        with pytest.raises(StateError, match=r"damaged|malformed"):
            Ledger(path)

    def test_a_folder_that_cannot_be_written_is_said(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StateError, match="the ledger cannot be written"):
            Ledger(tmp_path / "file" / "hook.sqlite")


def test_a_failing_disk_leaves_the_state_as_it_was(ledger):
    [entry] = received(ledger, "t-1")
    before = ledger.entry("t-1"), ledger.audit(100), ledger.totals()
    ledger._database._connection.execute("PRAGMA max_page_count = 1")  # as if the disk were full
    with pytest.raises(StateError, match="the ledger cannot be written: database or disk is full"):
        ledger.claim(entry, {"body": "x" * 500_000}, None, "", NOW_MS)
    ledger._database._connection.execute("PRAGMA max_page_count = 1000000")
    assert (ledger.entry("t-1"), ledger.audit(100), ledger.totals()) == before
    assert ledger.claim(entry, {"body": "x"}, None, "", NOW_MS).state == State.STARTING
