"""The monitor as a process of its own, beside the demonstration, started by the command that a user would give."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from monitor.demo.answers import Api, Model, Status
from monitor.demo.broker import stop
from monitor.demo.prepare import Workspace

READY_SECONDS = 60.0
STOP_SECONDS = 15.0  # it promises to stop within 10
_WAIT_SECONDS = 0.1
_LOG_TAIL = 2_000


@dataclass(frozen=True, slots=True)
class Watching:
    """A running monitor."""

    api: Api
    process: subprocess.Popen[bytes]
    workspace: Workspace

    def status(self) -> Status:
        """Ask how it is. Raises ``RuntimeError`` with the end of its log once it has ended."""
        try:
            return self.api.status()
        except ConnectionError:
            self.must_run()
            raise

    def must_run(self) -> None:
        """Raises ``RuntimeError`` with the end of its log when it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the monitor ended with status {self.process.returncode}; the end of {self.workspace.log}:\n{self._tail()}")

    def wait_until_ready(self, version: str = "") -> None:
        """Return once it has its partitions, and the reference of the version. Raises ``RuntimeError`` or ``TimeoutError`` with its log."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            self.must_run()
            try:
                status = self.api.status()
            except ConnectionError:  # its server is not up yet
                status = None
            if status is not None and status.ready and all(model.complete and _knows(model, version) for model in status.models):
                return
            time.sleep(_WAIT_SECONDS)
        raise TimeoutError(
            f"expected the monitor to be ready within {READY_SECONDS:.0f} s; the end of {self.workspace.log}:\n{self._tail()}"
        )

    def _tail(self) -> str:
        return self.workspace.log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:]


def _knows(model: Model, version: str) -> bool:
    return not version or any(each.version == version and each.reference for each in model.versions)


@contextmanager
def running_monitor(workspace: Workspace, port: int) -> Iterator[Watching]:
    """Run the monitor by the workspace's configuration, which names ``port``; yields it ready, and ends it."""
    command = [sys.executable, "-m", "monitor", "run", "-c", str(workspace.config)]
    with workspace.log.open("ab") as log:
        # A session of its own, as the broker has: Ctrl-C reaches the demonstration alone, which then stops both in order.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    api = Api(port)
    try:
        watching = Watching(api, process, workspace)
        watching.wait_until_ready()
        yield watching
    finally:
        api.close()
        stop(process, STOP_SECONDS)
