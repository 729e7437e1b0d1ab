"""The main job decides, on the real broker: a trigger in its topic, in the metrics and in the API, until an operator answers."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
import uuid
from functools import partial

import pytest
import yaml
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from monitor.__main__ import main
from monitor.app import Monitor
from monitor.config import load_config
from monitor.config.source import SourceConfig
from monitor.decide.control import control_message
from monitor.decision_events import TriggersDelivered
from monitor.errors import SourceError
from monitor.expose.self_metrics import SelfMetrics
from monitor.reference.fit import load_references
from monitor.reference.format import with_fingerprint, write_reference
from monitor.source.controls import FileControls, KafkaControls, open_controls
from monitor.telemetry import Telemetry
from tests.broker.topic import headers_of, records_of
from tests.decide.make import control
from tests.expose.exposition import series
from tests.flow import label_world, world
from tests.test_app import Running

POLICY = {
    "performance": [{"metric": "accuracy", "floor": 0.95}],
    "persistence": {"evaluations": 1},
    "min_fresh_labels": 10,
    "cooldown": "10d",
}


def send(broker, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    for value in values:
        producer.send(topic, value)
    producer.flush()
    producer.close()


@pytest.fixture
def config(broker, tmp_path):
    """A configuration whose four topics are there; those of predictions and labels hold their logs."""
    name = f"decided-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    topics = {name: 2, f"{name}-labels": 1, f"{name}-controls": 1, f"{name}-triggers": 1}
    admin.create_topics([NewTopic(topic, count, 1, topic_configs={"retention.ms": "-1"}) for topic, count in topics.items()])
    admin.close()
    predictions = world.log(31, partitions=2, minutes=40)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, linger_ms=20)
    for topic, log in ((name, predictions), (f"{name}-labels", label_world.log(predictions, 32, partitions=1))):
        for message in (message for messages in log for message in messages):
            when = world.START + 24 * 60 * world.MINUTE
            producer.send(topic, message.value, key=b"k", partition=message.partition, timestamp_ms=when)
    producer.flush()
    producer.close()
    write_reference(with_fingerprint(label_world.reference()), tmp_path / "reference.json.gz")
    model = {**world.CONFIG["models"][0], "references": ["reference.json.gz"], "retraining": {**POLICY, "topic": f"{name}-triggers"}}
    model["predictions"] = {**label_world.PREDICTIONS, "topic": name}
    model["labels"] = {**label_world.SECTION, "topic": f"{name}-labels", "idle_after": "1s"}
    model["windows"] = {**model["windows"], "idle_after": "1s"}
    tree = {
        "source": {"brokers": [broker.bootstrap], "group": f"g-{uuid.uuid4().hex[:8]}", "poll_timeout": "200ms"},
        "models": [model],
        "http": {"port": 0},
        "state": {"directory": "state", "commit_every": "1s"},
        "controls": {"topic": f"{name}-controls"},
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path, name


def required(running: Running) -> list[dict[str, str]]:
    with urllib.request.urlopen(running.address() + "metrics", timeout=5) as answer:
        return [dict(labels) for labels, value in series(answer.read(), "driftgauge_retrain_required").items() if value == 1]


def delivered(broker, topic: str) -> list[dict]:
    found = records_of(broker.bootstrap, topic)
    for record in found:
        assert record.key == b"m"
        assert headers_of(record)["content-type"].startswith("application/cloudevents+json")
    return [json.loads(record.value) for record in found]


@pytest.mark.broker
def test_a_trigger_is_told_everywhere_until_an_operator_answers_also_after_a_restart(broker, config):
    path, name = config
    send(broker, f"{name}-controls", b"hello", control_message(control("release", model="another")))
    with Running(path) as running:
        [labels] = running.wait(lambda: required(running))
        assert labels.keys() == {"model", "reason", "trigger_id"}
        trigger = running.get(f"api/v1/triggers/{labels['trigger_id']}")
        assert (trigger["model"], trigger["reason"], trigger["phase"]) == ("m", "performance", "required") == (
            labels["model"], labels["reason"], "required",
        )  # fmt: skip
        assert trigger["moved"][0]["signal"] == "accuracy"
        assert trigger["fresh_labels"] >= 10
        running.wait(lambda: any(e["event"] == "TriggersDelivered" for e in running.events()))
        [event] = delivered(broker, f"{name}-triggers")
        assert (event["type"], event["data"]["id"]) == ("driftgauge.retraining.required", labels["trigger_id"])
        refused = [e for e in running.events() if e["event"] == "ControlRefused"]
        assert [e["where"] for e in refused] == [f"{name}-controls/0@0", f"{name}-controls/0@1"]
        assert "expected one of the models m, got 'another'" in refused[1]["reason"]
        assert running.stop()[0] == 0

    with Running(path) as running:  # what was required is shown by the next process, and the answer ends it
        running.wait(lambda: required(running) == [labels])
        answer = ["control", "ack", "-c", str(path), "--trigger", labels["trigger_id"], "--why", "job 41", "--by", "ann"]
        assert main(answer) == 0
        assert main(["control", "hold", "-c", str(path), "--why", "moving", "--by", "ann"]) == 0
        running.wait(lambda: not required(running))
        trigger = running.get(f"api/v1/triggers/{labels['trigger_id']}")
        assert (trigger["phase"], trigger["acknowledged"]["by"], trigger["acknowledged"]["why"]) == ("acknowledged", "ann", "job 41")
        running.wait(lambda: running.get("api/v1/triggers")["models"][0]["hold"])
        running.wait(lambda: len(delivered(broker, f"{name}-triggers")) == 2)
        assert running.stop()[0] == 0
        assert not [e for e in running.events() if e["event"] == "ControlRefused"], "read once"

    types = [event["type"] for event in delivered(broker, f"{name}-triggers")]
    assert types == ["driftgauge.retraining.required", "driftgauge.retraining.acknowledged"]
    with Running(path) as running:
        running.wait(lambda: running.counted() > 0)
        [model] = running.get("api/v1/triggers")["models"]
        assert model["hold"]["why"] == "moving"
        assert required(running) == []


def reader(broker, topic: str, **offsets: int) -> KafkaControls:
    source = SourceConfig.model_validate({"brokers": [broker.bootstrap], "connect_timeout": "20s", "group": f"g-{uuid.uuid4().hex}"})
    return open_controls(source, topic, {int(p[1:]): offset for p, offset in offsets.items()})


def read(opened, count: int, seconds: float = 60):
    found, deadline = [], time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        found += opened.poll()
        time.sleep(0.02)
    return found


@pytest.mark.broker
def test_the_control_topic_is_read_from_where_it_was_left(broker, topic):
    name = topic()
    send(broker, name, b"0", b"1", b"2")
    opened = reader(broker, name, p0=1)
    try:
        assert not opened.caught_up, "nothing is known yet"
        assert [(r.partition, r.offset, r.value) for r in read(opened, 2)] == [(0, 1, b"1"), (0, 2, b"2")]
        assert opened.caught_up
        send(broker, name, b"3")
        assert [r.offset for r in read(opened, 1)] == [3]
        assert opened.resumed() == {}
    finally:
        opened.close()


@pytest.mark.broker
def test_reading_the_control_topic_joins_no_group(kafka, topic, admin):
    name = topic()
    send(kafka, name, b"0")
    opened = reader(kafka, name)
    assert len(read(opened, 1)) == 1
    groups = {group["group_id"] for group in admin.list_groups()}
    opened.close()
    assert opened.config.group not in groups


@pytest.mark.broker
def test_an_empty_control_topic_is_read_to_its_end_at_once(broker, topic):
    opened = reader(broker, topic(partitions=2))
    try:
        assert read(opened, 1, seconds=1) == []
        assert opened.caught_up
    finally:
        opened.close()


@pytest.mark.broker
def test_a_control_topic_that_was_made_anew_is_read_from_its_beginning_and_that_is_said(broker, topic):
    name = topic()
    send(broker, name, b"0")
    opened = reader(broker, name, p0=77)
    try:
        assert [r.offset for r in read(opened, 1)] == [0]
        assert opened.resumed() == {0: 0}
        assert opened.resumed() == {}, "told once"
    finally:
        opened.close()


@pytest.mark.broker
def test_offsets_that_the_log_lost_while_it_was_read_cost_no_control_that_is_there(broker, topic):
    name = topic()
    send(broker, name, b"0")
    opened = reader(broker, name)
    try:
        assert len(read(opened, 1)) == 1
        opened.next[0] = 99  # where a topic that was cut does not go on, also for a client that is made anew meanwhile
        opened._client.thread.call(partial(opened._client.consumer.seek, TopicPartition(name, 0), 99), 60)
        # Nothing is sent before that is noticed: what was asked for before the seek could still bring it.
        assert [(r.offset, r.value) for r in read(opened, 1)] == [(0, b"0")], "from the beginning: ids tell what was applied"
        assert opened.resumed() == {0: 0}
        send(broker, name, b"1")
        assert [(r.offset, r.value) for r in read(opened, 1)] == [(1, b"1")]
    finally:
        opened.close()


@pytest.mark.broker
def test_a_broker_that_goes_away_and_comes_back_costs_no_control(broker, topic):
    name = topic()
    send(broker, name, b"0")
    opened = reader(broker, name)
    try:
        assert len(read(opened, 1)) == 1
        time.sleep(broker.durable_after_s)
        broker.kill()
        for _ in range(5):
            assert opened.poll() == []
        broker.start()
        send(broker, name, b"1")
        assert [r.value for r in read(opened, 1, seconds=90)] == [b"1"]
    finally:
        opened.close()


@pytest.mark.broker
def test_a_control_topic_that_is_not_there_is_said(kafka):
    with pytest.raises(SourceError, match="absent-controls"):
        reader(kafka, "absent-controls").poll()


def test_a_file_source_has_its_controls_beside_it(tmp_path):
    source = SourceConfig.model_validate({"client": "ndjson", "path": tmp_path})
    opened = open_controls(source, "controls", {0: 1})
    assert isinstance(opened, FileControls)
    assert opened.poll() == []
    assert opened.caught_up
    (tmp_path / "controls.ndjson").write_bytes(b"a\n\nb\nc\n")
    opened = open_controls(source, "controls", {0: 1})
    assert not opened.caught_up
    assert [(r.offset, r.value) for r in opened.poll()] == [(2, b"b"), (3, b"c")]
    assert opened.poll() == []
    opened.close()


@pytest.mark.broker
def test_a_trigger_that_was_sent_before_a_crash_is_sent_again_under_the_same_id(broker, config):
    """Killed after the delivery and before the commit: the next process comes to the same trigger."""
    path, name = config

    def run(at_step) -> None:
        given = load_config(path)
        references = load_references(given)
        told = Telemetry(listeners=(lambda event: sent.append(event) if isinstance(event, TriggersDelivered) else None,))
        Monitor(given, references, SelfMetrics(), told, lambda: time.time_ns() // 1_000_000, at_step).run(threading.Event(), until_end=True)

    def die(_step: str) -> None:
        if sent:
            raise KeyboardInterrupt

    sent: list[TriggersDelivered] = []
    with pytest.raises(KeyboardInterrupt):
        run(die)
    [once] = delivered(broker, f"{name}-triggers")
    run(lambda _step: None)
    twice = delivered(broker, f"{name}-triggers")
    assert [event["id"] for event in twice] == [once["id"]] * 2
    assert twice[0] == twice[1]
