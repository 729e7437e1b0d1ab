"""What the ingest benchmark measures is what it says: with detection on, streams are watched and their evidence is judged."""

from __future__ import annotations

import numpy as np

from benchmarks import workload
from monitor.batch import RawBatch
from monitor.decode import Decoder
from monitor.detections import watch_version
from monitor.pipeline import Owned, advance
from monitor.reference.reference import Reference
from monitor.state import Entry, ModelState, new_model_state

ROWS = 8_000


def counted(reference: Reference) -> ModelState:
    """An hour of the benchmark's traffic in one partition."""
    config = workload.config("librdkafka", "unused:9092", "bench", "unused", dedup=False)
    model = new_model_state(config.models[0], [reference])
    advance(model, Owned(frozenset({0}), complete=True))
    watch_version(model, "1")
    messages = workload.events(ROWS, 4)
    raw = RawBatch("bench", 0, messages, np.arange(ROWS), np.full(ROWS, -1, np.int64))
    batch, rejections = Decoder(model.config, model.vocabulary).decode([raw])
    assert not rejections
    advance(model, batch)
    assert model.ledger[Entry.COUNTED] == ROWS
    return model


def test_a_day_of_its_own_traffic_is_watched_and_stays_quiet() -> None:
    reference = workload.day_reference(4, 20_000)
    assert reference.rows == 20_000
    assert reference.hours is not None and reference.blocks is not None
    watched = counted(reference).sequential["1"]
    assert watched.ended_ms is not None and watched.ended_ms > workload.START_MS
    assert len(watched.watch.bank.leaves.streams) > 4, "ALL, and every segment that has enough rows"
    assert not watched.watch.latched()


def test_without_detection_nothing_is_watched() -> None:
    model = counted(workload.reference())
    assert not model.sequential
    assert "rows" in model.not_watched["1"]
