"""A small HTTP server with bounds on everything: connections, time, bytes."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from monitor import events
from monitor.config.root import Http, Listen, Tls
from monitor.errors import ConfigError, DriftgaugeError, Mistake
from monitor.expose.answer import Request, Response, answer, problem
from monitor.expose.auth import CredentialsError, scheme
from monitor.expose.published import Published
from monitor.expose.wire import exchange, takes_no_body
from monitor.telemetry import Telemetry, reason_of


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take."""

    connections: int = 32  # at a time, of all clients; more are refused with 503
    read_seconds: float = 10.0  # from accepting to the end of the headers; as long again for a TLS handshake
    write_seconds: float = 30.0  # for the whole response


_LIMITS = Limits()


class Server:
    """Answers requests until it is stopped. Starting raises ``ConfigError`` when it cannot listen.

    ``body_limit`` tells from the head of a request how many bytes of body are read, see ``exchange``.
    """

    def __init__(
        self,
        config: Listen,
        answered: Callable[[Request], Response],
        telemetry: Telemetry,
        *,
        limits: Limits = _LIMITS,
        body_limit: Callable[[Request], int] = takes_no_body,
    ) -> None:
        self._config = config
        self._answered = answered
        self._telemetry = telemetry
        self._limits = limits
        self._body_limit = body_limit
        self._certificates = None if config.tls is None else Certificates(config.tls, config.section)
        self._slots = threading.BoundedSemaphore(limits.connections)
        self._stopping = threading.Event()
        self._listener = listening(config)
        self._port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name="http", daemon=True)
        self._thread.start()
        telemetry.emit(events.ServerStarted(self.address, scheme(config)))

    @property
    def port(self) -> int:
        """The port listened on, also where the configuration says 0."""
        return self._port

    @property
    def address(self) -> str:
        """Where a browser finds the status page."""
        host = f"[{self._config.bind}]" if ":" in self._config.bind else self._config.bind
        return f"{'https' if self._certificates else 'http'}://{host}:{self.port}/"

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """Take no further connections and wait for those that are being answered, not longer than the timeout."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept where the system does so
        self._thread.join(timeout_seconds)
        self._listener.close()
        deadline = time.monotonic() + timeout_seconds
        for _ in range(self._limits.connections):
            self._slots.acquire(timeout=max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, peer = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                self._stopping.wait(0.1)  # out of file descriptors, or shut down
                continue
            if self._slots.acquire(blocking=False):
                try:
                    threading.Thread(target=self._serve, args=(connection, peer), name="http-connection", daemon=True).start()
                    continue
                except RuntimeError:  # the system gives no further thread
                    self._slots.release()
            _refuse(connection, plain=self._certificates is None)

    def _serve(self, connection: socket.socket, peer: object) -> None:
        read_by = time.monotonic() + self._limits.read_seconds
        try:
            # Time-outs, resets and failed handshakes are the client's business.
            with contextlib.suppress(OSError):
                if self._certificates is not None:
                    connection = self._certificates.context().wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                    connection.settimeout(self._limits.read_seconds)
                    connection.do_handshake()
                exchange(connection, read_by, self._limits.write_seconds, self._respond, self._body_limit)
        finally:
            connection.close()
            self._slots.release()

    def _respond(self, request: Request) -> Response:
        try:
            return self._answered(request)
        except CredentialsError as error:
            self._telemetry.emit(events.CredentialsFailed(str(error)))
            return problem(503, "the credentials of this server cannot be read; its log says why")
        except Exception as error:
            # The server outlives a bug in a page; the log names it.
            self._telemetry.emit(events.RequestFailed(request.path[:200], reason_of(error)))
            return problem(500, "this is a bug in driftgauge; its log names it")


class HttpServer(Server):
    """Serves what is published."""

    def __init__(
        self,
        config: Http,
        published: Published,
        telemetry: Telemetry,
        *,
        limits: Limits = _LIMITS,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        super().__init__(config, lambda request: answer(request, published, config, clock_ms()), telemetry, limits=limits)


def listening(config: Listen) -> socket.socket:
    """A socket that listens as configured. Raises ``ConfigError``; its cause is the system's error."""
    try:
        family = socket.getaddrinfo(config.bind, config.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((config.bind, config.port), family=family, backlog=64)
    except OSError as error:
        said = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror  # create_server adds to strerror
        message = f"cannot listen on {config.bind}:{config.port}: {said}; choose an address of this machine and a free port"
        raise ConfigError(config.section, [Mistake(f"{config.section}.bind", message)]) from error
    listener.settimeout(0.5)  # to notice a stop in any case; connections do not inherit it
    return listener


def _refuse(connection: socket.socket, *, plain: bool) -> None:
    with connection, contextlib.suppress(OSError):
        connection.setblocking(False)  # the accepting thread waits for nobody
        if plain:
            connection.send(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")


class Certificates:
    """The server's certificate; read again when its files change, so that it can be renewed without a restart."""

    def __init__(self, config: Tls, section: str = "http") -> None:
        self._config, self._section = config, section
        self._stamp: tuple[int, int] | None = None
        self._context: ssl.SSLContext
        self._load()

    def context(self) -> ssl.SSLContext:
        """The context for a new connection; the former one while the files cannot be used."""
        with contextlib.suppress(DriftgaugeError):
            self._load()
        return self._context

    def _load(self) -> None:
        files = (self._config.cert_file, self._config.key_file)
        try:
            stamp = (files[0].stat().st_mtime_ns, files[1].stat().st_mtime_ns)
            if stamp == self._stamp:
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(*files, password="")  # without one OpenSSL would ask for it, and wait, where there is a terminal
        except OSError as error:  # ssl.SSLError is one
            message = f"expected a PEM certificate and its key in {files[0]} and {files[1]}: {error.strerror or type(error).__name__}"
            raise ConfigError(self._section, [Mistake(f"{self._section}.tls", message)]) from error
        self._stamp, self._context = stamp, context
