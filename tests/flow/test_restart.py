"""A restart from any commit, with the rest of the log played again, ends where an uninterrupted run ends: to the bit."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.errors import StateError
from monitor.pipeline import Idle, Owned, advance
from monitor.view import river_alarms
from tests.flow import world


def tail(logs, offsets):
    return [messages[offsets.get(p, 0) :] for p, messages in enumerate(logs)]


def run_with_restarts(logs, directory, every: int, seed: int):
    """Commit after each poll; throw the process away every few polls, with what it did since the last commit."""
    random = np.random.default_rng(seed)
    done = False
    while not done:
        checkpoint = Checkpoint(Store(directory, 2), {"m": world.fresh()})
        resumed = checkpoint.resume()
        assert not resumed.lost
        state = checkpoint.models["m"]
        left = tail(logs, state.offsets)
        done = True
        for number, raws in enumerate(world.polls(left, random, 60)):
            world.play(state, iter([raws]))
            if number == every:
                done = False  # killed: the last poll is in no commit
                break
            checkpoint.commit({})
        checkpoint.store.close()
    return state


@pytest.mark.parametrize(("every", "seed"), [(1, 1), (3, 2), (11, 3)])
def test_restarts_change_nothing_to_the_bit(tmp_path, every, seed):
    logs = world.log(6, partitions=2, minutes=60)
    whole = world.fresh(partitions=3)
    world.play(whole, world.polls(logs, np.random.default_rng(0), 10_000))
    assert world.facts(run_with_restarts(logs, tmp_path, every, seed)) == world.facts(whole)


def checkpointed(tmp_path, logs):
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(partitions=2)})
    checkpoint.resume()
    world.play(checkpoint.models["m"], world.polls(logs, np.random.default_rng(0), 50))
    checkpoint.commit({})
    checkpoint.store.close()
    return checkpoint.models["m"]


def reopened(tmp_path, state):
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": state})
    resumed = checkpoint.resume()
    checkpoint.store.close()
    return checkpoint.models["m"], resumed


def test_changed_bins_of_one_feature_restart_that_feature_only(tmp_path):
    logs = world.log(6, partitions=2, minutes=40)
    before = checkpointed(tmp_path, logs)
    after, resumed = reopened(tmp_path, world.fresh(references=[world.reference(edges=(0.0, 1.0))], partitions=2))
    assert not resumed.lost
    for (_, was), (_, now) in zip(before.versions["1"].windows.views(), after.versions["1"].windows.views(), strict=True):
        assert now.segments == was.segments
        assert not now.counts[:, now.layout.span(0)].any(), "x has other bins now"
        for f in (1, 2, 3):
            assert np.array_equal(now.counts[:, now.layout.span(f)], was.counts[:, was.layout.span(f)])
        assert np.array_equal(now.rows, was.rows)
    assert after.offsets == before.offsets


def test_changed_groupings_keep_what_still_has_a_meaning(tmp_path):
    logs = world.log(6, partitions=2, minutes=40)
    before = checkpointed(tmp_path, logs)
    segments = {"columns": {"country": "country", "device": "device"}, "groupings": [["country"]]}
    after, _ = reopened(tmp_path, world.fresh(world.model_config(segments=segments), partitions=2))
    for (_, was), (_, now) in zip(before.versions["1"].windows.views(), after.versions["1"].windows.views(), strict=True):
        assert set(now.segments) == {s for s in was.segments if s == "ALL" or (s.startswith("country=") and "," not in s)}
        for segment in now.segments:
            assert np.array_equal(now.counts[now.index[segment]], was.counts[was.index[segment]])
    assert sum(p.rows for p in after.versions["1"].open.values()) == sum(p.rows for p in before.versions["1"].open.values())
    more = world.log(6, partitions=2, minutes=60)
    world.play(after, world.polls(tail(more, after.offsets), np.random.default_rng(0), 50))
    assert world.conserved(after)


def test_another_pane_width_cannot_be_added_and_is_said(tmp_path):
    checkpointed(tmp_path, world.log(6, partitions=2, minutes=40))
    config = world.model_config(windows={"pane": "5m", "short": "5m", "long": "1h", "lateness": "2m"})
    after, resumed = reopened(tmp_path, world.fresh(config, partitions=2))
    assert resumed.lost
    assert any("windows.pane was 60000 ms and is 300000 ms" in notice for notice in resumed.notices)
    assert after.offsets == {}, "everything is read again from the start of the log"


def test_damage_to_every_epoch_is_a_rebuild_and_is_said(tmp_path):
    checkpointed(tmp_path, world.log(6, partitions=2, minutes=10))
    for path in tmp_path.glob("manifest-*"):
        path.write_bytes(b"damaged")
    after, resumed = reopened(tmp_path, world.fresh(partitions=2))
    assert resumed.lost
    assert "no saved state could be used" in resumed.notices[-1]
    assert after.offsets == {}


def test_onsets_survive_a_restart(tmp_path):
    logs = world.log(1, partitions=2)
    before = checkpointed(tmp_path, logs)
    after, _ = reopened(tmp_path, world.fresh(partitions=2))
    for window in ("short", "long"):
        was, now = before.versions["1"].verdicts[window], after.versions["1"].verdicts[window]
        assert (was.since_ms > 0).any()
        assert np.array_equal(was.since_ms, now.since_ms)


def windows_of(long: str):
    return world.model_config(windows={"pane": "1m", "short": "5m", "long": long, "lateness": "2m"})


@pytest.mark.parametrize(("before", "after"), [("1h", "2h"), ("2h", "1h")])
def test_another_long_window_keeps_its_blocks_until_they_are_too_old(tmp_path, before, after):
    logs, more = world.log(6, partitions=2, minutes=40), world.log(6, partitions=2, minutes=200)
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(windows_of(before), partitions=2)})
    checkpoint.resume()
    world.play(checkpoint.models["m"], world.polls(logs, np.random.default_rng(0), 50))
    checkpoint.commit({})
    checkpoint.store.close()
    state, resumed = reopened(tmp_path, world.fresh(windows_of(after), partitions=2))
    assert not resumed.lost
    kept = [int(table.rows[table.index["ALL"]]) for _, table in state.versions["1"].windows.views()]
    assert kept == [int(t.rows[t.index["ALL"]]) for _, t in checkpoint.models["m"].versions["1"].windows.views()]
    rest = [[m for m in log if m.offset >= state.offsets[p]] for p, log in enumerate(more)]
    world.play(state, world.polls(rest, np.random.default_rng(0), 50))
    whole = world.fresh(windows_of(after), partitions=2)
    world.play(
        whole,
        world.polls([log[: len(done)] + left for log, done, left in zip(logs, logs, rest, strict=True)], np.random.default_rng(0), 50),
    )
    assert state.clock.closed_panes == whole.clock.closed_panes
    for (window, now), (_, expected) in zip(state.versions["1"].windows.views(), whole.versions["1"].windows.views(), strict=True):
        assert now == expected, window


def test_a_rebuild_saves_its_own_ids_and_not_those_of_the_state_it_replaces(tmp_path):
    logs = world.log(6, partitions=2, minutes=40)
    checkpointed(tmp_path, logs)
    config = world.model_config(windows={"pane": "5m", "short": "5m", "long": "1h", "lateness": "2m"})
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(config, partitions=2)})
    assert checkpoint.resume().lost
    world.play(checkpoint.models["m"], world.polls([log[:50] for log in logs], np.random.default_rng(0), 50))
    checkpoint.commit({})
    checkpoint.store.close()
    again, _ = reopened(tmp_path, world.fresh(config, partitions=2))
    assert world.facts(again)["ids"] == world.facts(checkpoint.models["m"])["ids"]


def test_offsets_of_another_topic_are_not_used(tmp_path):
    checkpointed(tmp_path, world.log(6, partitions=2, minutes=10))
    predictions = {**world.CONFIG["models"][0]["predictions"], "topic": "other"}
    after, resumed = reopened(tmp_path, world.fresh(world.model_config(predictions=predictions), partitions=2))
    assert resumed.lost
    assert any("predictions.topic was t and is other" in notice for notice in resumed.notices)
    assert after.offsets == {}


@pytest.mark.parametrize("change", [-2, 0, 1])
def test_a_ledger_of_fewer_columns_is_continued_and_one_of_more_is_not_understood(tmp_path, change):
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(partitions=2)})
    checkpoint.resume()
    state = checkpoint.models["m"]
    world.play(state, world.polls(world.log(6, partitions=2, minutes=10), np.random.default_rng(0), 50))
    whole = state.ledger
    state.ledger = np.append(whole, 7) if change > 0 else whole[: len(whole) + change]
    checkpoint.commit({})
    checkpoint.store.close()
    after, resumed = reopened(tmp_path, world.fresh(partitions=2))
    assert resumed.lost == (change > 0)
    if change > 0:
        assert any("a later driftgauge saved it" in notice for notice in resumed.notices)
    else:
        assert after.ledger.tolist() == whole.tolist()
        assert after.ledger.tolist()[-2:] == [0, 0], "predictions are never refused for their label"


def test_a_detector_that_is_no_longer_configured_is_forgotten(tmp_path):
    before = checkpointed(tmp_path, world.log(6, partitions=2, minutes=40))
    assert river_alarms(before)
    after, resumed = reopened(tmp_path, world.fresh(world.model_config(detectors=[]), partitions=2))
    assert not resumed.lost
    assert river_alarms(after) == ()


def test_a_pane_with_more_rows_than_32_bits_hold_survives_a_restart(tmp_path):
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(partitions=2)})
    checkpoint.resume()
    state = checkpoint.models["m"]
    world.play(state, world.polls(world.log(6, partitions=2, minutes=10), np.random.default_rng(0), 50))
    where, pane = next(iter(state.versions["1"].open.items()))
    pane.fold()
    pane.count_rows(2**33)
    pane.counts[0, 0] += 2**33
    checkpoint.commit({})
    checkpoint.store.close()
    after, _ = reopened(tmp_path, world.fresh(partitions=2))
    assert world.facts(after)["1 open"][where] == world.facts(state)["1 open"][where]


def test_ids_are_dropped_past_the_horizon_whatever_a_silent_partition_had_last(tmp_path):
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(partitions=2)})
    checkpoint.resume()
    state, random = checkpoint.models["m"], np.random.default_rng(1)

    def send(partition: int, offset: int, minute: float) -> None:
        raw = world.raw([world.Message(partition, offset, json.dumps(world.event(1000 * partition + offset, minute, random)).encode())])
        world.play(state, iter([[replace(raw, timestamps_ms=np.full(1, -1, np.int64))]]))

    send(1, 0, 0)
    advance(state, Idle(1))
    for hour in range(240):
        send(0, hour, 60 * hour)
        checkpoint.commit({})
    checkpoint.store.close()
    again = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(partitions=2)})
    again.resume()
    again.store.close()
    assert 24 <= again.models["m"].seen.count <= 24 + 1 + 32, "a horizon of hours, and the runs they were merged in"


def test_runs_that_no_commit_could_take_are_dropped_past_the_horizon(tmp_path):
    checkpoint = Checkpoint(Store(tmp_path / "state", 2), {"m": world.fresh(partitions=1)})
    checkpoint.resume()
    shutil.rmtree(tmp_path / "state")  # from here on each commit fails
    state, random = checkpoint.models["m"], np.random.default_rng(1)
    for hour in range(240):
        raw = world.raw([world.Message(0, hour, json.dumps(world.event(hour, 60 * hour, random)).encode())])
        world.play(state, iter([[replace(raw, timestamps_ms=np.full(1, -1, np.int64))]]))
        with pytest.raises(StateError):
            checkpoint.commit({})
    checkpoint.store.close()
    assert len(checkpoint.runs["m"].unwritten) <= 4
    (tmp_path / "state").mkdir()
    checkpoint.commit({})
    again, _ = reopened(tmp_path / "state", world.fresh(partitions=1))
    newest = state.clock.newest_ms[0] // state.tick_ms - state.seen.horizon
    alive = {i for i, t in zip(state.seen.low.tolist(), state.seen.ticks.tolist(), strict=True) if i and t >= newest}
    assert alive <= set(again.seen.low.tolist())


@pytest.mark.parametrize("complete", [True, False])
def test_a_restored_state_shows_the_verdicts_that_were_shown(tmp_path, complete):
    """Judged every fourth pane: most commits fall between two evaluations."""
    config = world.model_config(evaluation={"min_rows": 20, "every": "4m"})
    logs, ends = world.log(1, partitions=2), set()
    for minute in range(70, 78):
        state = world.fresh(config, partitions=2)
        checkpoint = Checkpoint(Store(tmp_path / str(minute), 2), {"m": state})
        checkpoint.resume()
        advance(state, Owned(frozenset({0, 1}), complete=complete))
        until = world.START + minute * world.MINUTE
        world.play(state, iter([[world.raw([m for m in log if time_of(m) < until]) for log in logs]]))
        checkpoint.commit({})
        checkpoint.store.close()
        after, _ = reopened(tmp_path / str(minute), world.fresh(config, partitions=2))
        ends.add((state.clock.closed_panes - state.evaluated_pane) % 4)
        for name, version in state.versions.items():
            was, now = version.verdicts, after.versions[name].verdicts
            assert {window: world.verdict_facts(v) for window, v in was.items()} == {w: world.verdict_facts(v) for w, v in now.items()}
        assert after.unjudged_pane == state.unjudged_pane
    assert len(ends) == 4, "commits at every distance from the evaluation"


def time_of(message: world.Message) -> int:
    try:
        return int(json.loads(message.value)["ts"])
    except (TypeError, ValueError, KeyError, UnicodeDecodeError):
        return 0
