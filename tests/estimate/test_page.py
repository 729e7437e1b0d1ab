"""docs/labels.md about the estimate: its examples run, and its tables are those that were measured."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import pytest

from benchmarks import estimate as benchmark
from benchmarks.estimate_table import BEGIN, END, into, summaries
from tests.estimate.world import CONCEPT, NO_DRIFT

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "labels.md"
MEASURED = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8")).get("estimate", {})


def test_examples_of_the_page_run():
    outcome = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert outcome.attempted >= 15
    assert outcome.failed == 0


def test_the_tables_of_the_page_are_those_that_were_measured():
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
    assert page == into(page, MEASURED)


@pytest.mark.parametrize("name", MEASURED.get("steady", {}))
def test_what_was_measured_is_as_good_as_the_page_promises(name: str):
    windows = MEASURED["steady"][name]
    assert all(row["mae"] <= 0.40 and row["coverage"] >= 0.93 for row in windows.values())


def test_a_measurement_goes_on_where_it_was_cut_short(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "SCENARIOS", (NO_DRIFT, CONCEPT))
    asked = []

    def measured(scenario, seed):
        asked.append((scenario.name, seed))
        row = {"hard": 0.0, "since": 1.0, "window": 10.0, "truth": 80.0, "labelled": 0.5, "since_onset": 3.0, "error": 1.0 + seed}
        rest = {"covered": 1.0, "half_width": 2.0, "alone": -2.0, "alone_covered": 0.0, "bound": 0.5}
        return [{**row, **rest}]

    monkeypatch.setattr(benchmark, "measure_seed", measured)
    path = tmp_path / "parts" / "estimate.jsonl"
    benchmark.measure(path, 2, minutes=1)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[:-30], encoding="utf-8")  # the last line was cut off
    asked.clear()
    found = benchmark.measure(path, 3, minutes=1)
    assert asked == [(CONCEPT.name, 1), (NO_DRIFT.name, 2), (CONCEPT.name, 2)]
    assert summaries(found, 3, [NO_DRIFT.name, CONCEPT.name])["steady"][CONCEPT.name]["10"]["mae"] == 2.0
    assert benchmark.measure(path, 3, minutes=-1) == found
    monkeypatch.setattr(benchmark, "fingerprint", lambda: "other code")
    assert benchmark.measure(path, 3, minutes=-1) == {}
    with pytest.raises(SystemExit, match="at least one seed"):
        summaries({}, 3, [NO_DRIFT.name])
