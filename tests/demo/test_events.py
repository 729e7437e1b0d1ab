"""The events hold what the model saw, in the shape that the demonstration's configuration maps."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from monitor.config import Config, load_config
from monitor.config.path import parse_path
from monitor.demo.events import LABELS, PREDICTIONS, events, in_time, label_events, split, write_training
from monitor.demo.flights import CATEGORICAL, NUMERIC, Flights
from monitor.demo.model import Model, score

CONFIG = Path(__file__).parents[2] / "configs" / "flights.yaml"


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(CONFIG)


def refuse(constant: str) -> None:
    raise AssertionError(f"JSON has no {constant}")


def test_an_event_holds_exactly_what_the_model_saw(training: Flights, model: Model) -> None:
    scores = score(model, training)
    for row, (key, value) in enumerate(itertools.islice(events(training, scores), 2_000)):
        event = json.loads(value, parse_constant=refuse)
        features = {name: str(training.categorical[name][row]) for name in CATEGORICAL}
        numbers = {name: float(training.numeric[name][row]) for name in NUMERIC}
        assert event == {
            "id": str(training.ids[row]),
            "ts": int(training.time_ms[row]),
            "model": {"name": "flight-delay", "version": "1"},
            "features": {**features, **{name: None if np.isnan(number) else number for name, number in numbers.items()}},
            "prediction": {"score": pytest.approx(scores[row], abs=1e-6)},
        }
        assert key.decode() == event["id"]


def test_the_training_file_has_a_line_for_each_flight_of_january_and_february(tmp_path: Path, training: Flights, model: Model) -> None:
    file = tmp_path / "training.ndjson"
    assert write_training(file, training, score(model, training)) == len(training)
    lines = file.read_bytes().splitlines()
    assert [json.loads(line)["id"] for line in lines] == training.ids.tolist()


def test_the_configuration_names_every_feature_of_the_model_and_nothing_else(config: Config) -> None:
    declared = {feature.name: feature.type for feature in config.models[0].features}
    assert declared == {**dict.fromkeys(CATEGORICAL, "categorical"), **dict.fromkeys(NUMERIC, "numeric")}


def test_every_path_of_the_configuration_leads_to_a_value_of_an_event(config: Config, training: Flights, model: Model) -> None:
    [monitored] = config.models
    _, value = next(events(training, score(model, training)))
    predictions = monitored.predictions
    paths = [predictions.id, predictions.time.path, predictions.model_version, predictions.score]
    paths += [feature.where for feature in monitored.features] + list(monitored.segments.columns.values())
    for path in paths:
        assert path is not None
        found = json.loads(value)
        for step in parse_path(path):
            assert step in found, path
            found = found[step]


def test_no_flight_of_the_year_is_outside_the_declared_ranges(config: Config, flights: Flights) -> None:
    for feature in config.models[0].features:
        if feature.range is not None:
            column = flights.numeric[feature.name]
            assert np.nanmin(column) >= feature.range[0], feature.name
            assert np.nanmax(column) <= feature.range[1], feature.name
        if feature.categories is not None:
            assert set(flights.categorical[feature.name]) == set(feature.categories), feature.name


def test_every_segment_of_the_year_fits_under_the_cap(config: Config, flights: Flights) -> None:
    segments = {
        (grouping, values)
        for grouping in config.models[0].segments.groupings
        for values in set(zip(*(flights.categorical[column].tolist() for column in grouping), strict=True))
    }
    assert len(segments) <= config.models[0].segments.max_segments


def test_production_begins_where_training_ends(flights: Flights) -> None:
    training, production = split(flights)
    assert training.time_ms.max() < production.time_ms.min()


def test_a_label_comes_at_the_arrival_and_only_for_a_flight_that_arrived(training: Flights) -> None:
    some = training.where(training.time_ms < training.time_ms[3_000])
    found = [(time_ms, key.decode(), json.loads(value)) for time_ms, key, value in label_events(some)]
    late = {id_: int(delay > 15) for id_, delay in zip(some.ids.tolist(), some.arrival_delay_minutes.tolist(), strict=True)}
    assert {id_ for _, id_, _ in found} == {str(id_) for id_ in some.ids[~np.isnan(some.arrival_delay_minutes)]}
    assert [time_ms for time_ms, _, _ in found] == sorted(time_ms for time_ms, _, _ in found)
    for time_ms, id_, event in found:
        assert event == {"prediction_id": id_, "ts": time_ms, "label": late[id_]}


def test_predictions_and_labels_are_one_sequence_in_time(training: Flights, model: Model) -> None:
    some = training.where(training.time_ms < training.time_ms[2_000])
    merged = list(in_time(events(some, score(model, some)), some.time_ms.tolist(), label_events(some)))
    times = [json.loads(value)["ts"] for _, (_, value) in merged]
    assert times == sorted(times)
    assert sum(topic == PREDICTIONS for topic, _ in merged) == len(some)
    assert sum(topic == LABELS for topic, _ in merged) == (some.arrival_ms >= 0).sum()


def test_the_training_file_holds_outcomes_where_there_were_any(tmp_path: Path, training: Flights, model: Model) -> None:
    file = tmp_path / "training.ndjson"
    write_training(file, training, score(model, training))
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    known = training.arrival_ms >= 0
    assert [line["label_ts"] for line in lines] == [int(ms) if k else None for ms, k in zip(training.arrival_ms, known, strict=True)]
    assert sum(line["label"] is None for line in lines) == (~known).sum()
    assert sum(line["label"] or 0 for line in lines) == (training.arrival_delay_minutes[known] > 15).sum()
