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
from monitor.expose.self_metrics import SelfMetrics
from monitor.source.base import Assignment, SourceHealth
from monitor.telemetry import Telemetry
from tests.flow import world


class Memory:
    """A source of two partitions that hands out what it was given, one answer a poll, and has nothing left behind any of them."""

    def __init__(self, polls: Sequence[list[RawBatch]]) -> None:
        self.polls, self.owned = list(polls), frozenset({("t", 0), ("t", 1)})

    def start(self, listener) -> None:
        self.listener = listener

    def poll(self, timeout_ms: int) -> list[RawBatch]:
        self.listener.assigned(self.owned - self.listener.owned)
        return self.polls.pop(0)

    def pause(self, partitions) -> None: ...

    def resume(self, partitions) -> None: ...

    def commit(self, offsets, metadata) -> None: ...

    def lag(self):
        return dict.fromkeys(self.owned, 0)

    def assignment(self) -> Assignment:
        return Assignment(self.owned, {"t": 2})

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
