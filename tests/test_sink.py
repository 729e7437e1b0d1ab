"""Messages arrive, or are kept and said to be missing."""

from __future__ import annotations

import time
import uuid

import pytest
from kafka import KafkaConsumer

from monitor.config.source import SourceConfig
from monitor.errors import SinkError
from monitor.sink import MAX_FIELD_BYTES, MAX_PENDING, MAX_PENDING_BYTES, Outgoing, Sink, cut
from tests.broker.kafka import PASSWORD, USER
from tests.broker.process import free_ports


@pytest.fixture
def sink(broker):
    opened = Sink(SourceConfig(brokers=(broker.bootstrap,)))
    yield opened
    opened.close()


def _read(broker, topic, count):
    options = {"auto_offset_reset": "earliest", "consumer_timeout_ms": 30_000, "max_partition_fetch_bytes": 4 << 20}
    consumer = KafkaConsumer(topic, bootstrap_servers=broker.bootstrap, **options)
    found = [next(consumer) for _ in range(count)]
    consumer.close()
    return found


def test_a_flush_delivers_everything_as_it_was_sent(broker, sink, topic):
    name = topic()
    sink.send(name, b"k", b"v", [("reason", b"not_json"), ("reason", b"again")])
    sink.send(name, None, None)
    sink.flush(30_000)
    assert sink.pending == 0
    first, second = _read(broker, name, 2)
    assert (first.key, first.value, first.headers) == (b"k", b"v", [("reason", b"not_json"), ("reason", b"again")])
    assert (second.key, second.value) == (None, b"")


def test_an_empty_flush_does_not_even_connect():
    Sink(SourceConfig(brokers=("127.0.0.1:1",))).flush(1)


def test_without_brokers_nothing_can_be_sent(tmp_path):
    sink = Sink(SourceConfig(client="ndjson", path=tmp_path / "events.ndjson"))
    sink.send("dead", None, b"x")
    with pytest.raises(SinkError, match=r"expected source\.brokers, since messages are to be sent to a topic"):
        sink.flush(1_000)
    assert sink.pending == 1


def test_a_broker_that_is_down_is_an_error_and_the_messages_are_kept():
    [port] = free_ports(1)
    sink = Sink(SourceConfig(brokers=(f"127.0.0.1:{port}",)))
    sink.send("dead", b"k", b"x")
    with pytest.raises(
        SinkError, match=rf"(?s)1 messages for dead are not confirmed: no broker .*127\.0\.0\.1:{port}: Connection refused$"
    ):
        sink.flush(500)
    assert sink.pending == 1


def test_what_was_not_confirmed_is_delivered_by_a_later_flush(broker, sink, topic):
    name = topic()
    sink.send(name, None, b"first")
    sink.flush(30_000)
    time.sleep(broker.durable_after_s)
    broker.kill()
    sink.send(name, None, b"second")
    with pytest.raises(SinkError, match=f"1 messages for {name} are not confirmed"):
        sink.flush(1_000)
    assert sink.pending == 1
    broker.start()
    sink.flush(60_000)
    assert sink.pending == 0
    values = [record.value for record in _read(broker, name, 2)]
    assert values == [b"first", b"second"]


def test_a_topic_that_is_not_there_holds_back_only_its_own_messages(kafka, sink, topic):
    name, absent = topic(), f"absent-{uuid.uuid4().hex}"
    for _ in range(50):
        sink.send(absent, None, b"lost?")
    sink.send(name, None, b"delivered")
    with pytest.raises(SinkError, match=f"50 messages for {absent} are not confirmed.*check that the topics exist"):
        sink.flush(20_000)
    assert [record.value for record in _read(kafka, name, 1)] == [b"delivered"]
    assert sink.pending == 50


def test_a_huge_message_is_cut_and_says_so(broker, sink, topic):
    name = topic()
    sink.send(name, b"k", bytes(10_000_000), [("reason", b"too_large")])
    sink.flush(30_000)
    [record] = _read(broker, name, 1)
    assert len(record.value) == MAX_FIELD_BYTES
    assert record.headers == [("reason", b"too_large"), ("driftgauge-cut", b"value of 10000000 bytes")]


def test_a_message_above_the_topics_own_limit_is_cut_until_it_fits(kafka, sink, topic):
    name, other = topic(configs={"max.message.bytes": "20000"}), topic()
    sink.send(name, None, bytes(range(256)) * 1_000)
    sink.send(other, None, b"small")
    for _ in range(5):
        try:
            sink.flush(30_000)
            break
        except SinkError as error:
            assert "MessageSizeTooLarge" in str(error)
    [record] = _read(kafka, name, 1)
    assert 1_000 <= len(record.value) < 20_000
    assert [record.value for record in _read(kafka, other, 1)] == [b"small"]
    assert record.headers == [("driftgauge-cut", b"value of 256000 bytes")]


def test_a_queue_is_full_by_count_and_by_bytes_and_loses_nothing_beyond():
    [port] = free_ports(1)
    for size, most in ((1, MAX_PENDING), (MAX_FIELD_BYTES, MAX_PENDING_BYTES // MAX_FIELD_BYTES + 1)):
        sink = Sink(SourceConfig.model_validate({"brokers": [f"127.0.0.1:{port}"]}))
        for _ in range(most - 1):
            sink.send("dead", None, bytes(size))
        assert not sink.is_full
        sink.send("dead", None, bytes(size))
        assert sink.is_full
        sink.send("dead", None, bytes(size))
        with pytest.raises(SinkError, match=f"^{most + 1} messages for dead are not confirmed"):
            sink.flush(100)
        assert sink.pending == most + 1 and sink.is_full


def test_a_sink_uses_the_sources_security(kafka, topic, tmp_path):
    (tmp_path / "password").write_text(PASSWORD)
    security = {
        "protocol": "SASL_SSL", "ca_file": kafka.certificates.ca, "mechanism": "SCRAM-SHA-512", "username": USER,
        "password": {"file": tmp_path / "password"},
    }  # fmt: skip
    name = topic()
    sink = Sink(SourceConfig.model_validate({"brokers": [kafka.listeners["SASL_SSL"]], "security": security}))
    sink.send(name, None, b"x")
    sink.flush(30_000)
    sink.close()
    assert [record.value for record in _read(kafka, name, 1)] == [b"x"]


def test_only_the_first_cut_is_noted_so_the_length_is_the_original_one():
    once = cut(Outgoing("t", b"key", b"0123456789"), 5)
    assert cut(once, 2) == Outgoing("t", b"ke", b"01", (("driftgauge-cut", b"value of 10 bytes"),))
