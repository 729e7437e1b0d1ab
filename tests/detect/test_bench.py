"""The bench of detection: what it plants is what is found, it resumes, and its tables say what the runs did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.detection import oracle, peer, table
from benchmarks.detection.scenario import SCENARIOS
from benchmarks.detection.world import Drift

SCENARIO = {scenario.name: scenario for scenario in SCENARIOS}


def test_the_bound_of_a_shift_of_a_normal_signal_is_its_closed_form() -> None:
    first, median = oracle._bounds(SCENARIO["shift-0.5"], 0, Drift("shift", 0.5), np.random.default_rng(1))
    assert first == pytest.approx(np.log(oracle.threshold(None)) / (0.5**2 / 2), rel=0.03)
    assert median is not None and 0.6 * first < median < first


def test_the_bound_of_a_rate_is_its_closed_form_and_a_rarer_segment_has_a_lower_threshold() -> None:
    first, median = oracle._rate(0.01, 0.1, np.random.default_rng(2))
    divergence = 0.1 * np.log(10) + 0.9 * np.log(0.9 / 0.99)
    assert first == pytest.approx(np.log(oracle.threshold(None)) / divergence)
    assert median < first
    assert oracle.threshold(0.02) < oracle.threshold(0.2)


@pytest.mark.parametrize("detector", ["ADWIN", "PSI > 0.2 by hour"])
def test_other_detectors_see_a_large_shift_and_are_quiet_without_one(detector: str) -> None:
    found = peer.measure(detector, "shift-1", 1)
    assert all(delay is not None and 0 < delay < 7_000 for delay in found["delays"])
    assert peer.measure(detector, "nothing", 1)["per_million"] < 1_000


def rows() -> list[dict]:
    base = {"part": "delay", "scenario": "tail", "false": 0, "warned": 10, "named": True, "start": -5}
    delays = {"normal": [100, 200, 300], "t5": [1_000, None, 2_000], "gamma": [500, 500, 500]}
    return [
        *(base | {"variant": name, "seed": s, "events": e} for name, values in delays.items() for s, e in enumerate(values)),
        {"part": "null", "null": "nothing", "seed": 1, "events": 10**6, "triggers": [], "warnings": 2, "highest": -2.0},
        {"part": "null", "null": "nothing", "seed": 2, "events": 10**6, "triggers": ["a"], "warnings": 5, "highest": 0.3},
        {"part": "peer", "detector": "ADWIN", "stream": "tail", "seed": 1, "delays": [10, None, 30, 40, 50]},
    ]


def test_tables_hold_medians_over_variants_and_count_runs_without_an_alarm_as_late() -> None:
    text = table.tables(table.summary(rows()))
    tail = next(line for line in text.splitlines() if line.startswith("| 2 % of the values"))
    assert [cell.strip() for cell in tail.split("|")[2:4]] == ["1,250", "500"]
    assert "t5 2,000" in text and "normal 200" in text
    nothing = next(line for line in text.splitlines() if line.startswith("| nothing happens"))
    assert [cell.strip() for cell in nothing.split("|")[2:8]] == ["2.0 M", "2", "1", "7", "20", "2"]
    peers = [line for line in text.splitlines() if line.startswith("| 2 % of the values")][2]
    assert [cell.strip() for cell in peers.split("|")[2:4]] == ["500", "40"]


def test_runs_that_are_there_are_not_done_again(tmp_path: Path) -> None:
    results = tmp_path / "runs.jsonl"
    command = [sys.executable, "-m", "benchmarks.detection", "--part", "bound", "--scenario", "missing-10", "--results", str(results)]
    first = subprocess.run(command, capture_output=True, text=True, check=True, timeout=170)
    assert "[1/1] bound missing-10" in first.stderr
    before = results.read_text(encoding="utf-8")
    assert {json.loads(line)["variant"] for line in before.splitlines()} == {"x0", "x1", "x2", "x3", "x4"}
    second = subprocess.run(command, capture_output=True, text=True, check=True, timeout=170)
    assert not second.stderr and results.read_text(encoding="utf-8") == before
