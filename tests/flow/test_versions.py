"""Which versions are counted apart: a rule about the log, whatever the order in which partitions were read."""

from __future__ import annotations

import json

import numpy as np
import pytest

from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.state import Entry
from monitor.view import model_view
from tests.flow import world


def logs_of(minutes: int, versions: list[list[list[str]]]) -> list[list[world.Message]]:
    """Per partition its messages: each minute an event of each version named in ``versions[partition][minute % len]``."""
    random, number, logs = np.random.default_rng(9), 0, []
    for partition, by_minute in enumerate(versions):
        messages: list[world.Message] = []
        for minute in range(minutes):
            for version in by_minute[minute % len(by_minute)]:
                number += 1
                value = json.dumps({**world.event(number, minute, random), "v": version}).encode()
                messages.append(world.Message(partition, len(messages), value))
        logs.append(messages)
    return logs


def read_in_order(config, logs, order):
    """Whole partitions, one after the other."""
    state = world.fresh(config, partitions=len(logs))
    world.play(state, iter([[world.raw(logs[p])] for p in order]))
    return state


@pytest.mark.parametrize("cap", [1, 2, 3])
def test_which_versions_win_the_cap_does_not_depend_on_interleaving(cap):
    config = world.model_config(max_versions=cap)
    logs = logs_of(12, [[["a", "a", "1"], ["b"]], [["b", "b", "c"], ["c", "b"]]])
    orders = [world.facts(read_in_order(config, logs, order)) for order in ([0, 1], [1, 0])]
    cut = world.fresh(config, partitions=2)
    world.play(cut, world.polls(logs, np.random.default_rng(3), 4))
    assert orders[0] == orders[1] == world.facts(cut)


def test_the_version_with_more_rows_enters_first_and_the_rest_is_other():
    logs = logs_of(12, [[["a"]], [["b", "b"]]])
    state = read_in_order(world.model_config(max_versions=1), logs, [0, 1])
    assert [name for name, version in sorted(state.versions.items()) if version.placed] == ["__other__", "b"]
    rows = {name: int(v.windows.long.total.rows[0]) for name, v in state.versions.items() if v.placed}
    closed = state.clock.closed_panes - world.START // world.MINUTE
    assert rows == {"__other__": closed, "b": 2 * closed}


def test_a_partitions_pane_counts_the_first_versions_in_log_order_apart_and_no_more():
    config = world.model_config(max_versions=1)
    names = [f"v{number:03d}" for number in np.random.default_rng(1).permutation(300)]
    logs = logs_of(1, [[[*names, *names]]])
    facts = []
    for most in (1, 7, 10_000):
        state = world.fresh(config, partitions=1)
        world.play(state, world.polls(logs, np.random.default_rng(2), most))
        facts.append(world.facts(state))
        assert sorted(state.versions) == ["__other__", *sorted(names[:10])]
        assert {name: pane.rows for name, v in state.versions.items() for pane in v.open.values()} == {
            "__other__": 2 * 290,
            **dict.fromkeys(names[:10], 2),
        }
    assert facts[0] == facts[1] == facts[2]


def test_a_version_that_has_not_got_a_place_is_not_shown():
    state = world.fresh(partitions=1)
    world.play(state, iter([[world.raw(logs_of(1, [[["1", "new"]]])[0])]]))
    shown = model_view(state, lag={}, paused=(), partitions_in_topic=1, evaluated_ms=None, labels=None)
    assert sorted(state.versions) == ["1", "new"]
    assert [version.version for version in shown.versions] == ["1"]


def crowded():
    """A state that has folded rows of a version, and the messages with which that version vanishes."""
    segments = {"columns": {"country": "country", "device": "device"}, "groupings": [["country", "device"]], "max_segments": 1}
    windows = {"pane": "1m", "short": "5m", "long": "1h", "lateness": "2m"}
    config = world.model_config(segments=segments, windows=windows)
    early, late = logs_of(30, [[["1", "2", "2", "2"]]])[0], logs_of(200, [[["1"]]])[0][100:]
    later = [world.Message(0, len(early) + number, m.value.replace(b'"id": "p', b'"id": "q')) for number, m in enumerate(late)]
    state = world.fresh(config, partitions=1)
    world.play(state, iter([[world.raw(early)]]))
    return config, state, later


def test_folded_rows_are_counted_for_good(tmp_path):
    config, state, later = crowded()
    folded = state.rows_folded
    assert folded > 0
    assert "2" in state.versions
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": state})
    checkpoint.resume()
    checkpoint.commit({})
    checkpoint.store.close()
    world.play(state, iter([[world.raw(later)]]))
    assert "2" not in state.versions
    assert state.rows_folded >= folded
    shown = model_view(state, lag={}, paused=(), partitions_in_topic=1, evaluated_ms=None, labels=None)
    assert shown.ledger.rows_folded >= folded
    again = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(config, partitions=1)})
    again.resume()
    again.store.close()
    assert again.models["m"].rows_folded == folded
    assert again.models["m"].ledger[Entry.COUNTED] == 120
