"""Restatements: what was reported and is no longer so has a revision number, and nothing else has."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.expose.page_performance import performance
from monitor.expose.performance_json import labels_json, performance_json
from monitor.expose.query import parse_query
from monitor.expose.snapshot import LabelsView, ModelView, Snapshot
from monitor.label_verdicts import LabelVerdicts
from monitor.labels import LabelsEvaluated, shown_again
from monitor.segment import ALL
from tests.flow import label_world, world
from tests.flow.world import MINUTE, Message

PANE = 10 * MINUTE
BASE = -(-world.START // PANE) * PANE


def predictions() -> list[list[Message]]:
    """Two a minute for an hour, one of them in each country; every other one is said to be positive."""
    events = [
        {"id": f"p{i}", "ts": BASE + i * MINUTE // 2, "v": "1", "score": 0.9 if i % 4 < 2 else 0.2, "country": "FR" if i % 2 else "DE"}
        for i in range(120)
    ]
    return [[Message(0, offset, json.dumps(event).encode()) for offset, event in enumerate(events)]]


Label = tuple[float, int, int, str]
"""Minute, number of the prediction, value, annotator."""


def rightly(numbers: range, after: float = 3) -> list[Label]:
    """The first label of each of these predictions: it was right."""
    return [(i / 2 + after, i, int(i % 4 < 2), "ann") for i in numbers]


def log(labels: list[Label]) -> list[list[Message]]:
    values = [
        {"id": f"p{number}", "ts": BASE + int(minute * MINUTE), "y": y, "who": who, "rev": 1} for minute, number, y, who in sorted(labels)
    ]
    return [[Message(0, offset, json.dumps(value).encode()) for offset, value in enumerate(values)]]


def run(folder: Path, labels: list[Label], most: int = 1_000, **changes: Any) -> list[LabelsEvaluated]:
    state = label_world.fresh(folder, label_world.model_config(**changes), 1, 1)
    return label_world.play(state, label_world.polls(predictions(), log(labels), np.random.default_rng(1), most))


def judged(folder: Path, labels: list[Label], **changes: Any) -> LabelVerdicts:
    [one] = run(folder, labels, **changes)[-1].verdicts
    return one


def revisions(one: LabelVerdicts, segment: str = ALL) -> tuple[int, ...]:
    """By time of the prediction and of the label."""
    at = one.by_prediction.segments.index(segment)
    return tuple(int(view.restatement.revision[at]) for view in (one.by_prediction, one.by_label) if view.restatement is not None)


FIRST = rightly(range(118))
REVISED: list[Label] = [(16.0 + i / 10, i, int(i % 4 >= 2), "ann") for i in range(5)]  # of the first pane: the answer was wrong


def test_a_revised_label_is_seen_by_pane_and_segment_with_what_it_changed(tmp_path):
    one = judged(tmp_path, FIRST + REVISED)
    assert revisions(one) == (5, 5)
    assert revisions(one, "country=DE") == (3, 3)
    assert revisions(one, "country=FR") == (2, 2)
    view, at = one.by_prediction, one.by_prediction.segments.index(ALL)
    column = view.column("accuracy")
    labelled = int(view.labelled[at])
    assert view.value[at, column] == pytest.approx((labelled - 5) / labelled)
    assert view.restatement.first_value[at, column] == 1.0
    assert view.restatement.last_ms[at] == BASE + 16 * MINUTE
    [pane] = one.restated_panes
    assert (pane.start_ms, pane.end_ms, pane.revision[at], pane.last_ms[at]) == (BASE, BASE + PANE, 5, BASE + 16 * MINUTE)


def test_the_first_value_is_what_would_be_said_without_the_revisions(tmp_path):
    revised, without = judged(tmp_path / "a", FIRST + REVISED), judged(tmp_path / "b", FIRST)
    assert revised.window == without.window
    first = revised.by_prediction.restatement.first_value
    np.testing.assert_array_equal(first, without.by_prediction.value)
    assert not np.array_equal(first, revised.by_prediction.value, equal_nan=True)
    assert without.by_prediction.restatement.first_value is None


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param(FIRST, (0, 0), id="labels that come"),
        pytest.param(rightly(range(20), 14) + rightly(range(20, 118)), (0, 0), id="labels that come late, to panes reported long ago"),
        pytest.param([*FIRST, (16.0, 0, 1, "ann"), (17.0, 1, 1, "ann")], (0, 0), id="the same again, later"),
        pytest.param([*FIRST, (17.0, 20, 0, "ann")], (0, 0), id="revised before its pane was reported"),
        pytest.param([*FIRST, (16.0, 0, 0, "ann"), (18.0, 0, 1, "ann")], (2, 1), id="revised and back"),
        pytest.param([*FIRST, (16.0, 0, 0, "ann"), (26.0, 20, 0, "ann")], (2, 2), id="two panes"),
    ],
)
def test_only_what_had_been_reported_and_is_replaced_is_a_revision(tmp_path, labels, expected):
    assert revisions(judged(tmp_path, labels)) == expected


def test_a_label_that_goes_back_to_its_first_value_leaves_the_number_and_no_difference(tmp_path):
    one = judged(tmp_path, [*FIRST, (16.0, 0, 0, "ann"), (18.0, 0, 1, "ann")])
    view, at = one.by_prediction, one.by_prediction.segments.index(ALL)
    assert view.restatement.revision[at] == 2
    assert view.restatement.last_ms[at] == BASE + 18 * MINUTE
    column = view.column("accuracy")
    assert view.restatement.first_value[at, column] == view.value[at, column] == 1.0


def test_a_vote_is_no_revision_unless_it_overturns_what_holds(tmp_path):
    votes: list[Label] = [(16.0, 0, 0, "ben")]
    two, three = [(4.0, 0, 1, "cid"), *votes], [(4.0, 0, 1, "cid"), *votes, (17.0, 0, 0, "dan"), (18.0, 0, 0, "eve")]
    assert revisions(judged(tmp_path / "a", FIRST + two, consensus="majority")) == (0, 0)
    assert revisions(judged(tmp_path / "b", FIRST + three, consensus="majority"))[0] == 1
    assert revisions(judged(tmp_path / "c", FIRST + votes, consensus="latest")) == (1, 1)


def test_the_number_of_a_pane_never_falls_and_cuts_change_nothing(tmp_path):
    labels = [*FIRST, *REVISED, (26.0, 20, 0, "ann"), (27.0, 20, 1, "ann"), (36.0, 41, 0, "ann")]
    one_by_one = run(tmp_path / "a", labels, most=1)
    numbers = [{pane.start_ms: pane.revision.max() for pane in each.verdicts[0].restated_panes} for each in one_by_one]
    assert all(before.items() <= {**before, **after}.items() for before, after in pairwise(numbers))
    assert all(after[start] >= number for before, after in pairwise(numbers) for start, number in before.items())
    assert numbers[-1] == {BASE: 5, BASE + PANE: 2, BASE + 2 * PANE: 1}
    at_once = run(tmp_path / "b", labels)
    assert label_world.judged(at_once).items() <= label_world.judged(one_by_one).items()


def test_a_restart_keeps_it_and_shows_it_at_once(tmp_path):
    def opened() -> Checkpoint:
        return Checkpoint(Store(tmp_path, 2), {"m": label_world.fresh(tmp_path, label_world.model_config(), 1, 1)})

    checkpoint = opened()
    checkpoint.resume()
    labels = log(FIRST + REVISED)
    label_world.play(checkpoint.models["m"], label_world.polls(predictions(), labels, np.random.default_rng(0), 1_000))
    facts = label_world.facts(checkpoint.models["m"])
    shown = label_world.judged([shown_again(checkpoint.models["m"])])
    checkpoint.commit({})
    checkpoint.store.close()
    again = opened()
    again.resume()
    again.store.close()
    assert label_world.facts(again.models["m"]) == facts
    assert label_world.judged([shown_again(again.models["m"])]) == shown
    assert revisions(shown_again(again.models["m"]).verdicts[0]) == (5, 5)


def test_it_is_in_the_api_and_on_the_page(tmp_path):
    evaluated = run(tmp_path, FIRST + REVISED)[-1]
    model = ModelView("m", "t", labels=LabelsView("l"))
    snapshot = Snapshot(evaluated.event_ms, 0, "1", models=(model,), labels=(evaluated,))
    query = parse_query("metric=accuracy&segment=ALL&view=prediction_time")
    [item] = json.loads(performance_json(snapshot, query))["metrics"]
    last = "2023-11-14T22:36:00.000Z"
    assert (item["revision"], item["restated"], item["first_value"]) == (5, last, 1.0)
    assert item["value"] < 1.0
    [labelled] = json.loads(labels_json(snapshot, parse_query("")))["labels"]
    assert labelled["restated_panes"] == [
        {"start": "2023-11-14T22:20:00.000Z", "end": "2023-11-14T22:30:00.000Z", "revision": 5, "restated": last}
    ]
    page = str(performance(snapshot, model))
    assert "Revision 5: so many labels of the window were replaced after they had been reported, the last one 2023-11-14 22:36." in page
    assert "1 before revisions" in page
