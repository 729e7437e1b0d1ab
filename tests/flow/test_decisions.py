"""Decisions in the flow: the same triggers under the same ids, whatever the cuts, the interleaving of three topics and the crashes."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.decide.docket import Side
from monitor.decide.gate import Gate
from monitor.decide.transition import Change
from monitor.decisions import Controls, Decided, Process
from monitor.decode import Decoder, LabelDecoder
from monitor.estimate.accuracy import Estimates
from monitor.facts import labels_parts, plain, windows_parts
from monitor.labels import LabelsEvaluated, LabelsIdle
from monitor.pipeline import Evaluated, advance
from monitor.view import model_view
from monitor.window import Window
from tests.decide.make import control
from tests.flow import label_world, world
from tests.flow.world import MINUTE, START

POLICY = {
    # Labels are drawn with the score as probability and the class is predicted from 0.5 on: right three times of four.
    "performance": [{"metric": "accuracy", "floor": 0.95, "clear": 0.97, "segments": ["ALL", "device=ios"]}],
    "cost": {"ceiling": 0.05},
    "data_drift": {"features": ["x"]},
    "persistence": {"evaluations": 2, "of": 3},
    "min_fresh_labels": 50,
    "cooldown": "20m",
    "at_most": 50,
    "label_quality": [{"measure": "coverage_ratio", "at_least": 0.01}],
}


def config(**changes):
    return world.model_config(predictions=label_world.PREDICTIONS, labels=label_world.SECTION, retraining={**POLICY, **changes})


@pytest.fixture(scope="module")
def logs():
    predictions = world.log(4, partitions=3, minutes=70, per_minute=4)
    return predictions, label_world.log(predictions, 5)


def play(state, each):
    """Decode and advance; returns what was decided, and all evaluations."""
    decoders = {"t": Decoder(state.config, state.vocabulary), "l": LabelDecoder(state.config)}
    said, evaluated = [], []
    for batch in each:
        for found in advance(state, decoders[batch.topic].decode([batch])[0]):
            if isinstance(found, Decided):
                said += found.transitions
            else:
                evaluated.append(found)
    return said, evaluated


@pytest.fixture(scope="module")
def whole(logs, tmp_path_factory):
    state = label_world.fresh(tmp_path_factory.mktemp("whole"), config())
    said, _ = play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))
    return said, state.docket


def test_what_is_poor_is_required_again_after_the_cooldown(whole):
    said, docket = whole
    required = [each.trigger for each in said if each.change is Change.REQUIRED]
    assert len(required) >= 2
    assert {(trigger.version, trigger.reason.value) for trigger in required} <= {("1", "performance"), ("2", "performance")}
    assert len({trigger.id for trigger in required}) == len(required)
    newest = required[-1].evidence
    assert newest.reference == label_world.reference().fingerprint or required[-1].version == "2"
    assert {each.signal for each in newest.moved} >= {"accuracy"}
    assert newest.fresh_labels >= 50
    assert newest.cost.value > 0.05
    assert newest.failure_modes
    assert docket.queue, "the end of the predictions waits for labels"
    assert not docket.policy.versions["1"].unknown, "its reference has detectors"


@pytest.mark.parametrize(("seed", "most"), [(1, 5), (2, 40), (3, 700)])
def test_cuts_and_the_interleaving_of_the_topics_change_no_decision(logs, whole, tmp_path, seed, most):
    state = label_world.fresh(tmp_path, config())
    said, _ = play(state, label_world.polls(*logs, np.random.default_rng(seed), most))
    assert said == whole[0]
    assert state.docket == whole[1]


@pytest.mark.parametrize(("every", "seed"), [(3, 1), (20, 2)])
def test_a_process_that_is_killed_goes_on_with_the_same_decisions(logs, whole, tmp_path, every, seed):
    random, found, done = np.random.default_rng(seed), [], False
    while not done:
        checkpoint = Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path, config())})
        assert not checkpoint.resume().lost
        state, done = checkpoint.models["m"], True
        left = [
            [messages[offsets.get(p, 0) :] for p, messages in enumerate(log)]
            for log, offsets in zip(logs, (state.offsets, state.labels.offsets), strict=True)
        ]
        for number, batch in enumerate(label_world.polls(*left, random, 150)):
            said, _ = play(state, iter([batch]))
            if number == every:
                done = False  # killed: what was said last is said again
                break
            found += said
            checkpoint.commit({})
        checkpoint.store.close()
    assert found == whole[0]
    assert state.docket == whole[1]


def test_a_hold_withholds_and_survives_a_restart(logs, tmp_path):
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path, config())})
    checkpoint.resume()
    [decided] = advance(checkpoint.models["m"], Controls((control("hold"),), ((0, 1),)))
    assert [each.change for each in decided.transitions] == [Change.CONTROL_APPLIED]
    checkpoint.commit({})
    checkpoint.store.close()
    again = Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path, config())})
    again.resume()
    again.store.close()
    state = again.models["m"]
    assert state.docket.offsets == {0: 1}
    said, _ = play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))
    assert not [each for each in said if each.change is Change.REQUIRED]
    assert Gate.HOLD in {shut.gate for each in said for shut in each.withheld}


def test_while_a_lost_state_is_rebuilt_nothing_triggers_and_then_with_the_same_onset(logs, whole, tmp_path):
    state = label_world.fresh(tmp_path, config())
    advance(state, Process(rebuilding=True, controls_unread=False))
    polls = list(label_world.polls(*logs, np.random.default_rng(0), 40))
    said, _ = play(state, iter(polls[:-30]))
    assert not [each for each in said if each.change is Change.REQUIRED]
    advance(state, Process(rebuilding=False, controls_unread=False))
    said, _ = play(state, iter(polls[-30:]))
    found, known = (
        {(each.trigger.version, each.trigger.reason, each.trigger.onset_ms) for each in every if each.change is Change.REQUIRED}
        for every in (said, whole[0])
    )
    assert found
    assert found <= known


def test_controls_of_history_hold_from_when_they_were_made(logs, tmp_path):
    """A hold of minute 20 that ended at minute 45, read before everything else."""
    state = label_world.fresh(tmp_path, config())
    hold, release = control("hold", time_ms=START + 20 * MINUTE), control("release", time_ms=START + 45 * MINUTE)
    assert advance(state, Controls((hold, release), ((0, 2),), at_once=False)) == []
    said, _ = play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))
    times = [(each.event_ms - START) / MINUTE for each in said if each.change is Change.REQUIRED]
    assert times
    assert not [time for time in times if 20 <= time < 45]
    held = [each for each in said if Gate.HOLD in {shut.gate for shut in each.withheld}]
    assert held
    assert all(20 <= (each.event_ms - START) / MINUTE < 45 for each in held)


def test_a_partial_view_of_either_topic_withholds(logs, tmp_path):
    for topic in ("predictions", "labels"):
        state = label_world.fresh(tmp_path / topic, config())
        part = state if topic == "predictions" else state.labels
        part.complete = False
        said, _ = play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))
        assert not [each for each in said if each.change is Change.REQUIRED]
        assert Gate.PARTIAL_VIEW in {shut.gate for each in said for shut in each.withheld}


def test_a_view_that_became_partial_withholds_what_was_seen_before(logs, tmp_path):
    state = label_world.fresh(tmp_path, config())
    advance(state, Controls((control("hold"),)))
    play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))
    state.labels.complete = False
    for partition in range(2):
        advance(state, LabelsIdle(partition))
    gates = {shut.gate for version in state.docket.policy.versions.values() for shut in version.withheld}
    assert gates == {Gate.HOLD, Gate.PARTIAL_VIEW}


def test_without_labels_windows_wait_for_nothing(logs):
    state = world.fresh(world.model_config(retraining={"data_drift": {"features": ["x"]}, "min_fresh_labels": 0}))
    decoder = Decoder(state.config, state.vocabulary)
    for raws in world.polls(logs[0], np.random.default_rng(0), 5_000):
        advance(state, decoder.decode(raws)[0])
    assert state.docket.queue == ()
    assert state.docket.decided_ms == state.evaluated_pane * MINUTE


def test_silent_labels_hold_nothing_up(logs, tmp_path):
    state = label_world.fresh(tmp_path, config())
    for partition in range(2):
        advance(state, LabelsIdle(partition))
    play(state, (batch for batch in label_world.polls(logs[0], [[]], np.random.default_rng(0), 5_000)))
    assert state.docket.queue == ()
    assert state.docket.decided_ms == state.evaluated_pane * MINUTE


def test_what_one_step_leads_to_is_decided_in_order_of_time_also_while_the_labels_are_silent(logs, whole, tmp_path):
    """All labels wait, and fall silent; then all predictions come at once."""
    state = label_world.fresh(tmp_path, config())
    play(state, label_world.polls([], logs[1], np.random.default_rng(0), 50_000))
    for partition in range(2):
        advance(state, LabelsIdle(partition))
    said, evaluated = play(state, label_world.polls(logs[0], [], np.random.default_rng(0), 50_000))
    last_ms = max(each.event_ms for each in evaluated if isinstance(each, Evaluated | LabelsEvaluated))
    required = [each.event_ms for each in said if each.change is Change.REQUIRED]
    assert required[0] == next(each.event_ms for each in whole[0] if each.change is Change.REQUIRED) < last_ms


# What the facts are made of.


@pytest.fixture(scope="module")
def evaluations(logs, tmp_path_factory):
    state = label_world.fresh(tmp_path_factory.mktemp("facts"), config())
    _, evaluated = play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))
    windows = [each for each in evaluated if isinstance(each, Evaluated)]
    return windows[-1], next(each for each in reversed(evaluated) if isinstance(each, LabelsEvaluated)), state


def test_the_labels_side_holds_the_metrics_asked_for_as_they_were_judged(evaluations):
    _, labels, state = evaluations
    parts = {part.facts.version: part for part in labels_parts(labels, state.config.retraining)}
    one = next(each for each in labels.verdicts if each.version == "1")
    facts, judged = parts["1"].facts, one.by_label
    assert parts["1"].side is Side.LABELS
    found = {each.segment: each for each in facts.performance}
    column = judged.column("accuracy")
    for g, segment in enumerate(judged.segments):
        each = found[segment]
        assert (each.name, each.value, each.since_ms) == ("accuracy", judged.value[g, column], judged.window.start_ms)
        assert each.n == (judged.n[g, column] if judged.labelled[g] >= 20 else 0), "too few labels: unknown"
    assert {each.name for each in facts.cost} == {"cost"}
    later = {bucket * state.labels.pending.bucket_ms: rows for bucket, rows in state.labels.labelled.items()}
    assert 0 < sum(part.rows for part in facts.labelled) < sum(later.values()), "what was labelled after the evaluation is not in it"
    assert all(part.rows <= later[part.start_ms] for part in facts.labelled if part.start_ms in later)
    assert set(facts.label_quality) == {"coverage_ratio", "selection_distance", "disagreement_ratio", "flip_ratio", "alpha"}
    assert facts.label_quality["coverage_ratio"] == pytest.approx(one.by_prediction.labelled[0] / one.by_prediction.predictions[0])
    ids = {mode.id for mode in one.modes.ranked(10)}
    assert {mode.id for mode in facts.failure_modes} == ids
    assert msgspec.json.encode(facts.failure_modes)
    assert not facts.partial


def test_a_metric_of_a_class_is_called_by_it_and_of_a_binary_model_also_without(evaluations):
    _, labels, _ = evaluations
    limits = [{"metric": name, "floor": 0.1} for name in ("recall", "recall[0]", "recall[1]", "roc_auc", "log_loss")]
    policy = config(performance=limits).retraining
    facts = next(part.facts for part in labels_parts(labels, policy) if part.facts.version == "1")
    everywhere = {each.name: each.value for each in facts.performance if each.segment == "ALL"}
    assert len(everywhere) == sum(each.segment == "ALL" for each in facts.performance), "each once"
    assert set(everywhere) == {"recall", "recall[0]", "recall[1]", "roc_auc", "log_loss"}
    assert everywhere["recall"] == everywhere["recall[1]"] != everywhere["recall[0]"]
    assert next(part for part in labels_parts(labels, config(view="audit").retraining)).facts.performance != facts.performance


def test_the_estimated_loss_is_what_the_reference_had_less_what_is_estimated(evaluations):
    _, labels, _ = evaluations
    policy = config(estimated_loss=[{"loss": 0.1}]).retraining
    one = next(each for each in labels.verdicts if each.version == "1")
    judged, nan = one.by_prediction, float("nan")
    reference = np.full_like(judged.reference, nan)
    reference[[judged.segments.index("ALL"), judged.segments.index("device=ios")], judged.column("accuracy")] = 0.9, 0.8
    three = [np.array([0.7, 0.6, 0.5]), np.array([0.65, 0.5, 0.4]), np.array([0.75, nan, 0.6])]
    whole = [np.array([100, 50, 20])] * 2
    estimate = Estimates(("ALL", "device=ios", "device=web"), *whole, *three, *three, np.zeros(3, bool), whole[0])
    window = Window("estimate", labels.event_ms - 100, labels.event_ms - 50)
    one = replace(one, estimate=estimate, estimate_window=window, by_prediction=replace(judged, reference=reference))
    [part] = labels_parts(replace(labels, verdicts=(one,)), policy)
    [loss] = part.facts.estimated_loss
    assert (loss.segment, loss.n, loss.since_ms) == ("ALL", 100, window.start_ms), "unknown: an interval without an end, no reference"
    assert (loss.value, loss.low, loss.high) == pytest.approx((0.2, 0.15, 0.25))
    assert part.facts.estimates_ms == window.end_ms
    [part] = labels_parts(replace(labels, verdicts=(replace(one, estimate=None, estimate_window=None),)), policy)
    assert part.facts.estimated_loss is None


def test_the_windows_side_holds_rows_reference_and_the_shares_that_a_condition_may_ask_for(evaluations):
    windows, _, _ = evaluations
    parts = {part.facts.version: part.facts for part in windows_parts(windows.verdicts, windows.event_ms, config().retraining)}
    long = next(v for v in windows.verdicts if v.version == "1" and v.window.name == "long")
    assert parts["1"].rows == long.table.rows[long.segments.index("ALL")]
    assert parts["1"].reference == label_world.reference().fingerprint
    assert set(parts["1"].shares) == {"ALL", "device=ios"}
    assert parts["1"].shares["device=ios"] == pytest.approx(0.5, abs=0.1)
    assert parts["2"].reference is None
    shares = next(windows_parts(windows.verdicts, windows.event_ms, config(data_drift={"min_share": 0.4}).retraining)).facts.shares
    assert set(shares) == {"ALL", "device=ios", "device=web"}


def test_names_without_a_utf8_and_versions_that_share_a_place(evaluations):
    windows, labels, _ = evaluations
    strange = tuple(replace(v, version="\ud800") for v in windows.verdicts if v.version == "1")
    [part] = windows_parts(strange, windows.event_ms, config().retraining)
    assert part.facts.version == plain("\ud800") == "?"
    others = tuple(replace(v, version="__other__") for v in windows.verdicts)
    assert list(windows_parts(others, windows.event_ms, config().retraining)) == []
    others = replace(labels, verdicts=tuple(replace(v, version="__other__") for v in labels.verdicts))
    assert list(labels_parts(others, config().retraining)) == []


# What operators decide about counts.


def test_a_failure_mode_gets_its_owner_and_one_that_is_not_there_is_refused(logs, tmp_path):
    state = label_world.fresh(tmp_path, config())
    play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))
    mode = next(iter(state.backlog.values()))
    assign = control("assign", failure_mode=mode.id, owner="bob", fix_version="3")
    [decided] = advance(state, Controls((assign, control("assign", 2, failure_mode="nowhere", owner="x"))))
    assert [each.change for each in decided.transitions] == [Change.CONTROL_APPLIED, Change.CONTROL_REFUSED]
    assert decided.transitions[1].detail == "there is no such failure mode in the backlog"
    after = state.backlog[mode.id]
    assert (after.owner, after.fix_version, after.status.value) == ("bob", "3", "fixed_by")


def test_a_version_is_compared_with_another_reference_and_its_windows_start_anew_where_the_bins_are_others(logs, tmp_path):
    other = replace(world.reference(edges=(-1.0, 0.0, 1.0), version="old"), fingerprint="f" * 64)
    same = replace(world.reference(version="twin"), fingerprint="e" * 64)
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(references=[world.reference(), other, same])})
    checkpoint.resume()
    state = checkpoint.models["m"]
    world.play(state, world.polls([log[:150] for log in logs[0]], np.random.default_rng(0), 50))
    rows = state.versions["1"].windows.long.total.rows.sum()

    def switch(reference: str, number: int):
        [decided] = advance(state, Controls((control("switch_reference", number, version="1", reference=reference),)))
        return decided.transitions[0]

    assert switch("eeeeeeee", 1).change is Change.CONTROL_APPLIED
    assert state.versions["1"].reference.fingerprint == "e" * 64
    assert state.versions["1"].baseline == {}, "what is expected comes from the other reference now"
    assert state.versions["1"].windows.long.total.rows.sum() == rows, "the same bins: counts go on"
    refused = switch("00000001", 2)
    assert refused.change is Change.CONTROL_REFUSED
    assert "expected the fingerprint of one of the configured references, got 0 that begin with it" in refused.detail
    assert switch("ffffffff", 3).change is Change.CONTROL_APPLIED
    assert state.versions["1"].layout == other.layout
    assert state.versions["1"].windows.long.total.rows.sum() == 0
    world.play(state, world.polls([log[150:] for log in logs[0]], np.random.default_rng(0), 50))
    assert state.versions["1"].verdicts["long"].reference.fingerprint == "f" * 64
    assert world.conserved(state)
    checkpoint.commit({})
    checkpoint.store.close()
    again = Checkpoint(Store(tmp_path, 2), {"m": world.fresh(references=[world.reference(), other, same])})
    assert not again.resume().lost
    again.store.close()
    assert world.facts(again.models["m"]) == world.facts(state)
    state = again.models["m"]
    assert state.versions["1"].reference.fingerprint == "f" * 64
    own = world.reference().fingerprint
    assert switch(own[:8], 4).change is Change.CONTROL_APPLIED, "its own is still configured"
    assert state.versions["1"].reference.fingerprint == own
    # Without that reference the version goes back to its own, and its signals start anew.
    gone = Checkpoint(Store(tmp_path, 2), {"m": world.fresh()})
    assert not gone.resume().lost
    gone.store.close()
    assert gone.models["m"].versions["1"].reference.fingerprint == own


def test_a_new_baseline_starts_the_detectors_it_is_about_anew(logs):
    state = world.fresh()
    world.play(state, world.polls(logs[0], np.random.default_rng(0), 500))
    watched = state.versions["1"].river.watched
    assert (0, "ALL") in watched
    advance(state, Controls((control("rebaseline", 1, signal="y"),)))
    assert state.versions["1"].river.watched == watched
    advance(state, Controls((control("rebaseline", 2, segment="ALL"),)))
    assert set(state.versions["1"].river.watched) == set(watched) - {(0, "ALL")}
    advance(state, Controls((control("rebaseline", 3),)))
    assert state.versions["1"].river.watched == {}


def test_without_a_policy_decisions_are_done_when_their_time_comes_whichever_topic_is_read_first(logs, tmp_path):
    """They are read before everything else, as where history is read again."""
    policy_free = world.model_config(predictions=label_world.PREDICTIONS, labels=label_world.SECTION)
    first = label_world.fresh(tmp_path / "first", policy_free)
    play(first, label_world.polls(*logs, np.random.default_rng(0), 50))
    mode = min(first.backlog.values(), key=lambda mode: mode.first_seen_ms)
    [decided] = advance(first, Controls((control("assign", 9, failure_mode=mode.id, owner="eve"),)))
    assert decided.transitions[0].event_ms == first.docket.decided_ms > START + 30 * MINUTE

    baseline = control("rebaseline", 1, time_ms=mode.first_seen_ms - 5 * MINUTE)
    assign = control("assign", 2, time_ms=mode.first_seen_ms + MINUTE, failure_mode=mode.id, owner="bob")
    predictions, labels = logs
    both = label_world.polls(predictions, labels, np.random.default_rng(1), 50)
    one_by_one = [
        *label_world.polls(predictions, [], np.random.default_rng(0), 50),
        *label_world.polls([], labels, np.random.default_rng(0), 50),
    ]
    found = {}
    for name, polls in {"both": both, "predictions first": iter(one_by_one)}.items():
        state = label_world.fresh(tmp_path / name, policy_free)
        assert advance(state, Controls((baseline, assign), ((0, 2),), at_once=False)) == []
        found[name], _ = play(state, polls)
        assert state.backlog[mode.id].owner == "bob"
        assert state.docket.controls == ()
    assert found["both"] == found["predictions first"]
    assert [(each.change, each.control) for each in found["both"]] == [(Change.CONTROL_APPLIED, each) for each in (baseline, assign)]
    assert all(0 <= each.event_ms - each.control.time_ms < 15 * MINUTE for each in found["both"])
    shown = model_view(state, lag={}, paused=(), partitions_in_topic=3, evaluated_ms=None, labels=None)
    assert shown.controls == 2
