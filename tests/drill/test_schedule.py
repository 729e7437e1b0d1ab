"""Fire drills beside the main job: when they start, what is shown of them, and what is said when they fail."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import pytest

from monitor.config.drill import Drill
from monitor.decision_events import DrillFailed, DrillFinished
from monitor.drill.schedule import DrillSchedule
from monitor.events import Event
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.snapshot import DrillView, Snapshot
from monitor.telemetry import Telemetry
from tests.expose.exposition import series

HOUR = 3_600_000
SHOWN = '{"shown":[{"model":"m","drift":"shift","caught":true,"triggered":false,"events":900,"delay_events":40,"delay_ms":60000},'
SHOWN += '{"model":"m","drift":"missing","caught":false,"triggered":false,"events":900}]}'
GIVEN = {"every": "1h", "first_after": "10m", "give_up": "30m"}


@pytest.fixture
def scheduled():
    made: list[DrillSchedule] = []

    def make(code: str) -> tuple[DrillSchedule, list[Event], SelfMetrics]:
        told: list[Event] = []
        metrics = SelfMetrics()
        schedule = DrillSchedule(
            Drill.model_validate(GIVEN), (sys.executable, "-c", code), Telemetry((told.append, metrics.observe)), started_ms=0
        )
        made.append(schedule)
        return schedule, told, metrics

    yield make
    for schedule in made:
        schedule.close()


def wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def until(schedule: DrillSchedule, told: list[Event], count: int, now_ms: int) -> None:
    """Turn at a time until so much was told."""

    def done() -> bool:
        schedule.turn(now_ms)
        return len(told) >= count

    wait(done)


def shown_in_metrics(metrics: SelfMetrics, snapshot: Snapshot, name: str) -> dict[str, float]:
    return {dict(labels).get("drift", ""): value for labels, value in series(metrics.render(snapshot), name).items()}


def test_a_drill_starts_when_it_is_due_and_its_result_is_shown(scheduled):
    schedule, told, metrics = scheduled(f"print('''{SHOWN}''')")
    snapshot = Snapshot(0, 0, "1")
    for now_ms in (0, 599_999):
        assert schedule.turned(snapshot, now_ms) is snapshot
        assert schedule._child is None
    assert shown_in_metrics(metrics, snapshot, "driftgauge_drill_caught") == {}
    until(schedule, told, 1, 600_000)
    assert told == [DrillFinished(2, ("m/missing",), 0.0)]
    snapshot = schedule.turned(snapshot, 700_000)
    assert snapshot.drills[0] == DrillView("m", "shift", True, False, 900, 40, 60_000)
    assert shown_in_metrics(metrics, snapshot, "driftgauge_drill_caught") == {"shift": 1, "missing": 0}
    assert shown_in_metrics(metrics, snapshot, "driftgauge_drill_delay_seconds") == {"shift": 60}
    assert shown_in_metrics(metrics, snapshot, "driftgauge_drill_last_timestamp_seconds") == {"": 600}
    schedule.turn(600_000 + HOUR - 1)
    assert schedule._child is None
    until(schedule, told, 2, 600_000 + HOUR)


def test_a_drill_that_fails_is_said_and_the_last_result_stays(scheduled):
    code = "import sys; print('driftgauge: expected traffic', file=sys.stderr); print('more', file=sys.stderr); sys.exit(4)"
    schedule, told, metrics = scheduled(code)
    schedule.shown, schedule.ended_ms = (DrillView("m", "shift", True, False, 900, 40, 60_000),), 5
    until(schedule, told, 1, 600_000)
    assert told == [DrillFailed("exit code 4: expected traffic")]
    assert schedule.shown[0].caught
    assert schedule.ended_ms == 5
    assert list(shown_in_metrics(metrics, Snapshot(0, 0, "1"), "driftgauge_drill_failures_total").values()) == [1]


@pytest.mark.parametrize("printed", ["", "{", '{"shown": 3}', "[]"])
def test_a_result_that_is_none_is_a_failure(scheduled, printed):
    schedule, told, _ = scheduled(f"print('{printed}')")
    until(schedule, told, 1, 600_000)
    assert told == [DrillFailed("it printed no result")]
    assert schedule.shown == ()


def test_a_drill_that_takes_too_long_is_ended(scheduled):
    schedule, told, _ = scheduled("import time; time.sleep(600)")
    schedule.turn(600_000)
    child = schedule._child
    assert child is not None
    schedule.turn(600_000 + HOUR // 2 - 1)
    assert told == []
    schedule.turn(600_000 + HOUR // 2)
    assert child.poll() is not None
    assert told == [DrillFailed("it took longer than 1,800 s, drill.give_up, and was ended")]


def test_the_main_job_ends_the_drill_with_itself(scheduled):
    schedule, told, _ = scheduled("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)")
    schedule.turn(600_000)
    child = schedule._child
    assert child is not None
    schedule.close()
    assert child.poll() is not None
    assert told == []


def test_a_command_that_is_not_there_is_a_failure(scheduled):
    schedule, told, _ = scheduled("")
    schedule.command = ("/nowhere/driftgauge",)
    schedule.turn(600_000)
    assert told == [DrillFailed("cannot be started: No such file or directory")]
