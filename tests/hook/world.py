"""What stands around the hook: notifications as Alertmanager posts them, HTTP APIs that record, and hooks to try them on."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from monitor.events import Event
from monitor.hook.alert import parse
from monitor.hook.app import Hook, open_target
from monitor.hook.config import AlertFilter, HookConfig, load_hook_config, parse_hook_config
from monitor.hook.ledger import Ledger
from monitor.hook.worker import Worker
from monitor.telemetry import Telemetry
from tests.expose.client import Answer, fetch
from tests.prometheus import get_json, wait_for

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


def alert(trigger_id: str | None = "t-1", model: str = "churn", status: str = "firing", **labels: Any) -> dict[str, Any]:
    """An alert of Alertmanager, a trigger unless labels say otherwise."""
    known = {"alertname": "DriftgaugeRetrainRequired", "model": model, "reason": "performance", "action": "retrain", "severity": "warning"}
    named = known | ({} if trigger_id is None else {"trigger_id": trigger_id}) | labels
    return {
        "status": status,
        "labels": {name: value for name, value in named.items() if value is not None},
        "annotations": {"summary": "A model needs retraining."},
        "startsAt": "2027-01-15T08:00:00.000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "c0ffee00c0ffee00",
    }


def notification(*alerts: Any, **fields: Any) -> bytes:
    """A body as Alertmanager 0.25 sends it."""
    tree = {
        "receiver": "hook", "status": "firing", "alerts": list(alerts), "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://alertmanager", "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0,
    }  # fmt: skip
    return json.dumps(tree | fields).encode()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that an API got."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Reply = tuple[int, Any]
Respond = Callable[[Asked], Reply]


@dataclass
class Api:
    """An HTTP API on a free loopback port. ``respond`` may be changed at any time; requests are recorded before they are answered."""

    url: str
    respond: Respond
    requests: list[Asked] = field(default_factory=list)

    def posts(self, path: str = "") -> list[Asked]:
        return [asked for asked in list(self.requests) if asked.method == "POST" and path in asked.path]


@contextlib.contextmanager
def serving(respond: Respond = lambda _: (200, {}), *, certificate: Path | None = None) -> Iterator[Api]:
    """The API as long as the block lasts; with HTTPS when there is a folder with a certificate."""
    api = Api("", respond)

    class Recorder(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            api.requests.append(asked)
            status, tree = api.respond(asked)
            if status == 0:  # close without an answer
                return
            content = tree if isinstance(tree, bytes) else b"" if status == 204 else json.dumps(tree).encode()
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_: Any) -> None:
            """Nothing: the requests are the record."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Clients that are killed reset their connections."""

    server = Server(("127.0.0.1", 0), Recorder)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    api.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def http_start(url: str, **changes: Any) -> dict[str, Any]:
    """A start section that posts to ``url`` and tries again quickly."""
    body = {"id": "${trigger_id}", "run": "${run_id}", "model": "${model}", "reason": "${reason}", "evidence": "${evidence}"}
    retry = {"first": "50ms", "longest": "200ms", "give_up_after": "1h"}
    return {"http": {"url": url, "body": body, "retry": retry, **changes}}


def write_config(folder: Path, start: Mapping[str, Any], **sections: Any) -> Path:
    tree = {"listen": {"port": 0}, "policy": {"cooldown": "0s", "daily_maximum": 10_000}, "start": dict(start)}
    path = folder / "hook.yaml"
    path.write_text(yaml.safe_dump(tree | sections), encoding="utf-8")
    return path


def config_of(folder: Path, start: Mapping[str, Any], **sections: Any) -> HookConfig:
    return load_hook_config(write_config(folder, start, **sections))


def parsed(**sections: Any) -> HookConfig:
    return parse_hook_config({"start": http_start("http://127.0.0.1:1/")} | sections)


class Clock:
    """Wall time that stands still until it is moved."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


@dataclass
class Running:
    """A hook in this process, with what it said."""

    hook: Hook
    said: list[Event]

    @property
    def port(self) -> int:
        return self.hook.port

    def post(self, body: bytes, **headers: str) -> Answer:
        return fetch(self.port, "/webhook", method="POST", body=body, headers=headers)

    def send(self, *alerts: Any) -> dict[str, Any]:
        answer = self.post(notification(*alerts))
        assert answer.status == 200, answer
        return dict(json.loads(answer.body))

    def triggers(self) -> dict[str, dict[str, Any]]:
        return {each["trigger_id"]: each for each in get_json(f"http://127.0.0.1:{self.port}/")["triggers"]}

    def until(self, trigger_id: str, *states: str, seconds: float = 30.0) -> dict[str, Any]:
        """The trigger once it is in one of these states."""
        found = lambda: (each := self.triggers().get(trigger_id)) and each["state"] in states and each  # noqa: E731
        return dict(wait_for(f"{trigger_id} to be {' or '.join(states)}", found, seconds))

    def metric(self, name: str, **labels: str) -> float:
        """Value of a series ``driftgauge_hook_…``; NaN when there is none."""
        wanted = f"driftgauge_hook_{name}" + ("{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}" if labels else "")
        lines = fetch(self.port, "/metrics").body.decode().splitlines()
        return next((float(line.split()[-1]) for line in lines if line.rsplit(" ", 1)[0] == wanted), float("nan"))


@dataclass
class Stepped:
    """A ledger and a worker that takes a step only when it is told to, at a time that stands still until it is moved."""

    ledger: Ledger
    worker: Worker
    clock: Clock
    said: list[Event]

    def receive(self, *alerts: Any) -> None:
        self.ledger.receive(parse(notification(*alerts), AlertFilter()).triggers, 1_000, self.clock())

    def work(self) -> None:
        """Every step that is due now."""
        while self.worker.turn():
            pass


@contextlib.contextmanager
def stepped(config: HookConfig) -> Iterator[Stepped]:
    clock, said, stopping = Clock(), [], threading.Event()
    ledger = Ledger(config.ledger.path)
    worker = Worker(config, ledger, open_target(config.start, stopping), Telemetry((said.append,)), stopping, clock)
    try:
        yield Stepped(ledger, worker, clock, said)
    finally:
        ledger.close()


@contextlib.contextmanager
def running(config: HookConfig, clock: Callable[[], int] | None = None, stop_seconds: float = 10.0) -> Iterator[Running]:
    """A hook as long as the block lasts, on wall time unless a clock is given."""
    said: list[Event] = []
    options = {} if clock is None else {"clock_ms": clock}
    hook = Hook(config, Telemetry((said.append,)), **options)
    try:
        yield Running(hook, said)
    finally:
        hook.stop(stop_seconds)
