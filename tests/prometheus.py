"""A real Prometheus and a real Alertmanager for tests, on free loopback ports, and a webhook that records.

Both come from Debian (``tests/install-prometheus.sh``). A session starts one of each: Prometheus hands targets and
Alertmanagers over only every five seconds, and no flag changes that. Rules and targets are added while it runs.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.broker.process import ServerProcess, free_ports

TOOLS = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager", "promtool": "promtool", "amtool": "amtool"}
"""Part to Debian's name of the program; upstream's own name is looked for too."""


def tool(part: str) -> str | None:
    """Path of a program, or None when it is not installed."""
    return shutil.which(TOOLS[part]) or shutil.which(part)


def version(part: str) -> str | None:
    """Such as ``2.42.0``; None when the program is not installed."""
    path = tool(part)
    if path is None:
        return None
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    words = (shown.stdout + shown.stderr).split()
    return words[words.index("version") + 1].rstrip(",") if "version" in words else "unknown"


def header_lines() -> list[str]:
    """One line a server: its version and path, or that it is left out and what to do."""
    return [
        f"{part}: {version(part)} ({tool(part)})" if tool(part) else f"{part}: left out, not installed (run tests/install-prometheus.sh)"
        for part in ("prometheus", "alertmanager")
    ]


def left_out() -> list[str]:
    """Programs that are missing."""
    return [part for part in TOOLS if tool(part) is None]


def wait_for(what: str, ready: Callable[[], Any], seconds: float = 30.0, log: Path | None = None) -> Any:
    """The first true answer of ``ready``. Raises ``TimeoutError`` with the end of the log."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, urllib.error.URLError):
            answer = ready()
            if answer:
                return answer
        if time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-3_000:] if log and log.exists() else ""
            raise TimeoutError(f"waited {seconds:g} s in vain for {what}\n{tail}")
        time.sleep(0.05)


@contextlib.contextmanager
def running(name: str, command: list[str], log: Path) -> Iterator[None]:
    """A server for as long as the block lasts. Its output goes to ``log``."""
    process = ServerProcess(name, command, log, log.parent)
    try:
        yield
    finally:
        process.terminate()


def get_json(url: str, **parameters: str) -> Any:
    """Body of a GET as JSON; a 4xx of Prometheus's API carries a reason, which is part of the error."""
    query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
    try:
        with urllib.request.urlopen(url + query, timeout=30) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise ValueError(f"{url}{query}: {error.code} {error.read().decode(errors='replace')[:500]}") from error


@dataclass
class Webhook:
    """Records what Alertmanager posts. It is the other side of the wire: no part of the program stands in for it."""

    url: str
    notifications: list[dict[str, Any]] = field(default_factory=list)

    def alerts(self, **labels: str) -> list[dict[str, Any]]:
        """Alerts received so far that carry these labels, oldest first."""
        received = [alert for notification in list(self.notifications) for alert in notification["alerts"]]
        return [alert for alert in received if labels.items() <= alert["labels"].items()]


@contextlib.contextmanager
def start_webhook() -> Iterator[Webhook]:
    """A receiver on a free loopback port that answers 200 to all."""
    webhook = Webhook("")

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.notifications.append(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing: the notifications are the record."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    webhook.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield webhook
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextlib.contextmanager
def start_alertmanager(folder: Path, config: Mapping[str, Any]) -> Iterator[str]:
    """Address of a ready Alertmanager that runs with ``config``."""
    path = tool("alertmanager")
    assert path is not None
    file, log, port = folder / "alertmanager.yml", folder / "alertmanager.log", free_ports(1)[0]
    file.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    command = [
        path, f"--config.file={file}", f"--storage.path={folder / 'alertmanager'}", f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",  # no gossip: else it listens on all interfaces and waits for peers
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with running("alertmanager", command, log):
        wait_for("Alertmanager", lambda: urllib.request.urlopen(f"{url}/-/ready", timeout=5).status == 200, log=log)
        yield url


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus that takes targets and rules while it runs."""

    url: str
    folder: Path

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Series of an instant query, now."""
        return list(get_json(f"{self.url}/api/v1/query", query=expression)["data"]["result"])

    def scrape(self, job: str, address: str, *, path: str = "/metrics") -> None:
        """Add a target and wait until it has been scraped. ``address`` is host:port."""
        target = [{"targets": [address], "labels": {"job": job, "__metrics_path__": path}}]
        staged = self.folder / "targets" / f"{job}.staged"
        staged.write_text(json.dumps(target), encoding="utf-8")
        staged.rename(staged.with_suffix(".json"))
        wait_for(f"a scrape of {address}", lambda: self.query(f'up{{job="{job}"}} == 1'))

    def forget(self, job: str) -> None:
        """Take a target away."""
        (self.folder / "targets" / f"{job}.json").unlink(missing_ok=True)

    def load_rules(self, name: str, text: str) -> None:
        """Add or replace a rule file and wait until its groups are evaluated."""
        (self.folder / "rules" / f"{name}.yml").write_text(text, encoding="utf-8")
        self._reload()
        wanted = {group["name"] for group in yaml.safe_load(text)["groups"]}
        loaded = lambda: {group["name"] for group in get_json(f"{self.url}/api/v1/rules")["data"]["groups"]}  # noqa: E731
        wait_for(f"the rules {name}", lambda: wanted <= loaded())

    def drop_rules(self, name: str) -> None:
        """Take a rule file away."""
        (self.folder / "rules" / f"{name}.yml").unlink(missing_ok=True)
        self._reload()

    def _reload(self) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/-/reload", method="POST"), timeout=30).close()


@contextlib.contextmanager
def start_prometheus(folder: Path, alertmanager: str | None = None, interval: str = "250ms") -> Iterator[Prometheus]:
    """A ready Prometheus that scrapes and evaluates every ``interval``; ``alertmanager`` is an address http://host:port."""
    path = tool("prometheus")
    assert path is not None
    for name in ("targets", "rules"):
        (folder / name).mkdir()
    config: dict[str, Any] = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(folder / "rules" / "*.yml")],
        "scrape_configs": [{"job_name": "files", "file_sd_configs": [{"files": [str(folder / "targets" / "*.json")]}]}],
    }
    if alertmanager:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.removeprefix("http://")]}]}]}
    file, log, port = folder / "prometheus.yml", folder / "prometheus.log", free_ports(1)[0]
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [
        path, f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle", "--rules.alert.resend-delay=1s", "--rules.alert.for-grace-period=0s", "--query.lookback-delta=30s",
    ]  # fmt: skip
    server = Prometheus(f"http://127.0.0.1:{port}", folder)
    with running("prometheus", command, log):
        wait_for("Prometheus", lambda: urllib.request.urlopen(f"{server.url}/-/ready", timeout=5).status == 200, log=log)
        if alertmanager:
            known = f"{server.url}/api/v1/alertmanagers"
            wait_for("Prometheus to know Alertmanager", lambda: get_json(known)["data"]["activeAlertmanagers"], log=log)
        yield server


@dataclass(frozen=True)
class Alerting:
    """Prometheus, Alertmanager and the webhook at the end of the chain."""

    prometheus: Prometheus
    alertmanager: str
    webhook: Webhook


@pytest.fixture(scope="session")
def alerting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alerting]:
    """The whole chain, once a session. Every alert goes to the webhook; groups wait 100 ms, so that inhibition does not race."""
    folder = tmp_path_factory.mktemp("alerting")
    with start_webhook() as webhook:
        config = {
            "route": {"receiver": "webhook", "group_by": ["..."], "group_wait": "100ms", "group_interval": "1s", "repeat_interval": "4h"},
            "receivers": [{"name": "webhook", "webhook_configs": [{"url": webhook.url, "send_resolved": True}]}],
        }
        with start_alertmanager(folder, config) as alertmanager, start_prometheus(folder, alertmanager) as prometheus:
            yield Alerting(prometheus, alertmanager, webhook)


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Callable[[Mapping[str, Any]], str]]:
    """Starts an Alertmanager with a configuration; returns its address. It ends with the test."""
    with contextlib.ExitStack() as started:
        yield lambda config: started.enter_context(start_alertmanager(tmp_path, config))


@pytest.fixture(scope="session")
def promtool() -> str:
    """Path of promtool; a test that uses this is left out, and that is said, where it is not installed."""
    path = tool("promtool")
    assert path is not None
    return path


@pytest.fixture(scope="session")
def amtool() -> str:
    """Path of amtool, likewise."""
    path = tool("amtool")
    assert path is not None
    return path
