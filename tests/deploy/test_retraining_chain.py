"""From a planted drift to exactly one start of the pipeline, every part the real one, and each part ended on the way.

Kafka ── driftgauge run ── Prometheus ── Alertmanager ── driftgauge hook ── the pipeline: a command that adds a line to a file

Each part is down when the trigger gets to the part before it, and is killed again once it holds the trigger itself. Prometheus and
Alertmanager run with the committed configuration, at once instead of after seconds.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from tests.broker import Broker
from tests.broker.process import ROOT, ServerProcess, free_ports
from tests.deploy.test_end_to_end import MINUTE_MS, START_MS, driftgauge
from tests.hook.world import Asked, Reply, serving
from tests.prometheus import get_json, tool, wait_for

MODEL = "churn"
WAIT_SECONDS = 120.0
ROWS_A_MINUTE = 60
WRONG_FROM_MINUTE = 30
MINUTES = 60
START = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).open('a').write(os.environ['TRIGGER_ID'] + '\\n')"


class Part:
    """A server that is ended and started again, on the same port and the same files."""

    def __init__(self, name: str, command: list[str], log: Path, ready: str) -> None:
        self.name, self._command, self._log, self._ready = name, command, log, ready
        self._process: ServerProcess | None = None

    def start(self) -> None:
        self._process = ServerProcess(self.name, self._command, self._log, ROOT)
        wait_for(self.name, self._answers, WAIT_SECONDS, self._log)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.alive, self._process.tail()
        return urllib.request.urlopen(self._ready, timeout=10).status == 200

    def end(self, number: signal.Signals) -> None:
        """End it by this signal; by SIGTERM it has to end by itself."""
        if self._process is None:
            return
        if number is signal.SIGKILL:
            self._process.kill()
        else:
            self._process.signal(number)
            self._process._process.wait(WAIT_SECONDS)
            self._process.terminate()
        self._process = None


def labelled(minutes: range, seed: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Topic, key and value of predictions and, half a minute later, their labels. From a minute on every other label says otherwise."""
    rng = random.Random(seed)
    for minute in minutes:
        right = 0.97 if minute < WRONG_FROM_MINUTE else 0.5
        events = []
        for number in range(ROWS_A_MINUTE):
            at, score = START_MS + minute * MINUTE_MS + number * (MINUTE_MS // ROWS_A_MINUTE), rng.random()
            name = f"{minute}-{number}"
            events.append((at, "predictions", name, {"id": name, "ts": at, "age": rng.gauss(40.0, 8.0), "score": score}))
            said = int(score >= 0.5)
            events.append(
                (at + 30_000, "labels", name, {"id": name, "ts": at + 30_000, "label": said if rng.random() < right else 1 - said})
            )
        for _, topic, key, value in sorted(events, key=lambda each: each[0]):
            yield topic, key, value


class World:
    """The parts, all down, with their configuration written; and what the test asks of them."""

    def __init__(self, broker: str, name: str, folder: Path, evidence: str) -> None:
        self.folder, self.name = folder, name
        self.broker = broker
        self.starts_file = folder / "starts.txt"
        ports = dict(zip(("monitor", "prometheus", "alertmanager", "hook"), free_ports(4), strict=True))
        self.url = {part: f"http://127.0.0.1:{port}" for part, port in ports.items()}
        (folder / "token").write_text("t0ken")
        self._write("monitor.yaml", self._monitor(ports["monitor"]))
        driftgauge("rules", "-c", str(folder / "monitor.yaml"), "-o", str(folder / "driftgauge.rules.yml"))
        self._write("prometheus.yml", self._prometheus(ports))
        self._write("alertmanager.yml", self._alertmanager())
        self._write("hook.yaml", self._hook(ports["hook"], evidence))
        python = [sys.executable, "-m", "monitor"]
        web = lambda part: f"--web.listen-address=127.0.0.1:{ports[part]}"  # noqa: E731
        commands = {
            "monitor": ([*python, "run", "-c", str(folder / "monitor.yaml")], "/readyz"),
            "prometheus": (
                [
                    str(tool("prometheus")), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
                    web("prometheus"), "--rules.alert.resend-delay=1s",
                ],
                "/-/ready",
            ),
            "alertmanager": (
                [
                    str(tool("alertmanager")), f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'alerts'}",
                    web("alertmanager"), "--cluster.listen-address=",
                ],
                "/-/ready",
            ),
            "hook": ([*python, "hook", "-c", str(folder / "hook.yaml")], "/healthz"),
        }  # fmt: skip
        self.parts = {
            part: Part(part, command, folder / f"{part}.log", self.url[part] + path) for part, (command, path) in commands.items()
        }

    def _write(self, name: str, tree: Any) -> None:
        (self.folder / name).write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")

    def _monitor(self, port: int) -> dict[str, Any]:
        labels = {"topic": f"{self.name}-labels", "id": "id", "time": {"path": "ts", "unit": "ms"}, "label": "label", "horizon": "10m"}
        labels |= {"lateness": "0s", "early_allowance": "0s", "pane": "1m", "window": "5m", "estimate_window": "5m", "min_labelled": 100}
        return {
            # A member by name: what comes back after kill -9 has its partitions at once.
            "source": {"brokers": [self.broker], "group": self.name, "poll_timeout": "100ms", "static_member": "monitor-0"},
            "models": [
                {
                    "name": MODEL,
                    "version": "3",
                    "predictions": {
                        "topic": f"{self.name}-predictions", "id": "id", "time": {"path": "ts", "unit": "ms"}, "score": "score",
                        "threshold": 0.5,
                    },
                    "labels": labels,
                    "features": [{"name": "age", "type": "numeric", "range": [0, 130]}],
                    "windows": {"pane": "1m", "short": "5m", "long": "20m", "lateness": "0s", "idle_after": "1h"},
                    "evaluation": {"min_rows": 100},
                    "retraining": {
                        "performance": [{"metric": "accuracy", "floor": 0.8, "clear": 0.9}],
                        "min_fresh_labels": 100,
                        "cooldown": "7d",
                    },
                }
            ],
            "http": {"bind": "127.0.0.1", "port": port},
            "state": {"directory": "state", "commit_every": "1s"},
        }  # fmt: skip

    def _prometheus(self, ports: dict[str, int]) -> dict[str, Any]:
        text = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
        tree: dict[str, Any] = yaml.safe_load(text)
        tree["global"] = {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"}
        [tree["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]] = [[f"127.0.0.1:{ports['alertmanager']}"]]
        tree["scrape_configs"] = tree["scrape_configs"][:1]
        tree["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{ports['monitor']}"]}]
        return tree

    def _alertmanager(self) -> dict[str, Any]:
        tree: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
        tree["route"]["routes"][0] |= {"group_interval": "1s", "repeat_interval": "1s"}
        for receiver in tree["receivers"]:
            for hook in receiver.get("webhook_configs", []):
                there = self.url["hook"] if receiver["name"] == "retraining" else "http://127.0.0.1:9"
                hook["url"] = f"{there}/{hook['url'].rpartition('/')[2]}"
                if "http_config" in hook:
                    hook["http_config"]["authorization"]["credentials_file"] = str(self.folder / "token")
        return tree

    def _hook(self, port: int, evidence: str) -> dict[str, Any]:
        command = {"arguments": [sys.executable, "-c", START, str(self.starts_file)], "environment": {"TRIGGER_ID": "${trigger_id}"}}
        return {
            "listen": {"port": port, "bearer_token": {"file": "token"}},
            "monitor": {"url": evidence, "evidence": "required", "wait": "1h"},
            "policy": {"cooldown": "0s", "daily_maximum": 100},  # nothing of the policy stands in for what is shown here
            "start": {"command": command},
        }

    def produce(self, minutes: range) -> None:
        producer = KafkaProducer(bootstrap_servers=self.broker, acks="all")
        for topic, key, value in labelled(minutes, minutes.start):
            producer.send(f"{self.name}-{topic}", json.dumps(value).encode(), key=key.encode())
        producer.flush()
        producer.close()

    def restart(self, part: str, number: signal.Signals = signal.SIGKILL) -> None:
        self.parts[part].end(number)
        self.parts[part].start()

    def until(self, what: str, ready: Any) -> Any:
        return wait_for(what, ready, WAIT_SECONDS, self.folder / "monitor.log")

    def read(self) -> int:
        status = get_json(f"{self.url['monitor']}/api/v1/status")
        model = status["models"][0]
        return int(model["ledger"]["messages"] + model["labels"]["ledger"]["messages"])

    def triggers(self) -> list[dict[str, Any]]:
        return list(get_json(f"{self.url['monitor']}/api/v1/triggers")["triggers"])

    def firing(self) -> list[dict[str, Any]]:
        query = 'ALERTS{alertname="DriftgaugeRetrainRequired",alertstate="firing"}'
        return list(get_json(f"{self.url['prometheus']}/api/v1/query", query=query)["data"]["result"])

    def alerts(self) -> list[dict[str, Any]]:
        return list(get_json(f"{self.url['alertmanager']}/api/v2/alerts", filter='action="retrain"'))

    def hook(self, path: str) -> bytes:
        request = urllib.request.Request(self.url["hook"] + path, headers={"Authorization": "Bearer t0ken"})
        with urllib.request.urlopen(request, timeout=10) as response:
            body: bytes = response.read()
        return body

    def known(self) -> dict[str, str]:
        """State of each trigger that the hook has."""
        return {each["trigger_id"]: each["state"] for each in json.loads(self.hook("/"))["triggers"]}

    def repeats(self) -> float:
        lines = self.hook("/metrics").decode().splitlines()
        return sum(float(line.split()[1]) for line in lines if line.startswith("driftgauge_hook_triggers_deduplicated_total "))

    def starts(self) -> list[str]:
        return self.starts_file.read_text().split() if self.starts_file.exists() else []


@pytest.mark.usefixtures("promtool")  # left out, and said so, where Prometheus and Alertmanager are not installed
def test_a_planted_drift_starts_the_pipeline_once_through_a_restart_of_each_part(broker: Broker, tmp_path: Path) -> None:
    name = f"chain-{free_ports(1)[0]}"
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([NewTopic(f"{name}-{topic}", 2, 1) for topic in ("predictions", "labels")])
    admin.close()
    open_gate = False

    def evidence(asked: Asked) -> Reply:
        # Between hook and monitor: what holds the hook where it has the trigger and has not started it.
        return (200, get_json(world.url["monitor"] + asked.path)) if open_gate else (503, {})

    with ExitStack() as ends:
        gate = ends.enter_context(serving(evidence))
        world = World(broker.bootstrap, name, tmp_path, gate.url)
        for part in world.parts.values():
            ends.callback(part.end, signal.SIGKILL)
        monitor, prometheus, alertmanager, hook = (world.parts[part] for part in ("monitor", "prometheus", "alertmanager", "hook"))

        monitor.start()
        world.produce(range(WRONG_FROM_MINUTE))
        world.until("the quiet half hour", lambda: world.read() == 2 * ROWS_A_MINUTE * WRONG_FROM_MINUTE)
        assert world.triggers() == []
        world.produce(range(WRONG_FROM_MINUTE, MINUTES - 10))  # here is the drift
        monitor.end(signal.SIGKILL)  # somewhere in what it reads
        world.produce(range(MINUTES - 10, MINUTES))
        monitor.start()
        [trigger] = world.until("a trigger", world.triggers)
        world.restart("monitor", signal.SIGTERM)  # before anybody has scraped it
        assert [each["id"] for each in world.until("the trigger again", world.triggers)] == [trigger["id"]]

        prometheus.start()  # it was down when retraining became required, and so is Alertmanager now
        world.until("the alert", world.firing)
        world.restart("prometheus")
        world.until("the alert again", world.firing)

        alertmanager.start()
        world.until("the alert at Alertmanager", world.alerts)  # it has nobody to tell
        world.restart("alertmanager")  # and has forgotten it: Prometheus says it again
        world.until("the alert at Alertmanager again", world.alerts)

        hook.start()
        world.until("the trigger at the hook", world.known)
        for part in world.parts:  # the hook last: it alone knows now that the pipeline has to start
            world.restart(part, signal.SIGTERM if part == "prometheus" else signal.SIGKILL)
        assert list(world.until("the trigger at the hook again", world.known)) == [trigger["id"]]
        assert world.starts() == [], "nothing started before there was evidence"

        open_gate = True
        world.until("the start", world.starts)
        world.until("the end of the command", lambda: world.known() == {trigger["id"]: "started"})
        for part in world.parts:
            world.restart(part)
        world.until("repeats of the alert", lambda: world.repeats() >= 2)
        assert world.known() == {trigger["id"]: "started"}
        assert world.starts() == [trigger["id"]]
