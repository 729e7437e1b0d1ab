"""``driftgauge control`` as an operator meets it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from kafka import KafkaConsumer

from monitor.__main__ import main
from monitor.cli.named import near
from monitor.config import load_config
from monitor.decide.control import KINDS, kind_of, parse_control
from monitor.reference.fit import load_references
from monitor.reference.format import with_fingerprint, write_reference
from tests.broker.process import free_ports
from tests.flow import label_world, world

ARGUMENTS = {
    "hold": ["--until", "2026-03-02T06:00Z"],
    "release": [],
    "accept": ["--signal", "x", "--segment", "country=FR", "--version", "1"],
    "withdraw": ["--control", "abcdefgh"],
    "rebaseline": ["--signal", "x"],
    "ack": ["--trigger", "a" * 32],
    "switch-reference": ["--version", "2", "--reference", "0123abcd"],
    "assign": ["--failure-mode", "f1", "--owner", "bob", "--fix-version", "2"],
}


def write(folder: Path, *names: str, brokers: str = "127.0.0.1:1", **more: object) -> str:
    models = [
        {
            "name": name,
            "predictions": {"topic": f"t-{name}", "id": "id"},
            "features": [{"name": "x", "type": "numeric"}],
            "segments": {"columns": {"country": "country", "device": "device"}, "groupings": [["country"], ["country", "device"]]},
        }
        for name in names or ("m",)
    ]
    tree = {"source": {"brokers": [brokers], "connect_timeout": "2s"}, "models": models, "controls": {"topic": "controls"}, **more}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in tree.items() if value is not None}))
    return str(path)


def printed(capsys, *arguments: str):
    assert main(["control", *arguments, "--why", "because", "--print"]) == 0
    return parse_control(capsys.readouterr().out.encode())


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_every_kind_becomes_a_message_that_is_read_again(tmp_path, capsys, kind):
    control = printed(capsys, kind, "-c", write(tmp_path), "--by", "ann", *ARGUMENTS[kind])
    assert kind_of(control) == kind.replace("-", "_")
    assert (control.model, control.by, control.why) == ("m", "ann", "because")


def test_every_kind_is_a_command():
    assert set(ARGUMENTS) == {kind_of(kind).replace("_", "-") for kind in KINDS}


def test_the_options_are_in_the_message(tmp_path, capsys):
    path = write(tmp_path)
    assert printed(capsys, "hold", "-c", path, "--until", "2026-03-02T06:00Z").until_ms == 1_772_431_200_000
    assert printed(capsys, "hold", "-c", path).until_ms is None
    accept = printed(capsys, "accept", "-c", path, "--segment", "country=FR")
    assert (accept.segment, accept.signal, accept.version, accept.until_ms) == ("country=FR", None, None, None)
    assert printed(capsys, "ack", "-c", path, "--trigger", "b" * 32).trigger_id == "b" * 32
    assigned = printed(capsys, "assign", "-c", path, "--failure-mode", "f1", "--fix-version", "2")
    assert (assigned.failure_mode, assigned.owner, assigned.fix_version) == ("f1", None, "2")


def test_who_decides_is_the_user_of_the_system_unless_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LOGNAME", "bob")
    assert printed(capsys, "release", "-c", write(tmp_path)).by == "bob"


def test_two_decisions_have_two_ids(tmp_path, capsys):
    path = write(tmp_path)
    assert printed(capsys, "release", "-c", path).id != printed(capsys, "release", "-c", path).id


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["release"], "--why"),
        (["release", "--why", ""], "Expected `str` of length >= 1 - at `$.why`"),
        (["release", "--why", "x" * 501], "Expected `str` of length <= 500 - at `$.why`"),
        (["ack", "--why", "x", "--trigger", "../x"], "Expected `str` of length >= 8 - at `$.trigger_id`"),
        (["ack", "--why", "x"], "--trigger"),
        (["hold", "--why", "x", "--until", "tomorrow"], "--until: expected a time such as 2026-03-02T06:00Z, got 'tomorrow'"),
        (["assign", "--why", "x", "--failure-mode", "f1"], "expected owner, fix_version or both"),
        (["release", "--why", "x", "--model", "other"], "models: expected --model with one of m, got 'other'"),
        (["release", "--why", "x", "--model", "mm"], "expected --model with one of m; did you mean 'm'?, got 'mm'"),
        (["accept", "--why", "x", "--signal", "y"], "--signal: expected one of x, got 'y'"),
        (["rebaseline", "--why", "x", "--signal", "xx"], "--signal: expected one of x; did you mean 'x'?, got 'xx'"),
        (["accept", "--why", "x", "--segment", "FR"], "--segment: expected ALL or country=... or country=...,device=..., by the groupings"),
        (["accept", "--why", "x", "--segment", "device=ios"], "--segment: expected ALL or country=... or country=...,device=..."),
        # None of these is a key, though each looks like one: it would match nothing.
        (["accept", "--why", "x", "--segment", "country=a=b"], r"--segment: expected 'country=a\\=b', as the grouping has it"),
        (["accept", "--why", "x", "--segment", "country=FR,"], "--segment: expected 'country=FR', as the grouping has it"),
        (["accept", "--why", "x", "--segment", "device=ios,country=a\\"], "--segment: expected 'country=a"),
        (
            ["accept", "--why", "x", "--segment", "device=ios,country=FR"],
            "--segment: expected 'country=FR,device=ios', as the grouping has it",
        ),
        (["explode", "--why", "x"], "invalid choice: 'explode'"),
    ],
)
def test_a_mistake_is_said_and_nothing_is_written(tmp_path, capsys, arguments, said):
    given = ["control", arguments[0], "-c", write(tmp_path), *arguments[1:]]
    try:
        code = main(given)
    except SystemExit as ended:
        code = ended.code
    shown = capsys.readouterr()
    assert code == 2
    assert said in shown.err
    assert shown.out == ""


def with_references(folder: Path) -> str:
    for version in ("1", "2"):
        reference = with_fingerprint(replace(label_world.reference(), model_version=version, dataset_version=version))
        write_reference(reference, folder / f"{version}.json.gz")
    model = {**world.CONFIG["models"][0], "references": ["*.json.gz"], "predictions": label_world.PREDICTIONS}
    model |= {"labels": label_world.SECTION, "retraining": {"performance": [{"metric": "recall[1]", "floor": 0.5}]}}
    return write(folder, models=[model])


@pytest.mark.parametrize("signal", ["x", "score", "predicted_class", "error", "label", "recall[1]"])
def test_what_a_policy_may_read_can_be_accepted(tmp_path, capsys, signal):
    assert printed(capsys, "accept", "-c", with_references(tmp_path), "--signal", signal).signal == signal


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--segment", "country=FR", "--version", "1"], ""),
        (
            ["--segment", "country=fr"],
            "no reference has the segment 'country=fr'; those of its grouping: country=FR; did you mean 'country=FR'?",
        ),
        (["--version", "10"], "no reference is of version '10'; those there are: 1, 2; did you mean '1'?"),
    ],
)
def test_what_only_production_may_have_is_written_and_said(tmp_path, capsys, arguments, said):
    assert main(["control", "accept", "-c", with_references(tmp_path), *arguments, "--why", "because", "--print"]) == 0
    shown = capsys.readouterr()
    parse_control(shown.out.encode())
    assert shown.err == (f"driftgauge: {said}\n" if said else "")


def test_a_reference_to_switch_to_is_one_that_there_is(tmp_path, capsys):
    path = with_references(tmp_path)
    known = {each.model_version: each.fingerprint for each in load_references(load_config(Path(path)))["m"]}
    assert printed(capsys, "switch-reference", "-c", path, "--version", "1", "--reference", known["2"][:12]).reference == known["2"][:12]
    given = ["control", "switch-reference", "-c", path, "--version", "1", "--reference", "0123abcd", "--why", "because", "--print"]
    assert main(given) == 2
    assert f"expected the fingerprint of one of {known['1'][:12]} (version 1), {known['2'][:12]} (version 2)" in capsys.readouterr().err


def test_of_many_names_the_nearest_are_shown():
    shown = near("feature_77x", [f"feature_{n}" for n in range(100)])
    assert shown.startswith("feature_77, ")
    assert shown.endswith(" and 88 more; did you mean 'feature_77'?")


def test_of_several_models_one_must_be_named(tmp_path, capsys):
    path = write(tmp_path, "a", "b")
    assert main(["control", "release", "-c", path, "--why", "x"]) == 2
    assert "expected --model with one of a, b, got none" in capsys.readouterr().err
    assert printed(capsys, "release", "-c", path, "--model", "b").model == "b"


def test_without_a_control_topic_there_is_nowhere_to_write_to(tmp_path, capsys):
    assert main(["control", "release", "-c", write(tmp_path, controls=None), "--why", "x"]) == 2
    assert "controls: expected a section with the topic to write to, got none" in capsys.readouterr().err


def test_of_files_it_is_said_how_a_decision_gets_there(tmp_path, capsys):
    (tmp_path / "log").mkdir()
    path = write(tmp_path, source={"client": "ndjson", "path": "log"})
    assert main(["control", "hold", "-c", path, "--why", "x"]) == 2
    said = capsys.readouterr().err
    assert "source.brokers: expected brokers to write to, got none; with --print, append the line to the file controls.ndjson" in said
    assert printed(capsys, "hold", "-c", path).model == "m"


def test_a_broker_that_is_down_is_an_error_of_the_sink(tmp_path, capsys):
    [port] = free_ports(1)
    assert main(["control", "release", "-c", write(tmp_path, brokers=f"127.0.0.1:{port}"), "--why", "x"]) == 4
    said = capsys.readouterr().err
    assert "1 messages for controls are not confirmed" in said
    assert "nothing tries again once this command has ended: repeat it" in said
    assert "are kept" not in said


def test_the_schema_is_printed(capsys):
    assert main(["control", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$defs"]["Hold"]["properties"]["kind"] == {"enum": ["hold"]}


@pytest.mark.broker
def test_a_decision_is_in_the_topic_when_the_command_returns(broker, topic, tmp_path, capsys):
    name = topic()
    path = write(tmp_path, brokers=broker.bootstrap, controls={"topic": name})
    assert main(["control", "hold", "-c", path, "--by", "ann", "--why", "data centre moves"]) == 0
    shown = capsys.readouterr().out
    consumer = KafkaConsumer(name, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=30_000)
    record = next(consumer)
    consumer.close()
    control = parse_control(record.value)
    assert (record.key, kind_of(control), control.by, control.why) == (b"m", "hold", "ann", "data centre moves")
    assert shown == f"hold of m by ann is in {name}, id {control.id}\n"
