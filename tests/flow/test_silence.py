"""A stretch without rows costs what it changes, and is judged as if time had passed in it pane by pane."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from monitor.decode import Decoder
from monitor.pipeline import AT_ONCE, Evaluated, advance, in_turns
from monitor.profile.windows import Windows
from tests.flow import world

SECOND = 1_000
WINDOWS = {"pane": "1s", "short": "10s", "long": "1h", "lateness": "2s"}


def messages(seconds: list[float], start: int = 0) -> list[world.Message]:
    random = np.random.default_rng(4)
    return [
        world.Message(0, start + n, json.dumps({**world.event(start + n, second / 60, random), "v": "1"}).encode())
        for n, second in enumerate(seconds)
    ]


def play(state, *parts):
    """Each part as one poll; nothing of it is in the future."""
    raws = [world.raw(part) for part in parts]
    return world.play(state, iter([[replace(raw, timestamps_ms=np.full(len(raw), -1, np.int64))] for raw in raws]))


def test_a_day_of_silence_between_short_panes_takes_as_many_steps_as_it_changes(monkeypatch):
    state = world.fresh(world.model_config(windows=WINDOWS, detectors=[]), partitions=1)
    play(state, messages([n / 5 for n in range(100)]))
    steps = []
    move_to = Windows.move_to
    monkeypatch.setattr(Windows, "move_to", lambda self, end: steps.append(end) or move_to(self, end))
    evaluated = play(state, messages([86_400, 86_410], 100))
    # Ten panes of the short window, the panes of the last seconds, and the only block of the long one.
    assert 10 <= len(evaluated) <= 20
    assert len(steps) < 100
    assert state.clock.closed_panes == (world.START + 86_408 * SECOND) // SECOND
    assert sorted(state.versions) == ["1"]


def one_by_one(state, until: int):
    """What the windows are at the end of each pane, found by closing each by itself."""
    found = {}
    for end in range(state.clock.closed_panes + 1, until + 1):
        state.clock.newest_ms[0] = end * state.clock.pane_ms + state.clock.lateness_ms
        advance(state, world.Owned(frozenset({0}), complete=True))
        found[end] = (
            [(table.segments, table.counts.tolist()) for _, table in state.versions["1"].windows.views()] if state.versions else None
        )
    return found


@pytest.mark.parametrize("every", ["1s", "7s"])
def test_what_is_skipped_changed_nothing(every):
    config = world.model_config(windows={**WINDOWS, "long": "100s"}, detectors=[], evaluation={"min_rows": 20, "every": every})
    log = messages([n / 5 for n in range(100)])
    states = [world.fresh(config, partitions=1) for _ in range(2)]
    for state in states:
        play(state, log)
    until = states[0].clock.closed_panes + 200
    states[1].clock.newest_ms[0] = until * SECOND + states[1].clock.lateness_ms
    at_once = advance(states[1], world.Owned(frozenset({0}), complete=True))
    seen = one_by_one(states[0], until)
    assert states[0].versions == states[1].versions == {}
    assert len(at_once) > 5
    for evaluation in at_once:
        end = evaluation.event_ms // SECOND
        expected = seen[end]
        got = [(v.table.segments, v.table.counts.tolist()) for v in evaluation.verdicts]
        assert got == (expected or [])
        assert all(v.window.end_ms == evaluation.event_ms for v in evaluation.verdicts)
    judged = {e.event_ms // SECOND for e in at_once}
    step = int(every[:-1])
    changed = {end for end in seen if end - 1 in seen and seen[end] != seen[end - 1]}
    assert {-(-end // step) * step for end in changed} <= judged, "no change goes unjudged"


def test_evaluations_do_not_depend_on_how_far_the_horizon_moved_at_a_time():
    config = world.model_config(windows=WINDOWS, detectors=[], evaluation={"min_rows": 20, "every": "3s"})
    random = np.random.default_rng(8)
    seconds = np.cumsum(
        np.concatenate([random.exponential(0.3, 150), [40.0], random.exponential(4.0, 40), [500.0], random.exponential(0.5, 50)])
    )
    log = messages(seconds.tolist())
    found = []
    for most in (1, 13, 10_000):
        state = world.fresh(config, partitions=1)
        polls = ([replace(raw, timestamps_ms=np.full(len(raw), -1, np.int64)) for raw in raws] for raws in world.polls([log], random, most))
        evaluated = world.play(state, polls)
        found.append(([e.event_ms for e in evaluated], [list(map(world.verdict_facts, e.verdicts)) for e in evaluated], world.facts(state)))
    assert len(found[0][0]) > 30
    assert found[0] == found[1] == found[2]


def test_what_closes_a_few_panes_at_a_time_is_what_closes_at_once():
    """The slowest of two partitions lets everything close that the other has read."""
    config = world.model_config(windows=WINDOWS, evaluation={"min_rows": 20})
    ahead = messages([n / 5 for n in range(400)])
    behind = [replace(message, partition=1) for message in messages([0.0, 80.0], 1_000)]
    found = []
    for in_bites in (False, True):
        state = world.fresh(config, partitions=2)
        play(state, ahead, behind[:1])
        batch, _ = Decoder(config, state.vocabulary).decode([replace(world.raw(behind[1:]), timestamps_ms=np.full(1, -1, np.int64))])
        turns = list(in_turns(state, batch, lambda _labels: None)) if in_bites else [advance(state, batch)]
        windows = [[each for each in turn if isinstance(each, Evaluated)] for turn in turns]
        if in_bites:
            assert max(map(len, windows)) <= AT_ONCE < sum(map(len, windows))
        evaluated = [each for turn in windows for each in turn]
        found.append(([(e.event_ms, list(map(world.verdict_facts, e.verdicts))) for e in evaluated], world.facts(state)))
    assert len(found[0][0]) > 60
    assert found[0] == found[1]
