"""HTTP/1.1 on a socket: one request in, one response out, neither too large nor too slow.

RFC 9112. A connection carries one request: keeping it open would let a few silent clients hold all slots, and a scrape
every 15 s gains nothing from it.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import urlsplit

from monitor.expose.answer import Request, Response, problem

MAX_HEAD_BYTES = 16_384  # request line and headers
_CHUNK_BYTES = 1 << 16
_DRAIN_BYTES, _DRAIN_SECONDS = 1 << 16, 0.5


class HeadTooLargeError(Exception):
    """The request line and the headers are longer than MAX_HEAD_BYTES."""


class Head(io.RawIOBase):
    """The first bytes of a connection: not more than allowed, and not later, however slowly they drip.

    Raises ``HeadTooLargeError`` and ``TimeoutError``. ``deadline`` is in seconds of ``time.monotonic``.
    """

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection, self._deadline, self._left = connection, deadline, MAX_HEAD_BYTES

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """What has arrived, at least one byte; 0 when the client has closed."""
        if self._left == 0:
            raise HeadTooLargeError
        _limit(self._connection, self._deadline)
        size = self._connection.recv_into(buffer[: self._left])
        self._left -= size
        return size

    def allow(self, size: int) -> None:
        """Let this many bytes more come, until the same deadline: a body after its head."""
        self._left += size


def _limit(connection: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)


def read_request(stream: io.BufferedIOBase) -> Request | Response:
    """The request, or the response to one that cannot be understood."""
    try:
        words = stream.readline().decode("latin-1").split()
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return problem(400, "this is not an HTTP/1.1 request", expected="METHOD /path HTTP/1.1", got=" ".join(words)[:100])
        headers = http.client.parse_headers(stream)
        target = urlsplit(words[1])
    except (HeadTooLargeError, http.client.HTTPException):
        return problem(431, "the request's head is too large", expected=f"at most {MAX_HEAD_BYTES} bytes and 100 headers")
    except ValueError:
        return problem(400, "the request's target is not an address", expected="/path?name=value")
    return Request(words[0], target.path, target.query, {name.lower(): value for name, value in headers.items()})


def _with_body(request: Request, head: Head, stream: io.BufferedIOBase, limit: int) -> Request | Response:
    if "transfer-encoding" in request.headers or "content-length" not in request.headers:
        return problem(411, "the length of the body is not known", expected="a header Content-Length")
    length = request.headers["content-length"]
    if not (length.isascii() and length.isdigit()):
        return problem(400, "the length of the body is not a number", expected="a whole number of bytes", got=length[:20])
    if len(length) > 12 or int(length) > limit:
        return problem(413, "the body is too large", expected=f"at most {limit} bytes", got=length[:20])
    head.allow(int(length))
    body = stream.read(int(length))
    if len(body) < int(length):
        return problem(400, "the body ended early", expected=f"{length} bytes", got=str(len(body)))
    return replace(request, body=body)


def write_response(connection: socket.socket, response: Response, *, body: bool, deadline: float) -> None:
    """Send a response; ``body`` is false for HEAD. Raises ``OSError`` when the client is gone or too slow."""
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {response.content_type}",
        "Connection: close",
    ]
    if response.status != HTTPStatus.NOT_MODIFIED:
        lines.append(f"Content-Length: {len(response.body)}")
    for name, values in response.headers.items():
        lines += [f"{name}: {value}" for value in ([values] if isinstance(values, str) else values)]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    content = memoryview(head + response.body if body else head)
    for start in range(0, len(content), _CHUNK_BYTES):
        _limit(connection, deadline)
        connection.sendall(content[start : start + _CHUNK_BYTES])


def takes_no_body(_request: Request) -> int:
    """For a server whose requests have no body."""
    return 0


def exchange(
    connection: socket.socket, read_by: float, write_seconds: float,
    respond: Callable[[Request], Response], body_limit: Callable[[Request], int] = takes_no_body,
) -> None:  # fmt: skip
    """Read a request, send its response, and let the client read it. Raises ``OSError`` as the socket does.

    ``body_limit`` tells from the head how many bytes of body are read; with 0 a body is left unread.
    """
    head = Head(connection, read_by)
    stream = io.BufferedReader(head)
    request = read_request(stream)
    if isinstance(request, Request) and (limit := body_limit(request)) > 0:
        request = _with_body(request, head, stream, limit)
    response = respond(request) if isinstance(request, Request) else request
    with_body = not (isinstance(request, Request) and request.method == "HEAD")
    write_response(connection, response, body=with_body, deadline=time.monotonic() + write_seconds)
    if response.status >= HTTPStatus.BAD_REQUEST:
        _drain(connection)


def _drain(connection: socket.socket) -> None:
    """Take what the client still sends, a body for instance: closing over it would reset the connection before it has read."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        deadline, left = time.monotonic() + _DRAIN_SECONDS, _DRAIN_BYTES
        while left > 0:
            _limit(connection, deadline)
            size = len(connection.recv(min(left, 8192)))
            if size == 0:
                return
            left -= size
