"""A running server for tests, and the events that it emits."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from monitor import events
from monitor.config.root import Http
from monitor.expose.published import Published
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.server import HttpServer, Limits
from monitor.expose.snapshot import Snapshot
from monitor.telemetry import Telemetry
from tests.expose.sample import running

Start = Callable[..., HttpServer]
PATHS = [
    "/",
    "/metrics",
    "/healthz",
    "/readyz",
    "/api/v1/verdicts",
    "/api/v1/alarms",
    "/api/v1/status",
    "/api/v1/performance",
    "/api/v1/labels",
    "/api/v1/review",
    "/api/v1/failure-modes",
    "/api/v1/triggers",
    "/api/v1/canary",
]


class Log:
    """Keeps the events."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []

    def __call__(self, event: events.Event) -> None:
        self.events.append(event)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def start(log: Log) -> Iterator[Start]:
    started: list[HttpServer] = []

    def run(snapshot: Snapshot | None = None, *, limits: Limits | None = None, now_ms: int | None = None, **http: object) -> HttpServer:
        shown = running() if snapshot is None else snapshot
        published = Published(shown, SelfMetrics(), 100_000)
        config = Http(port=0, **http)  # type: ignore[arg-type]
        clock_ms = (lambda: shown.taken_ms + 1000) if now_ms is None else (lambda: now_ms)
        server = HttpServer(config, published, Telemetry((log,)), limits=limits or Limits(), clock_ms=clock_ms)
        started.append(server)
        return server

    yield run
    for server in started:
        server.stop()
