"""One HTTP request with a bound on its time and on the size of its answer.

The two errors draw the line that everything else depends on: before the request was sent, and after.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import monitor
from monitor.errors import ConfigError
from monitor.hook.target.config import ClientTls
from monitor.hook.tls import tls_context
from monitor.telemetry import reason_of

_OWN = {"User-Agent": f"driftgauge/{monitor.__version__}", "Accept": "application/json", "Connection": "close"}


class NotSentError(Exception):
    """The server has nothing of the request: it could not be reached."""


class NoAnswerError(Exception):
    """The request was sent, at least in part, and no answer came in time or none that can be read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Header names are lower case; ``complete`` is false when the body was longer than allowed and is cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool

    def text(self, limit: int = 1_000) -> str:
        """The beginning of the body, to be shown."""
        return self.body[:limit].decode(errors="replace")


def call(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, tls: ClientTls, timeout_ms: int, max_bytes: int = 64_000
) -> Reply:
    """Send a request and read its answer; redirects are not followed. Raises ``NotSentError`` and ``NoAnswerError``.

    The time-out is of the whole, however slowly the answer drips; only the resolution of the name may add to it.
    """
    target = urlsplit(url)
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    connection: http.client.HTTPConnection
    try:
        host, port = target.hostname or "", target.port
        if target.scheme == "https":
            connection = http.client.HTTPSConnection(host, port, timeout=timeout_ms / 1000, context=tls_context(tls))
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout_ms / 1000)
    except (ConfigError, ValueError, http.client.HTTPException) as error:
        raise NotSentError(reason_of(error)) from error
    with contextlib.closing(connection), _ended_after(connection, timeout_ms / 1000):
        try:
            connection.connect()
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise NotSentError(reason_of(error)) from error
        try:
            given = {name.lower() for name in headers}
            connection.request(
                method, path, body, {name: value for name, value in _OWN.items() if name.lower() not in given} | dict(headers)
            )
            response = connection.getresponse()
            content = response.read(max_bytes + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswerError(reason_of(error)) from error
    found = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, found, content[:max_bytes], len(content) <= max_bytes)


@contextlib.contextmanager
def _ended_after(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    def end() -> None:
        with contextlib.suppress(OSError, AttributeError):
            # Of the plain socket: TLS must not be taken apart while another thread reads from it.
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)  # whoever waits for it fails at once

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
