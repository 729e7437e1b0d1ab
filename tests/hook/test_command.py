"""A local command: no shell, bounded in time and output, started at most once whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from monitor.hook.target.command import CommandStart
from monitor.hook.target.config import CommandTarget
from monitor.hook.target.outcome import Failed, Key, NotTaken, Started, Unsure
from monitor.hook.template import Fields
from tests.hook.world import alert, config_of
from tests.hook.world import running as running_hook
from tests.prometheus import wait_for

KEY = Key("t-1", "retrain-churn-1", 0)


@pytest.fixture
def stopping():
    return threading.Event()


@pytest.fixture
def command(tmp_path, stopping):
    """Makes a target that runs a Python script; the script sees its folder as the current one."""

    def make(script: str, *arguments: str, **options) -> CommandStart:
        (tmp_path / "script.py").write_text(script)
        tree = {"arguments": [sys.executable, "script.py", *arguments], "directory": tmp_path, "runs": tmp_path / "runs", **options}
        return CommandStart(CommandTarget.model_validate(tree), stopping)

    return make


def fields(**changes):
    known = {
        "trigger_id": "t-1", "model": "churn", "reason": "performance", "severity": "warning", "starts_at": "", "received_at": "",
        "evidence_url": "", "evidence": {"drop": 0.2},
    }  # fmt: skip
    return Fields(**known | changes)


def start(target, **changes):
    return target.start(target.render(fields(**changes)).request, KEY)


PRINT_ALL = "import sys, os, json; print(json.dumps([sys.argv[1:], json.load(sys.stdin), dict(os.environ)]))"


def test_it_gets_its_arguments_as_they_are_and_the_trigger_on_standard_input(command, tmp_path, monkeypatch):
    monkeypatch.setenv("HOOK_ONLY", "not for the command")
    monkeypatch.setenv("PASSED", "on")
    (tmp_path / "token").write_text("s3cret\n")
    hostile = "; rm -rf / $(reboot) `x` && 'quoted' \"two\" \\ *"
    target = command(
        PRINT_ALL, "${model}", "--reason=${reason}", "plain words",
        environment={"ID": "${trigger_id}"}, secret_environment={"TOKEN": {"file": tmp_path / "token"}},
        pass_environment=["PATH", "PASSED"],
    )  # fmt: skip
    assert isinstance(start(target, reason=hostile), Started)
    arguments, given, environment = json.loads((target.folder(KEY) / "stdout").read_text())
    assert arguments == ["churn", f"--reason={hostile}", "plain words"]
    assert (given["trigger_id"], given["reason"], given["evidence"]) == ("t-1", hostile, {"drop": 0.2})
    assert environment | {"LC_CTYPE": ""} == {"PATH": os.environ["PATH"], "PASSED": "on", "ID": "t-1", "TOKEN": "s3cret", "LC_CTYPE": ""}
    kept = b"".join(path.read_bytes() for path in target.folder(KEY).iterdir() if path.name != "stdout")
    assert b"s3cret" not in kept


def test_exit_status_0_is_a_start_and_its_output_is_kept(command):
    target = command("import sys; print('submitted job 7'); print('careful', file=sys.stderr)")
    assert start(target) == Started("exit_0", "exit status 0; stdout: submitted job 7; stderr: careful")
    assert (target.folder(KEY) / "stdout").read_text() == "submitted job 7\n"


def test_any_other_exit_status_is_a_failure_without_another_try(command):
    failed = Failed("command_failed", "exit status 3", may_have_started=True)
    assert start(command("raise SystemExit(3)")) == failed
    assert start(command("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")) == failed, (
        "asked again with the same key, the result of the first run is the answer"
    )


def test_a_command_that_ran_and_failed_counts_as_a_start_and_one_that_is_not_there_does_not(tmp_path):
    """Hours of training that end in an error are not to be had again by the next trigger."""
    for program, second in ((["/bin/sh", "-c", "exit 1"], "skipped"), (["/no/such/program"], "failed")):
        folder = tmp_path / second
        folder.mkdir()
        target = {"command": {"arguments": program, "runs": "runs"}}
        with running_hook(config_of(folder, target, policy={"cooldown": "1h", "daily_maximum": 10})) as hook:
            hook.send(alert("t-1"))
            hook.until("t-1", "failed")
            hook.send(alert("t-2"))
            hook.until("t-2", second)


def test_a_program_that_is_not_there_is_said(tmp_path, stopping):
    target = CommandStart(CommandTarget(arguments=("/no/such/program",), runs=tmp_path / "runs"), stopping)
    assert start(target) == Failed("command_not_found", "FileNotFoundError: No such file or directory")


def test_after_its_time_it_is_ended_with_its_children(command, tmp_path):
    script = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("pids", "w").write(f"{os.getpid()} {child.pid}")
print("began", flush=True)
time.sleep(60)
"""
    outcome = start(command(script, timeout="2s"))
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.may_have_started) == ("command_timeout", True)
    assert "stdout: began" in outcome.answer
    pids = (tmp_path / "pids").read_text().split()
    wait_for("the end of both", lambda: not any(running(pid) for pid in pids))


def running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_more_output_than_is_kept_is_read_and_dropped(command):
    target = command("import sys; sys.stdout.write('x' * 3_000_000); sys.stderr.write('y' * 10)", max_output_bytes=1_000)
    assert isinstance(start(target), Started)
    assert (target.folder(KEY) / "stdout").stat().st_size == 1_000
    assert (target.folder(KEY) / "stderr").stat().st_size == 10


def test_a_process_left_behind_does_not_hold_the_result_back(command):
    script = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'])"
    assert isinstance(start(command(script)), Started)


def test_a_secret_that_cannot_be_read_starts_nothing_and_is_tried_again(command, tmp_path):
    target = command("print(1)", secret_environment={"TOKEN": {"file": tmp_path / "none"}})
    outcome = start(target)
    assert isinstance(outcome, NotTaken)
    assert "none" in outcome.answer
    assert not target.folder(KEY).exists()


SLOW = """
import pathlib, time
with open("runs.txt", "a") as file: file.write("run ")
while not pathlib.Path("go").exists(): time.sleep(0.02)
print("done")
"""


class TestWhoeverIsKilled:
    def in_background(self, command, tmp_path, stopping):
        """A command that runs on while its hook has gone."""
        target = command(SLOW)
        outcomes = []
        thread = threading.Thread(target=lambda: outcomes.append(start(target)))
        thread.start()
        wait_for("the command", (tmp_path / "runs.txt").exists)
        stopping.set()
        thread.join(20)
        assert outcomes == [Unsure("running", "the command runs on without the hook", running=True)]
        stopping.clear()
        return target

    def test_the_next_hook_waits_for_a_command_that_runs(self, command, tmp_path, stopping):
        target = self.in_background(command, tmp_path, stopping)
        threading.Timer(0.3, (tmp_path / "go").touch).start()
        assert target.find({}, KEY) == Started("exit_0", "exit status 0; stdout: done")
        assert (tmp_path / "runs.txt").read_text() == "run "

    def test_asking_for_a_start_again_runs_nothing_again(self, command, tmp_path, stopping):
        target = self.in_background(command, tmp_path, stopping)
        (tmp_path / "go").touch()
        assert isinstance(start(target), Started)
        assert isinstance(start(target), Started)
        assert (tmp_path / "runs.txt").read_text() == "run "

    def test_when_the_supervisor_is_killed_too_the_outcome_is_unknown_and_nothing_runs_again(self, command, tmp_path, stopping):
        target = self.in_background(command, tmp_path, stopping)
        [supervisor] = [
            path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if str(target.folder(KEY)).encode() in cmdline(path)
        ]
        os.kill(int(supervisor), signal.SIGKILL)
        outcome = target.find({}, KEY)
        assert isinstance(outcome, Failed)
        assert (outcome.reason, outcome.may_have_started) == ("outcome_unknown", True)
        assert start(target) == outcome
        assert (tmp_path / "runs.txt").read_text() == "run "
        (tmp_path / "go").touch()

    def test_what_was_not_begun_is_not_there(self, command):
        assert command("print(1)").find({}, KEY) == NotTaken("not_run", "the command was not started")

    def test_two_supervisors_at_once_run_it_once(self, command, tmp_path):
        import subprocess

        from monitor.hook.target import supervise

        (tmp_path / "go").touch()
        target = command(SLOW)
        start(target)
        folder = target.folder(KEY)
        for name in ("begun", "result.json"):
            (folder / name).unlink()
        both = [subprocess.Popen([sys.executable, "-I", supervise.__file__, str(folder)]) for _ in range(5)]
        assert [each.wait(30) for each in both] == [0] * 5
        assert (tmp_path / "runs.txt").read_text() == "run run "


def test_a_released_trigger_runs_in_a_folder_of_its_own_and_both_are_forgotten(command, tmp_path):
    target = command(SLOW)
    (tmp_path / "go").touch()
    again = Key(KEY.trigger_id, KEY.run_id, 1)
    request = target.render(fields()).request
    target.start(request, KEY)
    target.start(request, again)
    assert (tmp_path / "runs.txt").read_text() == "run run "
    assert target.folder(again).name == "retrain-churn-1.1"
    target.forget(again)
    assert list((tmp_path / "runs").iterdir()) == []


def cmdline(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
