"""The estimate without labels in the flow: made before labels come, judged once they are there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.batch import Labels, RejectReason, Span
from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.decode import Decoder
from monitor.label_verdicts import is_estimated
from monitor.labels import LabelsEvaluated, LabelsOwned
from monitor.pipeline import Owned, advance
from monitor.reference.labels import LabelCounts
from monitor.segment import ALL
from monitor.state import ModelState, new_model_state
from tests.flow import label_world, world
from tests.flow.world import MINUTE, START

PER_MINUTE = 40


def labelled_reference(random: np.random.Generator):
    """The world's reference with validation labels: a prediction is wrong as often as its score says."""
    plain = label_world.reference()
    counts = LabelCounts(("1", "0"), cells=7, probability=True, positive="1")
    score = random.random(40_000)
    truth = (random.random(len(score)) < score).astype(int).astype(str)
    predicted = np.where(score >= 0.5, "1", "0")
    outcomes = counts.outcomes(truth.tolist(), predicted.tolist())
    counts.add(truth.tolist(), predicted.tolist(), score, np.full(len(score), np.nan), outcomes)
    edges = np.array([0.25, 0.5, 0.75])
    counts.add_segments([ALL], np.zeros(len(score), np.intp), (3 + np.searchsorted(edges, score, side="right")).astype(np.uint8), outcomes)
    return replace(plain, labels=counts.content(ALL))


def model(folder) -> ModelState:
    config = label_world.model_config(horizon="20m", pane="10m", window="1h", estimate_window="10m", lateness="1m", early_allowance="0s")
    state = new_model_state(config, [labelled_reference(np.random.default_rng(1))], folder)
    advance(state, Owned(frozenset({0}), complete=True))
    advance(state, LabelsOwned(frozenset({0}), complete=True))
    return state


def play(state: ModelState, minutes: range, random: np.random.Generator, flipped_from: int) -> list[LabelsEvaluated]:
    """Predictions, labelled 12 minutes later; from some minute on the truth is turned round: a drift of the concept alone."""
    decoder = Decoder(state.config, state.vocabulary)
    evaluated, waiting = [], []
    for minute in minutes:
        events = []
        for n in range(PER_MINUTE):
            score = round(float(random.random()), 4)
            late = minute + n / PER_MINUTE
            events.append(world.event(minute * 1_000 + n, late, random) | {"v": "1", "score": score})
            chance = score if minute < flipped_from else 1 - score
            waiting.append((f"p{minute * 1_000 + n}", START + int((late + 12) * MINUTE), float(random.random() < chance)))
        messages = [world.Message(0, state.offsets.get(0, 0) + i, world.json.dumps(event).encode()) for i, event in enumerate(events)]
        evaluated += advance(state, decoder.decode([world.raw(messages)])[0])
        due = [each for each in waiting if each[1] <= START + minute * MINUTE]
        waiting = waiting[len(due) :]
        if due:
            evaluated += advance(state, labels_of(due, state))
    return [each for each in evaluated if isinstance(each, LabelsEvaluated)]


def labels_of(due, state: ModelState) -> Labels:
    from monitor.decode import id_hash

    n = len(due)
    first = state.labels.offsets.get(0, 0)
    return Labels(
        model="m", spans=(Span(0, 0, n, first + n),), time_ms=np.array([at for _, at, _ in due]), record_time_ms=np.zeros(n, np.int64),
        ids=np.array([id_hash(name) for name, _, _ in due], np.uint64), value=np.array([value for _, _, value in due]),
        annotators=("",), annotator=np.zeros(n, np.int32), versions=("",), version=np.zeros(n, np.int32), sources=("",),
        source=np.zeros(n, np.int32), confidence=np.full(n, np.nan), kpi=np.full(n, np.nan), carried=None, messages=n, tombstones=0,
        rejected=np.zeros(len(RejectReason), np.int64),
    )  # fmt: skip


def test_an_estimate_is_near_the_truth_and_is_judged_by_the_labels(tmp_path):
    state = model(tmp_path)
    evaluated = play(state, range(150), np.random.default_rng(2), flipped_from=10**6)
    estimates = [one.estimate for each in evaluated for one in each.verdicts if one.estimate is not None]
    assert len(estimates) > 5
    assert all(found.labelled[0] < found.n[0] for found in estimates), "made before all labels are there"
    errors = state.estimates["1"].errors
    assert errors.segments[0] == ALL
    assert errors.windows[0] >= 5
    # Three in four are right; of 400 rows the truth itself has a standard deviation of two points.
    assert errors.mean_absolute_error[0] < 0.05
    assert errors.coverage[0] >= 0.7
    assert abs(estimates[-1].value[0] - 0.75) < 0.07


def test_a_drift_of_the_concept_is_seen_once_labels_tell(tmp_path):
    state = model(tmp_path)
    evaluated = play(state, range(200), np.random.default_rng(3), flipped_from=90)
    last = evaluated[-1].verdicts[0].estimate
    assert bool(last.rectified[0])
    assert last.value[0] < 0.4, "the truth is 0.25"
    assert last.table_value[0] > 0.65, "scores alone say nothing of it"


def test_estimates_survive_a_restart(tmp_path):
    checkpoint = Checkpoint(Store(tmp_path, 2), {"m": model(tmp_path)})
    checkpoint.resume()
    play(checkpoint.models["m"], range(120), np.random.default_rng(2), flipped_from=10**6)
    checkpoint.commit({})
    checkpoint.store.close()
    again = Checkpoint(Store(tmp_path, 2), {"m": model(tmp_path)})
    assert again.resume().notices == ()
    again.store.close()
    before, after = checkpoint.models["m"].estimates["1"], again.models["m"].estimates["1"]
    assert [each[:2] for each in after.waiting] == [each[:2] for each in before.waiting] != []
    assert after.latest[2].value.tobytes() == before.latest[2].value.tobytes()
    assert after.errors.absolute.tobytes() == before.errors.absolute.tobytes()


@pytest.mark.parametrize("panes", range(1, 40))
def test_a_window_is_estimated_some_four_times_in_the_time_that_it_covers(panes):
    times = sum(is_estimated(end, panes) for end in range(60 * panes)) / 60
    assert min(panes, 3) <= times <= min(panes, 5)
