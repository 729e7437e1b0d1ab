from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitor import events
from monitor.config.root import BasicAuth, Http, Tls
from monitor.config.types import Secret
from monitor.errors import ConfigError
from monitor.expose.published import Published
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.server import Certificates, HttpServer, Limits
from monitor.expose.snapshot import Phase, Snapshot
from monitor.expose.wire import MAX_HEAD_BYTES
from monitor.telemetry import Telemetry
from tests.expose.client import WAIT_SECONDS, fetch, raw, read_all, trusting, write_certificate
from tests.expose.exposition import families
from tests.expose.sample import running, starting
from tests.expose.small import with_segments

Start = Callable[..., HttpServer]
PATHS = ["/", "/metrics", "/healthz", "/readyz", "/api/v1/verdicts", "/api/v1/status"]


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


def secret(folder: Path, name: str, text: str) -> Secret:
    (folder / name).write_text(text + "\n", encoding="utf-8")
    return Secret(file=folder / name)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


# What is served.


def test_it_listens_on_loopback_unless_told_otherwise(start: Start) -> None:
    server = start()
    assert server.address == f"http://127.0.0.1:{server.port}/"


@pytest.mark.parametrize(("path", "kind"), zip(PATHS, ["text/html", "text/plain; version=0.0.4", *["application/json"] * 4], strict=True))
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


# Who may read.


def test_a_token_opens_everything_and_health_is_open_to_all(start: Start, tmp_path: Path) -> None:
    port = start(bearer_token=secret(tmp_path, "token", "open-sesame")).port
    for path in PATHS:
        closed = fetch(port, path)
        if path in ("/healthz", "/readyz"):
            assert closed.status == 200
            continue
        assert closed.status == 401
        assert closed.headers["WWW-Authenticate"] == 'Bearer realm="driftgauge"'
        assert b"driftgauge_" not in closed.body
        assert fetch(port, path, headers={"Authorization": "Bearer open-sesam"}).status == 401
        assert fetch(port, path, headers=basic("open-sesame", "open-sesame")).status == 401
        assert fetch(port, path, headers={"Authorization": "Bearer open-sesame"}).status == 200


def test_a_user_needs_the_right_name_and_the_right_password(start: Start, tmp_path: Path) -> None:
    port = start(basic_auth=BasicAuth(username="zoë", password=secret(tmp_path, "password", "pa:ß"))).port
    assert fetch(port, "/").headers["WWW-Authenticate"] == 'Basic realm="driftgauge", charset="UTF-8"'
    assert fetch(port, "/", headers=basic("zoë", "pa:ß")).status == 200
    for user, password in (("zoë", "pa"), ("zoe", "pa:ß"), ("", ""), ("zoë", "")):
        assert fetch(port, "/", headers=basic(user, password)).status == 401
    for header in ("Basic", "Basic !!!", "Basic " + "A" * 5000, "Digest x", "Bearer pa:"):
        assert fetch(port, "/", headers={"Authorization": header}).status == 401


def test_either_way_opens_when_both_are_configured(start: Start, tmp_path: Path) -> None:
    port = start(
        bearer_token=secret(tmp_path, "t", "token"), basic_auth=BasicAuth(username="u", password=secret(tmp_path, "p", "word"))
    ).port
    assert fetch(port, "/").headers.get_all("WWW-Authenticate") == [
        'Bearer realm="driftgauge"',
        'Basic realm="driftgauge", charset="UTF-8"',
    ]
    assert fetch(port, "/", headers={"authorization": "bearer token"}).status == 200
    assert fetch(port, "/", headers=basic("u", "word")).status == 200


def test_a_rotated_secret_counts_at_once_and_an_unreadable_one_opens_nothing(start: Start, tmp_path: Path, log: Log) -> None:
    port = start(bearer_token=secret(tmp_path, "token", "first-secret")).port
    secret(tmp_path, "token", "second-secret")
    assert fetch(port, "/", headers={"Authorization": "Bearer first-secret"}).status == 401
    assert fetch(port, "/", headers={"Authorization": "Bearer second-secret"}).status == 200
    (tmp_path / "token").unlink()
    refused = fetch(port, "/", headers={"Authorization": "Bearer second-secret"})
    assert refused.status == 503
    assert fetch(port, "/healthz").status == 200
    failed = [event for event in log.events if isinstance(event, events.CredentialsFailed)]
    assert len(failed) == 1
    assert str(tmp_path / "token") in failed[0].reason
    assert "second-secret" not in refused.body.decode() + repr(log.events)


# TLS.


def test_tls_is_spoken_with_the_configured_certificate_and_a_renewed_one(start: Start, tmp_path: Path) -> None:
    write_certificate(tmp_path, "first")
    server = start(tls=Tls(cert_file=tmp_path / "cert.pem", key_file=tmp_path / "key.pem"))
    assert server.address == f"https://127.0.0.1:{server.port}/"
    first = trusting(tmp_path)
    assert fetch(server.port, "/healthz", tls=first).status == 200
    assert len(gzip.decompress(fetch(server.port, "/metrics", tls=first, headers={"Accept-Encoding": "gzip"}).body)) > 100_000
    write_certificate(tmp_path, "second")
    assert fetch(server.port, "/healthz", tls=trusting(tmp_path)).status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        fetch(server.port, "/healthz", tls=first)
    (tmp_path / "key.pem").write_text("garbage", encoding="utf-8")  # half a renewal: the former certificate serves on
    assert fetch(server.port, "/healthz", tls=trusting(tmp_path)).status == 200


def test_nothing_older_than_tls_1_2_is_spoken(tmp_path: Path) -> None:
    write_certificate(tmp_path, "name")
    context = Certificates(Tls(cert_file=tmp_path / "cert.pem", key_file=tmp_path / "key.pem")).context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_plain_http_to_a_tls_port_is_closed_without_an_answer(start: Start, tmp_path: Path) -> None:
    write_certificate(tmp_path, "name")
    server = start(tls=Tls(cert_file=tmp_path / "cert.pem", key_file=tmp_path / "key.pem"))
    assert b"HTTP/1.1" not in raw(server.port, b"GET /metrics HTTP/1.1\r\n\r\n")
    assert fetch(server.port, "/healthz", tls=trusting(tmp_path)).status == 200


def test_a_missing_certificate_is_said_at_the_start(start: Start, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"http\.tls: expected a PEM certificate and its key in .*cert\.pem"):
        start(tls=Tls(cert_file=tmp_path / "cert.pem", key_file=tmp_path / "key.pem"))


# Limits.


def test_a_request_that_drips_is_cut_off_although_it_never_pauses_for_long(start: Start) -> None:
    server = start(limits=Limits(connections=1, read_seconds=0.3))
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_SECONDS) as slow:
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.02):
                try:
                    slow.sendall(b"X-Drip: 1\r\n"[:1])
                except OSError:
                    return

        slow.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        thread = threading.Thread(target=drip)
        thread.start()
        assert read_all(slow) == b""  # closed, and nothing was answered
        stop.set()
        thread.join()
    assert fetch_until_free(server.port) == 200


def test_a_client_that_reads_nothing_gives_its_slot_back(start: Start) -> None:
    snapshot = replace(running(), verdicts=(with_segments(30_000),))
    server = start(snapshot, limits=Limits(connections=1, write_seconds=0.3))
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(WAIT_SECONDS)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert deaf.recv(1) == b"H"  # it is being answered
        assert fetch_until_free(server.port) == 200


def fetch_until_free(port: int) -> int:
    """Status of the first answer that is not a refusal for want of a slot."""
    wait = threading.Event()
    for _ in range(WAIT_SECONDS * 20):
        try:
            status = fetch(port, "/healthz").status
        except ConnectionError:  # refused with its request unread
            status = 503
        if status != 503:
            return status
        wait.wait(0.05)
    return 503


def test_more_connections_than_allowed_are_refused_and_those_within_are_not_disturbed(start: Start) -> None:
    server = start(limits=Limits(connections=2))
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_SECONDS) as first,
        socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_SECONDS) as second,
        socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_SECONDS) as third,
    ):
        assert read_all(third).startswith(b"HTTP/1.1 503 ")
        for connection in (first, second):
            connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert read_all(connection).startswith(b"HTTP/1.1 200 ")
    assert fetch_until_free(server.port) == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 2 * MAX_HEAD_BYTES,
        b"GET / HTTP/1.1\r\nX: " + b"a" * 2 * MAX_HEAD_BYTES,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
    ],
)
def test_a_head_that_is_too_large_is_refused(start: Start, head: bytes) -> None:
    assert raw(start().port, head).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n", b"GET /\r\n", b"GET / HTTP/2.0\r\n\r\n", b"GET / HTTP/0.9\r\n\r\n", b"\x00\xff\x16\x03\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n", b"GET / / HTTP/1.1\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_not_a_request_is_a_400(start: Start, data: bytes) -> None:
    assert raw(start().port, data).startswith(b"HTTP/1.1 400 ")


def test_a_header_cannot_be_put_into_the_response_through_the_address(start: Start) -> None:
    head = raw(start().port, b"GET /%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 404 ")
    assert b"Set-Cookie" not in head


def test_a_bug_in_a_page_is_a_500_and_an_event_and_the_server_lives_on(start: Start, log: Log) -> None:
    broken = replace(with_segments(3), value=np.zeros((1, 1, 1)))
    server = start(replace(running(), verdicts=(broken,)))
    assert fetch(server.port, "/metrics").status == 500
    assert [event.path for event in log.events if isinstance(event, events.RequestFailed)] == ["/metrics"]
    assert fetch(server.port, "/healthz").status == 200


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
