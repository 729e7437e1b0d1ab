from __future__ import annotations

import pytest

from monitor.cli.healthcheck import ask
from monitor.config.root import Http
from monitor.expose.published import Published
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.server import HttpServer
from monitor.telemetry import Telemetry
from tests.expose.sample import running


@pytest.mark.parametrize("bind", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_it_asks_where_the_server_listens(bind):
    shown = running()
    server = HttpServer(Http(bind=bind, port=0), Published(shown, SelfMetrics(), 1_000), Telemetry(), clock_ms=lambda: shown.taken_ms)
    try:
        status, _ = ask(Http(bind=bind, port=server.port), "/healthz")
    finally:
        server.stop()
    assert status == 200
