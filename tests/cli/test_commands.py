"""The command line as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

import monitor
from monitor.__main__ import COMMANDS, main
from tests.flow import world
from tests.forked import driftgauge

ROOT = Path(__file__).parents[2]


def from_a_shell(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, **options)


def write(folder: Path, **changes) -> Path:
    tree = {
        "source": {"client": "ndjson", "path": "events.ndjson"},
        "models": [{**world.CONFIG["models"][0], **changes}],
        "http": {"port": 0},
    }
    (folder / "events.ndjson").write_text("")
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_version_is_said():
    done = from_a_shell("--version")
    assert (done.returncode, done.stdout) == (0, f"driftgauge {monitor.__version__}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_examples(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "example" in shown
    assert f"driftgauge {command}" in shown


@pytest.mark.parametrize("part", ["build", "learn", "show", "diff"])
def test_each_part_of_reference_explains_itself_with_examples(part, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["reference", part, "--help"])
    assert ended.value.code == 0
    assert f"examples:\n  driftgauge reference {part} " in capsys.readouterr().out


def test_no_command_is_a_usage_error():
    done = from_a_shell()
    assert done.returncode == 2
    assert "COMMAND" in done.stderr


def test_a_log_level_that_there_is_not_is_an_ordinary_mistake():
    done = driftgauge("run", "-c", "none.yaml", env={**os.environ, "DRIFTGAUGE_LOG_LEVEL": "warn", "DRIFTGAUGE_LOG_FORMAT": "xml"})
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "driftgauge: environment: 2 mistakes",
        "  DRIFTGAUGE_LOG_FORMAT: expected text or json, got 'xml'",
        "  DRIFTGAUGE_LOG_LEVEL: expected debug, info, warning or error, got 'warn'",
    ]


def test_check_says_every_mistake_at_once_with_its_path(tmp_path):
    path = write(
        tmp_path, features=[{"name": "x", "type": "number"}, {"name": "y", "type": "numeric", "rnage": [0, 1]}], windows={"pane": 5}
    )
    done = driftgauge("check", "-c", str(path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"driftgauge: {path}: 3 mistakes",
        "  models[0].features[0].type: expected numeric or categorical, got 'number'",
        "  models[0].features[1].rnage: unknown key; did you mean 'range'?",
        "  models[0].windows.pane: expected a duration with a unit such as 30s, 5m, 1h or 30d, got 5",
    ]


def test_a_key_in_the_wrong_place_is_told_where_it_belongs(tmp_path):
    path = write(tmp_path)
    tree = yaml.safe_load(path.read_text())
    tree["windows"] = {"pane": "5m"}
    path.write_text(yaml.safe_dump(tree))
    assert "  windows: unknown key here; it belongs to models[]" in driftgauge("check", "-c", str(path)).stderr.splitlines()


def test_check_looks_into_secrets_references_and_the_broker_together(tmp_path):
    path = write(tmp_path, references=["nowhere.json.gz"])
    tree = yaml.safe_load(path.read_text())
    tree["source"] = {"brokers": ["127.0.0.1:1"], "connect_timeout": "1s"}
    tree["http"] = {"bearer_token": {"env": "DRIFTGAUGE_NO_SUCH_VARIABLE"}}
    path.write_text(yaml.safe_dump(tree))
    done = driftgauge("check", "-c", str(path))
    assert done.returncode == 2
    assert "3 mistakes" in done.stderr
    assert "http.bearer_token: environment variable DRIFTGAUGE_NO_SUCH_VARIABLE is not set or empty" in done.stderr
    assert "models[0].references[0]: " in done.stderr
    assert "nowhere.json.gz" in done.stderr
    assert "source: no broker of source.brokers can be used" in done.stderr


def test_check_says_a_certificate_that_cannot_be_used(tmp_path):
    path = write(tmp_path)
    tree = yaml.safe_load(path.read_text())
    tree["http"] = {"tls": {"cert_file": "cert.pem", "key_file": "key.pem"}}
    path.write_text(yaml.safe_dump(tree))
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("no certificate")
    done = driftgauge("check", "-c", str(path))
    assert done.returncode == 2
    assert f"http.tls: expected a PEM certificate and its key in {tmp_path / 'cert.pem'}" in done.stderr


def test_files_of_secrets_are_relative_to_the_configuration(tmp_path):
    path = write(tmp_path)
    tree = yaml.safe_load(path.read_text())
    tree["http"] = {"bearer_token": {"file": "token"}}
    path.write_text(yaml.safe_dump(tree))
    (tmp_path / "token").write_text("secret")
    done = driftgauge("check", "-c", str(path))
    assert done.returncode == 0, done.stderr


def test_check_passes_a_configuration_that_can_run(tmp_path):
    done = driftgauge("check", "-c", str(write(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert "no mistakes" in done.stdout
    assert "NO_REFERENCE" in done.stdout


@pytest.mark.parametrize(("text", "said"), [("models: [", "expected YAML"), ("- 1", "expected a mapping with source and models, got list")])
def test_a_file_that_is_no_configuration_is_said(tmp_path, text, said):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    done = driftgauge("check", "-c", str(path))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("address", [None, "https://wiki.example/runbook.md"])
def test_alerts_that_point_to_an_example_are_said_once(tmp_path, capsys, address):
    path = write(tmp_path)
    if address is not None:
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "alerts": {"runbook_url": address}}))
    said = []
    for command in (["rules", "-o", str(tmp_path / "rules.yml"), "--tests"], ["rules"], ["check", "--offline"]):
        assert main([*command, "-c", str(path)]) == 0
        out, err = capsys.readouterr()
        assert "point to" not in (out if command[0] == "rules" else err)
        said.append([line for line in f"{out}{err}".splitlines() if "point to" in line])
    line = (
        "alerts.runbook_url is not set: alerts point to https://example.org/driftgauge/docs/runbook.md, an example;"
        " set it to where your copy of docs/runbook.md can be read"
    )
    assert said == ([[f"note: {line}"], [f"note: {line}"], [line]] if address is None else [[], [], []])


@pytest.mark.parametrize("place", ["nowhere/rules.yml", "."])
def test_rules_that_cannot_be_written_are_said(tmp_path, capsys, place):
    assert main(["rules", "-c", str(write(tmp_path)), "-o", str(tmp_path / place)]) == 2
    assert f"{tmp_path / place}: 1 mistake\n  cannot be written: " in capsys.readouterr().err


def test_a_missing_file_is_said(tmp_path):
    done = from_a_shell("run", "-c", str(tmp_path / "none.yaml"))
    assert done.returncode == 2
    assert "none.yaml" in done.stderr
    assert "there is no such file" in done.stderr


def test_the_schema_accepts_our_configurations_and_refuses_unknown_keys(capsys):
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert jsonschema.validators.validator_for(schema, default=None) is jsonschema.Draft202012Validator
    for path in sorted(set((ROOT / "configs").glob("*.yaml")) - {ROOT / "configs" / "hook.yaml"}):  # that one has a schema of its own
        tree = yaml.safe_load(path.read_text())
        jsonschema.validate(tree, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**tree, "sorce": 1}, schema)


def test_run_until_the_end_of_a_file_judges_saves_and_goes_on_where_it_stopped(tmp_path):
    path = write(tmp_path)
    tree = yaml.safe_load(path.read_text())
    tree["http"] = {"port": 0}
    path.write_text(yaml.safe_dump(tree))
    lines = [message.value for message in world.log(1, partitions=1, minutes=30)[0] if message.value and b"\n" not in message.value]
    events = tmp_path / "events.ndjson"
    events.write_bytes(b"\n".join(lines[:150]) + b"\n")
    first = from_a_shell("run", "-c", str(path), "--until-end", env={"PATH": "/usr/bin:/bin", "DRIFTGAUGE_LOG_FORMAT": "json"})
    assert first.returncode == 0, first.stderr
    said = [json.loads(line) for line in first.stderr.splitlines() if line.startswith("{")]
    assert {"ProcessStarted", "PartitionsAssigned", "SourceFinished", "ProcessStopped"} <= {line["event"] for line in said}
    assert next(line for line in said if line["event"] == "SourceFinished")["messages"] == 150
    assert "WindowsEvaluated" not in {line["event"] for line in said}, "one for each pane would flood the log"

    events.write_bytes(b"\n".join(lines) + b"\n")
    second = driftgauge("run", "-c", str(path), "--until-end", env={"PATH": "/usr/bin:/bin", "DRIFTGAUGE_LOG_FORMAT": "json"})
    said = [json.loads(line) for line in second.stderr.splitlines() if line.startswith("{")]
    assert next(line for line in said if line["event"] == "SourceFinished")["messages"] == len(lines), "the ledger goes on"
    assert any(line["event"] == "StateLoaded" for line in said)


def test_only_a_run_to_the_end_of_its_data_shows_progress(tmp_path):
    path = write(tmp_path)
    assert any(line.startswith("reading") for line in driftgauge("run", "-c", str(path), "--until-end").stderr.splitlines())
    running = subprocess.Popen([sys.executable, "-m", "monitor", "run", "-c", str(path)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    lines = []
    for line in running.stderr:
        lines.append(line)
        if "SourceFinished" in line:
            running.terminate()
    running.stderr.close()
    assert running.wait(30) == 0, "".join(lines)
    assert not [line for line in lines if line.startswith("reading")]


def test_healthcheck_says_when_nobody_answers(tmp_path):
    path = write(tmp_path)
    tree = yaml.safe_load(path.read_text())
    tree["http"] = {"port": 1}
    path.write_text(yaml.safe_dump(tree))
    done = driftgauge("healthcheck", "-c", str(path))
    assert done.returncode == 1
    assert "expected an answer from 127.0.0.1:1" in done.stderr
