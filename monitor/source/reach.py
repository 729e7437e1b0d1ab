"""Whether a Kafka broker answers at an address, found out before a client is made.

A client's own attempt tells too little: kafka-python's TLS handshake has no time limit, both clients log the reason
instead of raising it, and neither says that the port belongs to something else. This asks each address for its API
versions, which every broker answers before authentication (Kafka protocol, ApiVersions request version 0).
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.errors import SourceError

_CORRELATION = 0x0D81F7
_REQUEST = struct.pack(">ihhih", 10, 18, 0, _CORRELATION, -1)  # size, key, version, correlation, no client id
_RETRY_S = 0.25
_ATTEMPT_S = 5.0


@dataclass(frozen=True, slots=True)
class Silence:
    """Why an address is no use, and whether waiting can help."""

    reason: str
    permanent: bool = False


def await_brokers(brokers: Sequence[str], context: ssl.SSLContext | None, timeout_ms: int) -> list[str]:
    """The addresses that answer as a Kafka broker, as soon as at least one does.

    Raises ``SourceError`` with what each address did when none answers in time, at once when waiting cannot help.
    """
    deadline = time.monotonic() + timeout_ms / 1000
    while True:
        silences: dict[str, Silence] = {}
        for broker in brokers:
            silence = probe(broker, context, max(0.1, min(_ATTEMPT_S, deadline - time.monotonic())))
            if silence is not None:
                silences[broker] = silence
        if len(silences) < len(brokers):
            return [broker for broker in brokers if broker not in silences]
        waited = all(silence.permanent for silence in silences.values()) or time.monotonic() + _RETRY_S >= deadline
        if waited:
            lines = "\n".join(f"  {broker}: {silence.reason}" for broker, silence in silences.items())
            raise SourceError(f"no broker of source.brokers can be used (waited up to {timeout_ms} ms)\n{lines}")
        time.sleep(_RETRY_S)


def probe(broker: str, context: ssl.SSLContext | None, timeout_s: float) -> Silence | None:
    """Ask one address for its API versions; None when it answered."""
    host, _, port = broker.rpartition(":")
    if not host or not port.isdecimal():
        return Silence(f"expected host:port, got {broker!r}", permanent=True)
    try:
        return _converse(host.strip("[]"), int(port), context, timeout_s)
    except ssl.SSLCertVerificationError as error:
        return Silence(f"its certificate is not accepted: {error.verify_message}; check source.security.ca_file", permanent=True)
    except ssl.SSLError as error:
        return _tls_failure(error)
    except TimeoutError:
        return Silence(f"no answer within {timeout_s:.1f} s" + (" to a TLS handshake" if context is not None else ""))
    except OSError as error:
        return Silence(error.strerror or str(error) or type(error).__name__)


def _converse(host: str, port: int, context: ssl.SSLContext | None, timeout_s: float) -> Silence | None:
    deadline = time.monotonic() + timeout_s
    with socket.create_connection((host, port), timeout=timeout_s) as plain:
        if context is None:
            return _ask(plain, deadline, tls=False)
        with context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False) as secure:
            secure.settimeout(max(0.05, deadline - time.monotonic()))
            secure.do_handshake()
            return _ask(secure, deadline, tls=True)


def _ask(connection: socket.socket, deadline: float, *, tls: bool) -> Silence | None:
    connection.sendall(_REQUEST)
    answer = b""
    while len(answer) < 8:
        connection.settimeout(max(0.05, deadline - time.monotonic()))
        piece = connection.recv(8 - len(answer))
        if not piece:
            hint = "" if tls else "; it may expect TLS (source.security.protocol)"
            return Silence("it closed the connection on a Kafka request" + hint)
        answer += piece
    if answer[4:] != _CORRELATION.to_bytes(4, "big"):
        hint = "it expects TLS (source.security.protocol)" if answer[:1] == b"\x15" else "something else listens there"
        return Silence(f"it does not answer as a Kafka broker: {hint}", permanent=True)
    return None


def _tls_failure(error: ssl.SSLError) -> Silence:
    reason = error.reason or str(error)
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return Silence(f"it refuses the client certificate ({reason}); check source.security.cert_file and key_file", permanent=True)
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER" in reason:
        return Silence(f"it does not speak TLS ({reason}); check source.security.protocol and the port", permanent=True)
    return Silence(f"the TLS handshake failed ({reason})")
