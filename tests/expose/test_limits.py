from __future__ import annotations

import socket
import threading
from dataclasses import replace

import numpy as np
import pytest

from monitor import events
from monitor.expose.server import Limits
from monitor.expose.wire import MAX_HEAD_BYTES
from tests.expose.client import WAIT_SECONDS, fetch, fetch_until_free, raw, read_all
from tests.expose.sample import running
from tests.expose.serving import Log, Start
from tests.expose.small import with_segments


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
    assert fetch_until_free(server.port).status == 200


def test_a_client_that_reads_nothing_gives_its_slot_back(start: Start) -> None:
    snapshot = replace(running(), verdicts=(with_segments(30_000),))
    server = start(snapshot, limits=Limits(connections=1, write_seconds=0.3))
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(WAIT_SECONDS)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert deaf.recv(1) == b"H"  # it is being answered
        assert fetch_until_free(server.port).status == 200


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
    assert fetch_until_free(server.port).status == 200


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


def test_a_client_that_is_still_sending_its_body_can_read_why_it_was_refused(start: Start) -> None:
    with socket.create_connection(("127.0.0.1", start().port), timeout=WAIT_SECONDS) as sending:
        sending.sendall(b"POST / HTTP/1.1\r\nContent-Length: 9000\r\n\r\n")
        began = sending.recv(1)
        for _ in range(3):  # a closed connection answers the first of these with a reset, and the next ones fail
            sending.sendall(b"x" * 1000)
            threading.Event().wait(0.02)
        sending.shutdown(socket.SHUT_WR)
        assert (began + read_all(sending)).startswith(b"HTTP/1.1 405 ")


def test_a_connection_without_a_thread_is_refused_and_the_next_is_answered(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start(limits=Limits(connections=1))
    with monkeypatch.context() as system:

        def none_left(_thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        system.setattr(threading.Thread, "start", none_left)
        assert raw(server.port, b"GET /healthz HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503 ")
    assert fetch_until_free(server.port).status == 200
