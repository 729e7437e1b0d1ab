"""The main job with labels, on the real broker, as a process of its own."""

from __future__ import annotations

import json
import os
import uuid

import numpy as np
import pytest
import yaml
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.config import load_config
from monitor.expose.review_json import item_json
from monitor.reference.format import with_fingerprint, write_reference
from tests.broker.topic import headers_of, records_of
from tests.flow import label_world, world
from tests.forked import driftgauge

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def logs():
    predictions = world.log(31, partitions=3, minutes=60)
    return predictions, label_world.log(predictions, 32)


@pytest.fixture(scope="module")
def topics(broker, logs):
    """Predictions, labels and dead letters."""
    name = f"labelled-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    kept = {"retention.ms": "-1"}
    parts = [(name, 3), (f"{name}-labels", 2), (f"{name}-rejected", 1), (f"{name}-review", 1)]
    admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=kept) for topic, partitions in parts])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, linger_ms=20)
    for topic, log in zip((name, f"{name}-labels"), logs, strict=True):
        for message in (message for messages in log for message in messages):
            when = world.START + 24 * 60 * world.MINUTE
            producer.send(topic, message.value, key=b"k", partition=message.partition, timestamp_ms=when)
    producer.flush()
    producer.close()
    return name


@pytest.fixture(scope="module", params=["kafka-python", "librdkafka"])
def done(request, broker, topics, tmp_path_factory):
    """A whole run: its folder and its log."""
    folder = tmp_path_factory.mktemp(request.param)
    write_reference(with_fingerprint(label_world.reference()), folder / "reference.json.gz")
    model = {**world.CONFIG["models"][0], "references": ["reference.json.gz"]}
    model["predictions"] = {**label_world.PREDICTIONS, "topic": topics}
    model["labels"] = {**label_world.SECTION, "topic": f"{topics}-labels", "dead_letter_topic": f"{topics}-rejected"}
    model["labels"]["review"] = {"topic": f"{topics}-review", "per_hour": 8, "margin": 0.1, "confidence": 0.7}
    source = {"client": request.param, "brokers": [broker.bootstrap], "group": f"g-{uuid.uuid4().hex[:8]}", "poll_timeout": "200ms"}
    tree = {"source": source, "models": [model], "http": {"port": 0}, "state": {"directory": "state"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    # With this process's settings of linear algebra, if there are any: other kernels round the last bits of evidence otherwise.
    environment = {**os.environ, "DRIFTGAUGE_LOG_FORMAT": "json"}
    ended = driftgauge("run", "-c", str(folder / "config.yaml"), "--until-end", timeout=150, env=environment)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return folder, [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]


def test_both_topics_end_in_the_state_of_a_pure_replay(done, logs, tmp_path):
    folder, _ = done
    config = load_config(folder / "config.yaml").models[0]
    expected = label_world.fresh(tmp_path, config)
    label_world.play(expected, label_world.polls(*logs, np.random.default_rng(0), 5_000))
    checkpoint = Checkpoint(Store(folder / "state", 3), {"m": label_world.fresh(folder / "state", config)})
    assert checkpoint.resume().notices == ()
    checkpoint.store.close()
    assert label_world.facts(checkpoint.models["m"]) == label_world.facts(expected)


def test_how_labels_meet_their_predictions_is_said_at_the_start(done):
    _, events = done
    [joined] = [event for event in events if event["event"] == "LabelsJoined"]
    assert (joined["partitions"], joined["label_partitions"], joined["co_partitioned"]) == (3, 2, False)


def test_labels_that_cannot_be_used_are_kept_with_the_reason(done, broker, topics, logs):
    letters = []
    for record in records_of(broker.bootstrap, f"{topics}-rejected"):
        headers = headers_of(record)
        letters.append((headers["driftgauge-topic"], headers["driftgauge-partition"], headers["driftgauge-offset"], record.value))
    bad = {
        (f"{topics}-labels", str(m.partition), str(m.offset), m.value)
        for messages in logs[1]
        for m in messages
        if m.value is not None and m.value in label_world.BAD
    }
    assert len(bad) > 10
    assert set(letters) == bad


def test_items_to_review_are_in_their_topic_and_those_of_a_pure_replay(done, broker, topics, logs, tmp_path):
    folder, events = done
    state = label_world.fresh(tmp_path, load_config(folder / "config.yaml").models[0])
    label_world.play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))
    found = [(record.key.decode(), json.loads(record.value)) for record in records_of(broker.bootstrap, f"{topics}-review")]
    assert all(key == item["id"] for key, item in found)
    expected = [item_json(item) for item in state.review.outbox]
    assert dict(found) == {item["id"]: item for item in expected}
    assert len(expected) >= 8
    delivered = sum(event["items"] for event in events if event["event"] == "ReviewItemsDelivered")
    assert delivered in (0, len(expected)), "a debug event"
