"""The edges of decisions: controls become steps of models, triggers leave once each, in order of their times."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from monitor.checkpoint.saved import load_model, save_model
from monitor.config import Config, parse_config
from monitor.control_topic import ControlTopic
from monitor.decide.control import control_message
from monitor.decide.docket import Docket
from monitor.decide.state import Phase
from monitor.decision_events import ControlRefused, RetrainingRequired, RetrainingWithheld, TriggerEnded
from monitor.decisions import Controls, Decided, Process
from monitor.errors import SinkError
from monitor.events import Event, OffsetsLost
from monitor.pipeline import advance
from monitor.sink import Sink
from monitor.source.controls import FileControls
from monitor.state import ModelState, new_model_state
from monitor.telemetry import Telemetry
from monitor.triggers import Triggers
from tests.broker.process import free_ports
from tests.decide.make import DAY, MONDAY, control, facts, play, policy, timeline

WALL_MS = 1_800_000_000_000


def config(folder: Path, *names: str, topic: str | None = None, brokers: tuple[str, ...] = (), **more: Any) -> Config:
    """Models over a folder of files, with a control topic."""
    retraining = {"data_drift": {"features": ["x"]}, "min_fresh_labels": 0, **({} if topic is None else {"topic": topic})}
    models = [
        {
            "name": name,
            "predictions": {"topic": f"t-{name}", "id": "id"},
            "features": [{"name": "x", "type": "numeric"}],
            "retraining": retraining,
        }
        for name in names or ("m",)
    ]
    source = {"client": "ndjson", "path": str(folder), "brokers": list(brokers), "connect_timeout": "1s"}
    return parse_config({"source": source, "models": models, "controls": {"topic": "controls"}, **more})


@dataclass
class Log:
    """What was told."""

    events: list[Event] = field(default_factory=list)

    def telemetry(self) -> Telemetry:
        return Telemetry(listeners=(self.events.append,), logger=logging.getLogger("driftgauge.test"))

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def log() -> Log:
    return Log()


def states(given: Config) -> list[ModelState]:
    return [new_model_state(model, ()) for model in given.models]


def write(folder: Path, *messages: bytes) -> None:
    (folder / "controls.ndjson").write_bytes(b"".join(message + b"\n" for message in messages))


def start(topic: ControlTopic, models: list[ModelState]) -> list[tuple[ModelState, Controls]]:
    steps = topic.start(models, threading.Event(), lambda: WALL_MS)
    for model, step in steps:
        advance(model, step)
    return steps


def test_each_model_gets_its_own_controls_and_goes_on_at_the_same_offset(tmp_path, log):
    holds = [control_message(control("hold", number, model=name)) for number, name in enumerate("ab")]
    write(tmp_path, holds[0], b"nonsense", holds[1], control_message(control("release", model="c")))
    given = config(tmp_path, "a", "b")
    models = states(given)
    steps = start(ControlTopic(given, log.telemetry()), models)
    assert [[each.model for each in step.controls] for _, step in steps] == [["a"], ["b"]]
    assert [model.docket.offsets for model in models] == [{0: 4}, {0: 4}]
    refused = log.of(ControlRefused)
    assert [event.where for event in refused] == ["controls/0@1", "controls/0@3"]
    assert "expected a control" in refused[0].reason
    assert refused[1].reason == "expected one of the models a, b, got 'c'"


def test_what_a_model_took_before_is_not_given_to_it_again_and_one_that_is_new_gets_all(tmp_path, log):
    write(tmp_path, *(control_message(control("hold", number, model=name)) for number, name in enumerate("abab")))
    given = config(tmp_path, "a", "b")
    models = states(given)
    models[0].docket = Docket(offsets={0: 2})
    steps = start(ControlTopic(given, log.telemetry()), models)
    assert [len(step.controls) for _, step in steps] == [1, 2]


def test_controls_wait_for_their_time_while_history_is_read_and_hold_when_it_is_over(tmp_path, log):
    write(tmp_path, control_message(control("hold", time_ms=MONDAY)))
    given = config(tmp_path)
    [model] = models = states(given)
    topic = ControlTopic(given, log.telemetry())
    assert topic.unread is False, "nothing is known to be there before the start"
    start(topic, models)
    assert not topic.unread
    assert model.docket.policy.hold is None
    assert topic.read(WALL_MS, history=True) == []
    assert topic.read(WALL_MS + 5_000, history=True) == []
    [(_, step)] = topic.read(WALL_MS + 5_001, history=False)
    advance(model, step)
    assert model.docket.policy.hold is not None
    assert topic.read(WALL_MS + 9_000, history=False) == []


def test_how_things_stand_is_told_when_it_changes(tmp_path, log):
    given = config(tmp_path)
    [model] = models = states(given)
    topic = ControlTopic(given, log.telemetry())
    start(topic, models)
    told = [topic.read(WALL_MS, history=rebuilding, rebuilding=rebuilding) for rebuilding in (True, True, False)]
    processes = [[step for _, step in steps if isinstance(step, Process)] for steps in told]
    assert processes == [[Process(True, False)], [], [Process(False, False)]]
    topic.reader = Unread(given.source, "controls", {})
    assert (model, Process(False, True)) in topic.read(WALL_MS, history=False)


class Unread(FileControls):
    """A topic that cannot be read to its end."""

    @property
    def caught_up(self) -> bool:
        return False


def test_without_a_control_topic_nothing_is_read_and_nothing_is_waited_for(tmp_path, log):
    given = config(tmp_path).model_copy(update={"controls": None})
    topic = ControlTopic(given, log.telemetry())
    assert start(topic, states(given)) == []
    assert not topic.unread
    assert topic.read(WALL_MS, history=False) == []
    topic.close()


@dataclass
class Moved(FileControls):
    """A topic that was made anew: its log does not have the saved offset."""

    def resumed(self) -> dict[int, int]:
        return {0: 0}


def test_a_topic_that_was_made_anew_is_taken_from_its_beginning_by_all_and_that_is_said(tmp_path, log):
    hold = control("hold")
    write(tmp_path, control_message(hold))
    given = config(tmp_path)
    [model] = models = states(given)
    model.docket = Docket(offsets={0: 70})
    topic = ControlTopic(given, log.telemetry(), models, Moved(given.source, "controls", {}))
    [(_, step)] = topic.read(WALL_MS, history=False)
    advance(model, step)
    assert model.docket.policy.hold == hold
    assert model.docket.offsets == {0: 1}
    assert [(event.wanted, event.resumed) for event in log.of(OffsetsLost)] == [(70, 0)]


# Triggers.


def decided(given: Config, *inputs: Any) -> tuple[ModelState, Decided]:
    """A model whose policy has come to where these inputs lead, and what it said."""
    [model] = states(given)
    state, said = play(inputs, policy(data_drift={"features": ["x"]}))
    model.docket = replace_policy(model.docket, state)
    return model, Decided("m", tuple(said))


def replace_policy(docket: Docket, state: Any) -> Docket:
    from msgspec.structs import replace as changed

    return changed(docket, policy=state)


def test_what_was_decided_is_told_in_lines(tmp_path, log):
    given = config(tmp_path)
    model, said = decided(given, control("hold"), *timeline("oo"), control("release"), facts(MONDAY + DAY, "o"))
    Triggers(log.telemetry(), Sink(given.source)).tell(model, said, WALL_MS)
    assert [type(event).__name__ for event in log.events] == [
        "ControlApplied", "RetrainingConsidered", "RetrainingWithheld", "ControlApplied", "RetrainingRequired",
    ]  # fmt: skip
    [withheld], [required] = log.of(RetrainingWithheld), log.of(RetrainingRequired)
    assert (withheld.gates, withheld.detail) == (("hold",), "held by ann: for a test")
    assert (required.trigger_id, required.reason, required.onset_ms) == (model.docket.policy.triggers[0].id, "performance", MONDAY)


def test_who_answered_is_told(tmp_path, log):
    given = config(tmp_path)
    model, said = decided(given, *timeline("oo"))
    ack = control("ack", trigger_id=model.docket.policy.triggers[0].id)
    _, after = decided(given, *timeline("oo"), ack)
    Triggers(log.telemetry(), Sink(given.source)).tell(model, Decided("m", after.transitions[len(said.transitions) :]), WALL_MS)
    [ended] = log.of(TriggerEnded)
    assert (ended.phase, ended.by) == ("acknowledged", "ann")


def test_a_trigger_expires_once_in_wall_time_from_when_it_was_first_shown(tmp_path, log):
    given = config(tmp_path)
    model, said = decided(given, *timeline("oo"))
    triggers = Triggers(log.telemetry(), Sink(given.source))
    triggers.tell(model, said, WALL_MS)
    triggers.tell(model, said, WALL_MS + DAY)  # told again after a crash: it is shown since the first time
    [name] = [trigger.id for trigger in model.docket.policy.triggers]
    assert triggers.saved([model]) == {name: WALL_MS}
    for days, required in ((2, True), (3, False), (4, False)):
        triggers.expire([model], WALL_MS + days * DAY)
        view = triggers.view(model, WALL_MS + days * DAY)
        assert bool(view.required()) is required
    assert [event.phase for event in log.of(TriggerEnded)] == ["expired"]
    assert model.docket.policy.triggers[0].phase is Phase.REQUIRED


def test_the_time_of_expiry_survives_a_restart_and_is_kept_for_known_triggers_only(tmp_path, log):
    given = config(tmp_path)
    model, _ = decided(given, *timeline("oo"))
    [name] = [trigger.id for trigger in model.docket.policy.triggers]
    triggers = Triggers(log.telemetry(), Sink(given.source))
    triggers.resume([model], {name: WALL_MS - 5, "gone": 1}, WALL_MS)
    triggers.raised_ms["forgotten"] = 1
    assert triggers.saved([model]) == {name: WALL_MS - 5}
    triggers.resume([model], {}, WALL_MS)
    assert triggers.saved([model]) == {name: WALL_MS}, "a trigger that nobody has shown yet"


def test_what_cannot_be_delivered_holds_the_commit_up_and_is_kept(tmp_path, log):
    [port] = free_ports(1)
    given = config(tmp_path, topic="triggers", brokers=(f"127.0.0.1:{port}",))
    model, said = decided(given, *timeline("oo"))
    triggers = Triggers(log.telemetry(), Sink(given.source))
    triggers.deliver()
    triggers.tell(model, said, WALL_MS)
    for _ in range(2):
        with pytest.raises(SinkError, match="1 messages for triggers are not confirmed"):
            triggers.deliver()
    assert triggers.sink.pending == 1
    message = triggers.sink._queue[0].message
    assert json.loads(message.value)["type"] == "driftgauge.retraining.required"
    triggers.close()


def test_more_triggers_than_their_queue_should_hold_end_nothing(tmp_path, log, monkeypatch):
    monkeypatch.setattr("monitor.sink.MAX_PENDING", 1)
    [port] = free_ports(1)
    given = config(tmp_path, topic="triggers", brokers=(f"127.0.0.1:{port}",))
    model, said = decided(given, *timeline("oo"))
    triggers = Triggers(log.telemetry(), Sink(given.source))
    for _ in range(3):
        triggers.tell(model, said, WALL_MS)
    assert triggers.sink.pending == 3
    assert not triggers.sink.has_room(triggers.deliver), "told, and no exception"
    triggers.close()


def test_a_model_without_a_policy_shows_none_and_still_takes_controls(tmp_path, log):
    given = config(tmp_path)
    bare = replace(states(given)[0], config=given.models[0].model_copy(update={"retraining": None}))
    assert Triggers(log.telemetry(), Sink(given.source)).view(bare, WALL_MS) is None
    [said] = advance(bare, Controls((control("hold"),)))
    assert len(said.transitions) == 1


def test_a_state_from_before_there_were_decisions_is_loaded(tmp_path):
    [model], [again] = states(config(tmp_path)), states(config(tmp_path))
    saved = save_model(model)
    [docket] = [name for name in saved.now if name.endswith("/docket")]
    values = {key: value for key, value in saved.values.items() if key != "chosen"}
    load_model(again, values, {name: data for name, data in saved.now.items() if name != docket})
    assert again.docket == Docket()
    assert again.chosen == {}
