"""Whether a Kafka broker answers at an address and accepts the credentials, found out before a client is made.

A client's own attempt tells too little: kafka-python's TLS handshake has no time limit, it may lose the broker's refusal
of a password and go on trying, both clients log reasons instead of raising them, and neither says that a port
belongs to something else. So each address is asked for its API versions, which every broker answers before
authentication, and then, with SASL, authenticated to (Kafka protocol: ApiVersions 0, SaslHandshake 1, SaslAuthenticate 0).
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from monitor.config.source import Security
from monitor.config.types import host_and_port
from monitor.errors import SourceError
from monitor.source.faults import RefusalError
from monitor.source.security import tls_context
from monitor.source.wire import Wire, ask_api_versions, authenticate

_RETRY_S = 0.25
_ATTEMPT_S = 5.0
_LOOK_S = 1.0
_GRACE_S = 0.5  # an answer at the last moment is heard

_OUT_OF_DATE = "have the broker's certificate renewed, or set this machine's clock"
_OTHER_NAME = "name the broker in source.brokers as its certificate does"
_CERTIFICATE_ADVICE = {9: _OUT_OF_DATE, 10: _OUT_OF_DATE, 62: _OTHER_NAME, 64: _OTHER_NAME}
"""By OpenSSL's X509_V_ERR: NOT_YET_VALID, HAS_EXPIRED, HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Why an address is no use, and whether waiting can help."""

    reason: str
    permanent: bool = False


def await_brokers(brokers: Sequence[str], security: Security, timeout_ms: int) -> list[str]:
    """The addresses that answer as a Kafka broker, once at least one does.

    Raises ``SourceError`` with what each address did when none answers in time, at once when waiting cannot help.
    """
    deadline = time.monotonic() + timeout_ms / 1000
    while True:
        found = probe_all(brokers, security, max(0.1, min(_ATTEMPT_S, deadline - time.monotonic())))
        silences = {broker: silence for broker, silence in found.items() if silence is not None}
        if len(silences) < len(found):
            return [broker for broker in found if broker not in silences]
        hopeless = all(silence.permanent for silence in silences.values())
        if hopeless or time.monotonic() + _RETRY_S >= deadline:
            lines = "\n".join(f"  {broker}: {silence.reason}" for broker, silence in silences.items())
            waited = "" if hopeless else f" (waited up to {timeout_ms} ms)"
            raise SourceError(f"no broker of source.brokers can be used{waited}\n{lines}")
        time.sleep(_RETRY_S)


def trouble(brokers: Sequence[str], security: Security) -> str | None:
    """None when any address answers within a second, else why the first does not. Raises ``SourceError`` if that stays."""
    found = probe_all(brokers, security, _LOOK_S).values()
    silences = [silence for silence in found if silence is not None]
    if len(silences) < len(found):
        return None
    if all(silence.permanent for silence in silences):
        raise SourceError(f"cannot read any more, Kafka at {', '.join(brokers)}: {silences[0].reason}")
    return silences[0].reason


def probe_all(brokers: Sequence[str], security: Security, timeout_s: float) -> dict[str, Silence | None]:
    """What ``probe`` finds at each address, all asked at once: that takes ``timeout_s`` at most, also where a name is not resolved.

    On daemon threads: told to stop, the process ends although an address is still silent.
    """
    asked = {broker: _asked(broker, security, timeout_s) for broker in brokers}
    deadline = time.monotonic() + timeout_s + _GRACE_S
    found: dict[str, Silence | None] = {}
    for broker, answer in asked.items():
        try:
            found[broker] = answer.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            found[broker] = Silence(f"no answer within {timeout_s:.1f} s, not even to the question where {broker} is")
    return found


def _asked(broker: str, security: Security, timeout_s: float) -> Future[Silence | None]:
    answer: Future[Silence | None] = Future()

    def ask() -> None:
        try:
            answer.set_result(probe(broker, security, timeout_s))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, name=f"driftgauge-probe-{broker}", daemon=True).start()
    return answer


def probe(broker: str, security: Security, timeout_s: float) -> Silence | None:
    """Talk to one address as a client would begin to; None when it answered to all of it.

    Raises ``SourceError`` when files or secrets of ``security`` cannot be used.
    """
    host, port = host_and_port(broker)
    context = tls_context(security)
    try:
        _converse(host, port, context, security, timeout_s)
    except RefusalError as refusal:
        silence = Silence(str(refusal), permanent=True)
    except ssl.SSLCertVerificationError as error:
        action = _CERTIFICATE_ADVICE.get(error.verify_code, "check source.security.ca_file")
        silence = Silence(f"its certificate is not accepted: {error.verify_message.removesuffix('.')}; {action}", permanent=True)
    except ssl.SSLError as error:
        silence = _tls_failure(error)
    except TimeoutError:
        silence = Silence(f"no answer within {timeout_s:.1f} s" + (" to a TLS handshake" if context is not None else ""))
    except EOFError:
        silence = Silence("it closed the connection on a Kafka request; check source.security.protocol and the port")
    except OSError as error:
        silence = Silence(error.strerror or str(error) or type(error).__name__)
    else:
        return None
    return silence


def _converse(host: str, port: int, context: ssl.SSLContext | None, security: Security, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    with socket.create_connection((host, port), timeout=timeout_s) as plain:
        if context is None:
            return _begin(Wire(plain, deadline), security, host)
        with context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False) as secure:
            secure.settimeout(max(0.05, deadline - time.monotonic()))
            secure.do_handshake()
            return _begin(Wire(secure, deadline), security, host)


def _begin(wire: Wire, security: Security, host: str) -> None:
    ask_api_versions(wire)
    if security.mechanism is not None:
        authenticate(wire, security, host)


def _tls_failure(error: ssl.SSLError) -> Silence:
    reason = error.reason or str(error)
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return Silence(f"it refuses the client certificate ({reason}); check source.security.cert_file and key_file", permanent=True)
    return Silence(f"the TLS handshake failed ({reason}); check that the port speaks TLS and source.security.protocol")
