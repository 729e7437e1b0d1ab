"""Labels meet their predictions where one process reads both topics whole; where it does not, that is said and nothing is concluded."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.config import parse_config
from monitor.evaluate.verdict import Status
from monitor.events import ReadingPaused, ReadingResumed
from monitor.label_events import LabelsJoined, LabelsSeparated
from monitor.partitions import Partitions
from monitor.pipeline import Evaluated, Idle, advance
from monitor.source.base import Needs
from monitor.source.ndjson import NdjsonSource
from monitor.state import Entry, new_model_state
from monitor.stream import streams_of
from monitor.telemetry import Telemetry
from tests.flow import label_world, world


@pytest.mark.parametrize(
    ("labels_here", "said", "concluded"),
    [({0, 1}, LabelsJoined("m", 3, 2, False), True), ({1}, LabelsSeparated("m", 3, 3, 1, 2), False)],
    ids=["whole", "a partition of labels elsewhere"],
)
def test_labels_read_elsewhere_are_said_and_make_what_is_concluded_partial(tmp_path, labels_here, said, concluded):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("t-0", "t-1", "t-2", "l-0", "l-1"):
        (data / f"{name}.ndjson").touch()
    state = new_model_state(label_world.model_config(), [label_world.reference()], tmp_path)
    heard = []
    partitions = Partitions(streams_of([state]), Telemetry((heard.append,)), lambda: 0, lambda: None)
    config = parse_config({**world.CONFIG, "source": {"client": "ndjson", "path": str(data)}}).source
    source = NdjsonSource(config, ["t", "l"], Needs())
    source.start(partitions)
    source.poll(0)
    partitions.lost(frozenset({("l", 0), ("l", 1)} - {("l", p) for p in labels_here}))
    told(partitions, source)
    assert [event for event in heard if isinstance(event, LabelsJoined | LabelsSeparated)] == [said]
    for model, step in partitions.silent({}, 600_000, frozenset):  # waited for long enough
        advance(model, step)

    predictions = world.log(6, partitions=3, minutes=100, per_minute=6)
    labels = [messages for partition, messages in enumerate(label_world.log(predictions, 5)) if partition in labels_here]
    newest = label_world.play(state, label_world.polls(predictions, labels, np.random.default_rng(0), 5_000))[-1]
    statuses = {int(status) for one in newest.verdicts for status in one.by_prediction.status}
    statuses -= {Status.INSUFFICIENT_DATA}
    assert statuses
    assert (Status.PARTIAL in statuses) != concluded
    assert concluded or statuses == {Status.PARTIAL}


def told(partitions, source):
    """What came of telling the models."""
    return [outcome for model, step in partitions.own(source) for outcome in advance(model, step)]


@pytest.fixture
def three(tmp_path):
    """A state, its three partitions and their source, of which another member of the group has the last; and the time on the wall."""
    data = tmp_path / "data"
    data.mkdir()
    for name in ("t-0", "t-1", "t-2"):
        (data / f"{name}.ndjson").touch()
    state, wall = new_model_state(world.model_config(), [world.reference()]), [0]
    partitions = Partitions(streams_of([state]), Telemetry(()), lambda: wall[0], lambda: None, await_ms=90_000)
    source = NdjsonSource(parse_config({**world.CONFIG, "source": {"client": "ndjson", "path": str(data)}}).source, ["t"], Needs())
    source.start(partitions)
    source.poll(0)
    partitions.lost(frozenset({("t", 2)}))
    told(partitions, source)
    return state, partitions, source, wall


def test_a_partition_that_a_dead_member_still_has_loses_no_row_to_the_backlog_of_the_others(three):
    # Killed twice in a row: the group gives a partition to the one that died while it joined, until its session has timed out.
    state, partitions, source, wall = three
    log = world.log(6)
    list(world.play(state, world.polls([log[0], log[1], []], np.random.default_rng(0), 500)))
    assert state.clock.closed_panes is None
    wall[0] = 60_000
    assert partitions.silent({}, wall[0], frozenset) == []
    partitions.assigned(frozenset({("t", 2)}))
    told(partitions, source)
    list(world.play(state, world.polls([[], [], log[2]], np.random.default_rng(0), 500)))

    undisturbed = world.fresh()
    list(world.play(undisturbed, world.polls(log, np.random.default_rng(1), 20)))
    assert state.clock.closed_panes == undisturbed.clock.closed_panes
    assert state.ledger[Entry.CLOSED] == 0
    assert state.ledger[Entry.COUNTED] == undisturbed.ledger[Entry.COUNTED]


def test_a_partition_that_was_silent_before_a_restart_loses_no_row_to_the_backlog_of_the_others(three):
    state, partitions, source, _ = three
    partitions.assigned(frozenset({("t", 2)}))
    told(partitions, source)
    advance(state, Idle(2))
    partitions.assigned(frozenset({("t", 0), ("t", 1), ("t", 2)}))  # as a restart does, with the saved state
    told(partitions, source)
    log = world.log(6)
    list(world.play(state, world.polls([log[0], log[1], []], np.random.default_rng(0), 500)))
    list(world.play(state, world.polls([[], [], log[2]], np.random.default_rng(0), 500)))
    assert state.ledger[Entry.CLOSED] == 0


def test_a_partition_that_a_living_member_has_holds_nothing_up_for_long(three):
    state, partitions, source, wall = three
    log = world.log(6)
    list(world.play(state, world.polls([log[0], log[1], []], np.random.default_rng(0), 500)))
    wall[0] = 90_000
    told(partitions, source)
    ((model, step),) = partitions.silent({}, wall[0], frozenset)
    assert (model, step) == (state, Idle(2))
    assert any(isinstance(found, Evaluated) for found in advance(state, step))
    assert state.clock.closed_panes is not None
    assert state.idle_exclusions == 1
    assert partitions.silent({}, wall[0], frozenset) == []


def test_a_partition_that_goes_to_another_member_is_waited_for_anew(three):
    state, partitions, source, wall = three
    partitions.assigned(frozenset({("t", 2)}))
    told(partitions, source)
    assert state.clock.awaited == set()
    wall[0] = 500_000
    partitions.revoked(frozenset({("t", 0)}))
    told(partitions, source)
    assert (state.clock.owned, state.clock.awaited) == ({1, 2}, {0})
    wall[0] = 589_999
    assert partitions.silent({}, wall[0], frozenset) == []
    wall[0] = 590_000
    assert partitions.silent({}, wall[0], frozenset) == [(state, Idle(0))]


def test_panes_that_close_because_partitions_moved_are_evaluated_like_others(three):
    state, partitions, source, wall = three
    log = world.log(6)
    list(world.play(state, world.polls([log[0], log[1], []], np.random.default_rng(0), 500)))
    wall[0] = 90_000  # the last one has been waited for, and in the same turn another moves
    partitions.lost(frozenset({("t", 1)}))
    assert any(isinstance(outcome, Evaluated) for outcome in told(partitions, source))
    assert told(partitions, source) == []


def test_a_partition_is_silent_only_where_the_log_says_so(three):
    # While no broker answers, what is known of the lag stays as it was; afterwards there may be a backlog.
    state, partitions, *_ = three
    lag = {("t", 0): 0, ("t", 1): 0}
    assert partitions.silent(lag, 60_000, lambda _: frozenset()) == []
    advance(state, Idle(2))  # that of another member, which is alive
    assert partitions.silent(lag, 119_999, frozenset) == []
    assert partitions.silent(lag, 120_000, lambda asked: asked - {("t", 1)}) == [(state, Idle(0))]


def test_while_messages_wait_to_be_delivered_what_comes_is_not_read_either(three):
    _, partitions, source, _ = three
    heard: list[object] = []
    partitions.telemetry = Telemetry((heard.append,))
    partitions.hold_back(source, 0, undelivered=7)
    assert partitions.paused == {("t", 0), ("t", 1)}
    partitions.lost(frozenset({("t", 0)}))
    partitions.assigned(frozenset({("t", 0), ("t", 2)}))
    for _ in range(2):
        partitions.hold_back(source, 0, undelivered=9)
    assert partitions.paused == {("t", 0), ("t", 1), ("t", 2)} == source._paused
    partitions.hold_back(source, 5)
    assert partitions.paused == set() == source._paused
    assert partitions.active_ms[("t", 1)] == 5, "its silence begins now"
    assert [event for event in heard if isinstance(event, ReadingPaused | ReadingResumed)] == [ReadingPaused(7), ReadingResumed()]


@pytest.mark.parametrize(
    ("latest", "complete", "offsets", "begins"),
    [
        (True, True, {0: 5}, {("t", 0): 5, ("t", 1): 0}),
        (True, False, {0: 5}, {("t", 0): 5}),  # another process may have read it
        (False, True, {0: 5}, {("t", 0): 5}),  # its log's beginning, which may not be 0
        (True, True, {}, {}),
    ],
)
def test_a_partition_begins_where_the_state_ends_or_was_added_since(latest, complete, offsets, begins):
    state = world.fresh()
    state.offsets, state.complete = offsets, complete
    partitions = Partitions(streams_of([state]), Telemetry(()), lambda: 0, lambda: None, latest=latest)
    assert partitions.assigned(frozenset({("t", 0), ("t", 1)})) == begins
