"""kill -9 at every step of a commit, on the real broker: nothing is lost and nothing counts twice.

Runs over one log of predictions and labels end in a state; whatever was killed on the way, it is the state of an uninterrupted run, to the
bit: every cell of the counts and of the outcomes, the remembered ids, what waits for what, the ledgers, the verdicts and since when
they have drifted.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import yaml
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.config import load_config
from tests import forked
from tests.checkpoint import killed
from tests.checkpoint.test_store import STEPS
from tests.flow import label_world, world

KILLED = -9


@pytest.fixture(scope="module")
def log_topic(broker):
    """A log of good, bad, late and repeated events in three partitions, and one of their labels in two."""
    topic = f"log-{uuid.uuid4().hex}"
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    # The events are of a past year, and brokers delete by the records' timestamps.
    kept = {"retention.ms": "-1"}
    logs, rejected = [NewTopic(topic, 3, 1, topic_configs=kept), NewTopic(f"{topic}-labels", 2, 1, topic_configs=kept)], f"{topic}-rejected"
    admin.create_topics([*logs, NewTopic(rejected, 1, 1)])
    admin.close()
    predictions = world.log(11, partitions=3, minutes=60)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, compression_type="lz4", linger_ms=20)
    when = world.START + 24 * 60 * world.MINUTE
    for name, log in ((topic, predictions), (f"{topic}-labels", label_world.log(predictions, 12))):
        for message in (message for messages in log for message in messages):
            producer.send(name, message.value, key=b"k", partition=message.partition, timestamp_ms=when)
    producer.flush()
    producer.close()
    return topic


def write_config(folder: Path, broker: str, topic: str) -> Path:
    model = {**world.CONFIG["models"][0]}
    model["predictions"] = {**label_world.PREDICTIONS, "topic": topic, "dead_letter_topic": f"{topic}-rejected"}
    model["labels"] = {**label_world.SECTION, "topic": f"{topic}-labels", "dead_letter_topic": f"{topic}-rejected", "idle_after": "1h"}
    tree = {
        "source": {
            "client": "kafka-python",
            "brokers": [broker],
            "group": f"{topic}-{folder.name}",
            "max_poll_records": 60,
            "poll_timeout": "200ms",
            "static_member": "the-only-one",  # so that the group need not wait for the dead
        },
        "models": [{**model, "windows": {**model["windows"], "idle_after": "1h"}}],
        "state": {"directory": "state", "commit_every": "1ms"},
    }
    folder.mkdir(exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def run(config: Path, step: str = "never", at_commit: int = 0) -> int:
    done = forked.run(killed.main, str(config), step, at_commit)
    assert done.returncode in (0, KILLED), done.stderr[-2000:]
    return done.returncode


def loaded(folder: Path):
    return label_world.fresh(folder / "state", load_config(folder / "config.yaml").models[0])


def final_facts(folder: Path):
    """The state that the last commit saved, loaded as a restart would."""
    checkpoint = Checkpoint(Store(folder / "state", 3), {"m": loaded(folder)})
    resumed = checkpoint.resume()
    checkpoint.store.close()
    assert not resumed.lost
    assert resumed.notices == ()
    state = checkpoint.models["m"]
    assert world.conserved(state)
    assert state.idle_exclusions == state.labels.idle_exclusions == 0
    return label_world.facts(state), {**state.offsets, **{f"labels {p}": offset for p, offset in state.labels.offsets.items()}}


@pytest.fixture(scope="module")
def uninterrupted(broker, log_topic, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert run(write_config(folder, broker.bootstrap, log_topic)) == 0
    facts, offsets = final_facts(folder)
    assert min(offsets.values()) > 400, "the whole log was read"
    assert facts["rows"][0], "predictions still wait for labels at the end, so what waits is compared too"
    assert any(facts["1 open"]), "panes are still open at the end, so their counts are compared too"
    return facts


@pytest.mark.broker
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_of_a_commit_changes_nothing(broker, log_topic, uninterrupted, tmp_path, step):
    config = write_config(tmp_path, broker.bootstrap, log_topic)
    assert run(config, step, at_commit=4) == KILLED, "the process was meant to die"
    before, offsets = final_facts_or_nothing(tmp_path)
    assert offsets, "something was committed before"
    assert before != uninterrupted, "not everything had been read when it died"
    assert run(config) == 0
    after, _ = final_facts(tmp_path)
    assert after == uninterrupted


@pytest.mark.broker
def test_kills_one_after_another_change_nothing(broker, log_topic, uninterrupted, tmp_path):
    config = write_config(tmp_path, broker.bootstrap, log_topic)
    for step in STEPS:
        assert run(config, step, at_commit=2) == KILLED
    assert run(config) == 0
    assert final_facts(tmp_path)[0] == uninterrupted


def final_facts_or_nothing(folder: Path):
    checkpoint = Checkpoint(Store(folder / "state", 3), {"m": loaded(folder)})
    assert checkpoint.resume().notices == ()
    checkpoint.store.close()
    model = checkpoint.models["m"]
    return label_world.facts(model), {**model.offsets, **model.labels.offsets}
