"""The main job on the real broker, as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from pathlib import Path

import numpy as np
import pytest
import yaml
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from monitor.__main__ import main
from monitor.app import Monitor
from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.config import load_config
from monitor.expose.self_metrics import SelfMetrics
from monitor.reference.format import with_fingerprint, write_reference
from monitor.telemetry import Telemetry
from tests.broker.topic import headers_of, records_of
from tests.flow import world
from tests.forked import Forked, driftgauge

ROOT = Path(__file__).parents[1]
PARTITIONS = 3
pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def logs():
    return world.log(21, partitions=PARTITIONS, minutes=60)


@pytest.fixture(scope="module")
def filled(broker, logs):
    """A topic that holds the log."""
    topic = f"app-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    # The events are of a past year, and brokers delete by the records' timestamps.
    admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs={"retention.ms": "-1"}), NewTopic(f"{topic}-rejected", 1, 1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, compression_type="lz4", linger_ms=20)
    for messages in logs:
        for message in messages:
            when = world.START + 24 * 60 * world.MINUTE
            producer.send(topic, message.value, key=b"k", partition=message.partition, timestamp_ms=when)
    producer.flush()
    producer.close()
    return topic


def configured(folder: Path, broker: str, topic: str, client: str, **model_changes) -> Path:
    write_reference(with_fingerprint(world.reference()), folder / "reference.json.gz")
    model = {**world.CONFIG["models"][0], "references": ["reference.json.gz"], **model_changes}
    model["predictions"] = {**model["predictions"], "topic": topic, "dead_letter_topic": f"{topic}-rejected"}
    tree = {
        "source": {"client": client, "brokers": [broker], "group": f"g-{uuid.uuid4().hex[:8]}", "poll_timeout": "200ms"},
        "models": [model],
        "http": {"port": 0},
        "state": {"directory": "state"},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def saved_facts(folder: Path):
    checkpoint = Checkpoint(Store(folder / "state", 3), {"m": world.fresh(load_config(folder / "config.yaml").models[0])})
    resumed = checkpoint.resume()
    checkpoint.store.close()
    assert resumed.epoch > 0
    return world.facts(checkpoint.models["m"]), checkpoint.models["m"].offsets


class Running:
    """``driftgauge run`` as a process."""

    def __init__(self, config: Path) -> None:
        self.log = (config.parent / "log").open("w+")
        self.process = self.started(config, {**os.environ, "DRIFTGAUGE_LOG_FORMAT": "json"})

    def started(self, config: Path, env: dict[str, str]) -> Forked | subprocess.Popen:
        log = Path(self.log.name)
        return Forked(main, ["run", "-c", str(config)], out=log, error=log, env=env)

    def events(self) -> list[dict]:
        self.log.flush()
        text = (Path(self.log.name)).read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def address(self) -> str:
        return self.wait(lambda: next((e["address"] for e in self.events() if e["event"] == "ServerStarted"), None))

    def get(self, path: str):
        with urllib.request.urlopen(self.address() + path, timeout=5) as answer:
            return json.load(answer)

    def wait(self, look, seconds: float = 60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, Path(self.log.name).read_text()[-3000:]
            found = look()
            if found:
                return found
            time.sleep(0.2)
        raise AssertionError(f"waited {seconds} s; the log ends with\n{Path(self.log.name).read_text()[-3000:]}")

    def counted(self) -> int:
        return self.get("api/v1/status")["models"][0]["ledger"]["messages"] if self.get("api/v1/status")["models"] else 0

    def stop(self) -> tuple[int, float]:
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        return code, time.monotonic() - began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()


class RunningAsCommand(Running):
    """The same as users start it, from a command line of its own. A reload needs that, as it runs it again."""

    def started(self, config: Path, env: dict[str, str]) -> Forked | subprocess.Popen:
        command = [sys.executable, "-m", "monitor", "run", "-c", str(config)]
        return subprocess.Popen(command, cwd=ROOT, stderr=self.log, env=env)


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
def test_sigterm_stops_within_ten_seconds_with_the_state_saved(broker, filled, logs, tmp_path, client):
    config = configured(tmp_path, broker.bootstrap, filled, client)
    total = sum(map(len, logs))
    with RunningAsCommand(config) as running:
        running.wait(lambda: running.counted() == total)
        code, seconds = running.stop()
    assert code == 0
    assert seconds < 10
    stopped = next(e for e in running_events(tmp_path) if e["event"] == "ProcessStopped")
    assert stopped["state_saved"] is True
    facts, offsets = saved_facts(tmp_path)
    assert offsets == {p: len(messages) for p, messages in enumerate(logs)}
    assert facts["ledger"][0] == total

    with Running(config) as again:  # nothing is read twice
        again.wait(lambda: any(e["event"] == "PartitionsAssigned" for e in again.events()))
        again.wait(lambda: again.get("api/v1/status")["phase"] == "running")
        assert again.counted() == total
        assert again.stop()[0] == 0
    assert saved_facts(tmp_path)[0] == facts


def running_events(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log").read_text().splitlines() if line.startswith("{")]


def test_both_clients_and_a_replay_of_the_log_end_in_the_same_state(broker, filled, logs, tmp_path):
    expected = world.fresh(partitions=PARTITIONS)
    world.play(expected, world.polls(logs, np.random.default_rng(0), 10_000))
    for client in ("kafka-python", "librdkafka"):
        folder = tmp_path / client
        folder.mkdir()
        config = configured(folder, broker.bootstrap, filled, client)
        done = driftgauge("run", "-c", str(config), "--until-end")
        assert done.returncode == 0, done.stderr[-3000:]
        assert saved_facts(folder)[0] == world.facts(expected), client


def test_dead_letters_tell_why_and_where_from(broker, filled, logs, tmp_path):
    config = configured(tmp_path, broker.bootstrap, filled, "kafka-python")
    done = driftgauge("run", "-c", str(config), "--until-end")
    assert done.returncode == 0, done.stderr[-3000:]
    letters = {}
    for record in records_of(broker.bootstrap, f"{filled}-rejected"):
        headers = headers_of(record)
        where = (int(headers["driftgauge-partition"]), int(headers["driftgauge-offset"]))
        letters[where] = (record.value, headers["driftgauge-topic"], headers["driftgauge-reason"], headers["driftgauge-detail"])
    bad = {(m.partition, m.offset): m.value for messages in logs for m in messages if m.value is not None and m.value in world.BAD}
    assert {where: letter[0] for where, letter in letters.items()} == bad
    reasons = {letter[0]: letter[2] for letter in letters.values()}
    assert reasons[b"{"] == "not_json"
    assert reasons[b"[1]"] == "not_an_object"
    assert reasons[b'{"id": "q"}'] == "no_time"
    assert reasons[b'{"ts": 1700000000000}'] == "no_id"
    assert all(letter[1] == filled and letter[3] for letter in letters.values())


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
def test_a_partition_that_runs_ahead_is_held_back_and_everything_is_still_read(broker, filled, logs, tmp_path, client):
    expected = world.fresh(partitions=PARTITIONS)
    world.play(expected, world.polls(logs, np.random.default_rng(0), 10_000))
    windows = {**world.CONFIG["models"][0]["windows"], "max_open_panes": 5}
    path = configured(tmp_path, broker.bootstrap, filled, client, windows=windows)
    tree = yaml.safe_load(path.read_text())
    tree["source"]["max_poll_records"] = 20  # of one partition after the other: each would run an hour ahead
    path.write_text(yaml.safe_dump(tree))
    job = Monitor(load_config(path), {"m": [world.reference()]}, SelfMetrics(), Telemetry(), lambda: time.time_ns() // 1_000_000)
    open_panes, paused = [0], set()

    def look(_done: int, _lag: int) -> None:
        paused.update(job.partitions.paused)
        open_panes.extend(len(version.open) for version in job.checkpoint.models["m"].versions.values())

    job.run(threading.Event(), until_end=True, progress=look)
    assert paused, "a partition was meant to run ahead"
    # Each partition: five panes ahead, two of lateness, two of jitter, one begun; and what one poll of 20 rows brings.
    assert max(open_panes) <= PARTITIONS * 14
    assert saved_facts(tmp_path)[0] == world.facts(expected)


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
def test_where_latest_was_is_saved_before_anything_came(broker, filled, logs, tmp_path, client):
    path = from_latest(configured(tmp_path, broker.bootstrap, filled, client))
    ends = {p: len(messages) for p, messages in enumerate(logs)}
    with Running(path) as running:
        running.wait(lambda: running.get("api/v1/status")["phase"] == "running")
        running.wait(lambda: {p["partition"]: p["next_offset"] for p in running.get("api/v1/status")["models"][0]["partitions"]} == ends)
        assert running.stop()[0] == 0
    assert saved_facts(tmp_path)[1] == ends


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
def test_what_came_to_a_partition_that_was_added_while_it_was_stopped_is_read(kafka, admin, topic, logs, tmp_path, client):
    name = topic(partitions=1)
    path = from_latest(configured(tmp_path, kafka.bootstrap, name, client))
    send(kafka, name, 0, logs[0][:10])
    with Running(path) as running:
        running.wait(lambda: running.get("api/v1/status")["phase"] == "running")
        running.wait(lambda: [p["next_offset"] for p in running.get("api/v1/status")["models"][0]["partitions"]] == [10])
        running.stop()
    admin.create_partitions({name: 2})
    send(kafka, name, 1, logs[1])
    with Running(path) as again:
        again.wait(lambda: again.counted() == len(logs[1]))


def send(broker, topic: str, partition: int, messages) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    for message in messages:
        producer.send(topic, message.value, key=b"k", partition=partition)
    producer.close()


def from_latest(path: Path) -> Path:
    tree = yaml.safe_load(path.read_text())
    tree["source"]["start"] = "latest"
    path.write_text(yaml.safe_dump(tree))
    return path
