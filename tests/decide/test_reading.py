"""Which side of its levels a value is on, and what is not known."""

from __future__ import annotations

import math

import msgspec
import pytest

from monitor.decide.facts import AlarmLevel
from monitor.decide.reading import Reading, Reason, Vote, read
from tests.decide.make import HOUR, MONDAY, alarm, facts, measured, policy


def vote_of(settings, **given) -> Vote:
    [reading] = read(facts(MONDAY, **given), settings).known.values()
    return reading.vote


@pytest.mark.parametrize(
    ("limit", "value", "vote"),
    [
        # floor 0.7, clear 0.75, the interval is 0.02 wide
        ({"floor": 0.7, "clear": 0.75}, 0.68, Vote.OVER),
        ({"floor": 0.7, "clear": 0.75}, 0.695, Vote.BETWEEN),  # below the floor, but the interval reaches above it
        ({"floor": 0.7, "clear": 0.75, "judged_by": "value"}, 0.695, Vote.OVER),
        ({"floor": 0.7, "clear": 0.75, "judged_by": "value"}, 0.7, Vote.BETWEEN),
        ({"floor": 0.7, "clear": 0.75}, 0.74, Vote.BETWEEN),
        ({"floor": 0.7, "clear": 0.75}, 0.75, Vote.CLEAR),
        ({"floor": 0.7}, 0.7, Vote.CLEAR),
        ({"ceiling": 0.7, "clear": 0.65}, 0.72, Vote.OVER),
        ({"ceiling": 0.7, "clear": 0.65}, 0.705, Vote.BETWEEN),
        ({"ceiling": 0.7, "clear": 0.65}, 0.66, Vote.BETWEEN),
        ({"ceiling": 0.7, "clear": 0.65}, 0.65, Vote.CLEAR),
        ({"ceiling": 0.0}, -0.1, Vote.CLEAR),
        ({"floor": 0.0}, -0.1, Vote.OVER),
    ],
)
def test_levels_of_performance(limit, value, vote):
    assert vote_of(policy(performance=[{"metric": "recall", **limit}]), performance=(measured(value),)) is vote


def test_cost_and_estimated_loss_are_too_high_above_their_level():
    settings = policy(performance=[], cost={"ceiling": 2.0, "clear": 1.5})
    assert [vote_of(settings, cost=(measured(v, "cost"),)) for v in (2.1, 2.005, 1.5)] == [Vote.OVER, Vote.BETWEEN, Vote.CLEAR]
    settings = policy(performance=[], estimated_loss=[{"metric": "accuracy", "loss": 0.05, "clear": 0.02}])
    found = [vote_of(settings, estimated_loss=(measured(v, "accuracy"),)) for v in (0.07, 0.055, 0.02, -0.5)]
    assert found == [Vote.OVER, Vote.BETWEEN, Vote.CLEAR, Vote.CLEAR]


@pytest.mark.parametrize(
    ("level", "effect", "vote"),
    [
        (AlarmLevel.TRIGGER, 0.3, Vote.OVER),
        (AlarmLevel.TRIGGER, -0.3, Vote.OVER),
        (AlarmLevel.TRIGGER, 0.15, Vote.BETWEEN),
        (AlarmLevel.TRIGGER, 0.05, Vote.CLEAR),
        (AlarmLevel.WARNING, 0.3, Vote.BETWEEN),
        (AlarmLevel.QUIET, 0.3, Vote.CLEAR),
        (AlarmLevel.TRIGGER, None, Vote.BETWEEN),  # an effect of unknown size is not known to be large
        (AlarmLevel.TRIGGER, math.nan, Vote.BETWEEN),
    ],
)
def test_levels_of_an_alarm(level, effect, vote):
    settings = policy(performance=[], concept_drift={"min_effect": 0.2, "clear_effect": 0.1})
    assert vote_of(settings, concept_alarms=(alarm(level=level, effect=effect),)) is vote


def test_any_alarm_counts_where_no_effect_is_asked_for():
    assert vote_of(policy(performance=[], concept_drift={}), concept_alarms=(alarm(effect=None),)) is Vote.OVER


@pytest.mark.parametrize("effect", [math.nan, math.inf, -math.inf])
def test_an_effect_that_is_no_number_is_unknown_also_in_the_alarm_that_is_kept(effect):
    [reading] = read(facts(MONDAY, concept_alarms=(alarm(effect=effect),)), policy(performance=[], concept_drift={})).known.values()
    assert reading.value is reading.alarm.effect is None
    assert msgspec.json.decode(msgspec.json.encode(reading), type=Reading) == reading, "it survives being saved"


def test_an_alarm_counts_for_as_long_as_it_is_held():
    settings = policy(performance=[], concept_drift={"hold": "6h"})
    for hours, vote in ((0, Vote.OVER), (6, Vote.OVER), (7, Vote.CLEAR)):
        assert vote_of(settings, concept_alarms=(alarm(time_ms=MONDAY - hours * HOUR),)) is vote


def test_alarms_on_inputs_and_on_errors_are_told_apart():
    both = policy(performance=[], concept_drift={}, data_drift={"features": ["x"]})
    found = read(facts(MONDAY, concept_alarms=(alarm(),), data_alarms=()), both)
    assert [key[0] for key in found.known] == [Reason.CONCEPT_DRIFT]
    assert found.silent_is_clear == {Reason.CONCEPT_DRIFT, Reason.DATA_DRIFT}
    found = read(facts(MONDAY, data_alarms=(alarm(),)), both)
    assert [key[0] for key in found.known] == [Reason.DATA_DRIFT]
    assert [each.reason for each in found.unknown] == [Reason.CONCEPT_DRIFT]
    assert found.silent_is_clear == {Reason.DATA_DRIFT}


@pytest.mark.parametrize("value", [measured(math.nan), measured(0.5, half=math.inf), measured(0.5, n=0)])
def test_a_number_that_is_none_is_unknown(value):
    found = read(facts(MONDAY, performance=(value,)), policy())
    assert not found.known
    assert [(each.segment, each.detail) for each in found.unknown] == [("ALL", "too few rows")]


def test_segments_are_watched_by_name_or_by_their_share_of_traffic():
    settings = policy(performance=[{"metric": "recall", "floor": 0.7, "segments": ["a=1", "a=4"], "min_share": 0.1}])
    given = tuple(measured(0.5, segment=segment) for segment in ("ALL", "a=1", "a=2", "a=3"))
    found = read(facts(MONDAY, performance=given, shares={"a=1": 0.01, "a=2": 0.1, "a=3": 0.09}), settings)
    assert [reading.segment for reading in found.known.values()] == ["ALL", "a=1", "a=2"]
    assert [(each.segment, each.detail) for each in found.unknown] == [("a=4", "not measured")]
    # Where shares are not known, only those that are named.
    found = read(facts(MONDAY, performance=given, shares=None), settings)
    assert [reading.segment for reading in found.known.values()] == ["ALL", "a=1"]


def test_of_two_conditions_about_the_same_the_first_counts_with_its_own_persistence():
    settings = policy(performance=[
        {"metric": "recall", "floor": 0.4, "segments": ["a=1"], "persistence": {"evaluations": 5}},
        {"metric": "recall", "floor": 0.7, "segments": ["a=1", "ALL"]},
    ])  # fmt: skip
    found = read(facts(MONDAY, performance=(measured(0.5, segment="a=1"), measured(0.5))), settings)
    by_segment = {key[2]: (reading.limit, found.persistence[key].window) for key, reading in found.known.items()}
    assert by_segment == {"a=1": (0.4, 5), "ALL": (0.7, 3)}
    assert {reading.reason for reading in found.known.values()} == {Reason.PERFORMANCE}
