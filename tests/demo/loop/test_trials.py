"""What the canary test answered, as its JSON, and what is said of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from monitor.demo.loop.trials import Trial, side_by_side
from monitor.demo.terminal import Ink

PLAIN = Ink(False)
WHOLE = {
    "segment": "ALL", "verdict": "better", "difference": -0.165, "low": -0.25, "high": -0.08,
    "confidence": {"worse": 0.0, "not_worse": 1.0, "better": 0.99},
    "champion": {"value": 0.8, "as_served": 0.8, "labelled_rows": 6_300, "compared_rows": 6_210},
    "candidate": {"value": 0.635, "as_served": 0.64, "labelled_rows": 6_300, "compared_rows": 6_205},
}  # fmt: skip


def answered(**changes: Any) -> Trial:
    fields = {"model": "flight-delay", "champion": "2", "candidate": "3", "compared": True, "verdict": "better", "reason": "a gain"}
    return msgspec.json.decode(msgspec.json.encode(fields | {"margin": 0.05, "all": WHOLE, "segments": []} | changes), type=Trial)


@pytest.mark.parametrize(
    ("verdict", "said"), [("better", "better"), ("worse", "WORSE"), ("undecided", "not decided"), ("not_worse", "not worse")]
)
def test_a_trial_is_a_line_with_its_verdict_whatever_it_is(verdict: str, said: str):
    lines = side_by_side([answered(verdict=verdict)], 7, PLAIN)
    assert "Side by side for 7 days" in lines[1]
    assert lines[3] == f"  2 → 3     {said:<16}0.800 → 0.635     -0.165 [-0.250, -0.080]     6,205"


def test_an_interval_that_is_not_known_is_left_out():
    assert side_by_side([answered(all=WHOLE | {"low": None, "high": None})], 7, PLAIN)[3].split("0.635")[1].split() == ["-0.165", "6,205"]


@pytest.mark.parametrize("whole", [None, WHOLE | {"champion": WHOLE["champion"] | {"value": None}}])  # type: ignore[operator]
def test_a_trial_without_figures_says_why(whole: Any):
    line = side_by_side([answered(all=whole, verdict="insufficient_data", reason="no two versions")], 7, PLAIN)[3]
    assert line == "  2 → 3     too few labels  no two versions"


def test_without_a_trial_nothing_is_said():
    assert side_by_side([], 7, PLAIN) == []
