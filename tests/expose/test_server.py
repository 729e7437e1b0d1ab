from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import socket
import threading
from dataclasses import replace

import pytest

from monitor.config.root import Http, Tls
from monitor.errors import ConfigError
from monitor.expose.answer import problem
from monitor.expose.published import Published
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.server import HttpServer, Server
from monitor.expose.snapshot import Phase
from monitor.hook.config import HookListen
from monitor.telemetry import Telemetry
from tests.expose.client import WAIT_SECONDS, fetch
from tests.expose.exposition import families
from tests.expose.sample import running, starting
from tests.expose.serving import PATHS, Start

# What is served.


def test_it_listens_on_loopback_unless_told_otherwise(start: Start) -> None:
    server = start()
    assert server.address == f"http://127.0.0.1:{server.port}/"


@pytest.mark.parametrize(
    ("path", "kind"), list(zip(PATHS, ["text/html", "text/plain; version=0.0.4", *["application/json"] * 11], strict=True))
)
def test_each_page_has_its_type_and_the_same_headers_for_head(start: Start, path: str, kind: str) -> None:
    port = start().port
    got, head = fetch(port, path), fetch(port, path, method="HEAD")
    assert got.status == head.status == 200
    assert got.headers["Content-Type"].startswith(kind)
    assert head.body == b""
    if path != "/metrics":  # the process's own numbers move
        assert head.headers["Content-Length"] == str(len(got.body))


def test_a_page_is_compressed_only_when_asked(start: Start) -> None:
    port = start().port
    for path in ("/", "/metrics"):
        assert fetch(port, path).headers["Content-Encoding"] is None
        squeezed = fetch(port, path, headers={"Accept-Encoding": "br, gzip;q=0.5"})
        assert squeezed.headers["Content-Encoding"] == "gzip"
        assert len(gzip.decompress(squeezed.body)) > len(squeezed.body)
        assert fetch(port, path, headers={"Accept-Encoding": "gzip;q=0"}).headers["Content-Encoding"] is None


def test_both_halves_of_the_metrics_are_one_page_without_a_family_twice(start: Start) -> None:
    found = families(fetch(start().port, "/metrics").body)
    assert {"driftgauge_drift_statistic", "driftgauge_messages_total", "process_open_fds"} <= set(found)


def test_unchanged_content_is_not_sent_again(start: Start) -> None:
    port = start().port
    first = fetch(port, "/api/v1/verdicts")
    again = fetch(port, "/api/v1/verdicts", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert fetch(port, "/api/v1/verdicts?limit=1", headers={"If-None-Match": first.headers["ETag"]}).status == 200


def test_the_page_may_use_its_own_style_and_nothing_else(start: Start) -> None:
    page = fetch(start().port, "/")
    style = re.search(rb"<style>(.*?)</style>", page.body, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1]).digest()).decode()
    policy = page.headers["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert b"<script" not in page.body
    assert b" style=" not in page.body
    assert not re.search(rb'(src|href)="(https?:)?//', page.body)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_only_get_and_head_are_allowed(start: Start, method: str) -> None:
    answer = fetch(start().port, "/metrics", method=method, body=b"x" * 200_000 if method == "POST" else None)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert json.loads(answer.body) == {"error": "this method is not allowed", "expected": "GET or HEAD", "got": method}


def test_an_unknown_path_is_told_which_there_are(start: Start) -> None:
    answer = fetch(start().port, "/metrics/../etc/passwd")
    assert answer.status == 404
    assert json.loads(answer.body)["expected"] == f"one of {', '.join(PATHS)}"


def test_a_bad_parameter_is_a_400_with_what_was_expected_and_got(start: Start) -> None:
    answer = fetch(start().port, "/api/v1/verdicts?limit=many")
    assert answer.status == 400
    assert json.loads(answer.body) == {
        "error": "limit: expected a whole number from 1 to 1000, got 'many'",
        "parameter": "limit", "expected": "a whole number from 1 to 1000", "got": "many",
    }  # fmt: skip


# Health.


def test_health_follows_the_loop_and_readiness_the_state(start: Start) -> None:
    ready, waiting = start(), start(starting())
    assert (fetch(ready.port, "/healthz").status, fetch(ready.port, "/readyz").status) == (200, 200)
    assert (fetch(waiting.port, "/healthz").status, fetch(waiting.port, "/readyz").status) == (200, 503)
    stuck = start(now_ms=running().taken_ms + 61_000)
    assert fetch(stuck.port, "/healthz").status == 503
    finished = start(replace(running(), phase=Phase.FINISHED), now_ms=running().taken_ms + 10**9)
    assert fetch(finished.port, "/healthz").status == 200


# Life and death.


def test_after_stop_nobody_listens_and_no_thread_is_left(start: Start) -> None:
    server = start()
    assert fetch(server.port, "/healthz").status == 200
    port = server.port
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("http")]


def test_an_address_that_is_taken_is_a_mistake_of_the_configuration(start: Start) -> None:
    port = start().port
    with pytest.raises(ConfigError, match=rf"http\.bind: cannot listen on 127\.0\.0\.1:{port}: Address already in use; choose an address"):
        HttpServer(Http(port=port), Published(running(), SelfMetrics(), 1000), Telemetry())


def test_the_mistake_is_where_the_address_stands(start: Start, tmp_path) -> None:
    listen = HookListen(port=start().port)
    with pytest.raises(ConfigError, match=r"listen\.bind: cannot listen on"):
        Server(listen, lambda _request: problem(404, "nothing"), Telemetry())
    tls = listen.model_copy(update={"port": 0, "tls": Tls(cert_file=tmp_path / "cert.pem", key_file=tmp_path / "key.pem")})
    with pytest.raises(ConfigError, match=r"listen\.tls: expected a PEM certificate"):
        Server(tls, lambda _request: problem(404, "nothing"), Telemetry())
