"""The model server answers as the model does, and logs what it answered without ever waiting for Kafka."""

from __future__ import annotations

import itertools
import json
import math
import threading
from dataclasses import astuple
from functools import partial

import numpy as np
import pytest
from kafka import KafkaConsumer
from modelserver.event_log import Counts, EventLog
from modelserver.load import OUTCOME_SPEEDUP
from modelserver.model import Model, NumericTerm, RequestError, load_model
from modelserver.server import MAX_ID_LENGTH, connect, outcome, predict
from modelserver.train import as_tree, request_lines, sooner

from monitor.config import load_config
from monitor.config.path import parse_path
from monitor.demo.events import split
from monitor.demo.flights import load_flights
from monitor.demo.model import score, train
from tests.broker.process import ROOT
from tests.deploy.small_model import SMALL, Slow
from tests.prometheus import wait_for


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


class TestOutcome:
    def test_the_event_is_a_label_as_of_now_where_the_monitor_looks_for_it(self):
        event = outcome(b'{"id": "a1", "label": 1}', 1_700_000_000_123)
        assert event == {"prediction_id": "a1", "ts": 1_700_000_000_123, "label": 1}
        assert json.dumps(outcome(b'{"id": "a1", "label": 0.0}', 0)) == '{"prediction_id": "a1", "ts": 0, "label": 0}'
        labels = load_config(ROOT / "deploy" / "compose" / "driftgauge.yaml").models[0].labels
        assert (labels.id, labels.time.path, labels.time.unit, labels.label) == ("prediction_id", "ts", "ms", "label")

    @pytest.mark.parametrize(
        "body, problem",
        [
            (b"", "expected a JSON object with id and label, got JSONDecodeError"),
            (b"[" * 60_000, "expected a JSON object with id and label, got RecursionError"),
            (b"[]", "expected a JSON object such as"),
            (b'{"label": 1}', "expected a JSON object such as"),
            (b'{"id": "", "label": 1}', "expected a JSON object such as"),
            (b'{"id": 1, "label": 1}', f"id: expected text of at most {MAX_ID_LENGTH} printable characters"),
            (b'{"id": "' + b"x" * 201 + b'", "label": 1}', f"id: expected text of at most {MAX_ID_LENGTH} printable characters"),
            (b'{"id": "a", "label": true}', "label: expected 0 or 1, got 'True'"),
            (b'{"id": "a", "label": "1"}', "label: expected 0 or 1, got '1'"),
            (b'{"id": "a", "label": 2}', "label: expected 0 or 1, got '2.0'"),
            (b'{"id": "a", "label": [1]}', r"label: expected 0 or 1, got '\[1.0\]'"),
            (b'{"id": "a", "label": NaN}', "label: expected 0 or 1, got 'nan'"),
        ],
    )
    def test_refuses_what_is_no_outcome(self, body, problem):
        with pytest.raises(RequestError, match=problem):
            outcome(body, 0)

    def test_requests_hold_the_real_outcomes_and_delays_and_training_has_them_sooner(self):
        flights = load_flights()
        rows = np.zeros(len(flights), dtype=bool)
        rows[::200] = True
        flights = flights.where(rows)
        lines = [json.loads(line) for line in request_lines(flights)]
        assert [line["id"] for line in lines] == flights.ids.tolist()
        known = flights.arrival_ms >= 0
        assert [line["outcome"] is not None for line in lines] == known.tolist()
        assert 0.9 < known.mean() < 1
        late = flights.arrival_delay_minutes[known] > 15
        told = [line["outcome"] for line in lines if line["outcome"]]
        assert [each["label"] for each in told] == late.astype(int).tolist()
        delays = (flights.arrival_ms - flights.time_ms)[known]
        assert [each["delay_seconds"] for each in told] == (delays / 1000).tolist()
        soon = sooner(flights)
        assert (soon.arrival_ms >= 0).tolist() == known.tolist()
        assert (soon.arrival_ms - soon.time_ms)[known].tolist() == (delays // OUTCOME_SPEEDUP).tolist()
        horizon_ms = load_config(ROOT / "deploy" / "compose" / "driftgauge.yaml").models[0].labels.horizon_ms
        assert (delays / OUTCOME_SPEEDUP < horizon_ms / 2).mean() > 0.99


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
