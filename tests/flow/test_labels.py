"""Labels in the flow: neither cuts, nor the interleaving of the two topics, nor restarts change what is counted or judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.join.state import LabelEntry
from monitor.labels import LabelsIdle, LabelsOwned, shown_again
from monitor.pipeline import Idle, advance
from monitor.segment import ALL
from tests.flow import label_world, world


@pytest.fixture(scope="module")
def logs():
    predictions = world.log(4, partitions=3, minutes=70, per_minute=4)
    return predictions, label_world.log(predictions, 5)


@pytest.fixture(scope="module")
def whole(logs, tmp_path_factory):
    state = label_world.fresh(tmp_path_factory.mktemp("whole"))
    evaluated = label_world.play(state, label_world.polls(*logs, np.random.default_rng(0), 1))
    return label_world.facts(state), label_world.judged(evaluated)


@pytest.mark.parametrize(("seed", "most"), [(1, 3), (2, 40), (3, 700)])
def test_cuts_and_the_interleaving_of_the_topics_change_nothing_to_the_bit(logs, whole, tmp_path, seed, most):
    state = label_world.fresh(tmp_path)
    evaluated = label_world.play(state, label_world.polls(*logs, np.random.default_rng(seed), most))
    assert label_world.facts(state) == whole[0]
    found = label_world.judged(evaluated)
    assert found.items() <= whole[1].items()
    assert max(found) == max(whole[1])


def test_a_step_that_catches_up_judges_each_pane_and_holds_the_newest(logs, whole, tmp_path):
    """All predictions have been read; then all labels at once."""
    state = label_world.fresh(tmp_path)
    label_world.play(state, label_world.polls(logs[0], [], np.random.default_rng(0), 5_000))
    [evaluated] = label_world.play(state, label_world.polls([], logs[1], np.random.default_rng(0), 50_000))
    assert label_world.judged([evaluated]).items() <= whole[1].items()
    assert evaluated.event_ms == max(whole[1])
    assert evaluated.verdicts[0].coverage is not None, "what is shown is whole"
    assert label_world.facts(state) == whole[0]


def test_the_world_has_every_kind_of_label(whole):
    ledger = dict(zip(LabelEntry, whole[0]["labels"], strict=False))
    assert min(ledger.values()) > 0, ledger
    assert sum(whole[0]["labels"][len(LabelEntry) :]) > 5
    assert len(whole[1]) > 5
    assert whole[0]["labels expired"] > 0
    assert whole[0]["waiting"] > 0, "the end of the log waits for predictions that may still come"


def with_restarts(logs, directory, every, seed, config=None):
    """The state after commits at each poll, thrown away every few polls with what was done since."""
    random = np.random.default_rng(seed)
    done = False
    while not done:
        checkpoint = Checkpoint(Store(directory, 2), {"m": label_world.fresh(directory, config)})
        assert not checkpoint.resume().lost
        state = checkpoint.models["m"]
        left = [
            [messages[offsets.get(p, 0) :] for p, messages in enumerate(log)]
            for log, offsets in zip(logs, (state.offsets, state.labels.offsets), strict=True)
        ]
        done = True
        for number, batch in enumerate(label_world.polls(*left, random, 150)):
            label_world.play(state, iter([batch]))
            if number == every:
                done = False  # killed: the last poll is in no commit
                break
            checkpoint.commit({})
        checkpoint.store.close()
    return state


@pytest.mark.parametrize(("every", "seed"), [(2, 1), (25, 2)])
def test_restarts_change_nothing_to_the_bit(logs, whole, tmp_path, every, seed):
    assert label_world.facts(with_restarts(logs, tmp_path, every, seed)) == whole[0]


def test_a_horizon_of_many_windows_still_tells_how_many_labels_are_to_come(logs, tmp_path):
    config = label_world.model_config(horizon="50m", window="10m")
    state = label_world.fresh(tmp_path / "whole", config)
    last = label_world.play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))[-1]
    facts = label_world.facts(state)
    old = [cell for name, rows in facts.items() if " cohort " in str(name) for _, cell, _ in rows]
    assert {0} < set(old), "predictions older than two windows, and labels of them"
    [one] = [one for one in last.verdicts if one.version == "1"]
    at = one.by_prediction.segments.index(ALL)
    assert 0 < one.coverage.expected[at] < one.coverage.pending[at]
    again = with_restarts(logs, tmp_path / "again", 9, 4, config)
    assert label_world.facts(again) == facts


def test_labels_flow_while_the_model_is_silent(logs, tmp_path):
    state = label_world.fresh(tmp_path)
    label_world.play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))
    waiting = state.labels.waiting
    for partition in range(3):
        advance(state, Idle(partition))
    assert state.labels.waiting < waiting
    for partition in range(2):
        advance(state, LabelsIdle(partition))
    assert state.labels.idle_exclusions == 2


def test_another_label_topic_is_a_rebuild_and_is_said(logs, tmp_path: Path):
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path)})
    checkpoint.resume()
    label_world.play(checkpoint.models["m"], label_world.polls(*logs, np.random.default_rng(0), 5_000))
    checkpoint.commit({})
    checkpoint.store.close()
    other = Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path, label_world.model_config(topic="other"))})
    resumed = other.resume()
    other.store.close()
    assert resumed.lost
    assert any("labels.topic was l and is other" in notice for notice in resumed.notices)
    assert other.models["m"].labels.offsets == {}


def test_annotators_and_failure_modes_are_judged(logs, tmp_path):
    state = label_world.fresh(tmp_path)
    last = label_world.play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))[-1]
    [first, *_] = last.verdicts
    assert first.quality.fleiss.n > 20
    assert abs(first.quality.fleiss.value) < 0.5, "labels of two annotators are drawn apart: little agreement beyond chance"
    assert first.quality.flip_rate.n.max() > 10
    assert state.backlog
    assert all(mode.labelled > 0 for mode in first.modes.ranked(5))


def test_the_backlog_survives_a_restart(logs, tmp_path):
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path)})
    checkpoint.resume()
    label_world.play(checkpoint.models["m"], label_world.polls(*logs, np.random.default_rng(0), 5_000))
    checkpoint.commit({})
    checkpoint.store.close()
    again = Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path)})
    assert again.resume().notices == ()
    again.store.close()
    assert again.models["m"].backlog == checkpoint.models["m"].backlog != {}


def test_whether_all_labels_were_read_here_survives_a_restart(tmp_path):
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path)})
    checkpoint.resume()
    advance(checkpoint.models["m"], LabelsOwned(frozenset({0}), complete=False))
    checkpoint.commit({})
    checkpoint.store.close()
    again = Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path)})
    again.resume()
    again.store.close()
    assert (again.models["m"].complete, again.models["m"].labels.complete) == (True, False)


def test_performance_is_shown_again_after_a_restart_without_moving_anything(logs, tmp_path):
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path)})
    checkpoint.resume()
    assert shown_again(checkpoint.models["m"]) is None
    last = label_world.play(checkpoint.models["m"], label_world.polls(*logs, np.random.default_rng(0), 5_000))[-1]
    checkpoint.commit({})
    checkpoint.store.close()
    again = Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path)})
    again.resume()
    again.store.close()
    before = label_world.facts(again.models["m"])
    shown = shown_again(again.models["m"])
    assert shown.event_ms == last.event_ms
    assert [mode.id for mode in shown.backlog] == [mode.id for mode in last.backlog]
    assert [one.version for one in shown.verdicts] == [one.version for one in last.verdicts]
    assert shown.verdicts[0].by_prediction.labelled[0] >= last.verdicts[0].by_prediction.labelled[0] > 0
    assert label_world.facts(again.models["m"]) == before


def test_a_failure_mode_shows_ids_that_fail_so(logs, tmp_path):
    state = label_world.fresh(tmp_path)
    label_world.play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))
    events = {event["id"]: event for log in logs[0] for event in map(label_world.event_of, log) if event}
    said: dict[str, set[int]] = {}
    for label in (label for log in logs[1] for label in map(label_world.event_of, log) if label):
        said.setdefault(label["id"], set()).add(label["y"])
    shown = [(mode.key, id_) for mode in state.backlog.values() for id_ in mode.sample_ids]
    assert len(shown) > 5
    for (segment, predicted, kind), id_ in shown:
        event = events[id_]
        assert all(str(event[column]) == value for column, value in (part.split("=") for part in segment.split(",")))
        assert (event["score"] >= 0.5) == (predicted == "1")
        assert (0 if kind == "false_positive" else 1) in said[id_]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {"consensus": "majority"}, "labels.consensus changed"),
        ({}, {"positive": ["0"], "negative": ["1"]}, "labels.classes changed"),
        ({}, {"prediction": {"score": "s"}}, "labels.prediction changed"),
        ({}, {"kpi_max": 5.0}, "the cells of version 1 changed"),
        ({}, {"horizon": "19m"}, "labels.horizon changed"),
    ],
)
def test_what_decides_how_labels_are_restated_cannot_change_under_a_state(logs, tmp_path, before, after, said):
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path, label_world.model_config(**before))})
    checkpoint.resume()
    label_world.play(checkpoint.models["m"], label_world.polls(*logs, np.random.default_rng(0), 5_000))
    checkpoint.commit({})
    checkpoint.store.close()
    other = Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path, label_world.model_config(**after))})
    resumed = other.resume()
    other.store.close()
    assert resumed.lost
    assert any(said in notice for notice in resumed.notices), resumed.notices


def test_versions_made_up_by_labels_share_one_beyond_the_bound(tmp_path):
    state = label_world.fresh(tmp_path)
    bound = state.labels.max_versions
    for number in range(bound + 50):
        name = state.labels.place_of(f"made-up-{number}")
        state.labels.outcomes_of(name)
    assert len(state.labels.versions) == bound + 1
    assert state.labels.place_of("1") == "1", "a version with a reference always has a place"
