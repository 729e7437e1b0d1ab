"""A CloudEvent on a real broker."""

from __future__ import annotations

import json

import pytest
import yaml
from kafka import KafkaConsumer

from monitor.hook.config import load_hook_config
from tests.broker.process import free_ports
from tests.hook.test_recipes import RECIPES
from tests.hook.world import alert, config_of, running, serving
from tests.prometheus import wait_for


@pytest.mark.broker
def test_the_recipe_sends_one_event_that_names_its_trigger(broker, topic, tmp_path):
    name = topic()
    tree = yaml.safe_load((RECIPES / "kafka.yaml").read_text())
    tree["listen"] = {"port": 0}
    tree["start"]["kafka"] |= {"brokers": [broker.bootstrap], "topic": name}
    with serving(lambda _: (200, {"drop": 0.2})) as monitor:
        tree["monitor"]["url"] = monitor.url
        (tmp_path / "hook.yaml").write_text(yaml.safe_dump(tree))
        with running(load_hook_config(tmp_path / "hook.yaml")) as hook:
            hook.send(alert("t-1"))
            hook.send(alert("t-1"))
            shown = hook.until("t-1", "started")
    assert (shown["reason"], shown["attempts"]) == ("confirmed", 1)
    consumer = KafkaConsumer(name, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=3_000)
    [event] = list(consumer)
    consumer.close()
    headers = dict(event.headers)
    assert event.key == b"churn"
    assert {key: headers[key] for key in ("ce_specversion", "ce_type", "ce_source", "ce_id", "content-type")} == {
        "ce_specversion": b"1.0",
        "ce_type": b"driftgauge.retrain.required.v1",
        "ce_source": b"driftgauge-hook",
        "ce_id": b"t-1",
        "content-type": b"application/json",
    }
    assert headers["ce_time"].endswith(b"Z")
    value = json.loads(event.value)
    assert (value["trigger_id"], value["run_id"], value["evidence"]) == ("t-1", shown["run_id"], {"drop": 0.2})


def test_without_a_broker_the_event_waits(tmp_path):
    [port] = free_ports(1)
    kafka = {
        "brokers": [f"127.0.0.1:{port}"], "topic": "t", "value": {"id": "${trigger_id}"}, "timeout": "300ms",
        "retry": {"first": "50ms", "longest": "100ms"},
    }  # fmt: skip
    with running(config_of(tmp_path, {"kafka": kafka})) as hook:
        hook.send(alert("t-1"))
        wait_for("attempts", lambda: hook.metric("attempts_failed_total", reason="not_confirmed") >= 2)
        assert hook.triggers()["t-1"]["state"] == "starting"
