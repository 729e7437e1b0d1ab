"""The Alertmanager configuration: valid, each alert to its receiver, and what must not disturb stays silent."""

from __future__ import annotations

import json
import re
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


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"alertname": "DriftgaugeRetrainRequired", "action": "retrain", "severity": "warning", "trigger_id": "t"}, "retraining,tickets"),
        ({"alertname": "DriftgaugeRetrainRequired", "severity": "warning", "trigger_id": "t"}, "tickets"),  # asks nobody to retrain
        ({"alertname": "Somebodys", "action": "retrain", "severity": "warning"}, "tickets"),
        ({"alertname": "DriftgaugeDataDrift", "severity": "warning"}, "tickets"),
        ({"alertname": "Somebodys"}, "tickets"),
    ],
)
def test_what_asks_for_retraining_goes_to_the_hook_and_to_people_and_all_else_to_people(
    amtool: str, labels: dict[str, str], receivers: str
) -> None:
    named = [f"{name}={value}" for name, value in labels.items()]
    routed = run(amtool, "config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receivers}", *named)
    assert routed.returncode == 0, routed.stdout


def test_the_rule_asks_for_what_the_route_looks_for() -> None:
    from monitor.rules import alerts

    [alert] = [each for each in alerts(config()) if each.name == "DriftgaugeRetrainRequired"]
    [route] = [each for each in yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["route"]["routes"] if each["receiver"] == "retraining"]
    assert route["matchers"] == [f'alertname = "{alert.name}"', 'action = "retrain"']
    assert alert.labels["action"] == "retrain"
    assert route["group_by"] == ["trigger_id"]


def test_the_documented_route_is_the_deployed_one() -> None:
    text = (ROOT / "docs" / "retraining.md").read_text(encoding="utf-8")
    found = re.search(r"```yaml\n# alertmanager\.yml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    shown, deployed = yaml.safe_load(found[1]), yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    assert shown["route"]["routes"] == deployed["route"]["routes"][:2]
    here, there = (next(each for each in tree["receivers"] if each["name"] == "retraining") for tree in (shown, deployed))
    here["webhook_configs"][0]["url"] = there["webhook_configs"][0]["url"]  # the hook's name in the network differs
    assert here == there


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
