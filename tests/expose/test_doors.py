from __future__ import annotations

import base64
import gzip
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from monitor import events
from monitor.config.root import BasicAuth, Tls
from monitor.config.types import Secret
from monitor.errors import ConfigError
from monitor.expose.server import Certificates
from tests.broker.certificates import KEY_PASSWORD, make_certificates
from tests.expose.client import fetch, raw, trusting, write_certificate
from tests.expose.serving import PATHS, Log, Start


def secret(folder: Path, name: str, text: str) -> Secret:
    (folder / name).write_text(text + "\n", encoding="utf-8")
    return Secret(file=folder / name)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


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


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    program = (
        "import sys; from pathlib import Path; from monitor.config import Tls; from monitor.expose.server import Certificates\n"
        "Certificates(Tls(cert_file=Path(sys.argv[1]), key_file=Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", program, str(files.client_cert), str(files.client_key_encrypted)]
    # Without a terminal OpenSSL reads the answer from standard input: the right one would let it go on.
    done = subprocess.run(
        command, input=f"{KEY_PASSWORD}\n", capture_output=True, text=True, timeout=60, check=False, start_new_session=True
    )
    assert done.returncode != 0 and "expected a PEM certificate and its key" in done.stderr
    assert "pass phrase" not in done.stdout + done.stderr


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
