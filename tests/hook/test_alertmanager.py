"""A real Alertmanager in front of the hook, configured as the documentation says: whatever it repeats, one start."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from monitor.hook.metrics import FAMILIES
from tests.broker.process import ROOT, free_ports
from tests.expose.client import fetch
from tests.hook.test_kill import Life
from tests.hook.world import alert, http_start, serving, write_config
from tests.prometheus import wait_for

TOKEN = "t0ken"


def documented(folder: Path, port: int) -> dict[str, Any]:
    """The configuration in docs/retraining.md, with this hook's address and token, and at once."""
    text = (ROOT / "docs" / "retraining.md").read_text(encoding="utf-8")
    found = re.search(r"```yaml\n# alertmanager\.yml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    tree: dict[str, Any] = yaml.safe_load(found[1])
    for receiver in tree["receivers"]:
        for hook in receiver.get("webhook_configs", []):
            hook["url"] = re.sub(r"//[^/]+", f"//127.0.0.1:{port}", hook["url"])
            hook["send_resolved"] = True  # what somebody may have switched on
            hook["http_config"]["authorization"]["credentials_file"] = str(folder / "token")
    for route in tree["route"]["routes"]:
        route |= {"group_wait": "100ms", "group_interval": "1s", "repeat_interval": "1s"}
    return tree


def post(address: str, *alerts: dict[str, Any], ended: bool = False) -> None:
    now = datetime.now(UTC)
    times = {"startsAt": (now - timedelta(minutes=1)).isoformat(), **({"endsAt": now.isoformat()} if ended else {})}
    body = json.dumps([{"labels": each["labels"], "annotations": each["annotations"], **times} for each in alerts]).encode()
    request = urllib.request.Request(f"{address}/api/v2/alerts", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def metric(port: int, name: str) -> float:
    page = fetch(port, "/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).body.decode()
    found = re.search(rf"^driftgauge_hook_{re.escape(name)} (\S+)$", page, re.MULTILINE)
    return float(found[1]) if found else float("nan")


def test_alertmanager_repeats_and_the_pipeline_starts_once(alertmanager, tmp_path):
    [port] = free_ports(1)
    (tmp_path / "token").write_text(TOKEN)
    with serving() as target:
        listen = {"port": port, "bearer_token": {"file": "token"}}
        config = write_config(tmp_path, http_start(target.url, when_unsure="repeat"), listen=listen)
        address = alertmanager(documented(tmp_path, port))
        post(address, alert("t-1"), alert(None), alert("other", alertname="DriftgaugeDataDrift", severity="warning"))
        life = Life(config)  # it comes up after Alertmanager has tried
        try:
            wait_for("a start", target.posts)
            wait_for("repeats", lambda: metric(port, "triggers_deduplicated_total") >= 2)
            assert metric(port, 'alerts_ignored_total{reason="no_trigger_id"}') >= 1
            assert metric(port, 'alerts_ignored_total{reason="other_alert"}') == 0, "the route brings only triggers"
            life.process.kill()
            life.process.wait(30)
            post(address, alert("t-2", model="fraud"))  # while the hook is dead
            life = Life(config)
            wait_for("the second start", lambda: len(target.posts()) == 2)
            wait_for("repeats", lambda: metric(port, "triggers_deduplicated_total") >= 3)
            post(address, alert("t-1"), alert("t-2", model="fraud"), ended=True)
            wait_for("the end of both", lambda: metric(port, 'alerts_ignored_total{reason="resolved"}') >= 2)
            assert metric(port, 'notifications_refused_total{reason="credentials"}') == 0
            assert [sent.json["id"] for sent in target.posts()] == ["t-1", "t-2"]
            life.process.send_signal(signal.SIGTERM)
            assert life.process.wait(30) == 0
        finally:
            life.terminate()


def test_the_documented_rules_are_rules_about_metrics_that_exist(promtool, tmp_path):
    text = (ROOT / "docs" / "retraining.md").read_text(encoding="utf-8")
    found = re.search(r"```yaml\n(# hook\.rules\.yml\n.*?)```", text, re.DOTALL)
    assert found is not None
    (tmp_path / "hook.rules.yml").write_text(found[1])
    checked = subprocess.run([promtool, "check", "rules", str(tmp_path / "hook.rules.yml")], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    named = set(re.findall(r"driftgauge_hook_(\w+)", found[1]))
    assert len(named) == 5
    assert named <= set(FAMILIES)
