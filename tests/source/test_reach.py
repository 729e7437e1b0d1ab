"""What is said of an address that is no use."""

from __future__ import annotations

import socket
import ssl
import time

import pytest

from monitor.config.source import Security
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
