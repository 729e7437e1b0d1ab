"""Learning from a broker: the same counts as from a file, by either client, and without disturbing the monitor's group."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer

from monitor.config import SourceConfig
from monitor.reference.build import Options, build_reference
from monitor.reference.learn import Stretch, learn_reference
from monitor.reference.mapping import data_model
from monitor.reference.read import open_files
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
    learned = learn_reference(source, configured, Stretch(24, patience_ms=3_000), Options())

    inside = [row for row in rows if row["ts"] < START_MS + 24 * 3_600_000]
    built = build_reference(configured, open_files([write_ndjson(tmp_path / "rows.ndjson", inside)], data_model(configured)), Options())
    assert learned.reference.table == built.reference.table
    assert learned.reference.rows == 1_440
    assert learned.notes == ("144 repeated rows left out",)
    # The group of the monitor was not even created.
    groups = {group["group_id"] for group in admin.list_groups()}
    assert f"group-of-{name}" not in groups and f"group-of-{name}-learn" in groups
