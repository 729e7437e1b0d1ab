"""A restart after which windows are judged more often."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.config.model import ModelConfig
from monitor.pipeline import Evaluated
from monitor.state import ModelState
from tests.flow import world


def every(period: str) -> ModelConfig:
    windows = {"pane": "1s", "short": "10s", "long": "100s", "lateness": "2s"}
    return world.model_config(windows=windows, detectors=[], evaluation={"min_rows": 20, "every": period})


def play(model: ModelState, seconds: Sequence[float], first: int) -> list[Evaluated]:
    random = np.random.default_rng(4)
    events = [{**world.event(first + n, second / 60, random), "v": "1"} for n, second in enumerate(seconds)]
    raw = world.raw([world.Message(0, first + n, json.dumps(event).encode()) for n, event in enumerate(events)])
    return world.play(model, iter([[replace(raw, timestamps_ms=np.full(len(raw), -1, np.int64))]]))


def test_no_window_is_judged_that_ended_before_what_is_closed(tmp_path: Path) -> None:
    before = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(every("60s"), partitions=1)})
    before.resume()
    play(before.models["m"], [*(n / 5 for n in range(20)), 23.0], 0)
    before.commit({})
    before.store.close()

    after = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(every("1s"), partitions=1)})
    after.resume()
    model = after.models["m"]
    closed_ms = (model.clock.closed_panes or 0) * model.clock.pane_ms
    evaluated = play(model, [24.0, 25.0, 26.0], 100)
    after.store.close()
    assert evaluated
    assert min(found.event_ms for found in evaluated) >= closed_ms > 0
