"""What the flow promises: nothing vanishes, and verdicts depend on the log alone."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from monitor.errors import ConfigError
from monitor.evaluate.verdict import Status
from monitor.pipeline import Idle, Owned, advance
from monitor.state import Entry
from tests.flow import world


def played(logs, seed=0, most=40, state=None):
    state = state or world.fresh()
    evaluated = world.play(state, world.polls(logs, np.random.default_rng(seed), most))
    return state, evaluated


@pytest.mark.parametrize("seed", range(3))
def test_every_message_is_accounted_for(seed):
    logs = world.log(seed)
    state, _ = played(logs)
    assert world.conserved(state)
    assert state.ledger[Entry.MESSAGES] == sum(map(len, logs))
    assert all(state.ledger[entry] > 0 for entry in Entry if entry is not Entry.CLOSED), "the log was meant to have some of each"
    assert state.offsets == {p: len(messages) for p, messages in enumerate(logs)}


@pytest.mark.parametrize("seed", range(4))
def test_batch_cuts_and_interleaving_change_nothing_to_the_bit(seed):
    logs = world.log(7)
    one, evaluated_one = played(logs, seed=1, most=10_000)
    other, evaluated_other = played(logs, seed=seed + 2, most=[1, 7, 40, 300][seed])
    assert world.facts(other) == world.facts(one)
    assert [e.event_ms for e in evaluated_other] == [e.event_ms for e in evaluated_one]
    for a, b in zip(evaluated_one, evaluated_other, strict=True):
        assert list(map(world.verdict_facts, a.verdicts)) == list(map(world.verdict_facts, b.verdicts))


def test_counts_are_those_of_a_plain_count_over_the_log():
    """An independent oracle: dictionaries over parsed JSON, no arrays."""
    logs = world.log(3, partitions=2, minutes=40)
    state, _ = played(logs, state=world.fresh(partitions=2))
    end = state.clock.closed_panes * world.MINUTE
    seen, expected = set(), Counter()
    for messages in logs:
        newest = 0
        for message in messages:
            try:
                row = json.loads(message.value)
                key, time = (row["v"], row["id"]), row["ts"] + 0
            except (TypeError, ValueError, KeyError, UnicodeDecodeError):
                continue
            newest = max(newest, time)
            late = (time // world.MINUTE + 1) * world.MINUTE <= newest - 2 * world.MINUTE
            if late or key in seen:
                continue
            seen.add(key)
            if row["v"] == "1" and end - 5 * world.MINUTE <= time < end:
                cell = "missing" if row["x"] is None else sum(row["x"] >= edge for edge in world.EDGES)
                for segment in (
                    "ALL",
                    f"country={row['country']}",
                    f"device={row['device']}",
                    f"country={row['country']},device={row['device']}",
                ):
                    expected[segment, cell] += 1
    _, table = state.versions["1"].windows.views()[0]
    got = Counter()
    for segment, counts in zip(table.segments, table.counts[:, table.layout.span(0)].tolist(), strict=True):
        for cell, count in enumerate(counts):
            if count:
                got[segment, "missing" if cell == 0 else cell - 3] = count
    assert got == expected
    assert sum(expected.values()) > 200


def test_a_batch_delivered_four_times_counts_once():
    messages = list(world.log(5, partitions=1, minutes=3)[0])
    once, _ = played([messages])
    again = [replace(message, offset=i) for i, message in enumerate(messages * 4)]
    four, _ = played([again])
    assert four.ledger[Entry.COUNTED] == once.ledger[Entry.COUNTED]
    assert four.ledger[Entry.MESSAGES] == 4 * once.ledger[Entry.MESSAGES]
    open_once, open_four = world.facts(once), world.facts(four)
    assert open_four["1 open"] == open_once["1 open"]
    assert open_four["1 windows"] == open_once["1 windows"]


def test_the_shift_is_found_where_it_is_and_since_when():
    state, _ = played(world.log(1))
    short = state.versions["1"].verdicts["short"]
    x, y = short.signals.index("x"), short.signals.index("y")
    ks = short.statistics.index("ks")
    everywhere = short.segments.index("ALL")
    assert short.status[everywhere, x, ks] == Status.DRIFTED
    since = short.since_ms[everywhere, x, ks]
    assert world.START + 45 * world.MINUTE <= since <= world.START + 52 * world.MINUTE
    assert short.status[everywhere, y, ks] != Status.INSUFFICIENT_DATA


def test_windows_of_the_same_segments_share_what_they_are_compared_with():
    """It is a copy of the reference for each, and the largest thing that an evaluation keeps."""
    state, _ = played(world.log(1))
    version = state.versions["1"]
    short, long = (version.verdicts[name] for name in ("short", "long"))
    assert short.segments == long.segments
    assert short.baseline is long.baseline is version.baseline["short"] is version.baseline["long"]
    assert short.baseline.segments == short.segments


def test_a_version_without_a_reference_is_counted_and_says_so():
    state, _ = played(world.log(1))
    verdicts = state.versions["2"].verdicts["long"]
    assert set(verdicts.status.ravel().tolist()) <= {Status.NO_REFERENCE, Status.NOT_APPLICABLE}
    assert verdicts.table.rows.sum() > 0


def test_segments_past_the_cap_fold_into_other_and_totals_stay_exact():
    segments = {"columns": {"country": "country", "device": "device"}, "groupings": [["country", "device"]], "max_segments": 3}
    tight = world.fresh(world.model_config(segments=segments))
    state, _ = played(world.log(2), state=tight)
    full, _ = played(world.log(2))
    for (window, table), (_, whole) in zip(state.versions["1"].windows.views(), full.versions["1"].windows.views(), strict=True):
        everything = table.counts[table.index["ALL"]]
        assert np.array_equal(everything, whole.counts[whole.index["ALL"]]), window
        parts = [row for segment, row in table.index.items() if segment != "ALL"]
        assert np.array_equal(table.counts[parts].sum(axis=0), everything)
        others = [segment for segment in table.segments if "__other__" in segment]
        assert others == ["country=__other__,device=__other__"]
    assert state.rows_folded > 0


def test_segments_of_a_reference_that_are_not_configured_take_no_place_under_the_cap():
    segments = {"columns": {"country": "country"}, "groupings": [["country"]], "max_segments": 4}
    names = ("ALL", *(f"user={number}" for number in range(9)))
    made = world.reference()
    table = replace(made.table, segments=names, counts=made.table.counts[[0] * 10], tails=made.table.tails[[0] * 10])
    state = world.fresh(world.model_config(segments=segments), [replace(made, groupings=(("user",),), table=table)])
    played(world.log(3), state=state)
    assert state.versions["1"].windows.long.total.segments == ("ALL", "country=DE", "country=FR", "country=US")


def test_the_cap_does_not_depend_on_interleaving():
    segments = {"columns": {"country": "country", "device": "device"}, "groupings": [["country", "device"]], "max_segments": 3}
    config = world.model_config(segments=segments)
    facts = [world.facts(played(world.log(2), seed, most, world.fresh(config))[0]) for seed, most in ((1, 10_000), (2, 3))]
    assert facts[0] == facts[1]


def test_versions_past_the_cap_share_one_state():
    config = world.model_config(max_versions=1)
    state, evaluated = played(world.log(2), state=world.fresh(config))
    assert [name for name, version in sorted(state.versions.items()) if version.placed] == ["1", "__other__"]
    assert {v.version for v in evaluated[-1].verdicts} == {"1", "__other__"}
    assert world.conserved(state)


def test_an_idle_partition_is_left_out_counted_and_welcomed_back():
    logs = world.log(4, partitions=2, minutes=30)
    state = world.fresh(partitions=3)
    assert played(logs, state=state)[1] == []
    assert advance(state, Idle(2)) != []
    assert state.idle_exclusions == 1
    closed = state.clock.closed_panes
    stale = json.dumps({**world.event(99_999, 1, np.random.default_rng(0)), "v": "1"}).encode()
    world.play(state, iter([[world.raw([world.Message(2, 0, stale)])]]))
    assert state.ledger[Entry.CLOSED] == 1
    assert state.clock.closed_panes == closed
    assert world.conserved(state)


def test_a_partial_view_says_so():
    state = world.fresh()
    advance(state, Owned(frozenset({0, 1, 2}), complete=False))
    played(world.log(1), state=state)
    verdicts = state.versions["1"].verdicts["long"]
    assert Status.PARTIAL in verdicts.status
    assert Status.DRIFTED not in verdicts.status


def test_a_silence_longer_than_every_window_empties_them():
    state, _ = played(world.log(1, partitions=1, minutes=30), state=world.fresh(partitions=1))
    late = json.dumps({**world.event(1, 60 * 24 * 30, np.random.default_rng(0)), "v": "1"}).encode()
    message = world.Message(0, 10_000, late)
    raw = world.raw([message])
    raw = replace(raw, timestamps_ms=np.full(1, -1, np.int64))
    world.play(state, iter([[raw]]))
    assert list(state.versions) == ["1"]
    assert all(not table.segments for _, table in state.versions["1"].windows.views())
    assert world.conserved(state)


def test_the_bound_on_leaves_does_not_depend_on_batch_cuts():
    segments = {"columns": {"country": "country", "device": "device"}, "groupings": [["country"], ["device"]], "max_segments": 1}
    random, messages = np.random.default_rng(5), []
    for number in range(200):
        row = {**world.event(number, 0.5, random), "v": "1", "country": f"c{number}", "device": "ios" if number == 20 else f"d{number}"}
        messages.append(world.Message(0, number, json.dumps(row).encode()))
    facts = []
    for most in (1, 10_000):
        state = world.fresh(world.model_config(segments=segments), partitions=1)
        facts.append(world.facts(played([messages], most=most, state=state)[0]))
    for of_cut in facts:
        of_cut["1 open"] = {where: (rows, sorted(leaves)) for where, (rows, leaves) in of_cut["1 open"].items()}
    assert facts[0] == facts[1]


@pytest.mark.parametrize("windows", [{"short": "0s"}, {"long": "0s"}, {"short": "0s", "long": "0s"}])
def test_a_window_of_no_time_is_a_mistake(windows):
    with pytest.raises(ConfigError, match="expected short to be a multiple of pane, and long a multiple of short"):
        world.model_config(windows={"pane": "1m", "short": "5m", "long": "1h", **windows})


def test_forgetting_the_numbers_of_leaves_changes_nothing(monkeypatch):
    logs = world.log(2, minutes=30)
    facts = [world.facts(played(logs)[0])]
    monkeypatch.setattr("monitor.profile.leaves._KNOWN", 2)
    facts.append(world.facts(played(logs, most=20)[0]))
    assert facts[0] == facts[1]
