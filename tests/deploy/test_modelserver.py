"""The model server answers as the model does, and logs what it answered without ever waiting for Kafka."""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import math
import signal
import socket
import struct
import sys
import threading
import urllib.request
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from kafka import KafkaConsumer
from kafka.errors import KafkaTimeoutError
from modelserver import load
from modelserver.event_log import Counts, EventLog
from modelserver.healthcheck import check
from modelserver.model import Model, NumericTerm, RequestError, load_model
from modelserver.server import MAX_BODY_BYTES, MAX_ID_LENGTH, Server, connect, metrics, predict
from modelserver.train import as_tree

from monitor.config import load_config
from monitor.config.path import parse_path
from monitor.demo.events import split
from monitor.demo.flights import load_flights
from monitor.demo.model import score, train
from tests.broker.process import ROOT, ServerProcess, free_ports
from tests.prometheus import wait_for

SMALL = Model("m", "7", -1.0, {"x": NumericTerm(mean=10.0, std=2.0, weight=0.5, missing_weight=3.0)}, {"c": {"a": 1.0, "b": -1.0}})


def logistic(linear):
    return 1 / (1 + math.exp(-linear))


class TestModel:
    @pytest.mark.parametrize(
        "features, linear",
        [
            ({"x": 10, "c": "a"}, -1 + 0 + 1),
            ({"x": 14.0, "c": "b"}, -1 + 2 * 0.5 - 1),
            ({"x": None, "c": "never seen"}, -1 + 3),
            ({}, -1 + 3),
        ],
    )
    def test_scores_by_the_formula(self, features, linear):
        assert SMALL.score(features) == pytest.approx(logistic(linear), abs=1e-15)

    @pytest.mark.parametrize(
        "features, problem",
        [
            ({"x": "10"}, "features.x: expected a finite number or null, got '10'"),
            ({"x": True}, "features.x: expected a finite number or null, got 'True'"),
            ({"x": math.inf}, "features.x: expected a finite number or null, got 'inf'"),
            ({"x": [1]}, r"features.x: expected a finite number or null, got '\[1\]'"),
            ({"c": 5}, "features.c: expected text or null, got '5'"),
            ({"y": 5}, "features: expected some of c, x, got 'y'"),
        ],
    )
    def test_refuses_what_it_cannot_score_and_says_why(self, features, problem):
        with pytest.raises(RequestError, match=problem):
            SMALL.score(features)

    def test_a_number_too_large_for_a_float_is_refused(self):
        with pytest.raises(RequestError, match=r"features.x: expected a finite number"):
            predict(SMALL, b'{"features": {"x": 1' + b"0" * 400 + b"}}", 0)

    def test_numbers_that_cancel_to_no_number_are_refused(self):
        huge = NumericTerm(mean=0.0, std=1e-300, weight=1.0, missing_weight=0.0)
        with pytest.raises(RequestError, match="expected numbers whose weighted sum is one"):
            Model("m", "1", 0.0, {"x": huge, "y": huge}, {}).score({"x": 1e300, "y": -1e300})

    def test_the_file_scores_real_flights_as_the_trained_model_does(self, tmp_path):
        training, production = split(load_flights())
        model = train(training)
        file = tmp_path / "model.json"
        file.write_text(json.dumps(as_tree(model)))
        served = load_model(file)
        rows = np.zeros(len(production), dtype=bool)
        rows[::500] = True
        flights = production.where(rows)
        columns = {**flights.numeric, **flights.categorical}
        got = []
        for values in zip(*(column.tolist() for column in columns.values()), strict=True):
            features = dict(zip(columns, values, strict=True))
            got.append(served.score({name: None if value != value else value for name, value in features.items()}))
        assert len(got) > 500
        assert any(np.isnan(column).any() for column in flights.numeric.values())
        assert got == pytest.approx(score(model, flights).tolist(), rel=1e-9)


class TestPredict:
    def test_the_event_repeats_the_answer_and_the_features_it_came_from(self):
        answer, event = predict(SMALL, b'{"id": "a1", "features": {"x": 14, "c": "b"}}', 1_700_000_000_123)
        assert answer == {"id": "a1", "model": {"name": "m", "version": "7"}, "score": round(logistic(-1), 6)}
        assert event == {
            "id": "a1", "ts": 1_700_000_000_123, "model": {"name": "m", "version": "7"},
            "features": {"x": 14, "c": "b"}, "prediction": {"score": answer["score"]},
        }  # fmt: skip

    def test_a_request_without_an_id_gets_one_of_its_own(self):
        ids = {predict(SMALL, b'{"features": {}}', 0)[0]["id"] for _ in range(10)}
        assert len(ids) == 10

    def test_the_monitor_finds_everything_it_looks_for(self):
        config = load_config(ROOT / "deploy" / "compose" / "driftgauge.yaml").models[0]
        tree = {feature.name: None for feature in config.features}
        model = Model("flight-delay", "1", 0.0, {name: NumericTerm(0, 1, 0, 0) for name in tree}, {})
        _, event = predict(model, json.dumps({"id": "1", "features": tree}).encode(), 5)
        paths = [config.predictions.id, config.predictions.time.path, config.predictions.model_version, config.predictions.score]
        paths += [feature.where for feature in config.features] + list(config.segments.columns.values())
        for path in paths:
            value = event
            for step in parse_path(path):
                value = value[step]
        assert event["ts"] == 5
        assert config.predictions.time.unit == "ms"

    @pytest.mark.parametrize(
        "body, problem",
        [
            (b"", "expected a JSON object with features, got JSONDecodeError"),
            (b'{"\xff": 1}', "expected a JSON object with features, got UnicodeDecodeError"),
            (b"[" * 60_000, "expected a JSON object with features, got RecursionError"),
            (b"[]", "expected a JSON object such as"),
            (b'{"features": 1}', "expected a JSON object such as"),
            (b'{"id": 1, "features": {}}', f"id: expected text of at most {MAX_ID_LENGTH} printable characters"),
            (b'{"id": "' + b"x" * 201 + b'", "features": {}}', f"id: expected text of at most {MAX_ID_LENGTH} printable characters"),
            (b'{"id": "\\ud800", "features": {}}', "id: expected text"),
        ],
    )
    def test_refuses_what_is_no_request(self, body, problem):
        with pytest.raises(RequestError, match=problem):
            predict(SMALL, body, 0)


class Slow:
    """Connects as to a broker that does not answer: not at all until it is freed, and then gives up."""

    def __init__(self):
        self.free = threading.Event()

    def __call__(self):
        self.free.wait()
        raise KafkaTimeoutError("no broker answers")


class TestEventLog:
    def test_offering_does_not_wait_when_kafka_does_not_answer(self):
        broker = Slow()
        log = EventLog(broker, "t", capacity=5)
        taken = [log.offer(b"k", b"v") for _ in range(20)]  # a log that waits would never return from the sixth
        assert taken == [True] * 5 + [False] * 15
        assert astuple(log.counts) == (20, 0, 0, 15)
        assert log.counts.waiting == 5
        broker.free.set()
        log.close(5.0)
        assert astuple(log.counts) == (20, 0, 0, 20)

    def test_an_event_after_the_end_is_dropped_and_counted(self):
        broker = Slow()
        broker.free.set()
        log = EventLog(broker, "t", capacity=5)
        log.close(5.0)
        assert not log.offer(b"k", b"v")
        assert log.counts == Counts(offered=1, dropped=1)

    def test_every_event_reaches_kafka_once_and_is_counted(self, broker, topic):
        name = topic(partitions=2)
        log = EventLog(partial(connect, [broker.bootstrap]), name, capacity=1_000)
        for number in range(500):
            assert log.offer(f"{number}".encode(), b"{}")
        log.close(30.0)
        assert log.counts == Counts(offered=500, delivered=500)
        consumer = KafkaConsumer(name, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=30_000)
        keys = sorted(int(record.key) for record in itertools.islice(consumer, 500))
        consumer.close()
        assert keys == list(range(500))

    def test_events_from_before_the_broker_came_up_are_delivered_when_it_does(self, broker, topic):
        name = topic()
        up = threading.Event()

        def connect_later():
            up.wait()
            return connect([broker.bootstrap])

        log = EventLog(connect_later, name, capacity=100)
        for _ in range(50):
            log.offer(b"k", b"{}")
        assert log.counts == Counts(offered=50)
        up.set()
        wait_for("50 events delivered", lambda: log.counts == Counts(offered=50, delivered=50))
        log.close(30.0)

    def test_what_the_broker_refuses_is_counted_as_failed(self, broker, topic):
        log = EventLog(partial(connect, [broker.bootstrap]), topic(), capacity=10)
        log.offer(b"k", b"v" * 1_500_000)  # longer than a producer sends
        log.offer(b"k", b"{}")
        wait_for("both events settled", lambda: log.counts.waiting == 0)
        log.close(30.0)
        assert log.counts == Counts(offered=2, delivered=1, failed=1)


@contextmanager
def serving(log):
    with Server(("127.0.0.1", 0), SMALL, log) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def without_kafka():
    """Port and log of a server whose broker does not answer."""
    broker = Slow()
    log = EventLog(broker, "t", capacity=2)
    with serving(log) as port:
        yield port, log
    broker.free.set()
    log.close(5.0)


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
        port, log = without_kafka
        for _ in range(10):
            status, body = ask(port, "POST", "/predict", b'{"id": "1", "features": {"x": 10, "c": "a"}}')
            assert (status, json.loads(body)["score"]) == (200, 0.5)
        assert log.counts == Counts(offered=10, dropped=8)
        assert "\nmodelserver_events_dropped_total 8\n" in ask(port, "GET", "/metrics")[1]
        assert ask(port, "GET", "/metrics")[1] == metrics(log)

    @pytest.mark.parametrize(
        "method, path, body, headers, status, problem",
        [
            ("POST", "/predict", b"{", {}, 400, "expected a JSON object"),
            ("POST", "/predict", b'{"features": {"x": "a"}}', {}, 400, "features.x: expected a finite number"),
            ("POST", "/other", b"{}", {}, 404, "expected POST /predict"),
            ("GET", "/predict", None, {}, 404, "expected POST /predict, GET /healthz or GET /metrics"),
            ("POST", "/predict", None, {"Content-Length": str(MAX_BODY_BYTES + 1)}, 413, "expected a Content-Length of at most"),
            ("POST", "/predict", None, {"Content-Length": "-1"}, 413, "expected a Content-Length"),
            ("POST", "/predict", None, {"Content-Length": "\u00b2"}, 413, "expected a Content-Length"),
            ("POST", "/predict", None, {"Transfer-Encoding": "chunked"}, 413, "expected a Content-Length"),
        ],
    )
    def test_refuses_with_a_reason_and_lives_on(self, without_kafka, method, path, body, headers, status, problem):
        port, log = without_kafka
        got, text = ask(port, method, path, body, headers)
        assert got == status
        assert problem in json.loads(text)["error"]
        assert log.counts.offered == 0
        assert ask(port, "GET", "/healthz") == (200, "ok\n")

    def test_a_client_that_resets_its_connection_is_no_error(self, without_kafka, caplog, capfd):
        port, _ = without_kafka
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() then resets
            client.sendall(b"POST /predict HTTP/1.1\r\nContent-Length: 100\r\n\r\n")
        wait_for("the end of the connection's thread", lambda: not any("process_request" in each.name for each in threading.enumerate()))
        assert (caplog.records, capfd.readouterr().err) == ([], "")
        assert ask(port, "GET", "/healthz") == (200, "ok\n")

    def test_further_connections_are_closed_while_all_threads_are_taken(self, without_kafka):
        port, _ = without_kafka
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
    port, _ = without_kafka
    assert check(f"http://127.0.0.1:{port}/healthz") is None
    assert check(f"http://127.0.0.1:{port}/") == f"http://127.0.0.1:{port}/: expected status 200, got 404"
    [free] = free_ports(1)
    assert "ConnectionRefusedError" in (check(f"http://127.0.0.1:{free}/") or "")
    assert check("") == "expected an address such as http://127.0.0.1:8080/healthz, got ''"


class TestLoad:
    def test_repeats_the_requests_with_ids_of_their_own(self, tmp_path):
        file = tmp_path / "requests.ndjson.gz"
        with gzip.open(file, "wt") as text:
            text.write('{"id": "a", "features": {"x": 1}}\n{"id": "b", "features": {}}\n')
        got = [json.loads(body) for body in itertools.islice(load.requests(file), 5)]
        assert [request["id"] for request in got] == ["1-a", "1-b", "2-a", "2-b", "3-a"]
        assert got[2]["features"] == {"x": 1}

    def test_a_client_that_lost_its_server_finds_the_next_one(self, without_kafka):
        port, log = without_kafka
        client = load.Client(f"http://127.0.0.1:{port}/predict")
        assert client.post(b'{"features": {}}')
        client._connection.sock.shutdown(2)
        assert not client.post(b'{"features": {}}')
        assert client.post(b'{"features": {}}')
        assert not client.post(b"{}")
        assert log.counts.offered == 2


def test_sigterm_ends_the_server_after_every_event_is_delivered(broker, topic, tmp_path):
    name, [port] = topic(), free_ports(1)
    model = {"name": "m", "version": "1", "intercept": 0.0, "numeric": {}, "categorical": {}}
    (tmp_path / "model.json").write_text(json.dumps(model))
    arguments = ["--brokers", broker.bootstrap, "--topic", name, "--model", str(tmp_path / "model.json"), "--port", str(port)]
    command = [sys.executable, "-m", "modelserver.server", *arguments]
    server = ServerProcess("modelserver", command, tmp_path / "log", Path(ROOT / "deploy"))
    server.await_port(port)
    for number in range(20):
        assert ask(port, "POST", "/predict", json.dumps({"id": str(number), "features": {}}).encode())[0] == 200
    server.signal(signal.SIGTERM)
    assert server._process.wait(30) == 0
    assert f"ended: {Counts(offered=20, delivered=20)}" in server.tail()
    consumer = KafkaConsumer(name, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=30_000)
    assert {json.loads(record.value)["id"] for record in itertools.islice(consumer, 20)} == set(map(str, range(20)))
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
