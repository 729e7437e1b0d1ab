"""The review queue in the flow: neither cuts, nor interleaving, nor restarts change what is drawn; each item is as it says."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from monitor.batch import RawBatch
from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.review.item import Kind, Reason
from monitor.review.queue import DAY_MS, HOUR_MS
from tests.flow import label_world, world

REVIEW = {"per_hour": 6, "audit_per_day": 4, "margin": 0.1, "confidence": 0.7}


def fresh(folder, **changes):
    return label_world.fresh(folder, label_world.model_config(review={**REVIEW, **changes}))


@pytest.fixture(scope="module")
def logs():
    """Across three hours and midnight."""
    predictions = world.log(6, partitions=3, minutes=190, per_minute=4)
    return predictions, label_world.log(predictions, 5)


@pytest.fixture(scope="module")
def whole(logs, tmp_path_factory):
    state = fresh(tmp_path_factory.mktemp("whole"))
    label_world.play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))
    return state


def drawn(state):
    return sorted(state.review.outbox, key=lambda item: item.id)


@pytest.mark.parametrize(("seed", "most"), [(1, 7), (2, 300)])
def test_cuts_and_the_interleaving_of_the_topics_change_nothing(logs, whole, tmp_path, seed, most):
    state = fresh(tmp_path)
    label_world.play(state, label_world.polls(*logs, np.random.default_rng(seed), most))
    assert drawn(state) == drawn(whole)
    assert state.review.counts == whole.review.counts
    assert sorted(state.review.drawn.items()) == sorted(whole.review.drawn.items())


def test_every_reason_occurs_and_no_id_twice(whole):
    items = drawn(whole)
    assert {reason for item in items for reason in item.reasons} == set(Reason)
    assert max(Counter((item.kind, item.version, item.prediction_id) for item in items).values()) == 1
    assert len({item.id for item in items}) == len(items) == sum(whole.review.counts.values())
    assert any(len(item.reasons) > 1 for item in items)


def test_no_more_than_configured_in_an_hour_and_a_day(whole):
    edges = Counter(
        (end, item.version, item.segment) for item in drawn(whole) if item.kind is Kind.EDGE for end in [whole.review.drawn[_key(item)]]
    )
    assert max(edges.values()) == 6, "and not below where there are enough"
    assert all(end % HOUR_MS == 0 for end, *_ in edges)
    audits = Counter((item.time_ms // DAY_MS, item.version, item.segment) for item in drawn(whole) if item.kind is Kind.AUDIT)
    assert max(audits.values()) == 4
    assert {segment for _, _, segment in audits} == {"country=FR", "country=DE", "country=US"}


def _key(item):
    import xxhash

    return xxhash.xxh3_64_intdigest(f"{item.kind.value}\x1f{item.version}\x1f{item.prediction_id}".encode())


def test_items_are_what_they_say(logs, whole):
    events = {(event["id"], str(event["v"])): event for log in logs[0] for event in map(label_world.event_of, log) if event}
    said: dict[str, set[tuple[str, int]]] = {}
    for label in (label for log in logs[1] for label in map(label_world.event_of, log) if label and "y" in label):
        said.setdefault(label["id"], set()).add((label.get("who"), label.get("y")))
    for item in drawn(whole):
        event = events[item.prediction_id, item.version]
        assert item.score == pytest.approx(event["score"], abs=1e-6)
        assert item.time_ms == event["ts"]
        assert item.segment == f"country={event['country']}"
        assert item.predicted == str(int(event["score"] >= 0.5))
        assert 0 < item.sampling_probability <= 1
        assert (Reason.AUDIT_SAMPLE in item.reasons) == (item.kind is Kind.AUDIT)
        for reason in item.reasons:
            match reason:
                case Reason.NEAR_THRESHOLD:
                    assert abs(event["score"] - 0.5) <= 0.1
                case Reason.UNSEEN_CATEGORY:
                    assert event["c"] == "new"
                case Reason.WRONG_CONFIDENT:
                    assert max(event["score"], 1 - event["score"]) >= 0.7 - 1e-6
                    assert item.label != item.predicted
                case Reason.ANNOTATORS_DISAGREE:
                    assert {y for _, y in said[item.prediction_id]} == {0, 1}
                case Reason.WORST_SEGMENT:
                    assert item.label != item.predicted


def test_audit_weights_add_up_to_the_predictions_of_the_day(logs, whole):
    """Of the day that ended, kept rows are those of the counts: late and repeated ones are in neither."""
    midnight = (world.START // DAY_MS + 1) * DAY_MS
    for version in ("1", "2"):
        audits = [item for item in drawn(whole) if item.kind is Kind.AUDIT and item.version == version]
        expected = sum(
            int(counts.counts[counts.codes % layout.cells < layout.first_outcome].sum())
            for layout in [whole.labels.versions[version].layout]
            for number, counts in whole.labels.versions[version].by_prediction.settle().items()
            if number * whole.labels.config.pane_ms < midnight
        )
        assert all(item.time_ms < midnight for item in audits)
        seen = sum(1 / item.sampling_probability for item in audits)
        assert seen >= expected > 0, "the counts keep a window only"
        per_segment = Counter(item.segment for item in audits)
        if all(count == 4 for count in per_segment.values()):
            assert seen > 4 * len(per_segment)


def test_what_was_drawn_is_remembered_for_as_long_as_a_label_may_come(tmp_path):
    """Horizon a day, lateness four: a label of the horizon's end is read when the horizon is over by nearly four days."""
    review = {**REVIEW, "margin": 0.1, "confidence": 0.5}
    state = label_world.fresh(tmp_path, label_world.model_config(review=review, horizon="1d", lateness="4d", pane="1h", window="7d"), 1, 1)
    hour = 60

    def prediction(id_, minute):
        event = {
            "id": id_,
            "ts": world.START + minute * world.MINUTE,
            "v": "1",
            "x": 0.0,
            "y": 0.0,
            "c": "a",
            "country": "FR",
            "device": "web",
        }
        return json.dumps({**event, "score": 0.52})

    def label(id_, minute, y):
        return json.dumps({"id": id_, "ts": world.START + minute * world.MINUTE, "y": y, "who": "ann", "rev": 1})

    predictions = [prediction("p", 0), prediction("q", 10 * 24 * hour)]
    labels = [label("nobody", 110 * hour, 1), label("nobody", 114 * hour, 0), label("p", 23 * hour, 0), label("nobody", 118 * hour, 1)]
    for topic, lines in (("t", predictions), ("l", labels)):
        for offset, line in enumerate(lines):
            label_world.play(state, iter([RawBatch(topic, 0, [line.encode()], np.array([offset]), np.array([-1]))]))
    assert state.labels.labelled_rows == 1, "the label came in time"
    edges = [(item.prediction_id, item.reasons) for item in state.review.outbox if item.kind is Kind.EDGE]
    assert edges == [("p", (Reason.NEAR_THRESHOLD,))]


@pytest.mark.parametrize(("every", "seed"), [(3, 1), (20, 2)])
def test_restarts_change_nothing(logs, whole, tmp_path, every, seed):
    random, found, done = np.random.default_rng(seed), {}, False
    while not done:
        checkpoint = Checkpoint(Store(tmp_path, 2), {"m": fresh(tmp_path)})
        assert not checkpoint.resume().lost
        state = checkpoint.models["m"]
        left = [
            [messages[offsets.get(p, 0) :] for p, messages in enumerate(log)]
            for log, offsets in zip(logs, (state.offsets, state.labels.offsets), strict=True)
        ]
        done = True
        for number, batch in enumerate(label_world.polls(*left, random, 400)):
            label_world.play(state, iter([batch]))
            for item in state.review.outbox:
                assert found.setdefault(item.id, item) == item, "delivered twice, and the same"
            state.review.outbox.clear()
            if number == every:
                done = False  # killed: the last poll is in no commit
                break
            checkpoint.commit({})
        checkpoint.store.close()
    assert [found[id_] for id_ in sorted(found)] == drawn(whole)
    assert state.review.counts == whole.review.counts
    assert {item.id for item in state.review.recent} == {item.id for item in whole.review.recent}


def test_other_settings_start_their_samples_anew_and_go_on_otherwise(logs, tmp_path):
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": fresh(tmp_path)})
    checkpoint.resume()
    label_world.play(checkpoint.models["m"], label_world.polls(*logs, np.random.default_rng(0), 5_000))
    assert any(sampler.panes for sampler in checkpoint.models["m"].review.samplers.values())
    checkpoint.commit({})
    checkpoint.store.close()
    again = Checkpoint(Store(tmp_path, 2), {"m": fresh(tmp_path, seed=1)})
    assert again.resume().notices == ()
    again.store.close()
    review = again.models["m"].review
    assert not any(sampler.panes for sampler in review.samplers.values())
    assert list(review.recent) == list(checkpoint.models["m"].review.recent)


def test_another_seed_draws_others(logs, whole, tmp_path):
    state = fresh(tmp_path, seed=9)
    label_world.play(state, label_world.polls(*logs, np.random.default_rng(0), 5_000))
    mine, others = ({item.prediction_id for item in drawn(each) if item.kind is Kind.AUDIT} for each in (state, whole))
    assert len(mine) == len(others)
    assert len(mine & others) < len(mine) / 2


def test_without_the_section_nothing_is_drawn(tmp_path):
    assert label_world.fresh(tmp_path).review is None


def test_an_id_is_the_same_for_the_same_prediction_only(whole):
    item = drawn(whole)[0]
    assert replace(item, score=0.1, reasons=()).id == item.id
    assert len({item.id, replace(item, version="x").id, replace(item, prediction_id="x").id, replace(item, model="x").id}) == 4
    assert json.dumps(item.id).isascii()
    assert len(item.id) == 32
