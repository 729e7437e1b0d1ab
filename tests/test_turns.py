"""Turns of the main job over a source in memory: what it waits for, and what it saves when it is cut off."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from monitor.app import Monitor
from monitor.batch import RawBatch
from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.config import parse_config
from monitor.errors import SinkError
from monitor.expose.health import Condition, health
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.snapshot import Phase
from monitor.pipeline import AT_ONCE
from monitor.sink import Sink
from monitor.source.base import Assignment, SourceHealth
from monitor.telemetry import Telemetry
from tests.flow import world


class Memory:
    """A source of two partitions that hands out what it was given, one answer a poll, and has nothing left behind any of them."""

    def __init__(self, polls: Sequence[list[RawBatch]], partitions: int = 2) -> None:
        self.polls, self.owned = list(polls), frozenset({("t", 0), ("t", 1)})
        self.partitions, self.asked = partitions, 0

    def start(self, listener) -> None:
        self.listener = listener

    def poll(self, timeout_ms: int) -> list[RawBatch]:
        self.listener.assigned(self.owned - self.listener.owned)
        return self.polls.pop(0)

    def pause(self, partitions) -> None: ...

    def resume(self, partitions) -> None: ...

    def commit(self, offsets, metadata) -> None: ...

    def lag(self):
        self.asked += 1
        return dict.fromkeys(self.owned, 0)

    def read_out(self, partitions):
        return partitions

    def assignment(self) -> Assignment:
        return Assignment(self.owned, {"t": self.partitions})

    def health(self) -> SourceHealth:
        return SourceHealth()

    def finished(self) -> bool:
        return not self.polls

    def close(self) -> None:
        self.listener.revoked(self.owned)


def job(monkeypatch, folder, source: Memory, clock) -> Monitor:
    monkeypatch.setattr("monitor.app.open_source", lambda *_: source)
    config = parse_config({**world.CONFIG, "state": {"directory": str(folder)}})
    return Monitor(config, {"m": [world.reference()]}, SelfMetrics(), Telemetry(), clock)


def saved(folder):
    checkpoint = Checkpoint(Store(folder, 3), {"m": world.fresh(partitions=2)})
    resumed = checkpoint.resume()
    checkpoint.store.close()
    return resumed.epoch, checkpoint.models["m"]


def chunks(messages: list[world.Message], size: int) -> list[list[world.Message]]:
    return [messages[start : start + size] for start in range(0, len(messages), size)]


def test_a_partition_that_sends_nothing_usable_does_not_hold_the_others_up(monkeypatch, tmp_path):
    (rows,) = world.log(1, partitions=1, minutes=30)
    polls = [[world.raw(part), world.raw([world.Message(1, number, b"{")])] for number, part in enumerate(chunks(rows, 50))]
    seconds = iter(range(10_000))
    monitor = job(monkeypatch, tmp_path, Memory(polls), lambda: 5_000 * next(seconds))
    monitor.run(threading.Event(), until_end=True)
    _, state = saved(tmp_path)
    assert state.offsets[1] == len(polls)
    assert state.clock.idle == {1}
    assert state.clock.closed_panes is not None


def test_what_is_shown_in_the_end_is_all_that_was_read(monkeypatch, tmp_path):
    (rows,) = world.log(1, partitions=1, minutes=30)
    source = Memory([[world.raw(part)] for part in chunks(rows, 50)])
    monitor = job(monkeypatch, tmp_path, source, lambda: 5_000)  # as quick as that: nothing is due to be shown
    monitor.run(threading.Event(), until_end=True)
    (shown,) = monitor.published.snapshot.models
    assert shown.ledger.messages == len(rows)
    assert shown.partitions[0].next_offset == len(rows)
    assert monitor.published.snapshot.committed_ms == 5_000


def test_a_turn_that_is_cut_off_saves_nothing(monkeypatch, tmp_path):
    (rows,) = world.log(1, partitions=1, minutes=30)
    source = Memory([[world.raw(part)] for part in chunks(rows, 50)])
    now, committed = [0], []

    def clock() -> int:
        if len(source.polls) < 2 and not committed:
            committed.append(monitor.checkpoint.store.epoch)
            raise KeyboardInterrupt
        now[0] += 5_000
        return now[0]

    monitor = job(monkeypatch, tmp_path, source, clock)
    with pytest.raises(KeyboardInterrupt):
        monitor.run(threading.Event())
    epoch, state = saved(tmp_path)
    assert [epoch] == committed
    assert epoch > 0
    assert world.conserved(state)


def test_what_could_not_be_saved_at_the_end_is_not_tried_again_while_leaving(monkeypatch, tmp_path):
    # Each try may wait for a broker that does not answer, and the process has ten seconds to stop.
    (rows,) = world.log(1, partitions=1, minutes=5)
    monitor = job(monkeypatch, tmp_path, Memory([[world.raw(rows)]]), lambda: 5_000)
    tried = []

    def fail() -> None:
        tried.append(monitor.snapshot.phase)
        raise SinkError("no broker answers")

    monkeypatch.setattr(monitor._letters, "deliver", fail)
    monitor.run(threading.Event(), until_end=True)
    assert tried.count(Phase.STOPPING) == 1
    assert not monitor.saved


def test_that_no_broker_can_be_reached_is_said_once_and_shown_until_one_can(monkeypatch, tmp_path, caplog):
    (rows,) = world.log(1, partitions=1, minutes=30)
    source, seconds, conditions = Memory([[world.raw(part)] for part in chunks(rows, 50)]), iter(range(10_000)), []
    monitor = job(monkeypatch, tmp_path, source, lambda: 5_000 * next(seconds))
    monkeypatch.setattr(source, "health", lambda: SourceHealth(unreachable="refused" if len(conditions) in (2, 3) else ""))

    def turned(_done: int, _lag: int) -> None:
        shown = monitor.published.snapshot
        conditions.append(health(shown, shown.taken_ms).condition)

    with caplog.at_level("INFO", logger="driftgauge"):
        monitor.run(threading.Event(), until_end=True, progress=turned)
    assert conditions == [Condition.HEALTHY] * 2 + [Condition.UNREACHABLE] * 2 + [Condition.HEALTHY] * (len(conditions) - 4)
    said = [(record.getMessage(), record.driftgauge_fields) for record in caplog.records if record.getMessage().startswith("Brokers")]
    assert said == [("BrokersLost", {"reason": "refused"}), ("BrokersReached", {})]


def test_that_the_state_cannot_be_saved_is_shown_until_it_can(monkeypatch, tmp_path):
    (rows,) = world.log(1, partitions=1, minutes=30)
    seconds, conditions = iter(range(10_000)), []
    monitor = job(monkeypatch, tmp_path, Memory([[world.raw(part)] for part in chunks(rows, 50)]), lambda: 5_000 * next(seconds))

    def deliver() -> None:
        if len(conditions) == 1:
            raise SinkError("no broker answers")

    def turned(_done: int, _lag: int) -> None:
        shown = monitor.published.snapshot
        conditions.append((health(shown, shown.taken_ms).condition, shown.unsaved))

    monkeypatch.setattr(monitor._letters, "deliver", deliver)
    monitor.run(threading.Event(), until_end=True, progress=turned)
    assert (conditions[0], conditions[-1]) == ((Condition.HEALTHY, None), (Condition.HEALTHY, None))
    assert (Condition.UNSAVED, "no broker answers") in conditions


class Topic(Memory):
    """A source that never ends, as a topic: after the last poll it answers with nothing, and before the first it owns nothing."""

    def poll(self, timeout_ms: int) -> list[RawBatch]:
        return super().poll(timeout_ms) if self.polls else []

    def finished(self) -> bool:
        return False


@pytest.mark.parametrize("partitions", [2, 5])
def test_reading_to_the_end_ends_at_the_end_of_what_is_owned_and_says_what_is_elsewhere(monkeypatch, tmp_path, caplog, partitions):
    (rows,) = world.log(1, partitions=1, minutes=5)
    source = Topic([[world.raw(part)] for part in chunks(rows, 50)], partitions)
    monitor = job(monkeypatch, tmp_path, source, lambda: 5_000)
    turns, joined = iter(range(100)), source.poll
    monkeypatch.setattr(source, "poll", lambda ms: [] if next(turns) < 3 else joined(ms))  # the group takes its time
    with caplog.at_level("INFO", logger="driftgauge"):
        monitor.run(threading.Event(), until_end=True)
    _, state = saved(tmp_path)
    assert state.offsets[0] == len(rows)
    said = [record.getMessage() for record in caplog.records]
    assert said.index("SourceFinished") > 0
    elsewhere = [r.driftgauge_fields for r in caplog.records if r.getMessage() == "PartitionsShared"]
    assert elsewhere == ([{"partitions": 3}] if partitions == 5 else [])


def test_a_turn_asks_once_how_much_is_left(monkeypatch, tmp_path):
    (rows,) = world.log(1, partitions=1, minutes=5)
    source, clock = Memory([[world.raw(part)] for part in chunks(rows, 10)]), iter(range(100_000))
    monitor = job(monkeypatch, tmp_path, source, lambda: 5_000 * next(clock))  # each turn is shown and saved
    turns: list[int] = []
    monitor.run(threading.Event(), until_end=True, progress=lambda done, _lag: turns.append(done))
    assert source.asked == len(turns) > 3


def test_a_clock_that_is_set_back_stops_neither_saving_nor_silence(monkeypatch, tmp_path):
    (rows,) = world.log(1, partitions=1, minutes=30)
    polls = [[world.raw(part)] for part in chunks(rows, 20)]
    source, ticks, epochs = Memory(polls), iter(range(100_000)), []
    hours = [10]

    def clock() -> int:
        return 3_600_000 * hours[0] + 5_000 * next(ticks)

    def turned(_done: int, _lag: int) -> None:
        epochs.append(monitor.checkpoint.store.epoch)
        hours[0] = 2  # from the first turn on it is eight hours earlier

    monitor = job(monkeypatch, tmp_path, source, clock)
    monitor.run(threading.Event(), until_end=True, progress=turned)
    assert len(epochs) > 10
    assert epochs[-1] >= epochs[0] + len(epochs) - 2, "saved in each turn, as five seconds pass in it"
    _, state = saved(tmp_path)
    assert state.clock.idle == {1}, "the partition without a message"


class Full(Sink):
    """With no room, and to a topic that takes nothing."""

    is_full, pending, tried = True, 10_000, 0

    def flush(self, timeout_ms: int) -> None:
        self.tried, self._failed = self.tried + 1, True
        raise SinkError("no topic")


@pytest.mark.parametrize("sender", ["_letters", "_triggers"])
def test_a_turn_tries_once_to_deliver_and_then_nothing_more_is_read(monkeypatch, tmp_path, sender):
    # Each try may wait for seconds, and the process has ten to stop, with one more try at the end.
    (rows,) = world.log(1, partitions=1, minutes=30)
    good = [row for row in rows if row.value not in world.BAD]
    seconds, tried = iter(range(10_000)), []
    monitor = job(monkeypatch, tmp_path, Memory([[world.raw(part)] for part in chunks(good, 50)]), lambda: 5_000 * next(seconds))
    sink = Full(monitor.config.source)
    getattr(monitor, sender).sink, turn = sink, monitor._turn

    def counted(*of: object) -> None:
        before = sink.tried
        turn(*of)
        tried.append(sink.tried - before)

    monkeypatch.setattr(monitor, "_turn", counted)
    monitor.run(threading.Event(), until_end=True)
    assert set(tried) == {1}
    assert monitor.partitions.held
    assert monitor.partitions.paused == monitor.partitions.owned


def test_a_slow_partition_that_lets_much_close_does_not_make_a_long_turn(monkeypatch, tmp_path):
    rows, last = world.log(1, partitions=2, minutes=600)
    committed, turns = [], []
    source = Memory([[world.raw(last[:1])], [world.raw(rows)], [world.raw(last[-1:])]])
    monitor = job(monkeypatch, tmp_path, source, lambda: 1_000 * len(turns))
    turn = monitor._turn

    def watched(*args) -> None:
        before = monitor.checkpoint.models["m"].clock.closed_panes or 0
        turn(*args)
        turns.append((monitor.checkpoint.models["m"].clock.closed_panes or 0) - before)
        committed.append(monitor.checkpoint.store.epoch)

    monkeypatch.setattr(monitor, "_turn", watched)
    monitor.run(threading.Event(), until_end=True)
    closed = [panes for panes in turns if 0 < panes < 1_000]  # the first is as many as there are since 1970
    assert max(closed) <= AT_ONCE + 1
    assert sum(closed) > 500
    assert len(set(committed)) > 3  # state is saved meanwhile
    assert not monitor.checkpoint.models["m"].clock.behind


def test_a_stop_is_heard_before_all_is_closed_and_the_rest_closes_after_the_restart(monkeypatch, tmp_path):
    rows, last = world.log(1, partitions=2, minutes=600)
    polls = [[world.raw(last[:1])], [world.raw(rows)], [world.raw(last[-1:])]]
    stop = threading.Event()
    monitor = job(monkeypatch, tmp_path / "stopped", Memory(polls), lambda: 5_000)
    turn = monitor._turn

    def stopped(*args) -> None:
        turn(*args)
        if monitor.checkpoint.models["m"].clock.behind:
            stop.set()

    monkeypatch.setattr(monitor, "_turn", stopped)
    monitor.run(stop)
    assert monitor.checkpoint.models["m"].clock.behind
    job(monkeypatch, tmp_path / "stopped", Memory([[]]), lambda: 5_000).run(threading.Event(), until_end=True)
    job(monkeypatch, tmp_path / "whole", Memory(polls), lambda: 5_000).run(threading.Event(), until_end=True)
    assert world.facts(saved(tmp_path / "stopped")[1]) == world.facts(saved(tmp_path / "whole")[1])
