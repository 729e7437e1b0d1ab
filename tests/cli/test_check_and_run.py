"""``driftgauge check`` says everything that keeps ``driftgauge run`` from starting, and nothing that does not."""

from __future__ import annotations

import http.server
import os
import signal
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.__main__ import main
from monitor.config import load_config
from monitor.expose.published import Published
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.server import HttpServer
from monitor.reference.format import with_fingerprint, write_reference
from monitor.telemetry import Telemetry
from tests.cli.test_commands import from_a_shell
from tests.expose.trials import snapshot
from tests.flow import world
from tests.forked import Forked, driftgauge


def write(folder: Path, tree: dict[str, Any], logs: dict[str, bytes] | None = None) -> Path:
    (folder / "log").mkdir()
    for name, content in ({"t.ndjson": b""} if logs is None else logs).items():
        (folder / "log" / name).write_bytes(content)
    path = folder / "config.yaml"
    whole = {"source": {"client": "ndjson", "path": "log"}, "models": [world.CONFIG["models"][0]], "http": {"port": 0}, **tree}
    path.write_text(yaml.safe_dump(whole))
    return path


def both(path: Path) -> tuple[int, str, int, str]:
    """Exit code and errors of ``check``, and of ``run``."""
    checked, ran = driftgauge("check", "-c", str(path)), driftgauge("run", "-c", str(path), "--until-end")
    return checked.returncode, checked.stderr, ran.returncode, ran.stderr


@pytest.mark.parametrize("source", [{}, {"source": {"client": "ndjson", "path": "log/t.ndjson"}}])
def test_files_need_none_for_decisions(tmp_path, source):
    code, said, ran, log = both(write(tmp_path, {"controls": {"topic": "decisions"}, **source}))
    assert (code, said) == (0, "")
    assert ran == 0, log


@pytest.mark.parametrize(
    ("tree", "logs", "said"),
    [
        ({"state": {"directory": "config.yaml"}}, None, "the state folder cannot be written: "),
        ({"state": {"directory": "config.yaml/below"}}, None, "the state folder cannot be written: Not a directory"),
        ({"state": {"directory": "n" * 300}}, None, "the state folder cannot be written: File name too long"),
        ({}, {"t.ndjson.gz": b"no gzip"}, "log/t.ndjson.gz after line 0: Not a gzipped file"),
        ({}, {"other.ndjson": b""}, "expected t.ndjson or t-<partition>.ndjson"),
    ],
)
def test_what_keeps_it_from_starting_is_said_before(tmp_path, tree, logs, said):
    code, before, ran, log = both(write(tmp_path, tree, logs))
    assert code == 2, before
    assert said in before
    assert ran not in (0, 2), log
    assert said in log


def test_decisions_that_cannot_be_read_are_said_before(tmp_path):
    path = write(tmp_path, {"controls": {"topic": "decisions"}})
    (tmp_path / "log" / "decisions.ndjson").mkdir()
    code, before, ran, log = both(path)
    assert (code, ran) == (2, 4), log
    assert "cannot open" in before and "decisions.ndjson" in before
    assert "cannot open" in log and "decisions.ndjson" in log


@pytest.mark.broker
@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
def test_a_topic_for_decisions_has_to_be_there(broker, topic, tmp_path, client):
    model = world.CONFIG["models"][0]
    model = {**model, "predictions": {**model["predictions"], "topic": topic()}}
    tree = {"source": {"client": client, "brokers": [broker.bootstrap], "group": "g"}, "models": [model], "controls": {"topic": "absent"}}
    code, before, ran, log = both(write(tmp_path, tree))
    assert code == 2
    assert "they are not there or hidden from this user: absent" in before
    assert ran == 4
    assert "they are not there or hidden from this user: absent" in log


@pytest.mark.broker
def test_a_topic_to_write_to_that_is_not_there_is_said_and_is_no_mistake(kafka, topic, tmp_path, capsys):
    name, there = topic(), topic()
    for letters, said in ((there, False), (f"{name}-absent", True)):
        model = world.CONFIG["models"][0]
        predictions = model["predictions"] | {"topic": name, "dead_letter_topic": letters}
        (folder := tmp_path / letters).mkdir()
        path = write(folder, {"source": {"brokers": [kafka.bootstrap]}, "models": [model | {"predictions": predictions}]})
        assert main(["check", "-c", str(path)]) == 0
        line = f"models[0].predictions.dead_letter_topic: topic {letters} is not there; make it, unless the broker makes topics by itself\n"
        assert (line in capsys.readouterr().out) is said


def test_a_client_that_is_not_installed_is_said_before_anything_is_asked(tmp_path):
    """As where confluent-kafka was left out: importing it fails, and no broker is needed to say so."""
    (tmp_path / "confluent_kafka.py").write_text("raise ImportError('No module named confluent_kafka')")
    config = write(tmp_path, {"source": {"client": "librdkafka", "brokers": ["127.0.0.1:1"], "group": "g"}})
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = from_a_shell("check", "-c", str(config), env=os.environ | {"PYTHONPATH": paths})
    assert done.returncode == 2, done.stderr
    assert "source.client: expected confluent-kafka to be installed for librdkafka, and it is not" in done.stderr
    assert "pip install 'driftgauge[librdkafka]' or choose kafka-python" in done.stderr


def test_a_mistake_in_a_model_hides_no_mistake_of_the_machine(tmp_path, capsys):
    """Who has put one right should not be shown the next only then."""
    source = {"brokers": ["127.0.0.1:1"], "connect_timeout": "1s"}
    http = {"port": 0, "bearer_token": {"file": "no-such-file"}}
    model = world.CONFIG["models"][0] | {"version": ""}
    path = write(tmp_path, {"source": source, "http": http, "state": {"directory": "config.yaml"}, "models": [model]})
    everything = ["models[0].version: ", "source: no broker of source.brokers can be used", "http.bearer_token: ", "state.directory: "]
    for options, expected in (([], everything), (["--offline"], everything[::2])):
        assert main(["check", "-c", str(path), *options]) == 2
        found = [line[2:] for line in capsys.readouterr().err.splitlines()[1:] if line[2] != " "]  # more of one mistake is set in deeper
        assert [line[: len(start)] for line, start in zip(found, expected, strict=True)] == expected


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
def test_a_stop_does_not_wait_for_brokers_that_do_not_answer(tmp_path, client):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = {"client": client, "brokers": [f"127.0.0.1:{silent.getsockname()[1]}"], "group": "g", "connect_timeout": "60s"}
        log = tmp_path / "stderr"
        process = Forked(main, ["run", "-c", str(write(tmp_path, {"source": source}))], out=log, error=log)
        try:
            silent.settimeout(30)
            silent.accept()[0].close()
            time.sleep(0.5)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
        finally:
            process.kill()
    assert time.monotonic() - began < 10
    assert code == 0, log.read_text()
    assert "ProcessStopped" in log.read_text() and "Traceback" not in log.read_text()


def test_a_grouping_that_the_reference_does_not_have_is_said(tmp_path, capsys):
    write_reference(with_fingerprint(world.reference()), tmp_path / "reference.json.gz")
    model = world.CONFIG["models"][0] | {"references": ["reference.json.gz"]}
    path = write(tmp_path, {"models": [model]})
    assert main(["check", "-c", str(path)]) == 0
    assert "no segments of" not in capsys.readouterr().out
    columns, groupings = model["segments"]["columns"], model["segments"]["groupings"]
    more = model | {"segments": {"columns": {**columns, "plan": "plan"}, "groupings": [*groupings, ["plan"]]}}
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "models": [more]}))
    assert main(["check", "-c", str(path)]) == 0
    assert "the reference of version 1 has no segments of [plan]: they are compared with all traffic" in capsys.readouterr().out


def test_references_alone_that_cannot_be_used_have_an_exit_code_of_their_own(tmp_path, capsys):
    model = world.CONFIG["models"][0] | {"references": ["absent.json.gz", "other.json.gz"]}
    write_reference(with_fingerprint(replace(world.reference(), model="other")), tmp_path / "other.json.gz")
    path = write(tmp_path, {"models": [model]})
    for command in (["check", "--offline"], ["check"], ["run", "--until-end"]):
        assert main([*command, "-c", str(path)]) == 3
        said = capsys.readouterr().err
        assert "references[0]: " in said and "references[1]: expected a reference of model m, got one of other" in said
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"state": {"directory": "config.yaml"}}))
    assert main(["check", "-c", str(path)]) == 2
    assert "state.directory" in (said := capsys.readouterr().err) and "references[1]" in said


def test_nothing_is_left_where_the_state_will_be(tmp_path, capsys):
    path = write(tmp_path, {"state": {"directory": "deep/state"}})
    assert main(["check", "-c", str(path)]) == 0, capsys.readouterr().err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config.yaml", "log"]
    (tmp_path / "deep").write_text("a file")
    assert main(["check", "-c", str(path)]) == 2
    assert "state.directory: " in capsys.readouterr().err
    assert main(["check", "-c", str(path), "--offline"]) == 0, "about another machine"


def test_a_port_of_another_program_is_a_mistake_and_that_of_a_monitor_is_not(tmp_path, capsys):
    def code(port: int) -> int:
        config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"http": {"port": port}}))
        return main(["check", "-c", str(config)])

    config = write(tmp_path, {})
    server = HttpServer(load_config(config).http, Published(snapshot(None), SelfMetrics(), 1_000), Telemetry())
    try:
        assert code(server.port) == 0, capsys.readouterr().err
    finally:
        server.stop()
    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    try:
        assert code(other.server_port) == 2
        assert f"http.bind: cannot listen on 127.0.0.1:{other.server_port}: Address already in use" in capsys.readouterr().err
    finally:
        other.shutdown()
        other.server_close()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        threading.Thread(target=_close_what_comes, args=[silent], daemon=True).start()
        assert code(silent.getsockname()[1]) == 2


def _close_what_comes(listener: socket.socket) -> None:
    listener.accept()[0].close()
