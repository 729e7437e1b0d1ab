"""Versions in a folder: numbered, found by their trigger, and read back as they were trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from monitor.demo.flights import Flights
from monitor.demo.loop.published import Published, next_version, publish, published_for, read_model
from monitor.demo.loop.retrain import known_by
from monitor.demo.model import Model, score

DAY_MS = 86_400_000


def published(version: str, trigger: str) -> Published:
    return Published(version, trigger, 1_000, 0, DAY_MS, 0.7, 1.5)


def test_a_published_model_scores_as_the_trained_one(tmp_path: Path, flights: Flights, model: Model):
    publish(tmp_path, published("2", "t"), model)
    few = flights.where(np.arange(len(flights)) % 1_000 == 0)
    assert score(read_model(tmp_path, "2"), few).tolist() == score(model, few).tolist()


def test_the_next_number_is_after_all_and_a_version_is_found_by_its_trigger(tmp_path: Path, model: Model):
    assert next_version(tmp_path, "1") == "2"
    publish(tmp_path, published("2", "first"), model)
    publish(tmp_path, published("10", "second"), model)
    assert next_version(tmp_path, "2") == "11"
    assert published_for(tmp_path, "second") == published("10", "second")
    assert published_for(tmp_path, "third") is None


def test_a_folder_without_its_manifest_is_not_published(tmp_path: Path, model: Model):
    publish(tmp_path, published("2", "first"), model)
    (tmp_path / "2" / "published.json").rename(tmp_path / "2" / "published.new")
    assert published_for(tmp_path, "first") is None
    assert next_version(tmp_path, "1") == "2"


def test_a_pipeline_learns_nothing_that_came_out_after_its_window(flights: Flights):
    start_ms, end_ms = int(flights.time_ms[0]) + DAY_MS, int(flights.time_ms[0]) + 8 * DAY_MS
    chosen = known_by(flights, start_ms, end_ms)
    assert chosen.time_ms.min() >= start_ms
    assert chosen.arrival_ms.max() < end_ms
    due = (flights.time_ms >= start_ms) & (flights.time_ms < end_ms)
    in_the_air = due & (flights.arrival_ms >= end_ms)
    assert in_the_air.any()
    assert len(chosen) == int(due.sum()) - int(in_the_air.sum())
