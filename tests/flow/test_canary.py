"""The canary test in the flow: neither cuts, nor the interleaving of topics and partitions, nor restarts change a bit of it."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.canary.trial import CanaryResult, CanaryState
from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.config import ModelConfig
from monitor.labels import LabelsEvaluated, shown_again
from monitor.state import ModelState
from tests.flow import label_world, world


def config(**canary: object) -> ModelConfig:
    section = {"metric": "expected_cost", "min_rows": 10, "idle_after": "30m", **canary}
    labels = {**label_world.SECTION, "cost": {"false_negative": 3.7, "false_positive": 1.1}}
    return world.model_config(predictions=label_world.PREDICTIONS, labels=labels, canary=section)


def fresh(folder: Path, **canary: object) -> ModelState:
    return label_world.fresh(folder, config(**canary))


def to_the_bit(result: CanaryResult | None) -> object:
    assert result is not None
    found = result.comparison
    head = (result.champion, result.candidate, result.since_ms, result.end_ms, result.serving, result.number)
    if found is None:
        return head
    values = (getattr(found, each.name) for each in fields(found))
    return head, [value.tobytes() if isinstance(value, np.ndarray) else value for value in values]


def trials(evaluated: list[LabelsEvaluated]) -> dict[int, object]:
    """By event time. Of a step that led to several evaluations there is the newest: which those are depends on the cuts."""
    return {each.event_ms: to_the_bit(each.canary) for each in evaluated}


def on_trial(message: world.Message) -> world.Message:
    """Version 2 gets half of the traffic from minute 20 on, and nothing before."""
    event = label_world.event_of(message)
    if event is None or "v" not in event:
        return message
    late = event["ts"] >= world.START + 20 * world.MINUTE
    event["v"] = "2" if late and int(event["id"][1:]) % 2 else "1"
    return replace(message, value=json.dumps(event).encode())


@pytest.fixture(scope="module")
def logs():
    predictions = [[on_trial(message) for message in log] for log in world.log(4, partitions=3, minutes=70, per_minute=4)]
    return predictions, label_world.log(predictions, 5)


@pytest.fixture(scope="module")
def whole(logs, tmp_path_factory):
    state = fresh(tmp_path_factory.mktemp("whole"))
    evaluated = label_world.play(state, label_world.polls(*logs, np.random.default_rng(0), 1))
    return trials(evaluated), state.canary.trial, evaluated


def test_the_trial_compares_what_is_there(whole):
    last = whole[2][-1].canary
    assert (last.champion, last.candidate) == ("1", "2")
    found = last.comparison
    assert found.compared[found.whole].min() > 20
    assert {"ALL", "country=FR", "country=FR,device=ios"} <= set(found.segments)
    assert found.low[found.whole] <= found.difference[found.whole] <= found.high[found.whole]
    # Labels of the review queue count in no performance, so not here either.
    [one, two] = whole[2][-1].verdicts
    in_all = [int(each.by_prediction.labelled[each.by_prediction.segments.index("ALL")]) for each in (one, two)]
    champion, candidate = found.labelled[found.whole].tolist()
    assert candidate == in_all[1]
    assert candidate / 2 < champion < in_all[0], "what it answered before the trial began is not compared"


def test_versions_that_were_read_ahead_are_not_there_before_their_time(logs, whole, tmp_path):
    """All predictions have been read when the labels come, one by one: the trial begins when it began."""
    begun = {event_ms: head for event_ms, found in whole[0].items() for head in [found if isinstance(found[0], str | None) else found[0]]}
    assert any(head[0] is None for head in begun.values()), "before version 2 there are no two versions"
    state = fresh(tmp_path)
    label_world.play(state, label_world.polls(logs[0], [], np.random.default_rng(0), 5_000))
    found = trials(label_world.play(state, label_world.polls([], logs[1], np.random.default_rng(0), 5)))
    assert len(found) > 3
    assert found.items() <= whole[0].items()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), most=st.sampled_from([7, 60, 700]))
def test_cuts_and_interleaving_change_no_bit(logs, whole, tmp_path_factory, seed, most):
    state = fresh(tmp_path_factory.mktemp("cut"))
    evaluated = label_world.play(state, label_world.polls(*logs, np.random.default_rng(seed), most))
    found = trials(evaluated)
    assert found.items() <= whole[0].items()
    assert max(found) == max(whole[0])
    assert state.canary.trial == whole[1]


def test_restarts_change_no_bit(logs, whole, tmp_path):
    random, found, done = np.random.default_rng(3), {}, False
    while not done:
        checkpoint = Checkpoint(Store(tmp_path, 2), {"m": fresh(tmp_path)})
        assert not checkpoint.resume().lost
        state = checkpoint.models["m"]
        again = shown_again(state)
        if again is not None and again.event_ms in found:
            assert to_the_bit(again.canary)[0] == found[again.event_ms][0], "what was shown is shown again"
        left = [
            [messages[offsets.get(p, 0) :] for p, messages in enumerate(log)]
            for log, offsets in zip(logs, (state.offsets, state.labels.offsets), strict=True)
        ]
        done = True
        for number, batch in enumerate(label_world.polls(*left, random, 150)):
            found.update(trials(label_world.play(state, iter([batch]))))
            if number == 15:
                done = False  # killed: the last poll is in no commit
                break
            checkpoint.commit({})
        checkpoint.store.close()
    assert found.items() <= whole[0].items()
    assert max(found) == max(whole[0])
    assert state.canary.trial == whole[1]


def test_the_trial_survives_its_own_saving():
    state = CanaryState()
    assert CanaryState.from_values(state.to_values()).trial == state.trial


def test_named_versions_are_compared_and_others_are_not(logs, tmp_path):
    state = fresh(tmp_path, champion="2", candidate="1")
    last = label_world.play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))[-1].canary
    assert (last.champion, last.candidate) == ("2", "1")
    assert last.comparison is not None
    state = fresh(tmp_path / "other", champion="1", candidate="9")
    last = label_world.play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))[-1].canary
    assert (last.champion, last.candidate, last.comparison) == ("1", "9", None)


def test_without_the_section_nothing_is_compared(logs, tmp_path):
    state = label_world.fresh(tmp_path, label_world.model_config())
    last = label_world.play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))[-1]
    assert last.canary is None
    assert state.canary is None
