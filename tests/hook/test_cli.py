"""``driftgauge hook`` as an operator meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import jsonschema
import pytest
import yaml

from monitor.__main__ import main
from monitor.hook.alert import parse
from monitor.hook.config import AlertFilter
from monitor.hook.ledger import Ledger
from tests.broker.process import ROOT, ServerProcess, free_ports
from tests.expose.client import fetch
from tests.hook.world import NOW_MS, alert, http_start, notification, serving, write_config

SECRET = "hunter2hunter2"


@pytest.fixture
def config(tmp_path):
    (tmp_path / "token").write_text(SECRET)
    start = http_start("https://pipeline.example.org/${model}", bearer_token={"file": "token"})
    return write_config(tmp_path, start, policy={"cooldown": "24h", "daily_maximum": 3}, monitor={"url": "http://monitor:9464"})


class TestDryRun:
    def test_it_shows_what_would_be_sent_for_a_sample_and_sends_nothing(self, config, capsys):
        assert main(["hook", "--dry-run", "-c", str(config)]) == 0
        shown = capsys.readouterr().out
        assert "trigger churn-sample-1 of model churn\n" in shown
        assert "  url: https://pipeline.example.org/churn\n" in shown
        assert "  evidence (optional): GET http://monitor:9464/api/v1/triggers/churn-sample-1\n" in shown
        assert '"id": "churn-sample-1"' in shown
        assert "  header Idempotency-Key: from the trigger id\n" in shown
        assert f"  Authorization: Bearer: from the file {config.parent / 'token'}\n" in shown
        assert SECRET not in shown
        assert not (config.parent / "hook.sqlite").exists()

    def test_it_shows_what_a_notification_of_ones_own_would_start(self, config, tmp_path, capsys):
        (tmp_path / "body.json").write_bytes(
            notification(alert("a"), alert("b", status="resolved"), alert("c", model="fraud"), truncatedAlerts=2)
        )
        (tmp_path / "evidence.json").write_text('{"drop": 0.123}')
        arguments = ["--payload", str(tmp_path / "body.json"), "--evidence", str(tmp_path / "evidence.json")]
        assert main(["hook", "--dry-run", "-c", str(config), *arguments]) == 0
        shown = capsys.readouterr().out
        assert [line for line in shown.splitlines() if not line.startswith("  ")] == [
            "1 alerts are no triggers: resolved",
            "2 alerts were left out by Alertmanager (max_alerts)",
            "trigger a of model churn",
            "trigger c of model fraud",
        ]
        assert '"drop": 0.123' in shown
        assert "https://pipeline.example.org/fraud" in shown

    def test_it_says_what_the_ledger_and_the_policy_would_say(self, config, tmp_path, capsys):
        ledger = Ledger(tmp_path / "hook.sqlite")
        now = int(time.time() * 1000)
        ledger.receive(parse(notification(alert("known")), AlertFilter()).triggers, 10, now)
        ledger.claim(ledger.entry("known"), {}, None, "", now)
        ledger.close()
        (tmp_path / "body.json").write_bytes(notification(alert("known"), alert("next")))
        before = (tmp_path / "hook.sqlite").read_bytes()
        assert main(["hook", "--dry-run", "-c", str(config), "--payload", str(tmp_path / "body.json")]) == 0
        shown = capsys.readouterr().out
        assert "  would start nothing: the ledger knows it, it is starting\n" in shown
        assert "  would be skipped (cooldown): the model was last started less than 1d ago;" in shown
        assert (tmp_path / "hook.sqlite").read_bytes() == before

    def test_a_payload_without_triggers_says_so(self, config, tmp_path, capsys):
        (tmp_path / "body.json").write_bytes(notification())
        assert main(["hook", "--dry-run", "-c", str(config), "--payload", str(tmp_path / "body.json")]) == 0
        assert capsys.readouterr().out == "no triggers: nothing would be started\n"

    def test_what_is_no_notification_is_a_mistake(self, config, tmp_path, capsys):
        (tmp_path / "body.json").write_text("{}")
        assert main(["hook", "--dry-run", "-c", str(config), "--payload", str(tmp_path / "body.json")]) == 2
        assert "expected the JSON of an Alertmanager notification" in capsys.readouterr().err

    def test_the_example_can_be_tried_at_once(self, monkeypatch, capsys):
        monkeypatch.setenv("DRIFTGAUGE_HOOK_TOKEN", SECRET)
        assert main(["hook", "--dry-run", "-c", str(ROOT / "configs" / "hook.yaml")]) == 0
        assert "url: http://127.0.0.1:8080/retrain/churn" in capsys.readouterr().out


class TestLedgerCommands:
    @pytest.fixture
    def ledger(self, config, tmp_path):
        ledger = Ledger(tmp_path / "hook.sqlite")
        ledger.receive(parse(notification(alert("a"), alert("b", reason="x\x1b[2J")), AlertFilter()).triggers, 10, NOW_MS)
        ledger.skip(ledger.entry("a"), "cooldown", "why", NOW_MS + 1)
        ledger.close()

    def test_audit_lists_what_happened(self, ledger, config, capsys):
        assert main(["hook", "audit", "-c", str(config)]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "2027-01-15T08:00:00.000Z  a  received  performance model churn, alert since 2027-01-15T08:00:00.000Z",
            "2027-01-15T08:00:00.000Z  b  received  x [2J model churn, alert since 2027-01-15T08:00:00.000Z",
            "2027-01-15T08:00:00.001Z  a  skipped   cooldown why",
        ]

    def test_audit_of_one_trigger_as_json(self, ledger, config, capsys):
        assert main(["hook", "audit", "-c", str(config), "--trigger", "a", "--json"]) == 0
        assert [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()] == ["received", "skipped"]

    def test_release_lets_a_skipped_trigger_start_and_refuses_any_other(self, ledger, config, tmp_path, capsys):
        assert main(["hook", "release", "-c", str(config), "--trigger", "b", "--trigger", "a", "--trigger", "none"]) == 5
        said = capsys.readouterr()
        assert said.out == "a: released; a running hook starts it within seconds\n"
        assert "b: expected a trigger that failed or was skipped, got one that is received" in said.err
        assert "none: expected the id of a trigger in the ledger" in said.err
        reader = Ledger(tmp_path / "hook.sqlite", working=False)
        assert reader.entry("a").state == "received"
        reader.close()

    def test_without_a_ledger_that_is_said(self, config, capsys):
        assert main(["hook", "audit", "-c", str(config)]) == 5
        assert "there is no ledger here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["release"], "release needs the --trigger ID"), (["--payload", "x"], "need --dry-run"), (["nonsense"], "invalid choice")],
)
def test_usage_errors(config, arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["hook", *arguments, "-c", str(config)])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_unreadable_secrets_and_certificates_are_said_together_before_it_serves(config, tmp_path, capsys):
    tree = yaml.safe_load(config.read_text())
    tree["listen"] |= {"basic_auth": {"username": "u", "password": {"env": "DRIFTGAUGE_NO_SUCH_VARIABLE"}}}
    tree["start"]["http"] |= {"secret_headers": {"X-Key": {"file": "none"}}, "tls": {"ca_file": "token"}}
    config.write_text(yaml.safe_dump(tree))
    assert main(["hook", "-c", str(config)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"driftgauge: {config}: 3 mistakes",
        "  listen.basic_auth.password: environment variable DRIFTGAUGE_NO_SUCH_VARIABLE is not set or empty",
        f"  start.http.secret_headers.X-Key: cannot read the secret file {tmp_path / 'none'}: FileNotFoundError",
        f"  start.http.tls: expected PEM files, {tmp_path / 'token'}: NO_CERTIFICATE_OR_CRL_FOUND",
    ]


def test_it_serves_until_sigterm_and_a_second_one_on_the_same_ledger_is_refused(tmp_path):
    [port] = free_ports(1)
    with serving() as target:
        config = write_config(tmp_path, http_start(target.url), listen={"port": port})
        command = [sys.executable, "-m", "monitor", "hook", "-c", str(config)]
        server = ServerProcess("hook", command, tmp_path / "log", ROOT)
        server.await_port(port)
        assert fetch(port, "/webhook", method="POST", body=notification(alert())).status == 200
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env={**os.environ})
        assert second.returncode == 5
        assert "another hook works on this ledger" in second.stderr
        server.signal(signal.SIGTERM)
        assert server._process.wait(30) == 0
        log = server.tail()
        for event in ("HookStarted", "ServerStarted", "TriggerReceived", "TriggerStarted", "StopRequested", "HookStopped"):
            assert event in log, log
        assert "drained=true" in log


def test_the_schema_takes_every_recipe_and_refuses_unknown_keys(capsys):
    assert main(["schema", "--hook"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert jsonschema.validators.validator_for(schema, default=None) is jsonschema.Draft202012Validator
    files = [ROOT / "configs" / "hook.yaml", *sorted((ROOT / "configs" / "hook").glob("*.yaml"))]
    assert len(files) == 8
    for path in files:
        tree = yaml.safe_load(path.read_text())
        jsonschema.validate(tree, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**tree, "strat": 1}, schema)
