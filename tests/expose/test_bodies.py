"""A server that takes bodies: bounded in bytes and time, and only where it said that it takes one."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from monitor.config.root import Listen
from monitor.expose.answer import JSON, Request, Response
from monitor.expose.server import Limits, Server
from monitor.telemetry import Telemetry
from tests.expose.client import WAIT_SECONDS, fetch, fetch_until_free, raw, read_all

LIMIT = 100_000
Start = Callable[..., Server]


def echo(request: Request) -> Response:
    return Response(200, JSON, request.body)


def limit_of(request: Request) -> int:
    return LIMIT if request.method == "POST" and request.path == "/in" else 0


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Server] = []

    def run(limits: Limits | None = None) -> Server:
        server = Server(Listen(port=0), echo, Telemetry(), limits=limits or Limits(), body_limit=limit_of)
        started.append(server)
        return server

    yield run
    for server in started:
        server.stop()


@pytest.mark.parametrize("size", [0, 1, 16_384, LIMIT])
def test_a_body_up_to_the_limit_arrives_whole(start: Start, size: int) -> None:
    body = bytes(place % 251 for place in range(size))
    answer = fetch(start().port, "/in", method="POST", body=body)
    assert (answer.status, answer.body) == (200, body)


def test_a_larger_body_is_refused_unread(start: Start) -> None:
    answer = fetch(start().port, "/in", method="POST", body=b"x" * (LIMIT + 1))
    assert answer.status == 413
    assert b"at most 100000 bytes" in answer.body


def test_where_no_body_is_taken_none_is_read(start: Start) -> None:
    answer = fetch(start().port, "/elsewhere", method="POST", body=b"x" * 1_000)
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", b"411"),
        (b"Transfer-Encoding: chunked\r\n", b"411"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", b"411"),
        (b"Content-Length: \r\n", b"400"),
        (b"Content-Length: -3\r\n", b"400"),
        (b"Content-Length: +3\r\n", b"400"),
        (b"Content-Length: 3, 3\r\n", b"400"),
        (b"Content-Length: \xb2\r\n", b"400"),
        (b"Content-Length: 99999999999999999999999999999\r\n", b"413"),
    ],
)
def test_a_body_of_unknown_length_is_refused(start: Start, head: bytes, status: bytes) -> None:
    assert raw(start().port, b"POST /in HTTP/1.1\r\n" + head + b"\r\nabc").split()[1] == status


def test_a_body_that_ends_early_is_not_passed_on(start: Start) -> None:
    with socket.create_connection(("127.0.0.1", start().port), timeout=WAIT_SECONDS) as connection:
        connection.sendall(b"POST /in HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).split()[1] == b"400"


def test_a_client_that_sends_its_body_too_slowly_is_dropped(start: Start) -> None:
    server = start(Limits(connections=1, read_seconds=0.5))
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_SECONDS) as connection:
        connection.sendall(b"POST /in HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
        assert read_all(connection) == b""
    assert fetch_until_free(server.port, "/in", method="POST", body=b"next").body == b"next"
