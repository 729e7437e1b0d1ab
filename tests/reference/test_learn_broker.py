"""Learning from a broker: the same counts as from a file, by either client, and without disturbing the monitor's group."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from monitor.config import SourceConfig
from monitor.errors import SourceError
from monitor.reference import learn
from monitor.reference.build import Options, build_reference
from monitor.reference.learn import Stretch, learn_reference
from monitor.reference.mapping import data_model
from monitor.reference.read import open_files
from monitor.source.base import AssignmentListener, Source
from monitor.source.open import open_recorded
from tests.broker import Broker
from tests.reference.data import START_MS, event, flat_rows, model, write_ndjson

pytestmark = pytest.mark.broker


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
def test_a_topic_gives_the_reference_of_its_first_hours(
    broker: Broker, admin: KafkaAdminClient, topic: Callable[..., str], tmp_path: Path, client: str
) -> None:
    # Two partitions hold the rows, of which the first day is wanted; the third is empty. Some messages come twice.
    name = topic(partitions=3)
    rows = flat_rows(1_600)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")
    for i, row in enumerate(rows):
        for _ in range(2 if i % 10 == 0 else 1):
            producer.send(name, json.dumps(event(row)).encode(), partition=i % 2)
    producer.flush()
    producer.close()

    configured = model(predictions={"topic": name})
    source = SourceConfig(client=client, brokers=(broker.bootstrap,), group=f"group-of-{name}", start="latest")
    learned = learn_reference(source, configured, Stretch(24), Options())

    inside = [row for row in rows if row["ts"] < START_MS + 24 * 3_600_000]
    built = build_reference(configured, open_files([write_ndjson(tmp_path / "rows.ndjson", inside)], data_model(configured)), Options())
    assert learned.reference.table == built.reference.table
    assert learned.reference.rows == 1_440
    assert learned.notes == ("144 repeated rows left out",)
    assert not any(name in group["group_id"] for group in admin.list_groups())


def test_an_empty_topic_is_said_at_once(broker: Broker, topic: Callable[..., str]) -> None:
    name = topic()
    with pytest.raises(SourceError, match=f"{name}: expected predictions to learn from, got none that can be used"):
        learn_reference(SourceConfig(brokers=(broker.bootstrap,)), model(predictions={"topic": name}), Stretch(24), Options())


def test_rows_that_the_broker_deletes_meanwhile_are_said(
    kafka: Broker, admin: KafkaAdminClient, topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = topic()
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
    for row in flat_rows(100):
        producer.send(name, json.dumps(event(row)).encode())
    producer.close()

    def opened(*arguments: Any) -> Source:
        reader = open_recorded(*arguments)
        start = reader.start

        def start_and_lose(listener: AssignmentListener) -> None:
            start(listener)
            admin.delete_records({TopicPartition(name, 0): 40})

        monkeypatch.setattr(reader, "start", start_and_lose)
        return reader

    monkeypatch.setattr(learn, "open_recorded", opened)
    learned = learn_reference(SourceConfig(brokers=(kafka.bootstrap,)), model(predictions={"topic": name}), Stretch(1), Options())
    assert learned.reference.rows == 60
    assert "40 offsets were deleted by the broker before they were read" in learned.notes
