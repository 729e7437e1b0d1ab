"""Hours of traffic while monitor and broker are killed at random, again and again: nothing is lost and nothing counts twice.

``make soak`` runs it; ``DRIFTGAUGE_SOAK_MINUTES`` says how long, ``DRIFTGAUGE_SOAK_SEED`` which traffic and which faults. What it ends in
is compared, to the bit, with one uninterrupted run over the same log.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from monitor.reference.format import write_reference
from tests.broker import Broker, start_broker
from tests.broker.process import ROOT, ServerProcess
from tests.broker.topic import headers_of, records_of
from tests.checkpoint.test_kill import final_facts
from tests.flow import label_world, world
from tests.flow.world import Message

MINUTES = float(os.environ.get("DRIFTGAUGE_SOAK_MINUTES", "20"))
SEED = int(os.environ.get("DRIFTGAUGE_SOAK_SEED", "1"))
EVENT_MINUTES_PER_SECOND = 5
STOPS_WITHIN_S = 10.0
FAULTS = ("kill the monitor", "stop the monitor", "freeze the monitor", "kill the broker", "kill both")


def configured(folder: Path, broker: str, topic: str) -> Path:
    """A configuration whose dead letters have a topic of their own, ``TOPIC-FOLDER``."""
    folder.mkdir()
    write_reference(label_world.reference(), folder / "reference.json.gz")
    model, rejected = world.CONFIG["models"][0], f"{topic}-{folder.name}"
    tree = {
        "source": {
            "client": "kafka-python",
            "brokers": [broker],
            "group": rejected,
            "poll_timeout": "200ms",
            "static_member": "the-only-one",  # so that the group need not wait for the dead
        },
        "models": [
            {
                **model,
                "references": ["reference.json.gz"],
                "predictions": {**label_world.PREDICTIONS, "topic": topic, "dead_letter_topic": rejected},
                "labels": {**label_world.SECTION, "topic": f"{topic}-labels", "dead_letter_topic": rejected, "idle_after": "1d"},
                "windows": {**model["windows"], "idle_after": "1d"},  # by the wall's time; how long a fault lasts must not matter
            }
        ],
        "http": {"port": 0},
        "state": {"directory": "state", "commit_every": "500ms"},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


class Faults:
    """The monitor as a process that something happens to every few seconds."""

    def __init__(self, broker: Broker, config: Path, random: np.random.Generator) -> None:
        self.broker, self.random, self.happened = broker, random, Counter[str]()
        self._command = [sys.executable, "-m", "monitor", "run", "-c", str(config)]
        self._log = config.parent / "log"
        self._start()
        self._next_at = time.monotonic() + 10

    def _start(self) -> None:
        self.monitor = ServerProcess("driftgauge", self._command, self._log, ROOT)

    def perhaps(self) -> None:
        """Let something happen when it is time."""
        assert self.monitor.alive, f"the monitor ended by itself:\n{self.monitor.tail()}"
        if time.monotonic() < self._next_at:
            return
        fault = str(self.random.choice(FAULTS))
        self.happened[fault] += 1
        if fault == "stop the monitor":
            self.stop()
        elif fault == "freeze the monitor":
            self.monitor.signal(signal.SIGSTOP)
            time.sleep(self.random.uniform(1, 10))
            self.monitor.signal(signal.SIGCONT)
        if fault in ("kill the monitor", "kill both"):
            self.monitor.kill()
        if fault in ("kill the broker", "kill both"):
            time.sleep(self.broker.durable_after_s)
            self.broker.kill()
            time.sleep(self.random.uniform(0, 3))
            self.broker.start()
        if not self.monitor.alive:
            self._start()
        self._next_at = time.monotonic() + self.random.uniform(1, 20)

    def stop(self) -> None:
        """End the monitor as an operator would, and hold it to its word."""
        began = time.monotonic()
        self.monitor.terminate(3 * STOPS_WITHIN_S)
        assert time.monotonic() - began < STOPS_WITHIN_S


def produce(bootstrap: str, logs: dict[str, Sequence[Sequence[Message]]], faults: Faults, seconds: float) -> None:
    """Send all logs side by side, evenly over ``seconds``, while faults happen."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type="lz4", linger_ms=20, acks="all")
    when = world.START + 24 * 60 * world.MINUTE
    began, steps = time.monotonic(), int(seconds * 4)
    sent = []
    for step in range(steps):
        for topic, partitions in logs.items():
            for messages in partitions:
                for message in messages[len(messages) * step // steps : len(messages) * (step + 1) // steps]:
                    sent.append(producer.send(topic, message.value, key=b"k", partition=message.partition, timestamp_ms=when))
        faults.perhaps()
        if step % 120 == 0:
            happened = ", ".join(f"{fault} {times}x" for fault, times in sorted(faults.happened.items()))
            print(f"{time.monotonic() - began:6.0f} s of {seconds:.0f}   {len(sent):9,} messages   {happened}", flush=True)
        time.sleep(max(0.0, began + (step + 1) * seconds / steps - time.monotonic()))
    producer.flush()
    producer.close()
    assert all(future.succeeded() for future in sent)


def end_offsets(bootstrap: str, *topics: str) -> dict[TopicPartition, int]:
    """Where each partition ends."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    ends = consumer.end_offsets([TopicPartition(topic, p) for topic in topics for p in consumer.partitions_for_topic(topic) or ()])
    consumer.close()
    return ends


def letters(bootstrap: str, topic: str) -> set[tuple[str, str, str]]:
    """Which messages were set aside: topic, partition and offset. A commit that was cut off may have sent one twice."""
    found = map(headers_of, records_of(bootstrap, topic))
    return {(headers["driftgauge-topic"], headers["driftgauge-partition"], headers["driftgauge-offset"]) for headers in found}


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_faults_at_random_change_nothing(tmp_path: Path) -> None:
    random, topic, seconds = np.random.default_rng(SEED), f"soak-{uuid.uuid4().hex[:8]}", MINUTES * 60
    minutes = int(seconds * EVENT_MINUTES_PER_SECOND)
    print(f"\nseed {SEED}; traffic of {minutes / 60:.0f} hours in {MINUTES:g} minutes", flush=True)
    predictions = world.log(SEED, partitions=3, minutes=minutes, shift_from=minutes // 2)
    logs = {topic: predictions, f"{topic}-labels": label_world.log(predictions, SEED + 1)}
    with start_broker() as broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        kept = {"retention.ms": "-1"}  # the events are of a past year, and brokers delete by the records' timestamps
        admin.create_topics([NewTopic(name, len(each), 1, topic_configs=kept) for name, each in logs.items()])
        admin.create_topics([NewTopic(f"{topic}-{name}", 1, 1) for name in ("faults", "whole")])
        admin.close()

        faulty = configured(tmp_path / "faults", broker.bootstrap, topic)
        faults = Faults(broker, faulty, random)
        produce(broker.bootstrap, logs, faults, seconds)
        await_committed(broker.bootstrap, f"{topic}-faults", end_offsets(broker.bootstrap, *logs), faults)
        faults.stop()

        whole = configured(tmp_path / "whole", broker.bootstrap, topic)
        command = [sys.executable, "-m", "monitor", "run", "-c", str(whole), "--until-end"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        assert letters(broker.bootstrap, f"{topic}-faults") == letters(broker.bootstrap, f"{topic}-whole") != set()
    facts, offsets = final_facts(tmp_path / "faults")
    expected, ends = final_facts(tmp_path / "whole")
    assert offsets == ends
    assert min(offsets.values()) > 0
    assert facts == expected
    print(f"{sum(offsets.values()):,} messages through {faults.happened.total()} faults: as if nothing had happened", flush=True)


def await_committed(bootstrap: str, group: str, ends: dict[TopicPartition, int], faults: Faults, wait_s: float = 300.0) -> None:
    """Until the group has committed all that was sent."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        committed = {place: each.offset for place, each in admin.list_group_offsets([group])[group].items()}
        if all(committed.get(place) == end for place, end in ends.items()):
            admin.close()
            return
        assert faults.monitor.alive, faults.monitor.tail()
        time.sleep(0.5)
    raise AssertionError(f"waited {wait_s:g} s for {ends}, got {committed}; the monitor's log ends with\n{faults.monitor.tail()}")
