"""The loop from end to end on days of July, which a model of the winter knows nothing of; and how it ends when it must."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from monitor.dashboards import dashboards
from monitor.demo.account import balanced
from monitor.demo.answers import Status
from monitor.demo.flights import Flights
from monitor.demo.loop.folder import LoopFolder
from monitor.demo.loop.published import Published
from monitor.demo.loop.run import SHADOW_DAYS, run
from monitor.demo.loop.servers import program
from monitor.demo.model import Model
from monitor.demo.terminal import Ink, Terminal
from monitor.demo.watching import Watching
from monitor.expose.catalogue import METRICS
from tests.demo.test_main import play, processes_about
from tests.deploy.execute import EmptyQuery, execute_dashboard

pytestmark = [pytest.mark.broker, pytest.mark.prometheus, pytest.mark.usefixtures("alerting"), pytest.mark.timeout(600)]

DAYS = 9

_SEVERAL_ANNOTATORS = ("driftgauge_annotator_", "driftgauge_label_agreement", "driftgauge_label_disagreement_", "driftgauge_label_flip_")
_NOT_ASKED_FOR = ("driftgauge_review_", "driftgauge_drill_")
_AGAINST_A_WINDOW_BEFORE = ("driftgauge_label_coverage_relative_", "driftgauge_label_coverage_uneven")
_LEFT = ("driftgauge_retrain_required",)  # a trigger that still waits
NOT_IN_FLIGHTS = {name for name in METRICS if name.startswith((*_SEVERAL_ANNOTATORS, *_NOT_ASKED_FOR, *_AGAINST_A_WINDOW_BEFORE, *_LEFT))}
"""Metrics that these days do not give: each flight has one label, told by its arrival; nothing is reviewed, no fire drill was run, and
there is no window of labels before the first one."""


@dataclass(eq=False)
class Seen:
    """What was so while everything still ran."""

    status: Status
    processes: int
    versions: set[str]
    empty: list[EmptyQuery]  # queries of dashboards without an answer


def unanswered(prometheus: str) -> list[EmptyQuery]:
    """Queries of all dashboards that are about a monitor and have no answer there."""
    boards = [board for name, board in dashboards().items() if name != "hook.json"]
    return [each for board in boards for each in execute_dashboard(prometheus, board, may_be_absent=NOT_IN_FLIGHTS)]


def test_a_model_of_the_winter_is_replaced_in_july_and_everything_is_said(tmp_path: Path, flights: Flights, model: Model) -> None:
    folder, written, seen = LoopFolder(tmp_path / "loop"), io.StringIO(), list[Seen]()
    july = play(flights, model, 30, DAYS)

    def stay(watching: Watching, _: Terminal) -> None:
        versions = {metric.version for metric in watching.api.metrics([("view", "label_time")])}
        [prometheus] = re.findall(r"Prometheus at (http://[\d.:]+)", written.getvalue())
        seen.append(Seen(watching.status(), len(processes_about(folder.folder)), versions, unanswered(prometheus)))

    loop = run(folder, Terminal(written, live=False, ink=Ink(False)), prepare=lambda: july, stay=stay)

    [done] = seen
    assert done.processes == 5  # broker, hook, Alertmanager, Prometheus, monitor; the pipeline is over
    assert processes_about(folder.folder) == []
    [watched] = done.status.models
    assert balanced(watched, loop.traffic.predictions)
    assert {each.version: each.reference is not None for each in watched.versions} == {"1": True, "2": True}
    assert done.versions == {"1", "2"}
    assert {each.panel for each in done.empty} == {"Labels of the audit sample"}, "every other query of every dashboard has an answer"

    [rollout] = loop.rollouts
    [first, second] = loop.traffic.legs
    assert first.count + second.count == len(july.production)
    assert second.count > 1_000
    until_ms = datetime.fromisoformat(rollout.trigger.decided).timestamp() * 1000 + SHADOW_DAYS * 86_400_000
    assert loop.traffic.answered_aside == int((july.production.time_ms[second.first :] < until_ms).sum())
    assert rollout.run.attempts == 1
    assert rollout.suspected.detection[0].streams >= rollout.suspected.detection[0].triggered > 0
    assert rollout.suspected.alarms
    assert {"retraining", "tickets"} == set(rollout.receivers)
    assert rollout.alert.labels["action"] == "retrain"
    assert [path.name for path in (folder.hook / "runs").iterdir()] == [rollout.run.run_id]
    [trial] = loop.trials
    assert (trial.champion, trial.candidate) == ("1", "2")
    assert trial.all is not None
    assert trial.all.candidate.compared_rows > 1_000
    more = trial.all.champion.compared_rows - trial.all.candidate.compared_rows
    assert 0 <= more < 1_000  # the same flights, and those of the first day that the old version alone had answered
    manifest = msgspec.json.decode((folder.versions / "2" / "published.json").read_bytes(), type=Published)
    assert manifest == rollout.published
    assert manifest.trigger_id == rollout.trigger.id
    assert manifest.train_end_ms - manifest.train_start_ms == 42 * 86_400_000

    text = written.getvalue()
    assert re.search(r"\n  version 1 +[\d.]+ s   answered [\d,]+ flights, 2013-07-0\d reached\n", text)
    assert f"trigger {rollout.trigger.id} on 2013-07-0" in text
    assert f"started once, as {rollout.run.run_id}" in text
    assert "of 1 triggers came to the hook" in text
    assert "it started 1 pipelines" in text
    assert re.search(r"\n  version 1 alone → as served +\d\.\d+ → \d\.\d+ \([+-]\d+%\) +\d+% → \d+% ", text)
    assert f"\n  rows       {loop.traffic.predictions:,} received of {loop.traffic.predictions:,} sent\n" in text
    assert "Retraining " in text.splitlines()[-4]


def while_it_waits(written: io.StringIO, title: str, act: Callable[[], None]) -> tuple[threading.Thread, threading.Event]:
    """Do something once a step of that title is under way."""
    over = threading.Event()

    def watch() -> None:
        while f"  {title} " not in written.getvalue() and not over.wait(0.05):
            pass
        if not over.is_set():
            act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread, over


@pytest.mark.usefixtures("_interruptible")
def test_ctrl_c_while_it_trains_ends_the_pipeline_too(tmp_path: Path, flights: Flights, model: Model) -> None:
    folder, written = LoopFolder(tmp_path / "loop"), io.StringIO()
    july = play(flights, model, 30, DAYS)
    running: list[str] = []

    def interrupt() -> None:
        # At once: a run that was only just begun, and did not say its process id yet, must end as well.
        while not any((folder.hook / "runs").glob("*/begun")) and not over.wait(0.02):
            pass
        running.extend(processes_about(folder.folder))
        os.kill(os.getpid(), signal.SIGINT)

    thread, over = while_it_waits(written, "hook", interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(folder, Terminal(written, live=True, ink=Ink(False)), prepare=lambda: july)
    finally:
        over.set()
        thread.join()
    assert any("monitor.demo.loop.retrain" in command or "supervise" in command for command in running)
    assert processes_about(folder.folder) == []
    assert written.getvalue().endswith("not finished\n")


def test_a_server_that_ends_on_the_way_is_named_and_the_others_end_with_it(tmp_path: Path, flights: Flights, model: Model) -> None:
    folder, written = LoopFolder(tmp_path / "loop"), io.StringIO()
    july = play(flights, model, 30, 60)

    def end_prometheus() -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace") if path.exists() else ""
            if str(folder.folder) in command and "--storage.tsdb.path" in command:
                os.kill(int(path.parent.name), signal.SIGTERM)

    thread, over = while_it_waits(written, "version 1", end_prometheus)
    try:
        with pytest.raises(RuntimeError, match=r"prometheus ended with status 0; the end of .*prometheus\.log:"):
            run(folder, Terminal(written, live=True, ink=Ink(False)), prepare=lambda: july)
    finally:
        over.set()
        thread.join()
    assert processes_about(folder.folder) == []


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_without_its_programs_it_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match=rf"{name} is not installed. On Debian or Ubuntu:\n  sudo apt-get install"):
        program(name)
    assert not shutil.which(name)
