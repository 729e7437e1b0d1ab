"""The servers of deploy/compose.yaml over HTTP: the model server, its load generator, the receiver of notifications."""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import signal
import socket
import struct
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from kafka import KafkaConsumer
from modelserver import load
from modelserver.event_log import Counts, EventLog
from modelserver.healthcheck import check
from modelserver.server import MAX_BODY_BYTES, Server, metrics

from tests.broker.process import ROOT, ServerProcess, free_ports
from tests.deploy.small_model import SMALL, Slow
from tests.prometheus import wait_for


@contextmanager
def serving(log, outcomes):
    with Server(("127.0.0.1", 0), SMALL, log, outcomes) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def without_kafka():
    """Port and logs, of predictions and of outcomes, of a server whose broker does not answer."""
    broker = Slow()
    log, outcomes = (EventLog(broker, "t", capacity=2) for _ in range(2))
    with serving(log, outcomes) as port:
        yield port, log, outcomes
    broker.free.set()
    log.close(5.0)
    outcomes.close(5.0)


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class TestServer:
    def test_answers_though_kafka_does_not_and_shows_what_it_dropped(self, without_kafka):
        port, log, outcomes = without_kafka
        for _ in range(10):
            status, body = ask(port, "POST", "/predict", b'{"id": "1", "features": {"x": 10, "c": "a"}}')
            assert (status, json.loads(body)["score"]) == (200, 0.5)
        assert log.counts == Counts(offered=10, dropped=8)
        assert "\nmodelserver_events_dropped_total 8\n" in ask(port, "GET", "/metrics")[1]
        for _ in range(3):
            status, body = ask(port, "POST", "/outcome", b'{"id": "1", "label": 1}')
            assert (status, json.loads(body)) == (200, {"id": "1", "label": 1})
        assert outcomes.counts == Counts(offered=3, dropped=1)
        assert log.counts == Counts(offered=10, dropped=8)
        assert "\nmodelserver_labels_dropped_total 1\n" in ask(port, "GET", "/metrics")[1]
        assert ask(port, "GET", "/metrics")[1] == metrics(log, outcomes)

    @pytest.mark.parametrize(
        "method, path, body, headers, status, problem",
        [
            ("POST", "/predict", b"{", {}, 400, "expected a JSON object"),
            ("POST", "/predict", b'{"features": {"x": "a"}}', {}, 400, "features.x: expected a finite number"),
            ("POST", "/outcome", b"{", {}, 400, "expected a JSON object with id and label"),
            ("POST", "/outcome", b'{"id": "1"}', {}, 400, "label: expected 0 or 1, got 'None'"),
            ("POST", "/outcome", None, {"Content-Length": str(MAX_BODY_BYTES + 1)}, 413, "expected a Content-Length of at most"),
            ("POST", "/other", b"{}", {}, 404, "expected POST /predict or /outcome"),
            ("GET", "/predict", None, {}, 404, "expected POST /predict or /outcome, GET /healthz or /metrics"),
            ("POST", "/predict", None, {"Content-Length": str(MAX_BODY_BYTES + 1)}, 413, "expected a Content-Length of at most"),
            ("POST", "/predict", None, {"Content-Length": "-1"}, 413, "expected a Content-Length"),
            ("POST", "/predict", None, {"Content-Length": "\u00b2"}, 413, "expected a Content-Length"),
            ("POST", "/predict", None, {"Transfer-Encoding": "chunked"}, 413, "expected a Content-Length"),
        ],
    )
    def test_refuses_with_a_reason_and_lives_on(self, without_kafka, method, path, body, headers, status, problem):
        port, log, outcomes = without_kafka
        got, text = ask(port, method, path, body, headers)
        assert got == status
        assert problem in json.loads(text)["error"]
        assert log.counts.offered == outcomes.counts.offered == 0
        assert ask(port, "GET", "/healthz") == (200, "ok\n")

    def test_a_client_that_resets_its_connection_is_no_error(self, without_kafka, caplog, capfd):
        port, _, _ = without_kafka
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() then resets
            client.sendall(b"POST /predict HTTP/1.1\r\nContent-Length: 100\r\n\r\n")
        wait_for("the end of the connection's thread", lambda: not any("process_request" in each.name for each in threading.enumerate()))
        assert (caplog.records, capfd.readouterr().err) == ([], "")
        assert ask(port, "GET", "/healthz") == (200, "ok\n")

    def test_further_connections_are_closed_while_all_threads_are_taken(self, without_kafka):
        port, _, _ = without_kafka
        idle = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(64)]
        for connection in idle:
            connection.connect()
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            ask(port, "GET", "/healthz")
        for connection in idle:
            connection.close()
        wait_for("a free thread", lambda: alive(port))


def alive(port):
    try:
        return ask(port, "GET", "/healthz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_the_health_check_tells_life_from_death(without_kafka):
    port, _, _ = without_kafka
    assert check(f"http://127.0.0.1:{port}/healthz") is None
    assert check(f"http://127.0.0.1:{port}/") == f"http://127.0.0.1:{port}/: expected status 200, got 404"
    [free] = free_ports(1)
    assert "ConnectionRefusedError" in (check(f"http://127.0.0.1:{free}/") or "")
    assert check("") == "expected an address such as http://127.0.0.1:8080/healthz, got ''"


class TestLoad:
    def test_repeats_the_requests_with_ids_of_their_own(self, tmp_path):
        file = tmp_path / "requests.ndjson.gz"
        with gzip.open(file, "wt") as text:
            text.write('{"id": "a", "features": {"x": 1}, "outcome": {"label": 1, "delay_seconds": 90}}\n')
            text.write('{"id": "b", "features": {}, "outcome": null}\n')
        found = list(itertools.islice(load.requests(file), 5))
        got = [json.loads(request.body) for request in found]
        assert [request["id"] for request in got] == ["1-a", "1-b", "2-a", "2-b", "3-a"]
        assert got[2] == {"id": "2-a", "features": {"x": 1}}, "the model is not told what it is to foresee"
        assert [None if each.outcome is None else json.loads(each.outcome) for each in found[2:4]] == [{"id": "2-a", "label": 1}, None]
        assert found[2].delay_seconds == 90

    def test_outcomes_are_told_in_the_order_in_which_they_are_due_and_no_sooner(self):
        waiting = load.Waiting(capacity=3)
        for due, outcome in ((5.0, b"late"), (2.0, b"early"), (2.0, b"second"), (1.0, b"no room")):
            waiting.put(due, outcome)
        assert (waiting.dropped, waiting.next_due()) == (1, 2.0)
        assert [waiting.due(now) for now in (1.9, 2.0, 2.0, 4.0, 9.0, 9.0)] == [None, b"early", b"second", None, b"late", None]
        assert waiting.next_due() == float("inf")

    def test_an_outcome_follows_its_prediction_after_its_delay_and_a_refused_request_has_none(self):
        traffic = [load.Request(b"%d" % n, b"outcome %d" % n if n != 3 else None, delay_seconds=6.0) for n in range(40)]
        posted, ended = [], threading.Event()

        def post(path, body):
            posted.append((time.monotonic(), path, body))
            return body != b"38"

        load.run(iter(traffic), post, rate=100.0, speedup=300.0, ended=ended)
        at = {body: when for when, _, body in posted}
        assert [body for _, path, body in posted if path == "/predict"] == [b"%d" % n for n in range(40)]
        told = [int(body.split()[1]) for _, path, body in posted if path == "/outcome"]
        assert told == [n for n in range(40) if n not in (3, 38)][: len(told)]
        assert len(told) > 20
        assert all(at[b"outcome %d" % n] - at[b"%d" % n] >= 0.02 for n in told)

    def test_a_client_that_lost_its_server_finds_the_next_one(self, without_kafka):
        port, log, _ = without_kafka
        client = load.Client(f"http://127.0.0.1:{port}")
        assert client.post("/predict", b'{"features": {}}')
        client._connection.sock.shutdown(2)
        assert not client.post("/predict", b'{"features": {}}')
        assert client.post("/predict", b'{"features": {}}')
        assert not client.post("/predict", b"{}")
        assert log.counts.offered == 2


def test_sigterm_ends_the_server_after_every_event_is_delivered(broker, topic, tmp_path):
    name, labels, [port] = topic(), topic(), free_ports(1)
    model = {"name": "m", "version": "1", "intercept": 0.0, "numeric": {}, "categorical": {}}
    (tmp_path / "model.json").write_text(json.dumps(model))
    arguments = [
        "--brokers",
        broker.bootstrap,
        "--topic",
        name,
        "--label-topic",
        labels,
        "--model",
        str(tmp_path / "model.json"),
        "--port",
        str(port),
    ]
    command = [sys.executable, "-m", "modelserver.server", *arguments]
    server = ServerProcess("modelserver", command, tmp_path / "log", Path(ROOT / "deploy"))
    server.await_port(port)
    for number in range(20):
        assert ask(port, "POST", "/predict", json.dumps({"id": str(number), "features": {}}).encode())[0] == 200
    for number in range(7):
        assert ask(port, "POST", "/outcome", json.dumps({"id": str(number), "label": number % 2}).encode())[0] == 200
    server.signal(signal.SIGTERM)
    assert server._process.wait(30) == 0
    assert f"ended: {Counts(offered=20, delivered=20)}" in server.tail()
    assert f"ended, outcomes: {Counts(offered=7, delivered=7)}" in server.tail()
    consumer = KafkaConsumer(name, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=30_000)
    assert {json.loads(record.value)["id"] for record in itertools.islice(consumer, 20)} == set(map(str, range(20)))
    consumer.close()
    consumer = KafkaConsumer(labels, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=30_000)
    told = {(record.key, json.loads(record.value)["label"]) for record in itertools.islice(consumer, 7)}
    assert told == {(str(number).encode(), number % 2) for number in range(7)}
    consumer.close()


def test_notifications_are_printed_a_line_each(tmp_path):
    [port] = free_ports(1)
    command = [sys.executable, "-u", str(ROOT / "deploy" / "compose" / "notifications.py"), "--port", str(port)]
    server = ServerProcess("notifications", command, tmp_path / "log", tmp_path)
    server.await_port(port)
    alert = {
        "status": "firing",
        "labels": {"alertname": "DriftgaugeDataDrift", "segment": "country=FR\npages: firing: Forged"},
        "annotations": {"summary": "Features drifted."},
        "startsAt": "2026-01-01T00:00:00Z",
    }
    assert ask(port, "POST", "/tickets", json.dumps({"version": "4", "alerts": [alert]}).encode())[0] == 200
    assert [ask(port, "POST", "/x", body)[0] for body in (b"{", b"[]", b"{}", b'{"alerts": [1]}', b'{"alerts": [{}]}')] == [400] * 5
    assert ask(port, "POST", "/x", None, {"Content-Length": "99999999"})[0] == 413
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as answer:
        assert answer.status == 200
    server.signal(signal.SIGTERM)
    assert server._process.wait(30) == 0
    assert server.tail() == (
        "tickets: firing: DriftgaugeDataDrift: Features drifted. (segment=country=FR pages: firing: Forged), since 2026-01-01T00:00:00Z\n"
    )
