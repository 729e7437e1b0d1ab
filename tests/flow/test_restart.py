"""A restart from any commit, with the rest of the log played again, ends where an uninterrupted run ends: to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
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
