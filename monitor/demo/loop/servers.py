"""Prometheus, Alertmanager and the hook, each a process of its own, with the committed configuration towards this run's ports."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from monitor.demo.broker import free_port, stop
from monitor.demo.loop.folder import DEPLOY, LoopFolder

READY_SECONDS = 60.0
STOP_SECONDS = 12.0
PIPELINE_STOP_SECONDS = 30.0
_WAIT_SECONDS = 0.05
_DEBIAN = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
"""Name of each program in Debian; upstream's own name is looked for too."""

_INSTALL = "sudo apt-get install --no-install-recommends prometheus prometheus-alertmanager"


def program(name: str) -> Path:
    """Where Prometheus or Alertmanager is. Raises ``ModuleNotFoundError`` that says how to install it."""
    found = shutil.which(_DEBIAN[name]) or shutil.which(name)
    if found is None:
        raise ModuleNotFoundError(
            f"the loop runs on a real Prometheus and a real Alertmanager, and {name} is not installed. On Debian or Ubuntu:\n"
            f"  {_INSTALL}\nelsewhere their release archives do as well, with both programs on the PATH"
        )
    return Path(found)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def must_run(self) -> None:
        """Raises ``RuntimeError`` with the end of its log when it has ended."""
        if self.process.poll() is not None:
            tail = self.log.read_text(encoding="utf-8", errors="replace")[-2_000:]
            raise RuntimeError(f"{self.name} ended with status {self.process.returncode}; the end of {self.log}:\n{tail}")


@contextmanager
def running_prometheus(folder: LoopFolder, monitor_port: int, alertmanager: Server) -> Iterator[Server]:
    """Prometheus, which scrapes the monitor every two seconds and evaluates its rules each second; yields it ready."""
    path, port = program("prometheus"), free_port()
    rules = folder.prometheus / "driftgauge.rules.yml"
    command = [sys.executable, "-m", "monitor", "rules", "-c", str(folder.config), "-o", str(rules)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    tree = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    tree["global"] = {"scrape_interval": "2s", "evaluation_interval": "1s"}
    tree["rule_files"] = [rules.name]
    tree["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.url.removeprefix("http://")]}]}]}
    [job] = [each for each in tree["scrape_configs"] if each["job_name"] == "driftgauge"]
    tree["scrape_configs"] = [{**job, "static_configs": [{"targets": [f"127.0.0.1:{monitor_port}"]}]}]
    _write(folder.prometheus / "prometheus.yml", tree)
    arguments = [
        f"--config.file={folder.prometheus / 'prometheus.yml'}", f"--storage.tsdb.path={folder.prometheus / 'series'}",
        f"--web.listen-address=127.0.0.1:{port}", "--rules.alert.resend-delay=5s",
    ]  # fmt: skip
    with _running("prometheus", [str(path), *arguments], port, "/-/ready", folder) as server:
        yield server


@contextmanager
def running_alertmanager(folder: LoopFolder, hook_port: int) -> Iterator[Server]:
    """Alertmanager with the committed routes, towards the hook; there are no people to tell. Yields it ready."""
    path, port = program("alertmanager"), free_port()
    tree = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
    for receiver in tree["receivers"]:
        if receiver["name"] != "retraining":
            receiver.pop("webhook_configs", None)
            continue
        for webhook in receiver["webhook_configs"]:
            webhook["url"] = f"http://127.0.0.1:{hook_port}/webhook"
            webhook["http_config"]["authorization"]["credentials_file"] = str((folder.hook / "token").resolve())
    _write(folder.alertmanager / "alertmanager.yml", tree)
    arguments = [
        f"--config.file={folder.alertmanager / 'alertmanager.yml'}", f"--storage.path={folder.alertmanager / 'state'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",  # no gossip, which would listen on all interfaces
    ]  # fmt: skip
    with _running("alertmanager", [str(path), *arguments], port, "/-/ready", folder) as server:
        yield server


@contextmanager
def running_hook(folder: LoopFolder, hook_port: int, monitor_port: int) -> Iterator[Server]:
    """The hook, which starts the pipeline; yields it ready. A pipeline that still runs in the end is ended."""
    token = folder.hook / "token"
    token.write_text(secrets.token_urlsafe(32), encoding="ascii")
    token.chmod(0o600)
    _write(folder.hook / "hook.yaml", hook_tree(folder, hook_port, monitor_port))
    command = [sys.executable, "-m", "monitor", "hook", "-c", str(folder.hook / "hook.yaml")]
    try:
        with _running("hook", command, hook_port, "/healthz", folder) as server:
            yield server
    finally:
        _end_pipelines(folder)


def hook_tree(folder: LoopFolder, hook_port: int, monitor_port: int) -> Mapping[str, Any]:
    """The hook's configuration. Its limits are of wall time, and here a month passes in seconds: the policy's own hold, in event time."""
    pipeline = [sys.executable, "-m", "monitor.demo.loop.retrain", f"--folder={folder.folder.resolve()}"]
    return {
        "listen": {"port": hook_port, "bearer_token": {"file": "token"}},
        "monitor": {"url": f"http://127.0.0.1:{monitor_port}", "evidence": "required"},
        "policy": {"cooldown": "0s", "daily_maximum": 100},
        "ledger": {"path": "ledger.sqlite"},
        "start": {"command": {"arguments": pipeline, "directory": str(Path.cwd()), "timeout": "5m", "runs": "runs"}},
    }


def _end_pipelines(folder: LoopFolder) -> None:
    """Return when no run of the pipeline is under way any more."""
    # The hook lets a command that it has started live on, as it should; here nothing may outlive the demonstration. A run that was
    # only just begun has not said its process id yet, so it is asked for until there is a result.
    deadline = time.monotonic() + PIPELINE_STOP_SECONDS
    for run in (folder.hook / "runs").glob("*/"):
        while not (run / "result.json").exists() and time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
                os.killpg(int(folder.pipeline.read_text(encoding="ascii")), signal.SIGTERM)
            time.sleep(_WAIT_SECONDS)
        _wait_until_free(run / "lock", deadline)
    folder.pipeline.unlink(missing_ok=True)


def _wait_until_free(lock: Path, deadline: float) -> None:
    # Whoever looks after the run holds it for as long as it lives.
    with lock.open("a") as file:
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(_WAIT_SECONDS)


@contextmanager
def _running(name: str, command: Sequence[str], port: int, ready: str, folder: LoopFolder) -> Iterator[Server]:
    log = folder.server_log(name)
    with log.open("ab") as output:
        # A session of its own: Ctrl-C reaches the demonstration alone, which then stops all in order.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    server = Server(name, f"http://127.0.0.1:{port}", process, log)
    try:
        _wait_until_ready(server, ready)
        yield server
    finally:
        stop(process, STOP_SECONDS)


def _wait_until_ready(server: Server, path: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        server.must_run()
        with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(server.url + path, timeout=5) as response:
            if response.status == 200:
                return
        time.sleep(_WAIT_SECONDS)
    raise TimeoutError(f"expected {server.name} to be ready within {READY_SECONDS:.0f} s; see {server.log}")


def _write(path: Path, tree: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(tree), sort_keys=False), encoding="utf-8")
