"""The workload of the ingest benchmark: 600-byte events, 15 numeric and 5 categorical features, two segment columns."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from monitor.batch import RawBatch
from monitor.config import Config, parse_config
from monitor.profile.layout import Layout, SignalBins
from monitor.profile.table import CountTable
from monitor.reference.build import Options, build_reference
from monitor.reference.read import Rows
from monitor.reference.reference import Reference

NUMERIC, CATEGORICAL = 15, 5
PARTITIONS = 4
HOUR_MS = 3_600_000
START_MS = 1_760_000_000_000 // HOUR_MS * HOUR_MS
DISORDER_MS = 120_000
DAY_ROWS = 400_000
CATEGORIES = tuple(f"value-{i}" for i in range(12))


def config(client: str, broker: str, topic: str, state: str, dedup: bool) -> Config:
    """ALL, country, device and country x device; panes of 5 minutes; verdicts are measured elsewhere."""
    numeric = [{"name": f"x{i}", "type": "numeric", "path": f"features.number_{i}"} for i in range(NUMERIC)]
    categorical = [{"name": f"c{i}", "type": "categorical", "path": f"features.category_{i}"} for i in range(CATEGORICAL)]
    model: dict[str, Any] = {
        "name": "bench",
        "version": "1",
        "predictions": {
            "topic": topic,
            "id": "id",
            "time": {"path": "ts"},
            "score": "score",
            "duplicates": {"enabled": dedup},
        },
        "features": numeric + categorical,
        "segments": {
            "columns": {"country": "country", "device": "device"},
            "groupings": [["country"], ["device"], ["country", "device"]],
            "max_segments": 2_000,
        },
        "windows": {"pane": "5m", "short": "1h", "long": "24h", "lateness": "10m"},
        "evaluation": {"every": "24h"},
    }
    return parse_config({"source": {"client": client, "brokers": [broker]}, "models": [model], "state": {"directory": state}})


def reference() -> Reference:
    """26 edges a number, 12 categories a word."""
    edges = tuple(np.linspace(-2.9, 2.9, 26).tolist())
    signals = (
        *(SignalBins(f"x{i}", "numeric", edges=edges) for i in range(NUMERIC)),
        *(SignalBins(f"c{i}", "categorical", categories=CATEGORIES) for i in range(CATEGORICAL)),
        SignalBins("score", "numeric", edges=tuple(np.linspace(0.02, 0.98, 26).tolist())),
    )
    layout = Layout(signals)
    counts = np.ones((1, layout.cells), np.int64)
    table = CountTable(layout, ("ALL",), counts, np.zeros((1, len(signals), 2), np.int64))
    nan = np.full(len(signals), np.nan)
    return Reference(
        "bench", "1", None, None, 1, None, None, (), (), table, np.full(layout.cells, np.nan), nan, nan, None, None, None, "0" * 64
    )


def day_reference(segments: int, count: int = DAY_ROWS) -> Reference:
    """A reference built from the day before: with hours, with rows in every segment, so that detectors run beside the counting.

    Its day is thinner than the hour that is measured, or building it would take longer than all the rest.
    """
    messages = events(count, segments, seed=2, start_ms=START_MS - 24 * HOUR_MS, span_ms=24 * HOUR_MS, disorder_ms=1)
    chunks = [([_raw(messages[start : start + 10_000], start)], 10_000) for start in range(0, count, 10_000)]
    model = config("librdkafka", "unused:9092", "bench", "unused", dedup=False).models[0]
    return build_reference(model, Rows(count, lambda: iter(chunks), as_produced=True), Options()).reference


def _raw(messages: list[bytes], start: int) -> RawBatch:
    offsets = np.arange(start, start + len(messages))
    return RawBatch("bench", 0, messages, offsets, np.full(len(messages), -1, np.int64))


def events(
    count: int, segments: int, seed: int = 1, start_ms: int = START_MS, span_ms: int = HOUR_MS, disorder_ms: int = DISORDER_MS
) -> list[bytes]:
    """Events of about 600 bytes over a stretch of event time, nearly in order."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(count, NUMERIC)).round(9)
    words = rng.integers(0, len(CATEGORIES), (count, CATEGORICAL))
    scores = rng.random(count).round(6)
    times = start_ms + np.arange(count) * span_ms // count - rng.integers(0, disorder_ms, count)
    devices = max(1, round(segments**0.5 / 2))
    where = rng.integers(0, segments, count)
    made = []
    for i in range(count):
        features: dict[str, Any] = {f"number_{j}": x for j, x in enumerate(numbers[i].tolist())}
        features.update({f"category_{j}": CATEGORIES[w] for j, w in enumerate(words[i].tolist())})
        row = {
            "id": f"{rng.integers(0, 2**63):016x}-{i}",
            "ts": int(times[i]),
            "country": f"country-{where[i] // devices}",
            "device": f"device-{where[i] % devices}",
            "features": features,
            "score": float(scores[i]),
        }
        made.append(json.dumps(row, separators=(",", ":")).encode())
    return made
