"""docs/detection.md: its example runs, its tables are those that were measured, and what they show is what is promised."""

from __future__ import annotations

import doctest
import json

import pytest

from benchmarks.detection import table
from benchmarks.detection.scenario import NULLS, SCENARIOS

PAGE = table.PAGE.read_text(encoding="utf-8")
MEASURED = json.loads(table.RESULTS.read_text(encoding="utf-8"))
MISSED = {"exchange"}  # which the page owns up to


def test_the_example_of_the_page_runs() -> None:
    outcome = doctest.testfile(str(table.PAGE), module_relative=False, encoding="utf-8")
    assert outcome.attempted >= 15
    assert outcome.failed == 0


def test_the_tables_of_the_page_are_those_that_were_measured() -> None:
    assert table.into(PAGE, MEASURED) == PAGE


def test_a_page_without_a_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="begin peers"):
        table.into(PAGE.replace("<!-- bench: begin peers -->", ""), MEASURED)


@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
def test_delays_are_as_wanted_but_for_those_that_the_page_says_are_missed(name: str) -> None:
    found = MEASURED["detection"]["delays"][name]
    assert (found["median"] > found["wanted"]) == (name in MISSED)
    assert found["named"] >= 0.95 and found["false"] == 0


@pytest.mark.parametrize("name", list(NULLS))
def test_no_null_gave_a_false_trigger_and_warnings_kept_to_their_budget(name: str) -> None:
    found = MEASURED["detection"]["false_triggers"][name]
    assert found["triggers"] == 0
    assert found["warnings"] <= found["warnings_allowed"]


def test_a_stream_costs_no_more_than_wanted() -> None:
    assert MEASURED["detector_us_per_stream_pane"] <= table.COST_WANTED_US
