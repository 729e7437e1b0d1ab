"""The first words of the Kafka protocol: a few requests in their oldest encoding, which every broker since 1.0 knows.

A request is size, API key, API version, correlation id, client id, body; a response is size, correlation id, body
(https://kafka.apache.org/protocol). Strings are preceded by two bytes of length, byte strings by four.
"""

from __future__ import annotations

import socket
import struct
import time

from monitor.config.source import Security
from monitor.source.faults import RefusalError, advice, redact
from monitor.source.security import kafka_python_options, secrets

_API_VERSIONS, _SASL_HANDSHAKE, _SASL_AUTHENTICATE = 18, 17, 36
_MOST_BYTES = 1 << 20
_ROUNDS = 8  # SCRAM needs three
_ERRORS = {33: "UNSUPPORTED_SASL_MECHANISM", 34: "ILLEGAL_SASL_STATE", 58: "SASL_AUTHENTICATION_FAILED"}


class Wire:
    """A connection on which every answer must come by a deadline. Raises ``TimeoutError``, ``EOFError`` or ``OSError``."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection, self._deadline, self._correlation = connection, deadline, 0x0D81F7

    def ask(self, key: int, version: int, body: bytes) -> bytes:
        """The body of the response. Raises ``RefusalError`` when what comes back is not Kafka's protocol."""
        self._correlation += 1
        message = struct.pack(">hhih", key, version, self._correlation, -1) + body
        self._connection.sendall(struct.pack(">i", len(message)) + message)
        head = self._read(8)
        size, correlation = struct.unpack(">ii", head)
        if correlation != self._correlation or not 4 <= size <= _MOST_BYTES:
            what = "it expects TLS" if head[:1] == b"\x15" else "something else listens there"
            raise RefusalError(f"it does not answer as a Kafka broker: {what}; check source.security.protocol and the port")
        return self._read(size - 4)

    def _read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            self._connection.settimeout(max(0.05, self._deadline - time.monotonic()))
            piece = self._connection.recv(count - len(found))
            if not piece:
                raise EOFError
            found += piece
        return found


def ask_api_versions(wire: Wire) -> None:
    """Raises ``RefusalError`` unless a Kafka broker answers."""
    wire.ask(_API_VERSIONS, 0, b"")


def authenticate(wire: Wire, security: Security, host: str) -> None:
    """Log in. Raises ``RefusalError`` with the broker's own words when it says no."""
    from kafka.net.sasl import get_sasl_mechanism

    assert security.mechanism is not None
    name = security.mechanism.encode()
    answer = wire.ask(_SASL_HANDSHAKE, 1, struct.pack(">h", len(name)) + name)
    [error] = struct.unpack(">h", answer[:2])
    if error:
        raise _refused(error, f"it refuses the mechanism {security.mechanism}", security)
    mechanism = get_sasl_mechanism(security.mechanism)(host=host, **kafka_python_options(security))
    for _ in range(_ROUNDS):
        if mechanism.is_done():
            break
        token = mechanism.auth_bytes()
        answer = wire.ask(_SASL_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
        error, length = struct.unpack(">hh", answer[:4])
        if error:
            raise _refused(error, answer[4 : 4 + max(0, length)].decode(errors="replace"), security)
        mechanism.receive(answer[4 + max(0, length) + 4 :])
    if not mechanism.is_authenticated():
        raise _refused(58, "the exchange did not end in a login", security)


def _refused(error: int, words: str, security: Security) -> RefusalError:
    name = _ERRORS.get(error, f"error {error}")
    action = advice(name) or "check source.security"
    return RefusalError(f"{redact(words, secrets(security))} ({name}); {action}")
