"""Resident memory of 1,000 segments x 50 signals: after the long window is full, and its growth under load from then on.

State is committed as often as the main job does: what a commit saves is held until then.
"""

from __future__ import annotations

import gc
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.evaluate import layout_of, reference_of, table_of
from monitor.batch import Batch, Span
from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.config import State, parse_config
from monitor.pipeline import Owned, advance
from monitor.profile.layout import vocabulary
from monitor.state import ModelState, new_model_state

SEGMENTS, PARTITIONS, ROWS = 1_000, 4, 20_000
PANE_MS = 300_000
START_MS = 1_760_000_000_000 // 86_400_000 * 86_400_000


def resident_mb() -> float:
    """Resident set size (Linux, /proc/self/statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def new_state() -> ModelState:
    layout = layout_of()
    reference = reference_of(table_of(layout, SEGMENTS, 3_000, np.random.default_rng(0)))
    features = [{"name": s.name, "type": s.kind} for s in layout.signals]
    tree = {
        "source": {"brokers": ["127.0.0.1:1"]},
        "models": [
            {
                "name": "m",
                "version": "1",
                "predictions": {"topic": "t", "id": "id", "duplicates": {"max_ids": 2_000_000}},
                "features": features,
                "segments": {"columns": {"country": "country"}, "groupings": [["country"]], "max_segments": 2 * SEGMENTS},
            }
        ],
    }
    state = new_model_state(parse_config(tree).models[0], [reference])
    advance(state, Owned(frozenset(range(PARTITIONS)), complete=True))
    return state


def batch_of(state: ModelState, seed: int) -> Batch:
    """Rows of one pane's width, spread over all partitions and segments."""
    rng = np.random.default_rng(seed)
    layout, words = state.fallback, vocabulary([state.fallback])
    values = np.column_stack(
        [rng.normal(size=ROWS) if s.kind == "numeric" else rng.integers(0, len(words[s.name]), ROWS).astype(float) for s in layout.signals]
    )
    values[rng.random(values.shape) < 0.01] = np.nan
    size = ROWS // PARTITIONS
    nothing = np.zeros(0, np.int32)
    return Batch(
        model="m",
        spans=tuple(Span(p, p * size, (p + 1) * size, 0) for p in range(PARTITIONS)),
        time_ms=START_MS + np.tile(np.sort(rng.integers(0, PANE_MS, size)), PARTITIONS),
        record_time_ms=np.zeros(ROWS, np.int64),
        ids=rng.integers(1, 2**63, (ROWS, 2)).astype(np.uint64),
        versions=("1",),
        version=np.zeros(ROWS, np.int32),
        values=values,
        fault_rows=nothing,
        fault_columns=nothing,
        fault_kinds=nothing.astype(np.uint8),
        segment_values=(tuple(f"{i:04d}" for i in range(SEGMENTS)),),
        segments=rng.integers(0, SEGMENTS, (ROWS, 1)).astype(np.int32),
        messages=ROWS,
    )


def measure(load_seconds: float) -> dict[str, float]:
    """``rss_mb`` once the long window is full, ``rss_growth_mb`` after ``load_seconds`` of load as fast as it goes."""
    with tempfile.TemporaryDirectory() as folder:
        state = new_state()
        checkpoint = Checkpoint(Store(Path(folder), State().keep_epochs), {"m": state})
        checkpoint.resume()
        try:
            return _measured(state, checkpoint, load_seconds)
        finally:
            checkpoint.store.close()


def _measured(state: ModelState, checkpoint: Checkpoint, load_seconds: float) -> dict[str, float]:
    batches = [batch_of(state, seed) for seed in range(4)]
    rng = np.random.default_rng(9)
    commit_s, committed = State().commit_every_ms / 1e3, time.monotonic()

    def play(pane: int) -> None:
        nonlocal committed
        batch = batches[pane % len(batches)]
        ids = batch.ids ^ rng.integers(1, 2**63, 2).astype(np.uint64)
        advance(state, replace(batch, time_ms=batch.time_ms + pane * PANE_MS, ids=ids))
        if time.monotonic() - committed >= commit_s:
            checkpoint.commit({})
            committed = time.monotonic()

    pane = 0
    panes_of_long = state.config.windows.long_ms // PANE_MS
    for pane in range(panes_of_long + 24):
        play(pane)
    gc.collect()
    full = resident_mb()
    until = time.monotonic() + load_seconds
    while time.monotonic() < until:
        pane += 1
        play(pane)
    gc.collect()
    return {"rss_mb": round(full, 1), "rss_growth_mb": round(resident_mb() - full, 1), "load_panes": pane - panes_of_long - 23}


if __name__ == "__main__":
    import json
    import os

    print(json.dumps(measure(float(os.environ.get("BENCH_LOAD_SECONDS", "600")))))
