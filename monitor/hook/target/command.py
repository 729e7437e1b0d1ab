"""A local command, started at most once per trigger, also when the hook is killed at any moment.

The command is run by a small program of its own (``supervise.py``) that leaves a mark on disk before it starts it and the
result after. So after a kill -9 of the hook its successor reads there what happened, or waits for it:

    no mark               the command was not started: it is started now
    mark, still locked    it runs: wait for its result
    result                it ended, with this status
    mark, nothing else    the supervising program was killed too, or the machine stopped: the command may have run, in part or not
                          at all. It is not started again; the trigger fails with the reason outcome_unknown, and somebody has to look
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from monitor.hook.target import supervise
from monitor.hook.target.config import CommandTarget, Retry
from monitor.hook.target.http import UnreadableError, read_secret
from monitor.hook.target.outcome import Failed, Key, NotTaken, Outcome, Rendered, Started, Unsure
from monitor.hook.template import Fields, render, render_text

INPUT = {
    name: "${" + name + "}" for name in ("trigger_id", "run_id", "model", "reason", "severity", "starts_at", "received_at", "evidence")
}
"""What the command reads from standard input."""

_LOOK_EVERY_S = 0.05
_SHOWN_BYTES = 500  # of each stream, in the audit log


class CommandStart:
    """The target ``command``. ``stopping`` ends the wait for a command that runs: the next process finds it again."""

    kind = "command"
    when_unsure: Literal["stop", "ask", "repeat"] = "ask"

    def __init__(self, config: CommandTarget, stopping: threading.Event) -> None:
        self._config = config
        self._stopping = stopping
        self.retry = Retry.model_validate({"first": "100ms"})  # asking again costs nothing: the answer is on this disk

    def render(self, fields: Fields) -> Rendered:
        """Arguments, environment without secrets, and standard input."""
        config = self._config
        return Rendered({
            "arguments": [_argument(render_text(each, fields)) for each in config.arguments],
            "environment": {name: _argument(render_text(value, fields)) for name, value in config.environment.items()},
            "input": msgspec.json.encode(render(INPUT, fields)).decode(),
        })  # fmt: skip

    def folder(self, key: Key) -> Path:
        """Where this run's files are."""
        return self._config.runs / (key.run_id if key.release == 0 else f"{key.run_id}.{key.release}")

    def forget(self, key: Key) -> None:
        """Remove what was kept of a run and of its former releases."""
        for release in range(key.release + 1):
            shutil.rmtree(self.folder(Key(key.trigger_id, key.run_id, release)), ignore_errors=True)

    def start(self, request: Mapping[str, Any], key: Key) -> Outcome:
        """Hand the command to a supervising program and wait for its result."""
        config, folder = self._config, self.folder(key)
        try:
            environment = self._environment(request["environment"])
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            spec = {
                "arguments": request["arguments"],
                "directory": str(config.directory),
                "timeout_s": config.timeout_ms / 1000,
                "max_output_bytes": config.max_output_bytes,
            }
            supervise.put(folder / "spec.json", json.dumps(spec))
            supervise.put(folder / "input.json", request["input"])
            with (folder / "supervisor.log").open("ab") as log:
                supervisor = subprocess.Popen(  # noqa: S603 (this interpreter, a file of this package)
                    [sys.executable, "-I", supervise.__file__, str(folder)],
                    env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
        except UnreadableError as error:
            return NotTaken("no_credentials", str(error))
        except OSError as error:
            return NotTaken("not_run", f"{folder}: {type(error).__name__}: {error.strerror}")
        while supervisor.poll() is None:
            if self._stopping.wait(_LOOK_EVERY_S):
                return Unsure("running", "the command runs on without the hook", running=True)
        return self.find(request, key)

    def find(self, request: Mapping[str, Any], key: Key) -> Outcome:
        """What became of the command."""
        folder = self.folder(key)
        while _held(folder / "lock"):
            if self._stopping.wait(_LOOK_EVERY_S):
                return Unsure("running", "the command runs on without the hook", running=True)
        if (folder / "result.json").exists():
            return self._result(folder)
        if (folder / "begun").exists():
            return Failed("outcome_unknown", f"the command may have run; see {folder}", may_have_started=True)
        return NotTaken("not_run", "the command was not started")

    def _result(self, folder: Path) -> Outcome:
        result = json.loads((folder / "result.json").read_bytes())
        answer = "; ".join([
            f"exit status {result['exit']}",
            *(f"{name}: {_tail(folder / name)}" for name in ("stdout", "stderr") if _tail(folder / name)),
        ])  # fmt: skip
        if result["error"]:
            return Failed("command_not_found", result["error"])
        if result["timed_out"]:
            return Failed("command_timeout", answer, may_have_started=True)
        return Started("exit_0", answer) if result["exit"] == 0 else Failed("command_failed", answer, may_have_started=True)

    def _environment(self, rendered: Mapping[str, str]) -> dict[str, str]:
        passed = {name: os.environ[name] for name in self._config.pass_environment if name in os.environ}
        return passed | dict(rendered) | {name: _argument(read_secret(secret)) for name, secret in self._config.secret_environment.items()}


def _argument(text: str) -> str:
    return text.replace("\x00", "")


def _held(lock: Path) -> bool:
    try:
        with lock.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _tail(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _SHOWN_BYTES))
        return file.read(_SHOWN_BYTES).decode(errors="replace").strip()
    return ""
