"""HTTP against a server on loopback, and the certificates for it."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

WAIT_SECONDS = 20  # nothing below takes this long unless it is broken


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def fetch(
    port: int, path: str = "/", *, method: str = "GET", headers: Mapping[str, str] | None = None,
    body: bytes | None = None, tls: ssl.SSLContext | None = None,
) -> Answer:  # fmt: skip
    if tls is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=WAIT_SECONDS, context=tls)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def fetch_until_free(port: int, path: str = "/healthz", *, method: str = "GET", body: bytes | None = None) -> Answer:
    """The first answer that is not a refusal for want of a slot: a connection has ended a little before its slot is free."""
    for _ in range(WAIT_SECONDS * 20):
        with contextlib.suppress(ConnectionError):  # refused with its request unread
            answer = fetch(port, path, method=method, body=body)
            if answer.status != 503:
                return answer
        time.sleep(0.05)
    raise TimeoutError(f"refused for {WAIT_SECONDS} s")


def raw(port: int, data: bytes) -> bytes:
    """Send bytes as they are and read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS) as connection:
        connection.sendall(data)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def write_certificate(folder: Path, name: str) -> None:
    """A self-signed certificate for 127.0.0.1 in ``cert.pem`` and ``key.pem``, with ``name`` as its subject."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def trusting(folder: Path) -> ssl.SSLContext:
    """A client that trusts only the certificate of ``write_certificate``."""
    return ssl.create_default_context(cafile=str(folder / "cert.pem"))
