"""The Alertmanager configuration: valid, each alert to its receiver, and what must not disturb stays silent."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.test_rules import ROOT, config, run
from tests.prometheus import Alerting, Webhook, start_alertmanager, start_webhook, wait_for

CONFIG = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"


def test_amtool_accepts_the_configuration(amtool: str) -> None:
    checked = run(amtool, "check-config", str(CONFIG))
    assert checked.returncode == 0, checked.stdout


def test_each_severity_goes_to_its_receiver(amtool: str) -> None:
    from monitor.rules import alerts

    receivers = {"critical": "pages", "warning": "tickets", "info": "nowhere", "none": "heartbeat"}
    for alert in alerts(config()):
        labels = [f"alertname={alert.name}", f"severity={alert.severity}", "segment=ALL", "model=m"]
        routed = run(amtool, "config", "routes", "test", f"--config.file={CONFIG}", *labels)
        assert routed.stdout.splitlines()[-1] == receivers[alert.severity], alert.name


@pytest.fixture
def deployed(alerting: Alerting, tmp_path: Path) -> Iterator[tuple[str, Webhook]]:
    """Alertmanager with the committed configuration, at once and towards a local webhook; its address and the webhook."""
    with start_webhook() as webhook:
        tree: dict[str, Any] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
        for route in (tree["route"], *tree["route"]["routes"]):
            route["group_wait"] = "200ms"
        for receiver in tree["receivers"]:
            for hook in receiver.get("webhook_configs", []):
                hook["url"] = webhook.url + receiver["name"]
        with start_alertmanager(tmp_path, tree) as address:
            yield address, webhook


def post(address: str, *alerts: dict[str, str]) -> None:
    body = json.dumps([{"labels": labels} for labels in alerts]).encode()
    request = urllib.request.Request(f"{address}/api/v2/alerts", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def drift(segment: str, **more: str) -> dict[str, str]:
    where = {"job": "driftgauge", "model": "m", "version": "1", "window": "short"}
    return {"alertname": "DriftgaugeDataDrift", "severity": "warning", "segment": segment} | where | more


END = {"alertname": "DriftgaugeStalled", "severity": "critical", "job": "other", "model": "end"}
"""Posted last, in a group of its own: when it has come, what is not there was held back."""


def received(webhook: Webhook) -> list[dict[str, str]]:
    wait_for("the last alert", lambda: webhook.alerts(model="end"))
    time.sleep(0.5)  # the other groups were posted before, and wait as long
    return [alert["labels"] for alert in webhook.alerts() if alert["labels"].get("model") != "end"]


def test_a_segment_is_not_reported_while_the_whole_traffic_drifted(deployed: tuple[str, Webhook]) -> None:
    address, webhook = deployed
    whole, part, other = drift("ALL"), drift("origin=JFK"), drift("origin=JFK", window="long")
    post(address, whole, part, other, END)
    assert sorted(received(webhook), key=str) == sorted([whole, other], key=str)


def test_segments_are_reported_together_in_one_notification(deployed: tuple[str, Webhook]) -> None:
    address, webhook = deployed
    post(address, *(drift(f"origin={n}") for n in range(50)), END)
    assert len(received(webhook)) == 50
    assert len([n for n in webhook.notifications if n["commonLabels"].get("model") == "m"]) == 1


def test_drift_is_not_reported_while_counts_are_rebuilt_by_the_same_job(deployed: tuple[str, Webhook]) -> None:
    address, webhook = deployed
    rebuilding = {"alertname": "DriftgaugeRebuilding", "severity": "warning", "job": "driftgauge"}
    elsewhere = drift("ALL", job="another")
    post(address, rebuilding, drift("ALL"), elsewhere, END)
    assert sorted(received(webhook), key=str) == sorted([rebuilding, elsewhere], key=str)


def test_nothing_but_the_outage_and_the_heartbeat_is_reported_while_driftgauge_is_down(deployed: tuple[str, Webhook]) -> None:
    address, webhook = deployed
    down = {"alertname": "DriftgaugeDown", "severity": "critical"}
    heartbeat = {"alertname": "DriftgaugeWatchdog", "severity": "none"}
    post(address, down, heartbeat, drift("ALL"), {"alertname": "DriftgaugeLag", "severity": "warning"}, {**END, "alertname": "Other"})
    assert sorted(received(webhook), key=str) == sorted([down, heartbeat], key=str)
