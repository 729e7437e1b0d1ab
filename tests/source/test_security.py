"""Encryption and authentication against Apache Kafka itself, with each client."""

from __future__ import annotations

import logging
import socket
import threading
import time

import pytest
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from monitor.config.source import SourceConfig
from monitor.errors import SourceError
from monitor.source.base import Needs
from monitor.source.open import open_source
from tests.broker.certificates import KEY_PASSWORD
from tests.broker.kafka import PASSWORD, USER
from tests.source.conftest import Recorder, numbered, poll_until

WRONG = "not-the-password-of-anyone"


@pytest.fixture
def secret(tmp_path):
    """Writes a secret to a file of its own, and refers to it."""

    def write(name: str, text: str) -> dict[str, str]:
        (tmp_path / name).write_text(text + "\n")
        return {"file": str(tmp_path / name)}

    return write


@pytest.fixture
def security(kafka, secret):
    """``security("SSL")`` or ``security("SASL_SSL", "SCRAM-SHA-256")``, right in every part."""

    def make(protocol: str, mechanism: str | None = None, **changes):
        settings = {"protocol": protocol}
        if protocol.endswith("SSL"):
            settings["ca_file"] = kafka.certificates.ca
        if mechanism == "OAUTHBEARER":
            settings |= {"mechanism": mechanism, "token": secret("token", kafka.certificates.token())}
        elif mechanism:
            settings |= {"mechanism": mechanism, "username": USER, "password": secret("password", PASSWORD)}
        return settings | changes

    return make


@pytest.fixture
def refused(kafka, client):
    """The text of the ``SourceError`` that a start with these settings ends in."""

    def start(listener: str, security, timeout: str = "10s") -> str:
        config = SourceConfig.model_validate(
            {"client": client, "brokers": (kafka.listeners[listener],), "security": security, "connect_timeout": timeout}
        )
        with pytest.raises(SourceError) as caught:
            open_source(config, ["any"], Needs()).start(Recorder())
        return str(caught.value)

    return start


def _connect(kafka, join, topic, produce, listener, security):
    name = topic()
    produce(name, numbered(0, 3))
    member = join([name], brokers=(kafka.listeners[listener],), security=security)
    member.read(3)
    assert member.values == {(name, 0): numbered(0, 3)}


def test_tls(kafka, join, topic, produce, security):
    _connect(kafka, join, topic, produce, "SSL", security("SSL"))


@pytest.mark.parametrize("encrypted", [False, True])
def test_mutual_tls(kafka, join, topic, produce, security, secret, encrypted):
    tls = kafka.certificates
    client = {"cert_file": tls.client_cert, "key_file": tls.client_key}
    if encrypted:
        client |= {"key_file": tls.client_key_encrypted, "key_password": secret("key", KEY_PASSWORD)}
    _connect(kafka, join, topic, produce, "MUTUAL", security("SSL", **client))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_sasl(kafka, join, topic, produce, security, protocol, mechanism):
    _connect(kafka, join, topic, produce, protocol, security(protocol, mechanism))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_wrong_password_is_said_and_not_shown(refused, security, secret, caplog, mechanism):
    caplog.set_level(logging.DEBUG)
    text = refused("SASL_SSL", security("SASL_SSL", mechanism, password=secret("wrong", WRONG)))
    assert text.startswith("no broker of source.brokers can be used\n  127.0.0.1:")
    assert "the broker refused the credentials; check source.security: mechanism, username, and what password or token refers to" in text
    assert WRONG not in text
    assert WRONG not in caplog.text


def test_a_right_password_is_not_logged_either(kafka, join, topic, produce, security, caplog):
    caplog.set_level(logging.DEBUG)
    _connect(kafka, join, topic, produce, "SASL_SSL", security("SASL_SSL", "PLAIN"))
    assert PASSWORD not in caplog.text


def test_a_token_for_another_audience_is_refused_and_not_shown(kafka, refused, security, secret, caplog):
    caplog.set_level(logging.DEBUG)
    token = kafka.certificates.token(audience="someone-else")
    text = refused("SASL_SSL", security("SASL_SSL", "OAUTHBEARER", token=secret("strange", token)))
    assert "the broker refused the credentials" in text
    assert token not in text + caplog.text


def test_a_token_is_read_again_when_it_was_replaced(kafka, join, topic, produce, security, tmp_path):
    settings = security("SASL_SSL", "OAUTHBEARER")
    (tmp_path / "token").write_text(kafka.certificates.token(valid_s=-60))
    with pytest.raises(SourceError, match="the broker refused the credentials"):
        join(["any"], brokers=(kafka.listeners["SASL_SSL"],), security=settings)
    (tmp_path / "token").write_text(kafka.certificates.token())
    _connect(kafka, join, topic, produce, "SASL_SSL", settings)


def test_credentials_that_are_withdrawn_end_a_running_source(kafka, admin, join, topic, produce, security, secret):
    mechanism, name = "SCRAM-SHA-256", topic()
    _set_password(admin, "bob", "bobs-first-password")
    settings = security("SASL_PLAINTEXT", mechanism, username="bob", password=secret("bob", "bobs-first-password"))
    produce(name, numbered(0, 3))
    member = join([name], brokers=(kafka.listeners["SASL_PLAINTEXT"],), security=settings, connect_timeout="2s")
    member.read(3)
    _set_password(admin, "bob", "bobs-second-password")
    kafka.kill()  # connections that stand are not asked again
    kafka.start()
    with pytest.raises(SourceError, match=r"cannot (read|connect).*the broker refused the credentials"):
        poll_until(lambda: False, member)


def _set_password(admin, user, password):
    change = UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_256, password, iterations=4096)
    admin.alter_user_scram_credentials([change])


def test_a_broker_of_another_authority_is_refused(kafka, refused, security):
    text = refused("SSL", security("SSL", ca_file=kafka.certificates.stranger_ca))
    assert "its certificate is not accepted: " in text and "check source.security.ca_file" in text


def test_a_missing_client_certificate_is_named(refused, security):
    text = refused("MUTUAL", security("SSL"))
    assert "it refuses the client certificate" in text and "check source.security.cert_file and key_file" in text


def test_tls_against_a_plaintext_port_is_named(refused, security):
    assert "check that the port speaks TLS and source.security.protocol" in refused("PLAINTEXT", security("SSL"), timeout="1s")


def test_plaintext_against_a_tls_port_is_named(refused):
    assert "source.security.protocol" in refused("SSL", {"protocol": "PLAINTEXT"}, timeout="2s")


def test_sasl_against_a_listener_without_it_is_named(refused, security):
    text = refused("PLAINTEXT", security("SASL_PLAINTEXT", "PLAIN"))
    assert "this listener does not speak SASL; check source.security.protocol and the port" in text


@pytest.fixture
def silent_peer():
    """Accepts connections and never says a word."""
    held = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()


@pytest.mark.parametrize("protocol", ["SSL", "PLAINTEXT"])
def test_a_silent_peer_is_an_error_in_time(client, silent_peer, protocol):
    config = SourceConfig.model_validate(
        {"client": client, "brokers": (silent_peer,), "security": {"protocol": protocol}, "connect_timeout": "1s"}
    )
    with pytest.raises(SourceError, match=rf"no broker of source.brokers can be used \(waited up to 1000 ms\)\n  {silent_peer}: no answer"):
        open_source(config, ["any"], Needs()).start(Recorder())


def test_a_peer_that_falls_silent_after_the_first_answer_is_an_error_in_time(kafka, client, security):
    """The client's own connection hangs in its TLS handshake, where kafka-python would wait for ever."""
    upstream = kafka.listeners["SSL"].rsplit(":", 1)
    before = {thread.ident for thread in threading.enumerate()}
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def relay():
            with server.accept()[0] as near, socket.create_connection((upstream[0], int(upstream[1]))) as far:
                back = threading.Thread(target=_copy, args=(far, near), daemon=True)
                back.start()
                _copy(near, far)
                far.close()
                back.join()
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=relay, daemon=True).start()
        config = SourceConfig.model_validate(
            {
                "client": client, "brokers": (f"127.0.0.1:{server.getsockname()[1]}",), "security": security("SSL"),
                "connect_timeout": "2s",
            }
        )  # fmt: skip
        with pytest.raises(SourceError, match=r"cannot connect, Kafka at 127\.0\.0\.1:.*check that the brokers are up and reachable"):
            open_source(config, ["any"], Needs()).start(Recorder())
        server.shutdown(socket.SHUT_RDWR)
    for connection in held:
        connection.close()
    for _ in range(100):
        left = [thread.name for thread in threading.enumerate() if thread.ident not in before]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"threads left behind: {left}")


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(65_536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
