"""Detectors in the flow: the alarms of the in-process ones, whatever the cuts, the interleaving of logs, and the restarts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.detection.world import DAY_MS, START_MS, Drift
from monitor.batch import RawBatch
from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.config import ModelConfig, parse_config
from monitor.decide.control import Rebaseline, SwitchReference
from monitor.decisions import Controls
from monitor.decode import Decoder, LabelDecoder
from monitor.detect.alarm import Alarm, Stream
from monitor.detect.detector import Detector
from monitor.detect.rows import Events, reference_of
from monitor.labels import LabelsEvaluated, LabelsOwned
from monitor.pipeline import Evaluated, Outcome, Owned, advance
from monitor.reference.reference import Reference
from monitor.sequential.said import Alarmed
from monitor.state import ModelState, new_model_state
from tests.detect.make import PLAIN, REFERENCE_ROWS, THRESHOLD, changed, outcomes, triggers
from tests.flow import world
from tests.flow.world import Message

BEFORE, AFTER = 1_500, 1_000
LABELS = {
    "topic": "l",
    "id": "id",
    "time": {"path": "ts"},
    "label": "y",
    "horizon": "1d",
    "lateness": "5m",
    "early_allowance": "1m",
    "pane": "10m",
    "window": "1d",
}
DETECTION = {"false_alarms": {"at_most": 1, "per": "200d"}}


def model(**changes: Any) -> ModelConfig:
    section = {
        "name": "m",
        "version": "1",
        "predictions": {"topic": "t", "id": "id", "time": {"path": "ts"}, "score": "score", "threshold": THRESHOLD},
        "features": [{"name": name, "type": "numeric"} for name in ("x0", "x1")] + [{"name": "c0", "type": "categorical"}],
        "segments": {"columns": {"segment": "segment"}, "groupings": [["segment"]]},
        "detection": DETECTION,
        **changes,
    }
    return parse_config({"source": {"client": "ndjson", "path": "none"}, "models": [section]}).models[0]


def reference(config: ModelConfig, seed: int = 0, sooner: float | None = None) -> Reference:
    random = np.random.default_rng(seed)
    events = PLAIN.events(REFERENCE_ROWS, START_MS, random)
    return reference_of(config, events, *((None, None) if sooner is None else outcomes(events, random, sooner=sooner)))


def message(events: Events, row: int) -> bytes:
    fields = {"id": str(events.ids[row]), "ts": int(events.time_ms[row]), "score": float(events.score[row])}
    for name, column in {**events.features, **events.segments}.items():
        value = column[row]
        fields[name] = None if value is None or value != value else value if isinstance(value, str) else float(value)
    return json.dumps(fields).encode()


def log(events: Events, partitions: int = 2, seed: int = 0) -> list[list[Message]]:
    """Rows in partitions, some of them delivered again, some late."""
    random = np.random.default_rng(seed)
    logs: list[list[bytes]] = [[] for _ in range(partitions)]
    held: list[tuple[int, bytes]] = []
    for row in range(len(events)):
        value, at = message(events, row), int(random.integers(partitions))
        if random.random() < 0.05:
            held.append((row + int(random.integers(1, 200)), value))
            continue
        logs[at] += [value] * (2 if random.random() < 0.05 else 1)
        for due in [each for each in held if each[0] <= row]:
            held.remove(due)
            logs[at].append(due[1])
    return [[Message(p, offset, value) for offset, value in enumerate(values)] for p, values in enumerate(logs)]


def label_log(events: Events, truth: np.ndarray, time_ms: np.ndarray) -> list[Message]:
    order = np.argsort(time_ms, kind="stable").tolist()
    values = [json.dumps({"id": str(events.ids[row]), "ts": int(time_ms[row]), "y": truth[row]}).encode() for row in order]
    return [Message(0, offset, value) for offset, value in enumerate(values)]


def soon_labelled(events: Events) -> list[Message]:
    """Half of the answers turn out wrong, and soon."""
    truth, time_ms = outcomes(events, np.random.default_rng(5), wrong=0.5)
    return label_log(events, truth, events.time_ms + (time_ms - events.time_ms) // 4)


def fresh(config: ModelConfig, references: Sequence[Reference], folder: Path, partitions: int = 2) -> ModelState:
    state = new_model_state(config, references, folder)
    advance(state, Owned(frozenset(range(partitions)), complete=True))
    if state.labels is not None:
        advance(state, LabelsOwned(frozenset({0}), complete=True))
    return state


def raw(messages: Sequence[Message]) -> RawBatch:
    """One partition's messages as a poll returns them, produced long after."""
    batch = world.raw(messages)
    return replace(batch, timestamps_ms=batch.timestamps_ms + 100 * DAY_MS)


def cuts(logs: Sequence[Sequence[Message]], random: np.random.Generator, most: int) -> Iterator[Any]:
    at = [0] * len(logs)
    while any(at[i] < len(messages) for i, messages in enumerate(logs)):
        i = int(random.integers(len(logs)))
        part = logs[i][at[i] : at[i] + int(random.integers(1, most + 1))]
        if part:
            at[i] += len(part)
            yield i, raw(part)


def play(
    state: ModelState, logs: Sequence[Sequence[Message]], labels: Sequence[Message] = (), seed: int = 0, most: int = 400
) -> list[Outcome]:
    """Both logs, cut and interleaved at random."""
    decoders = (Decoder(state.config, state.vocabulary), LabelDecoder(state.config) if state.labels is not None else None)
    found: list[Outcome] = []
    for i, batch in cuts([*logs, *([labels] if labels else [])], np.random.default_rng(seed), most):
        if i < len(logs):
            found += advance(state, decoders[0].decode([batch])[0])
        else:
            assert decoders[1] is not None
            found += advance(state, decoders[1].decode([replace(batch, topic="l")])[0])
    return found


def alarms_of(outcomes: Sequence[Outcome]) -> list[Alarm]:
    return [alarm for each in outcomes if isinstance(each, Alarmed) for alarm in each.alarms]


def drifting(seed: int = 3, drift: Drift | None = None) -> Events:
    return changed(PLAIN, np.random.default_rng(seed), drift or Drift("shift", 0.8, "x0"), BEFORE, AFTER)


def shifted_events(seed: int, rows: int) -> Events:
    return PLAIN.events(rows, START_MS + 2 * DAY_MS, np.random.default_rng(seed), Drift("shift", 0.8, "x0"))


def test_the_alarms_are_those_of_the_in_process_detector(tmp_path):
    config = model()
    of = reference(config)
    events = drifting()
    state = fresh(config, [of], tmp_path, partitions=1)
    logs = log(events, partitions=1)
    found = alarms_of(play(state, logs))
    watched = state.sequential["1"]
    alone = Detector.of(of, config, config.detection, pane_ms=watched.panes.pane_ms)
    row_of = {str(name): row for row, name in enumerate(events.ids)}
    rows = np.array([row_of[json.loads(each.value)["id"]] for each in logs[0]])
    expected = alone.predictions(events.rows(rows))
    assert found == expected
    assert Stream("ALL", "x0", "values") in [alarm.stream for alarm in triggers(found)]
    assert all(alarm.stream.signal == "x0" for alarm in triggers(found))
    assert all(alarm.time_ms > int(events.time_ms[BEFORE]) for alarm in triggers(found))


@pytest.mark.parametrize("most", [10, 10_000])
def test_cuts_and_interleaving_change_nothing_to_the_bit(tmp_path, most):
    config = model(labels=LABELS)
    of = reference(config, sooner=1.0)
    events = drifting()
    logs = log(events)
    labels = soon_labelled(events)
    outcome = [play(fresh(config, [of], tmp_path / str(n)), logs, labels, seed=n, most=each) for n, each in enumerate((400, most))]
    one, other = ([(each.stream, each.level, each) for each in alarms_of(found)] for found in outcome)
    # Inputs and outcomes have clocks of their own: within each, the order is that of event time.
    for outcomes_side in (False, True):
        sides = [[alarm for stream, _, alarm in said if (stream.kind in ("error", "label")) is outcomes_side] for said in (one, other)]
        assert sides[0] == sides[1]
        assert sides[0]
    assert known(outcome[0]) == known(outcome[1])


def known(found: Sequence[Outcome]) -> list[Any]:
    """What decisions were told, by event time: of labels the newest of a step is returned, so only what both have is compared."""
    return [(each.event_ms, dict(each.alarms)) for each in found if isinstance(each, Evaluated)]


def test_wrong_answers_are_an_alarm_of_concept_and_known_to_decisions(tmp_path):
    config = model(labels=LABELS)
    events = PLAIN.events(4_000, START_MS + 2 * DAY_MS, np.random.default_rng(4))
    labels = label_log(events, *outcomes(events, np.random.default_rng(5), wrong=0.4))
    found = play(fresh(config, [reference(config, sooner=1.0)], tmp_path), log(events), labels)
    raised = triggers(alarms_of(found))
    assert {(alarm.stream.kind, alarm.stream.segment) for alarm in raised} >= {("error", "ALL")}
    told = [each for each in found if isinstance(each, LabelsEvaluated)][-1].alarms["1"]
    assert told is not None
    assert any(fact.kind == "error" and fact.segment == "ALL" for fact in told)


def test_a_restart_from_any_commit_goes_on_to_the_bit(tmp_path):
    config = model(labels=LABELS)
    of = reference(config, sooner=1.0)
    events = drifting()
    logs = log(events)
    labels = soon_labelled(events)
    whole = alarms_of(play(fresh(config, [of], tmp_path / "whole"), logs, labels, seed=1, most=300))
    assert triggers(whole)
    folder = tmp_path / "state"
    said: list[Alarm] = []
    for turn in range(100):
        state = fresh(config, [of], folder)
        checkpoint = Checkpoint(Store(folder, 2), {"m": state})
        assert not checkpoint.resume().notices
        state = checkpoint.models["m"]
        advance(state, Owned(frozenset({0, 1}), complete=True))
        advance(state, LabelsOwned(frozenset({0}), complete=True))
        assert state.labels is not None
        left = [messages[state.offsets.get(p, 0) :] for p, messages in enumerate(logs)]
        left_labels = labels[state.labels.offsets.get(0, 0) :]
        steps = list(cuts([*left, left_labels], np.random.default_rng(turn), 200))
        decoders = (Decoder(config, state.vocabulary), LabelDecoder(config))
        for number, (i, batch) in enumerate(steps):
            step = decoders[0].decode([batch])[0] if i < 2 else decoders[1].decode([replace(batch, topic="l")])[0]
            now = alarms_of(advance(state, step))
            if number == 4:
                break  # killed: this step is in no commit
            said += now
            checkpoint.commit({})
        checkpoint.store.close()
        if len(steps) <= 4:
            break
    for outcomes_side in (False, True):
        sides = [[alarm for alarm in each if (alarm.stream.kind in ("error", "label")) is outcomes_side] for each in (whole, said)]
        assert sides[0] == sides[1]


def test_a_state_of_before_detection_begins_with_the_next_row(tmp_path):
    config = model()
    of = reference(config)
    logs = log(drifting())
    state = fresh(model(detection={"enabled": False}), [of], tmp_path)
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": state})
    checkpoint.resume()
    play(state, [messages[:200] for messages in logs])
    assert state.not_watched == {"1": "detection is switched off"}
    checkpoint.commit({})
    checkpoint.store.close()
    after = Checkpoint(Store(tmp_path, 2), {"m": fresh(config, [of], tmp_path)})
    assert not after.resume().lost
    found = play(after.models["m"], [messages[200:] for messages in logs])
    after.store.close()
    assert triggers(alarms_of(found))


def test_another_reference_in_the_state_is_said_and_evidence_begins_anew(tmp_path):
    config = model()
    state = fresh(config, [reference(config)], tmp_path)
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": state})
    checkpoint.resume()
    play(state, log(drifting()))
    checkpoint.commit({})
    checkpoint.store.close()
    after = Checkpoint(Store(tmp_path, 2), {"m": fresh(config, [reference(config, seed=1)], tmp_path)})
    notices = after.resume().notices
    after.store.close()
    assert any("detection of version 1 of model m begins anew" in notice for notice in notices)
    assert not after.models["m"].sequential["1"].inputs.standing


def test_streams_stay_silent_after_a_trigger_until_an_operator_starts_them_anew(tmp_path):
    config = model()
    shifted = shifted_events(3, 4_000)
    logs = log(shifted, partitions=1)[0]
    state = fresh(config, [reference(config)], tmp_path / "one", partitions=1)
    third = len(logs) // 3
    first = triggers(alarms_of(play(state, [logs[:third]])))
    assert Stream("ALL", "x0", "values") in [alarm.stream for alarm in first]
    again = triggers(alarms_of(play(state, [logs[third : 2 * third]])))
    assert not {alarm.stream for alarm in first} & {alarm.stream for alarm in again}
    advance(state, Controls((Rebaseline(id="control-1", by="ann", time_ms=0, why="seen", model="m"),)))
    assert not state.sequential["1"].inputs.standing
    assert Stream("ALL", "x0", "values") in [alarm.stream for alarm in triggers(alarms_of(play(state, [logs[2 * third :]])))]


def test_another_chosen_reference_starts_its_streams(tmp_path):
    config = model()
    moved = shifted_events(9, REFERENCE_ROWS)
    old, new = reference(config), replace(reference_of(config, moved), model_version="2")
    state = fresh(config, [old, new], tmp_path, partitions=1)
    logs = log(shifted_events(3, 3_000), partitions=1)[0]
    half = len(logs) // 2
    assert triggers(alarms_of(play(state, [logs[:half]])))
    chosen = SwitchReference(id="control-1", by="ann", time_ms=0, why="new", model="m", version="1", reference=new.fingerprint[:12])
    advance(state, Controls((chosen,)))
    assert "chosen by ann" in state.sequential["1"].because
    assert not triggers(alarms_of(play(state, [logs[half:]])))


def test_memory_of_open_evidence_is_reported_and_bounded(tmp_path):
    config = model()
    state = fresh(config, [reference(config)], tmp_path, partitions=2)
    logs = log(PLAIN.events(20_000, START_MS + 3 * DAY_MS, np.random.default_rng(1)), partitions=1)
    play(state, logs, most=5_000)  # the other partition is silent: nothing closes
    panes = state.sequential["1"].panes
    cells = panes.leaves * panes.layout.cells
    assert 0 < panes.memory_bytes <= len(panes.open) * (max(1 << 17, 8 * cells) + 16 * cells)
    shutil.rmtree(tmp_path)
