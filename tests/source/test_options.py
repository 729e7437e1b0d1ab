"""Security as client options, errors as advice: pure, for both clients alike."""

from __future__ import annotations

import base64
import json
import sys

import pytest
from confluent_kafka import Message
from kafka.errors import SaslAuthenticationFailedError, UnsupportedCodecError

from monitor.config.source import Security, SourceConfig
from monitor.errors import SourceError
from monitor.source.base import Needs
from monitor.source.confluent_messages import batches
from monitor.source.faults import advice, redact
from monitor.source.kafka_client import error_name, explain
from monitor.source.open import open_source
from monitor.source.reach import await_brokers
from monitor.source.security import kafka_python_options, librdkafka_options, tls_context, token_expiry_s, token_reader
from tests.broker.certificates import KEY_PASSWORD, make_certificates
from tests.broker.process import free_ports

SECRET = "s3cret-of-the-tests"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def password(tmp_path):
    (tmp_path / "password").write_text(SECRET + "\n")
    return {"file": tmp_path / "password"}


def test_plaintext_needs_nothing():
    assert kafka_python_options(Security()) == {"security_protocol": "PLAINTEXT"}
    assert librdkafka_options(Security()) == {"security.protocol": "plaintext"}


def test_sasl_options_name_the_same_login_for_both_clients(password):
    security = Security(protocol="SASL_PLAINTEXT", mechanism="SCRAM-SHA-512", username="bob", password=password)
    assert kafka_python_options(security) == {
        "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "bob", "sasl_plain_password": SECRET,
    }  # fmt: skip
    assert librdkafka_options(security) == {
        "security.protocol": "sasl_plaintext", "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "bob", "sasl.password": SECRET,
    }  # fmt: skip


def test_tls_options_check_the_host_unless_told_otherwise(certificates):
    for check, algorithm in ((True, "https"), (False, "none")):
        security = Security(protocol="SSL", ca_file=certificates.ca, check_hostname=check)
        assert tls_context(security).check_hostname is check
        assert librdkafka_options(security)["ssl.endpoint.identification.algorithm"] == algorithm


def test_a_rotated_secret_is_read_at_the_next_use(tmp_path):
    (tmp_path / "token").write_text("one")
    read = token_reader(Security(protocol="SASL_SSL", mechanism="OAUTHBEARER", token={"file": tmp_path / "token"}))
    assert read() == "one"
    (tmp_path / "token").write_text("two")
    assert read() == "two"


def test_no_representation_shows_a_secret(password):
    config = SourceConfig.model_validate({
        "brokers": ["b:1"], "security": {"protocol": "SASL_SSL", "mechanism": "PLAIN", "username": "bob", "password": password},
    })  # fmt: skip
    source = open_source(config, ["t"], Needs())
    assert SECRET not in repr(config) + str(config) + config.model_dump_json() + repr(source) + repr(vars(source))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ca_file": "absent.pem"}, r"source\.security\.ca_file: expected a PEM file of certificates, absent\.pem: No such file"),
        ({"cert_file": "{ca}", "key_file": "{client_key}"}, r"source\.security\.cert_file, key_file: expected a matching certificate"),
        ({"cert_file": "{client_cert}", "key_file": "{client_key_encrypted}"}, r"\(with key_password when it is encrypted\)"),
        (
            {"cert_file": "{client_cert}", "key_file": "{client_key_encrypted}", "key_password": {"env": "ABSENT_VARIABLE"}},
            r"source\.security\.key_password: environment variable ABSENT_VARIABLE is not set",
        ),
    ],
)
def test_files_that_cannot_be_used_are_named_with_their_setting(certificates, change, expected):
    names = {name: getattr(certificates, name) for name in ("ca", "client_cert", "client_key", "client_key_encrypted")}
    filled = {key: value.format(**names) if isinstance(value, str) else value for key, value in change.items()}
    security = Security.model_validate({"protocol": "SSL", "ca_file": certificates.ca, **filled})
    for options in (kafka_python_options, librdkafka_options):
        with pytest.raises(SourceError, match=expected):
            options(security)


def test_an_encrypted_key_opens_with_its_password(certificates, tmp_path):
    (tmp_path / "key").write_text(KEY_PASSWORD)
    security = Security(
        protocol="SSL", ca_file=certificates.ca, cert_file=certificates.client_cert,
        key_file=certificates.client_key_encrypted, key_password={"file": tmp_path / "key"},
    )  # fmt: skip
    assert librdkafka_options(security)["ssl.key.password"] == KEY_PASSWORD
    assert kafka_python_options(security)["ssl_context"] is not None


def test_a_missing_secret_is_named_by_its_place_only(tmp_path):
    security = Security(protocol="SASL_SSL", mechanism="PLAIN", username="bob", password={"file": tmp_path / "absent"})
    with pytest.raises(SourceError, match=rf"source\.security\.password: cannot read the secret file {tmp_path}/absent"):
        kafka_python_options(security)


def test_a_tokens_expiry_is_its_claim():
    part = base64.urlsafe_b64encode(json.dumps({"exp": 1_900_000_000}).encode()).rstrip(b"=").decode()
    assert token_expiry_s(f"head.{part}.signature") == 1_900_000_000.0
    for wrong in ("not a token", "a.b.c", "a." + base64.urlsafe_b64encode(b"{}").decode() + ".c"):
        with pytest.raises(SourceError, match=r"source\.security\.token: expected a JSON web token with the claim exp"):
            token_expiry_s(wrong)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SaslAuthenticationFailedError(f"bob:{SECRET} is wrong"), "the broker refused the credentials"),
        (UnsupportedCodecError("zstd"), "compressed with a codec that this installation cannot read"),
    ],
)
def test_an_error_that_stays_comes_with_advice_and_without_secrets(password, error, words):
    security = {"protocol": "SASL_SSL", "mechanism": "PLAIN", "username": "bob", "password": password}
    text = str(explain(error, "cannot read", SourceConfig.model_validate({"brokers": ["b:1"], "security": security})))
    assert text.startswith("cannot read, Kafka at b:1: ") and words in text and SECRET not in text


def test_errors_that_may_pass_have_no_advice():
    for name in ("NOT_LEADER_OR_FOLLOWER", "REBALANCE_IN_PROGRESS", "_TRANSPORT", "_ALL_BROKERS_DOWN", "KafkaTimeoutError"):
        assert advice(name) is None


def test_a_name_is_the_protocols_where_there_is_one():
    assert error_name(SaslAuthenticationFailedError("x")) == "SASL_AUTHENTICATION_FAILED"
    assert error_name(UnsupportedCodecError("x")) == "UnsupportedCodecError"


def test_a_long_text_is_bounded_and_on_one_line():
    assert redact("a\n" * 1_000, []) == ("a " * 1_000)[:500]


def test_librdkafka_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "monitor.source.librdkafka", raising=False)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(SourceError, match=r"run pip install 'driftgauge\[librdkafka\]' or choose kafka-python"):
        open_source(SourceConfig(client="librdkafka", brokers=("b:1",)), ["t"], Needs())


def test_a_closed_port_is_waited_for_and_then_said():
    [port] = free_ports(1)
    with pytest.raises(SourceError, match=rf"\(waited up to 600 ms\)\n  127\.0\.0\.1:{port}: Connection refused"):
        await_brokers([f"127.0.0.1:{port}"], Security(), 600)


def test_only_the_brokers_that_answer_are_used(broker):
    [port] = free_ports(1)
    assert await_brokers([f"127.0.0.1:{port}", broker.bootstrap], Security(), 10_000) == [broker.bootstrap]


def test_interleaved_messages_are_sorted_into_partitions_in_their_order():
    places = [("a", 0), ("b", 0), ("b", 0), ("a", 0), ("a", 1), ("b", 0)]
    messages = [
        Message(topic=topic, partition=partition, offset=offset, value=b"%d" % offset, key=b"k", timestamp=(1, 1_000 + offset))
        for offset, (topic, partition) in enumerate(places)
    ]
    found = {(batch.topic, batch.partition): batch for batch in batches(messages, ["a", "b"], Needs(keys=True))}
    assert {place: batch.offsets.tolist() for place, batch in found.items()} == {("a", 0): [0, 3], ("b", 0): [1, 2, 5], ("a", 1): [4]}
    assert found["b", 0].values == [b"1", b"2", b"5"]
    assert found["b", 0].timestamps_ms.tolist() == [1_001, 1_002, 1_005]
    assert found["b", 0].keys == [b"k"] * 3
    assert batches([], ["a"], Needs()) == []
