"""What is said of an address that is no use."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

import pytest

from monitor.config.source import Security
from monitor.errors import SourceError
from monitor.source import reach


@pytest.mark.parametrize(
    ("code", "said", "action"),
    [
        (10, "certificate has expired", "have the broker's certificate renewed, or set this machine's clock"),
        (9, "certificate is not yet valid", "have the broker's certificate renewed, or set this machine's clock"),
        (62, "Hostname mismatch, certificate is not valid for 'b'.", "name the broker in source.brokers as its certificate does"),
        (64, "IP address mismatch, certificate is not valid for '10.0.0.1'.", "name the broker in source.brokers as its certificate does"),
        (19, "self-signed certificate in certificate chain", "check source.security.ca_file"),
    ],
)
def test_what_to_do_about_a_certificate_depends_on_what_is_wrong_with_it(monkeypatch, code, said, action):
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, said

    def converse(*_: object) -> None:
        raise error

    monkeypatch.setattr(reach, "_converse", converse)
    silence = reach.probe("b:9093", Security(), 1.0)
    assert silence == reach.Silence(f"its certificate is not accepted: {said.removesuffix('.')}; {action}", permanent=True)


def test_many_addresses_that_say_nothing_hold_up_no_longer_than_one():
    silent = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
    began = time.monotonic()
    reason = reach.trouble([f"127.0.0.1:{server.getsockname()[1]}" for server in silent], Security())
    assert time.monotonic() - began < 2
    assert reason == "no answer within 1.0 s"
    for server in silent:
        server.close()


def test_an_address_named_twice_is_silent_all_the_same():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert reach.trouble([f"127.0.0.1:{silent.getsockname()[1]}"] * 2, Security()) == "no answer within 1.0 s"


def test_a_start_waits_for_many_silent_addresses_no_longer_than_for_one():
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
        began = time.monotonic()
        with pytest.raises(SourceError) as raised:
            reach.await_brokers([f"127.0.0.1:{server.getsockname()[1]}" for server in silent], Security(), 1_000)
        assert time.monotonic() - began < 2
    assert str(raised.value).count("no answer within 1.0 s") == 4


def test_a_name_that_nothing_is_said_of_holds_up_no_longer_than_an_address(monkeypatch):
    heard = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: heard.wait(30))
    began = time.monotonic()
    found = reach.probe_all(["kafka.nowhere:9092"], Security(), 0.2)
    heard.set()
    assert time.monotonic() - began < 5
    assert found == {"kafka.nowhere:9092": reach.Silence("no answer within 0.2 s, not even to the question where kafka.nowhere:9092 is")}


def test_files_that_cannot_be_used_are_an_error_of_whoever_asks(tmp_path):
    with pytest.raises(SourceError, match=r"ca\.pem"):
        reach.probe_all(["127.0.0.1:1"], Security(protocol="SSL", ca_file=tmp_path / "ca.pem"), 1.0)
