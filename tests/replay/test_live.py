"""A replay decides what the main job decided: the same transitions, triggers and ids, from the same log on the real broker."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from monitor.app import Monitor
from monitor.config import load_config
from monitor.decide.control import control_message
from monitor.decision_events import RetrainingConsidered, RetrainingRequired, RetrainingWithheld, TriggerEnded
from monitor.errors import SourceError
from monitor.events import Event
from monitor.expose.self_metrics import SelfMetrics
from monitor.reference.fit import load_references
from monitor.replay.history import history
from monitor.replay.replay import Wanted, replay
from monitor.telemetry import Telemetry
from monitor.triggers import event_of
from tests.decide.make import control
from tests.flow import world
from tests.replay.world import configured, logs, model

pytestmark = pytest.mark.broker
DECIDED = (RetrainingConsidered, RetrainingRequired, RetrainingWithheld, TriggerEnded)


@pytest.fixture(scope="module")
def filled(broker):
    """Topics of predictions (two partitions), labels, and operators' decisions; the names of the three."""
    name = f"history-{uuid.uuid4().hex[:8]}"
    topics = {name: 2, f"{name}-labels": 1, f"{name}-controls": 1}
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([NewTopic(topic, count, 1, topic_configs={"retention.ms": "-1"}) for topic, count in topics.items()])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, linger_ms=20)
    for topic, log in zip(topics, logs(), strict=False):
        for message in (message for messages in log for message in messages):
            when = world.START + 24 * 60 * world.MINUTE
            producer.send(topic, message.value, key=b"k", partition=message.partition, timestamp_ms=when)
    producer.flush()
    producer.close()
    return tuple(topics)


def source(broker) -> dict:
    return {"brokers": [broker.bootstrap], "group": f"g-{uuid.uuid4().hex[:8]}", "poll_timeout": "200ms"}


def live(path: Path) -> list[Event]:
    """What the main job says of its decisions, from an empty state to the ends of the topics."""
    config, told = load_config(path), []
    listeners = (lambda event: told.append(event) if isinstance(event, DECIDED) else None,)
    job = Monitor(config, load_references(config), SelfMetrics(), Telemetry(listeners), lambda: time.time_ns() // 1_000_000)
    job.run(threading.Event(), until_end=True)
    return told


def replayed(path: Path, **wanted) -> list[Event]:
    config = load_config(path)
    result = replay(history(config, None, None, None, None), load_references(config), Wanted(**wanted))
    assert result.notes == ()
    return [event for each in result.transitions("m") if isinstance(event := event_of(each), DECIDED)]


def test_the_same_transitions_and_trigger_ids_as_live_and_no_trace_in_the_cluster(broker, filled, tmp_path):
    given = source(broker)
    config = configured(tmp_path, given, model(*filled[:2]), state={"directory": "state"})
    again = replayed(config)
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    assert given["group"] not in {group["group_id"] for group in admin.list_groups()}
    assert not (tmp_path / "state").exists()
    decided = live(config)
    assert sum(isinstance(event, RetrainingRequired) for event in decided) >= 2
    assert any(isinstance(event, TriggerEnded) for event in decided)
    assert again == decided
    admin.close()


def test_from_the_same_saved_state_on_it_decides_what_live_decides(broker, filled, tmp_path):
    """The first half is in the state; live and replay go on from it with another policy."""
    config = configured(tmp_path, source(broker), model(*filled[:2]), state={"directory": "state"})
    half = load_config(config)
    stop, turns = threading.Event(), iter(range(10_000))
    small = half.model_copy(update={"source": half.source.model_copy(update={"max_poll_records": 400})})
    job = Monitor(small, load_references(half), SelfMetrics(), Telemetry(), lambda: time.time_ns() // 1_000_000)
    job.run(stop, progress=lambda _done, _lag: stop.set() if next(turns) and sum(m.ledger[0] for m in job._models) > 1_200 else None)
    assert 0 < job._models[0].ledger[0] < 2_500
    again = replayed(config, state_from=tmp_path / "state")
    decided = live(config)
    assert any(isinstance(event, RetrainingRequired) for event in decided)
    assert again == decided


def test_recorded_decisions_of_operators_hold_from_when_they_were_made(broker, filled, tmp_path):
    predictions, labels, controls = filled
    held = control("hold", model="m", time_ms=world.START + 80 * world.MINUTE)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    producer.send(controls, control_message(held))
    producer.flush()
    producer.close()
    config = configured(tmp_path, source(broker), model(predictions, labels), controls={"topic": controls})
    told = replayed(config)
    required = [event.event_time_ms for event in told if isinstance(event, RetrainingRequired)]
    assert required
    assert max(required) <= held.time_ms, "nothing fires while it is held"
    gates = {gate for event in told if isinstance(event, RetrainingWithheld) for gate in event.gates}
    assert "hold" in gates


def test_a_topic_by_name_stands_in_for_the_configured_one(broker, filled, tmp_path):
    config = load_config(configured(tmp_path, source(broker), model("elsewhere", "elsewhere-labels")))
    chosen = history(config, None, filled[0], filled[1], "none")
    result = replay(chosen, load_references(config), Wanted())
    assert result.findings["m"].triggers()
    bare = replay(history(config, None, filled[0], "none", None), load_references(config), Wanted())
    assert bare.findings["m"].rows == result.findings["m"].rows
    assert (bare.findings["m"].labels_read, bare.notes) == (0, ("labels are left out: what rests on them is not known",))


def test_topics_that_are_not_there_and_times_after_their_end(broker, filled, tmp_path):
    config = load_config(configured(tmp_path, source(broker), model(*filled[:2])))
    with pytest.raises(SourceError, match="no-such-topic"):
        replay(history(config, None, "no-such-topic", None, None), load_references(config), Wanted())
    late = world.START + 400 * 24 * 60 * world.MINUTE
    with pytest.raises(SourceError, match="expected predictions to replay, got none; check --from, --since"):
        replay(history(config, None, None, None, None), load_references(config), Wanted(since_ms=late))


def test_what_arrives_while_it_reads_is_not_part_of_it(broker, filled, tmp_path):
    """The end of a topic is where it was at the start: messages that come later change nothing."""
    config = load_config(configured(tmp_path, source(broker), model(*filled[:2])))
    chosen = history(config, None, None, None, None)
    more = KafkaProducer(bootstrap_servers=broker.bootstrap)
    small = chosen.config.model_copy(update={"source": chosen.config.source.model_copy(update={"max_poll_records": 200})})
    sent = []

    def send(_done: int, _size: int, _left: int) -> None:
        if not sent:
            sent.extend(more.send(filled[0], b"late") for _ in range(10))
            more.flush()

    before = replay(chosen, load_references(config), Wanted()).findings["m"]
    during = replay(replace(chosen, config=small), load_references(config), Wanted(), send).findings["m"]
    after = replay(chosen, load_references(config), Wanted()).findings["m"]
    more.close()
    assert len(sent) == 10
    assert (during.rows, during.rejected) == (before.rows, before.rejected)
    assert after.rejected == before.rejected + 10
    assert during.transitions == before.transitions == after.transitions
