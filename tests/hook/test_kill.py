"""kill -9 of the real process at every step between receipt and start: nothing is lost, and nothing starts twice.

Alertmanager is played as it is: it posts until it has a 2xx, and then again although it had one.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaConsumer

from tests.expose.client import fetch
from tests.forked import Forked
from tests.hook import killed
from tests.hook.world import Asked, alert, http_start, notification, serving, write_config
from tests.prometheus import wait_for

STEPS = [
    "receive: before commit",
    "receive: after commit",  # and before the answer
    "claim: before commit",
    "claim: after commit",
    "attempt: before commit",
    "attempt: after commit",  # and before anything leaves the process
    "attempt: made",  # the target has it, and the ledger does not know
    "record: before commit",
    "record: after commit",
]
TRIGGERS = {step: f"t-{number}" for number, step in enumerate(STEPS)}


class Life:
    """One process of the hook."""

    def __init__(self, config: Path) -> None:
        self.folder = config.parent
        for name in ("port", "armed"):
            (self.folder / name).unlink(missing_ok=True)
        self.log = self.folder / "hook.log"
        self.process = Forked(killed.main, str(config), out=self.log, error=self.log)
        port = self.folder / "port"
        try:
            self.port = int(wait_for("the hook", lambda: port.exists() and port.read_text(), 60, self.log))
        except BaseException:
            self.process.kill()
            raise

    def arm(self, step: str) -> None:
        """From now on the process kills itself at this step."""
        (self.folder / "armed.new").write_text(step)
        (self.folder / "armed.new").rename(self.folder / "armed")

    def post(self, trigger_id: str) -> bool:
        """Whether the hook answered 2xx, as Alertmanager sees it."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return fetch(self.port, "/webhook", method="POST", body=notification(alert(trigger_id))).status == 200
        return False

    def until_dead(self) -> None:
        wait_for("the end of the process", lambda: self.process.poll() is not None, 60, self.log)
        assert self.process.poll() == -signal.SIGKILL, self.log.read_text()[-3000:]

    def until_done(self, trigger_id: str) -> dict:
        def done():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            triggers = {each["trigger_id"]: each for each in json.loads(fetch(self.port, "/").body)["triggers"]}
            shown = triggers.get(trigger_id, {})
            return shown if shown.get("state") in ("started", "failed") else None

        return dict(wait_for(f"{trigger_id} to be done", done, 60, self.log))

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        finally:
            self.process.kill()


def live_through(config: Path, settled: Callable[[str], None]) -> None:
    """A life after the other, each ended at the next step with a trigger of its own; ``settled`` is called once that is done."""
    life = Life(config)
    try:
        for number, step in enumerate(STEPS):
            trigger_id = f"t-{number}"
            life.arm(step)
            heard = life.post(trigger_id)
            life.until_dead()
            life = Life(config)
            if heard:
                life.until_done(trigger_id)  # nobody has to come again for it to be started
            assert life.post(trigger_id), step
            assert life.until_done(trigger_id)["state"] == "started", step
            assert life.post(trigger_id), step
            settled(trigger_id)
    finally:
        life.terminate()


def test_a_target_that_knows_the_run_starts_once_whatever_step_the_hook_is_killed_at(tmp_path):
    runs: list[str] = []

    def airflow(asked: Asked):
        """Runs by name; a second one of a name is a conflict."""
        if asked.json["run"] in runs:
            return 409, {"title": "Conflict"}
        runs.append(asked.json["run"])
        return 200, {}

    with serving(airflow) as target:
        live_through(write_config(tmp_path, http_start(target.url, when_unsure="repeat", already=[409])), lambda _: None)
        posts = {trigger_id: [post for post in target.posts() if post.json["id"] == trigger_id] for trigger_id in TRIGGERS.values()}
    assert len(runs) == len(set(runs)) == len(STEPS)
    assert {step: len(posts[trigger_id]) for step, trigger_id in TRIGGERS.items()} == {
        step: 2 if step in ("attempt: made", "record: before commit") else 1 for step in STEPS
    }, "it is not asked more often than it must be"
    for same in posts.values():
        assert len({(post.body, post.headers["idempotency-key"]) for post in same}) == 1


def test_a_command_runs_once_whatever_step_the_hook_is_killed_at(tmp_path):
    (tmp_path / "script.py").write_text("import sys\nopen('runs.txt', 'a').write(sys.argv[1] + ' ')")
    arguments = [sys.executable, "script.py", "${trigger_id}"]

    def settled(_: str) -> None:
        ran = (tmp_path / "runs.txt").read_text().split()
        assert ran == [f"t-{number}" for number in range(len(ran))]

    live_through(write_config(tmp_path, {"command": {"arguments": arguments}}), settled)
    assert (tmp_path / "runs.txt").read_text().split() == list(TRIGGERS.values())


def test_a_command_that_runs_while_the_hook_is_killed_runs_once_and_its_result_is_found(tmp_path):
    (tmp_path / "script.py").write_text("""
import pathlib, time
open("runs.txt", "a").write("run ")
while not pathlib.Path("go").exists(): time.sleep(0.02)
print("job 7")
""")
    config = write_config(tmp_path, {"command": {"arguments": [sys.executable, "script.py"]}})
    first = Life(config)
    assert first.post("t-1")
    wait_for("the command", (tmp_path / "runs.txt").exists, 60)
    first.process.kill()
    first.process.wait(10)
    second = Life(config)
    assert second.post("t-1")
    (tmp_path / "go").touch()
    shown = second.until_done("t-1")
    second.terminate()
    assert (shown["state"], shown["answer"]) == ("started", "exit status 0; stdout: job 7")
    assert (tmp_path / "runs.txt").read_text() == "run "


class TestKilledWhileTheTargetHasTheRequest:
    """The target gets the request, and the hook is dead before it can answer."""

    def live(self, tmp_path: Path, runs: list[str], there: bool, **start) -> dict:
        lives: list[Life] = []

        def target(asked: Asked):
            if asked.method == "GET":
                return 200, {"runs": runs if there else []}
            runs.append(asked.json["run"])
            if len(runs) == 1:
                lives[0].process.kill()
                lives[0].until_dead()
            return 200, {}

        with serving(target) as api:
            if start.get("when_unsure") == "ask":
                start["lookup"] = {"url": f"{api.url}/runs"}
            config = write_config(tmp_path, http_start(api.url, **start))
            lives.append(Life(config))
            lives[0].post("t-1")
            lives[0].until_dead()
            lives.append(Life(config))
            try:
                assert lives[1].post("t-1")
                return lives[1].until_done("t-1")
            finally:
                lives[1].terminate()

    def test_stop_fails_and_says_that_it_may_have_started(self, tmp_path):
        runs: list[str] = []
        shown = self.live(tmp_path, runs, there=True)
        assert (shown["state"], shown["reason"], shown["may_have_started"], len(runs)) == ("failed", "unsure", True, 1)

    def test_ask_finds_the_run_and_starts_nothing_more(self, tmp_path):
        runs: list[str] = []
        shown = self.live(tmp_path, runs, there=True, when_unsure="ask")
        assert (shown["state"], shown["reason"], len(runs)) == ("started", "found", 1)

    def test_ask_starts_a_second_run_where_the_target_does_not_show_the_first_yet(self, tmp_path):
        """What remains possible, as the documentation says."""
        runs: list[str] = []
        shown = self.live(tmp_path, runs, there=False, when_unsure="ask")
        assert (shown["state"], len(runs)) == ("started", 2)


@pytest.mark.broker
def test_a_kafka_event_may_come_twice_and_says_so_by_its_id(broker, topic, tmp_path):
    """What remains possible, as the documentation says: the same ce_id and the same value."""
    name = topic()
    kafka = {"brokers": [broker.bootstrap], "topic": name, "value": {"id": "${trigger_id}", "at": "${received_at}"}}
    config = write_config(tmp_path, {"kafka": kafka})
    first = Life(config)
    first.arm("attempt: made")
    assert first.post("t-1")
    first.until_dead()
    second = Life(config)
    try:
        assert second.until_done("t-1")["state"] == "started"
    finally:
        second.terminate()
    consumer = KafkaConsumer(name, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=3_000)
    events = [(dict(event.headers)["ce_id"], event.value) for event in consumer]
    consumer.close()
    assert len(events) == 2
    assert len(set(events)) == 1
