"""The gate against a running server: exit codes, waiting, credentials, and what it says."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Callable

import pytest

from monitor.__main__ import main
from monitor.canary.trial import CanaryResult
from monitor.config.root import Http
from monitor.expose.published import Published
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.server import HttpServer
from monitor.telemetry import Telemetry
from tests.expose.serving import Start
from tests.expose.trials import BETTER, EQUAL, FEW, WORSE, snapshot, trial

NOT_WORSE = trial(0.005, rows=400)


@pytest.fixture
def gate(start: Start) -> Callable[..., int]:
    def run(result: CanaryResult | None, *more: str, candidate: str = "4", champion: str = "3") -> int:
        server = start(snapshot(result))
        given = ["gate", "--model", "m", "--candidate", candidate, "--champion", champion, "--url", server.address, *more]
        try:
            return main(given)
        finally:
            server.stop()

    return run


@pytest.mark.parametrize(("result", "code"), [(BETTER, 0), (NOT_WORSE, 0), (WORSE, 1), (EQUAL, 2), (FEW, 2), (None, 2)])
def test_the_exit_code_is_the_verdict(gate, result, code, capsys):
    assert gate(result) == code
    out = capsys.readouterr()
    assert out.err == ""
    assert len(out.out.splitlines()) >= 1


def test_other_versions_than_those_compared_are_undecided(gate, capsys):
    assert gate(WORSE, candidate="5") == 2
    assert "versions 3 and 4 are compared" in capsys.readouterr().out


def test_it_says_how_large_how_sure_and_where(gate, capsys):
    gate(BETTER)
    text = capsys.readouterr().out
    assert text.startswith("better: m, candidate 4 against champion 3: 14400 and 14400 labelled rows compared\n")
    assert "accuracy 0." in text
    assert "confidence at any time: worse 0.0%, not worse 100.0%, better 100.0%" in text
    assert "worse in carrier=DL: -0.1" in text


def test_json_is_the_whole_answer(gate, capsys):
    gate(WORSE, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "worse"
    assert found["all"]["difference"] < -0.05


def test_a_model_that_is_not_there_is_an_error_and_not_asked_again(start, capsys):
    url = start(snapshot(WORSE)).address
    assert main(["gate", "--model", "other", "--candidate", "4", "--url", url, "--wait", "10m"]) == 3
    assert "expected one of m, got 'other'" in capsys.readouterr().err


def test_a_monitor_that_does_not_answer_is_an_error(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert main(["gate", "--model", "m", "--candidate", "4", "--url", url]) == 3
    assert f"expected an answer from {url}, got none" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "body"), [(404, b"<html>not here</html>"), (200, b"<html>welcome</html>"), (200, b'{"ok": true}')])
def test_another_server_is_no_monitor(status, body, capsys):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert main(["gate", "--model", "m", "--candidate", "4", "--url", f"http://127.0.0.1:{server.server_port}"]) == 3
    finally:
        server.shutdown()
        server.server_close()
    said = capsys.readouterr().err
    assert f"expected the answer of a driftgauge from http://127.0.0.1:{server.server_port}, got status {status} without one; --url" in said
    assert "<html>" not in said


def test_a_wrong_path_of_a_monitor_is_told_in_its_own_words(start, capsys):
    assert main(["gate", "--model", "m", "--candidate", "4", "--url", f"{start(snapshot(WORSE)).address}metrics"]) == 3
    assert "expected status 200" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given",
    [
        ["--model", "m"],
        ["--model", "m", "--candidate", "4", "--wait", "30"],
        ["--model", "m", "--candidate", "4", "--url", "localhost:9464"],
        ["--model", "m", "--candidate", "4", "--surely"],
    ],
)
def test_wrong_usage_does_not_look_like_a_verdict(given, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["gate", *given])
    assert ended.value.code == 3
    assert "usage: driftgauge gate" in capsys.readouterr().err


def test_the_help_shows_examples_and_exit_codes(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["gate", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert "2  undecided yet" in text


def test_the_token_comes_from_a_file(start, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GATE_TOKEN", "s3cret")
    url = start(snapshot(WORSE), bearer_token={"env": "GATE_TOKEN"}).address
    given = ["gate", "--model", "m", "--candidate", "4", "--url", url]
    assert main(given) == 3
    assert "401" in capsys.readouterr().err
    (tmp_path / "token").write_text("s3cret\n")
    assert main([*given, "--token-file", str(tmp_path / "token")]) == 1
    (tmp_path / "token").write_text("two\nlines")
    assert main([*given, "--token-file", str(tmp_path / "token")]) == 3
    assert main([*given, "--token-file", str(tmp_path / "none")]) == 3
    assert "two" not in capsys.readouterr().err


def test_it_waits_until_it_is_decided_through_an_outage_and_no_longer(monkeypatch, capsys):
    """Not reachable, then starting, then undecided, then decided; each pause makes the next thing happen."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    published = Published(snapshot(None, evaluated=False), SelfMetrics(), 1_000)
    servers: list[HttpServer] = []
    events = iter([
        lambda: servers.append(HttpServer(Http(port=port), published, Telemetry(()))),
        lambda: published.publish(snapshot(EQUAL)),
        lambda: published.publish(snapshot(WORSE)),
    ])  # fmt: skip
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        next(events)()

    monkeypatch.setattr("monitor.cli.gate.time.sleep", pause)
    try:
        assert main(["gate", "--model", "m", "--candidate", "4", "--url", f"http://127.0.0.1:{port}", "--wait", "1h"]) == 1
    finally:
        for server in servers:
            server.stop()
    assert len(paused) == 3
    assert all(0 < seconds <= 2 for seconds in paused)
    assert capsys.readouterr().err == ""


def test_the_wait_ends(start, capsys):
    url = start(snapshot(EQUAL)).address
    ended = threading.Event()
    threading.Timer(60, ended.set).start()
    assert main(["gate", "--model", "m", "--candidate", "4", "--url", url, "--wait", "50ms"]) == 2
    assert not ended.is_set()
