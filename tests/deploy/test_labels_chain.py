"""The Compose stack's way of a label, by the commands of its file: train, server, load, broker, reference, monitor; matched and judged."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from typing import Any

import yaml
from modelserver import train

from monitor.reference.format import read_reference
from tests.broker.process import ROOT, ServerProcess, free_ports
from tests.prometheus import get_json, wait_for

COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]
LABELLED = 600
LABEL_MESSAGES = 'driftgauge_label_messages_total{{model="flight-delay",topic="{}"}}'
HASTE = 20_000  # times as fast as a flight: an hour of its way in a fifth of a second


def command_of(service: str, *entrypoint: str, **changes: object) -> list[str]:
    """A service's command, with other values of its options, or further ones."""
    command = [str(part) for part in COMPOSE[service]["command"]]
    for name, value in changes.items():
        option = f"--{name.replace('_', '-')}"
        joined = [part.startswith(f"{option}=") for part in command]
        if any(joined):
            command[joined.index(True)] = f"{option}={value}"
        elif option in command:
            command[command.index(option) + 1] = str(value)
        else:
            command += [option, str(value)]
    return [sys.executable, "-m", *entrypoint, *command]


def configuration(broker: str, port: int, topics: dict[str, str]) -> dict[str, Any]:
    """That of the Compose file, with this run's addresses and windows that fit into seconds."""
    tree: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose" / "driftgauge.yaml").read_text(encoding="utf-8"))
    tree["source"] = {"client": "librdkafka", "brokers": [broker], "group": topics["predictions"]}
    tree["http"] = {"bind": "127.0.0.1", "port": port}
    tree["state"]["directory"], tree["controls"]["topic"] = "state", topics["controls"]
    [model] = tree["models"]
    model["references"] = ["reference.json.gz"]
    model["windows"] |= {"pane": "1s", "short": "2s", "long": "4s", "lateness": "1s", "idle_after": "2s"}
    for section in ("predictions", "labels"):
        model[section] |= {"topic": topics[section], "dead_letter_topic": topics["rejected"]}
    model["labels"] |= {"pane": "1s", "window": "60s", "estimate_window": "10s", "idle_after": "2s"}
    return tree


def series(address: str) -> dict[str, float]:
    """The page of metrics."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as answer:
        lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_outcomes_reach_the_monitor_match_their_predictions_and_are_judged(broker, topic, tmp_path):
    topics = {"predictions": topic(partitions=2), "labels": topic(partitions=2), "rejected": topic(), "controls": topic()}
    server_port, port = free_ports(2)
    server_url, address = f"http://127.0.0.1:{server_port}", f"http://127.0.0.1:{port}"
    config, reference = tmp_path / "driftgauge.yaml", tmp_path / "reference.json.gz"
    config.write_text(yaml.safe_dump(configuration(broker.bootstrap, port, topics)), encoding="utf-8")
    train.main(tmp_path / "model")
    build = command_of("reference", "monitor", data=tmp_path / "model" / "training.ndjson", config=config, output=reference)
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    known = read_reference(reference).labels
    assert known is not None

    serve = command_of(
        "modelserver", bind="127.0.0.1", port=server_port, brokers=broker.bootstrap, topic=topics["predictions"],
        label_topic=topics["labels"], model=tmp_path / "model" / "model.json",
    )  # fmt: skip
    post = command_of("load", url=server_url, rate=200, speedup=HASTE, requests=tmp_path / "model" / "requests.ndjson.gz")
    watch = [sys.executable, "-m", "monitor", "run", "-c", str(config)]
    with contextlib.ExitStack() as running:

        def start(name: str, command: list[str]) -> ServerProcess:
            process = ServerProcess(name, command, tmp_path / f"{name}.log", ROOT / "deploy" if name != "monitor" else ROOT)
            running.callback(process.terminate)
            return process

        start("modelserver", serve).await_port(server_port)
        monitor = start("monitor", watch)
        monitor.await_port(port)
        load = start("load", post)
        model = '{model="flight-delay"}'
        wait_for(
            f"{LABELLED} labelled predictions",
            lambda: series(address).get(f"driftgauge_predictions_labelled_total{model}", 0) >= LABELLED,
            120,
            monitor.log,
        )
        load.terminate()
        wait_for("the last acknowledgement", lambda: not series(server_url)["modelserver_labels_waiting"], 60, monitor.log)
        told = series(server_url)["modelserver_labels_delivered_total"]
        wait_for("every label to be read", lambda: series(address)[LABEL_MESSAGES.format(topics["labels"])] == told, 60, monitor.log)
        page = series(address)
        matched = page['driftgauge_labels_total{model="flight-delay",outcome="matched"}']
        assert matched >= LABELLED
        assert matched + page['driftgauge_labels_waiting{model="flight-delay"}'] == told, "without traffic the newest ones wait"
        assert series(server_url)["modelserver_outcomes_total"] == told
        for outcome in ("revised", "vote", "duplicate", "late", "late_arrival", "orphan"):
            assert page[f'driftgauge_labels_total{{model="flight-delay",outcome="{outcome}"}}'] == 0
        assert not any(value for name, value in page.items() if name.startswith("driftgauge_label_messages_rejected_total"))

        def accuracy() -> dict[str, Any] | None:
            found = get_json(f"{address}/api/v1/performance", metric="accuracy", segment="ALL", view="prediction_time")["metrics"]
            return found[0] if found and found[0]["labelled"] >= LABELLED else None

        item = wait_for("a judgement", accuracy, 60, monitor.log)
    assert item["status"] in ("stable", "drifted"), json.dumps(item)
    assert 0.5 < item["low"] <= item["value"] <= item["high"] <= 1
    assert 0.5 < item["reference"] < 1, "validated on January and February"
    assert (item["revision"], item["restated"]) == (0, None), "nothing was revised"
