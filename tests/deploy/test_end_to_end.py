"""The whole chain, every part the real one: Kafka, the monitor, Prometheus, Alertmanager, and a webhook at the end.

Kafka ── driftgauge run ── /metrics ── Prometheus ── rules ── Alertmanager ── webhook

Labels come two minutes after their predictions, from two annotators of whom one errs at times; in France the model fails too.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from monitor.dashboards import Dashboard, dashboards
from monitor.expose.catalogue import METRICS
from tests.broker import Broker
from tests.broker.process import ROOT, ServerProcess, free_ports
from tests.deploy.execute import execute_dashboard
from tests.prometheus import Alerting, get_json, wait_for

JOB = "end-to-end"
START_MS = 1_700_000_400_000  # a whole hour-slot in the past: only event time counts
MINUTE_MS = 60_000
MINUTES = 40
ROWS_A_MINUTE = 200
DRIFT_FROM_MINUTE = 20
BROKEN = (b"not json", b'{"id": 7}', b'["a", "list"]')

AFTER_INCIDENTS = {"driftgauge_unit_change_factor", "driftgauge_river_drift_total"}
NOT_HERE = {name for name in METRICS if name.startswith(("driftgauge_canary_", "driftgauge_drill_"))} | AFTER_INCIDENTS
"""Metrics that exist only after an incident which does not happen here, with two versions, or after a fire drill."""

LABEL_DELAY_MINUTES = 2


def event(number: int, minute: int, rng: random.Random, shifted: bool) -> dict[str, Any]:
    """A prediction, and what turns out to be true. In France, ages shift by 15 years; Germany stays as it was."""
    country = "FR" if number % 2 else "DE"
    age = rng.gauss(40.0, 8.0) + (15.0 if shifted and country == "FR" else 0.0)
    one: dict[str, Any] = {
        "id": f"{minute}-{number}",
        "ts": START_MS + minute * MINUTE_MS + number * (MINUTE_MS // ROWS_A_MINUTE),
        "country": country,
        "age": age,
        "plan": rng.choice(["basic", "basic", "plus"]),
        "score": rng.random(),
    }
    # The model is right about chances, until it is wrong about France.
    chance = 1 - one["score"] if shifted and country == "FR" else one["score"]
    return one | {
        "churned": int(random.Random(one["id"]).random() < chance),
        "known": START_MS + (minute + LABEL_DELAY_MINUTES) * MINUTE_MS + number * (MINUTE_MS // ROWS_A_MINUTE),
    }


def labels_of(one: dict[str, Any], rng: random.Random) -> Iterator[dict[str, Any]]:
    """Ann labels each prediction, Ben every second one, and he errs in one of ten; Ann mends one of twenty of hers."""
    number = int(one["id"].rpartition("-")[2])
    label = {"id": one["id"], "ts": one["known"], "churned": one["churned"], "by": "ann", "why": "audit" if number % 5 == 0 else "random"}
    if rng.random() < 0.05:
        yield label | {"churned": 1 - one["churned"], "edition": 1}
    yield label | {"edition": 2}
    if number % 2 == 0:
        yield label | {"by": "ben", "churned": one["churned"] ^ (rng.random() < 0.1), "edition": 1}


def events(minutes: range, seed: int, shifted_from: int | None) -> Iterator[dict[str, Any]]:
    rng = random.Random(seed)
    for minute in minutes:
        for number in range(ROWS_A_MINUTE):
            yield event(number, minute, rng, shifted_from is not None and minute >= shifted_from)


def configuration(broker: str, topic: str, port: int) -> dict[str, Any]:
    return {
        "source": {"brokers": [broker], "group": topic, "poll_timeout": "100ms"},
        "models": [
            {
                "name": "churn",
                "version": "3",
                "references": ["reference.json.gz"],
                "predictions": {"topic": topic, "id": "id", "time": {"path": "ts", "unit": "ms"}, "score": "score", "threshold": 0.5},
                "labels": {
                    "topic": f"{topic}-labels",
                    "id": "id",
                    "time": {"path": "ts", "unit": "ms"},
                    "label": "churned",
                    "annotator": "by",
                    "label_version": "edition",
                    "source": "why",
                    "consensus": "majority",
                    "horizon": "10m",
                    "lateness": "1m",
                    "early_allowance": "0s",
                    "pane": "1m",
                    "window": "10m",
                    "estimate_window": "5m",
                    "idle_after": "1s",
                    "min_labelled": 100,
                    "review": {"per_hour": 10, "audit_per_day": 5},
                },
                "retraining": {
                    "performance": [{"metric": "accuracy", "floor": 0.6, "segments": ["country=FR"]}],
                    "min_fresh_labels": 100,
                },
                "features": [
                    {"name": "age", "type": "numeric", "range": [0, 130]},
                    {"name": "plan", "type": "categorical", "categories": ["basic", "plus", "pro"]},
                ],
                "segments": {"columns": {"country": "country"}, "groupings": [["country"]]},
                "windows": {"pane": "1m", "short": "5m", "long": "20m", "lateness": "0s", "idle_after": "1s"},
                "evaluation": {"min_rows": 100},
            }
        ],
        "http": {"bind": "127.0.0.1", "port": port},
        "state": {"directory": "state", "commit_every": "1s"},
        "alerts": {"pending": "0s", "keep_firing": "0s", "labels": {"team": "growth"}},
    }


def driftgauge(*arguments: str) -> None:
    command = [sys.executable, "-m", "monitor", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Chain:
    """A running monitor that Prometheus scrapes and whose rules it evaluates; everything has been sent."""

    monitor: ServerProcess
    address: str
    alerting: Alerting


@pytest.fixture(scope="module")
def chain(broker: Broker, alerting: Alerting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("end-to-end")
    name = f"end-to-end-{free_ports(1)[0]}"
    port = free_ports(1)[0]
    config, training = folder / "config.yaml", folder / "training.ndjson"
    config.write_text(yaml.safe_dump(configuration(broker.bootstrap, name, port)), encoding="utf-8")
    training.write_text("".join(json.dumps(e) + "\n" for e in events(range(-100, 0), 1, None)), encoding="utf-8")
    labelled = ("--label", "churned", "--label-time", "known")
    driftgauge("reference", "build", "-c", str(config), "--data", str(training), *labelled, "-o", str(folder / "reference.json.gz"))
    driftgauge("rules", "-c", str(config), "-o", str(folder / "rules.yml"))

    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([NewTopic(name, 2, 1), NewTopic(f"{name}-labels", 2, 1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")
    annotators = random.Random(3)
    for value in BROKEN:
        producer.send(name, value)
    for one in events(range(MINUTES), 2, DRIFT_FROM_MINUTE):
        key = one["id"].encode()
        for label in labels_of(one, annotators):
            producer.send(f"{name}-labels", json.dumps(label).encode(), key=key)
        producer.send(name, json.dumps({k: v for k, v in one.items() if k not in ("churned", "known")}).encode(), key=key)
    producer.flush()
    producer.close()

    monitor = ServerProcess("driftgauge", [sys.executable, "-m", "monitor", "run", "-c", str(config)], folder / "monitor.log", ROOT)
    try:
        monitor.await_port(port)
        alerting.prometheus.scrape(JOB, f"127.0.0.1:{port}")
        alerting.prometheus.load_rules(JOB, (folder / "rules.yml").read_text(encoding="utf-8"))
        yield Chain(monitor, f"http://127.0.0.1:{port}", alerting)
    finally:
        alerting.prometheus.forget(JOB)
        alerting.prometheus.drop_rules(JOB)
        monitor.terminate()


def value(chain: Chain, query: str) -> float:
    found = chain.alerting.prometheus.query(query)
    return float(found[0]["value"][1]) if found else float("nan")


def until(chain: Chain, what: str, ready: Callable[[], Any]) -> Any:
    def alive_and_ready() -> Any:
        assert chain.monitor.alive, chain.monitor.tail()
        return ready()

    return wait_for(what, alive_and_ready, 60, chain.monitor.log)


def test_drift_in_one_segment_reaches_the_webhook_and_names_the_feature(chain: Chain) -> None:
    where = {"alertname": "DriftgaugeDataDrift", "model": "churn", "segment": "country=FR", "window": "short"}
    alert = until(chain, "the alert at the webhook", lambda: chain.alerting.webhook.alerts(**where))[0]
    assert alert["status"] == "firing"
    assert alert["labels"] == where | {"version": "3", "kind": "distribution", "job": JOB, "severity": "warning", "team": "growth"}
    assert alert["annotations"]["description"].startswith("churn 3, segment country=FR, short window: 1 signals drifted.")
    assert " age (" in alert["annotations"]["description"]
    assert " plan (" not in alert["annotations"]["description"]
    assert alert["annotations"]["runbook_url"].endswith("/docs/runbook.md#driftgaugedatadrift")
    active = get_json(f"{chain.alerting.alertmanager}/api/v2/alerts", filter='alertname="DriftgaugeDataDrift"')
    assert "country=FR" in {one["labels"]["segment"] for one in active}


def test_the_detectors_trigger_and_their_alert_names_stream_and_effect(chain: Chain) -> None:
    where = {"alertname": "DriftgaugeDriftDetected", "model": "churn", "kind": "values", "level": "trigger"}
    alert = until(chain, "the alert at the webhook", lambda: chain.alerting.webhook.alerts(**where))[0]
    assert alert["labels"] == where | {"version": "3", "job": JOB, "severity": "warning", "team": "growth"}

    def described() -> list[str]:
        """As it is now: what was sent may be of the moment when only all traffic had triggered."""
        active = get_json(f"{chain.alerting.alertmanager}/api/v2/alerts", filter='alertname="DriftgaugeDriftDetected"')
        return [one["annotations"]["description"] for one in active if " age in country=FR (by " in one["annotations"]["description"]]

    assert " plan " not in until(chain, "the segment in the alert", described)[0]
    found = get_json(f"{chain.address}/api/v1/alarms", level="trigger", segment="country=FR", kind="values")["alarms"]
    assert [(each["signal"], each["kind"], each["standing"]) for each in found] == [("age", "values", True)]
    assert found[0]["effect"]["unit"] == "sd"
    assert found[0]["effect"]["low"] <= 15 / 8 <= found[0]["effect"]["high"], "ages moved by 15 years, their deviation is 8"


def test_the_segment_that_stayed_as_it_was_is_judged_and_silent(chain: Chain) -> None:
    until(
        chain,
        "all messages to be read",
        lambda: value(chain, f'sum(driftgauge_messages_total{{job="{JOB}"}})') == len(BROKEN) + MINUTES * ROWS_A_MINUTE,
    )
    quiet = f'driftgauge_signals_drifted{{job="{JOB}",segment="country=DE",window="short",kind="distribution"}}'
    assert until(chain, "a verdict about Germany", lambda: chain.alerting.prometheus.query(quiet))[0]["value"][1] == "0"
    assert chain.alerting.webhook.alerts(model="churn", segment="country=DE") == []


def test_every_message_is_accounted_for_in_prometheus(chain: Chain) -> None:
    job = f'{{job="{JOB}"}}'
    sent = len(BROKEN) + MINUTES * ROWS_A_MINUTE
    until(chain, "all messages to be read", lambda: value(chain, f"sum(driftgauge_messages_total{job})") == sent)
    assert value(chain, f"sum(driftgauge_rows_counted_total{job})") == MINUTES * ROWS_A_MINUTE
    assert value(chain, f"sum(driftgauge_messages_rejected_total{job})") == len(BROKEN)
    until(chain, "nothing to be unread", lambda: value(chain, f"sum(driftgauge_consumer_lag_messages{job})") == 0)


def test_the_heartbeat_arrives(chain: Chain) -> None:
    assert until(chain, "the watchdog", lambda: chain.alerting.webhook.alerts(alertname="DriftgaugeWatchdog"))


BOARDS = {name: board for name, board in dashboards().items() if name != "hook.json"}  # no hook here, see test_dashboards


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_every_query_of_a_dashboard_is_answered_by_the_running_monitor(chain: Chain, board: Dashboard) -> None:
    rated = f'rate(driftgauge_rows_counted_total{{job="{JOB}"}}[1m])'
    until(chain, "two scrapes", lambda: chain.alerting.prometheus.query(rated))
    until(chain, "drift", lambda: chain.alerting.prometheus.query(f'driftgauge_drift_since_timestamp_seconds{{job="{JOB}"}}'))
    until(chain, "a trigger", lambda: chain.alerting.prometheus.query(f'driftgauge_retrain_required{{job="{JOB}"}}'))
    choices = {"job": [JOB], "segment": ["ALL", "country=FR"], "signal": ["age", "plan"]}
    assert execute_dashboard(chain.alerting.prometheus.url, board, choices=choices, may_be_absent=NOT_HERE) == []


def test_the_page_that_prometheus_reads_is_served_with_its_type(chain: Chain) -> None:
    with urllib.request.urlopen(f"{chain.address}/metrics", timeout=10) as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
