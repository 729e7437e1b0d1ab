"""A reference that comes after labels of its version were counted: nothing counted is lost; what cannot be compared with it is unknown."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.labels import LabelsOwned
from monitor.pipeline import Owned, advance
from monitor.profile.layout import Layout, SignalBins
from monitor.profile.table import CountTable
from monitor.reference.format import with_fingerprint
from monitor.reference.labels import LabelCounts
from monitor.reference.reference import Reference
from monitor.segment import ALL
from monitor.state import ModelState, new_model_state
from tests.flow import label_world, world

FIRST, OTHER_EDGES, FEWER = (0.25, 0.5, 0.75), (0.3, 0.6, 0.9), (0.4, 0.8)
"""Edges of the score: those of version 1, as many others, and fewer."""


@pytest.fixture(scope="module")
def logs():
    predictions = world.log(14, partitions=3, minutes=60, per_minute=4)
    return predictions, label_world.log(predictions, 15)


def reference_of(version: str, edges: tuple[float, ...]) -> Reference:
    """The world's reference, with other cells of the score, and validated: three in four right."""
    plain, random = label_world.reference(), np.random.default_rng(3)
    layout = Layout(tuple(SignalBins("score", "numeric", edges=edges) if s.name == "score" else s for s in plain.layout.signals))
    cells, columns = [], np.full(layout.cells, np.nan)
    for index, name in enumerate(layout.names):
        own, theirs = layout.span(index), plain.layout.span(index)
        part = np.zeros((len(plain.table.segments), own.stop - own.start), np.int64)
        part[:, 3:] = 1200 // (part.shape[1] - 3)
        cells.append(part if name == "score" else plain.table.counts[:, theirs])
        if name != "score":
            columns[own] = plain.bin_means[theirs]
        else:
            ends = (0.0, *edges, 1.0)
            columns[own.start + 3 : own.stop] = [(a + b) / 2 for a, b in itertools.pairwise(ends)]
    counts = LabelCounts(("1", "0"), cells=len(edges) + 4, probability=True, positive="1")
    score = random.random(20_000)
    truth, predicted = (random.random(len(score)) < score).astype(int).astype(str), np.where(score >= 0.5, "1", "0")
    outcomes = counts.outcomes(truth.tolist(), predicted.tolist())
    counts.add(truth.tolist(), predicted.tolist(), score, np.full(len(score), np.nan), outcomes)
    where = (3 + np.searchsorted(np.array(edges), score, side="right")).astype(np.uint8)
    counts.add_segments([ALL], np.zeros(len(score), np.intp), where, outcomes)
    table = CountTable(layout, plain.table.segments, np.concatenate(cells, axis=1), plain.table.tails)
    return with_fingerprint(replace(plain, model_version=version, table=table, bin_means=columns, labels=counts.content(ALL)))


def fresh(folder: Path, *references: Reference, **changes) -> ModelState:
    # A window as long as everything, so that all of it can be compared at the end.
    state = new_model_state(label_world.model_config(window="2h", **changes), references, folder)
    advance(state, Owned(frozenset(range(3)), complete=True))
    advance(state, LabelsOwned(frozenset(range(2)), complete=True))
    return state


def halves(logs, part: int):
    cut = [[slice(len(m) // 2), slice(len(m) // 2, None)][part] for log in logs for m in log]
    places = iter(cut)
    return [[m[next(places)] for m in log] for log in logs]


def split_run(folder: Path, logs, before, after):
    """Half of both topics, a restart with other references, and the rest; returns the state, what was judged and what was said."""
    checkpoint = Checkpoint(Store(folder, 2), {"m": before})
    checkpoint.resume()
    label_world.play(checkpoint.models["m"], label_world.polls(*halves(logs, 0), np.random.default_rng(1), 200))
    checkpoint.commit({})
    checkpoint.store.close()
    checkpoint = Checkpoint(Store(folder, 2), {"m": after})
    resumed = checkpoint.resume()
    evaluated = label_world.play(checkpoint.models["m"], label_world.polls(*halves(logs, 1), np.random.default_rng(2), 200))
    checkpoint.commit({})
    checkpoint.store.close()
    return checkpoint.models["m"], evaluated, resumed


def of_labels(state: ModelState):
    """All that labels had counted, and all of version 1."""
    theirs = {name for name in world.facts(state) if name.startswith("2 ")}
    return {name: fact for name, fact in label_world.facts(state).items() if name not in theirs}


@pytest.mark.parametrize("edges", [OTHER_EDGES, FEWER])
def test_a_late_reference_loses_nothing_of_what_was_counted(logs, tmp_path, edges):
    one, two = reference_of("1", FIRST), reference_of("2", edges)
    whole = fresh(tmp_path / "whole", one)
    label_world.play(whole, label_world.polls(*logs, np.random.default_rng(0), 200))
    folder = tmp_path / "late"
    state, evaluated, resumed = split_run(folder, logs, fresh(folder, one), fresh(folder, one, two))
    assert not resumed.lost
    assert [notice for notice in resumed.notices if "version 2 of model m" in notice and "before this reference" in notice]
    assert of_labels(state) == of_labels(whole)
    assert state.versions["2"].reference is two
    # Restarted once more it goes on in the same way, and so it does when the reference is taken away again.
    for references in ([one, two], [one]):
        again = Checkpoint(Store(folder, 2), {"m": fresh(folder, *references)})
        assert not again.resume().lost
        assert of_labels(again.models["m"]) == of_labels(whole)
        again.commit({})
        again.store.close()
    [verdict] = [each for each in evaluated[-1].verdicts if each.version == "2"]
    performance = verdict.by_prediction
    at = performance.segments.index(ALL)
    beside = {
        name: float(performance.reference[at, performance.column(name, of)])
        for name, of in (("accuracy", ""), ("roc_auc", "1"), ("ece", ""))
    }
    assert beside["accuracy"] == pytest.approx(0.75, abs=0.02), "what does not need the cells of the score is compared"
    assert np.isnan(beside["roc_auc"])
    assert np.isnan(beside["ece"])
    assert float(performance.value[at, performance.column("roc_auc", "1")]) > 0.5, "in its own cells it is known"
    assert verdict.score_means is None


def test_a_reference_with_the_same_cells_is_compared_in_full(logs, tmp_path):
    one, two = reference_of("1", FIRST), reference_of("2", FIRST)
    state, evaluated, resumed = split_run(tmp_path, logs, fresh(tmp_path, one), fresh(tmp_path, one, two))
    assert resumed.notices == ()
    assert state.labels.kept == {}
    [verdict] = [each for each in evaluated[-1].verdicts if each.version == "2"]
    performance = verdict.by_prediction
    assert float(performance.reference[performance.segments.index(ALL), performance.column("roc_auc", "1")]) > 0.7


def test_a_reference_of_another_version_changes_nothing_of_one_that_has_none(logs, tmp_path):
    """Versions without a reference are counted in cells of another version's: they go on in those."""
    one, three = reference_of("1", FIRST), reference_of("3", FEWER)
    whole = fresh(tmp_path / "whole", one)
    label_world.play(whole, label_world.polls(*logs, np.random.default_rng(0), 200))
    folder = tmp_path / "late"
    state, _, resumed = split_run(folder, logs, fresh(folder, one), fresh(folder, one, three))
    assert not resumed.lost
    assert of_labels(state) == of_labels(whole)


def test_a_regression_goes_on_in_the_unit_of_its_errors(logs, tmp_path):
    """The unit comes from the reference, and annotators' values are cells of each version's own score."""
    task = {"task": "regression"}
    one, two = reference_of("1", FIRST), reference_of("2", FEWER)
    one, two = (with_fingerprint(replace(each, labels=None)) for each in (one, two))
    two = with_fingerprint(replace(two, stds=two.stds * 3))
    whole = fresh(tmp_path / "whole", one, **task)
    label_world.play(whole, label_world.polls(*logs, np.random.default_rng(0), 200))
    assert whole.labels.layout_of("2").scale == whole.labels.layout_of("1").scale == 0.25, "without its own, that of the last reference"
    folder = tmp_path / "late"
    state, _, resumed = split_run(folder, logs, fresh(folder, one, **task), fresh(folder, one, two, **task))
    assert not resumed.lost, resumed.notices
    assert any("in units of 0.25, where the reference has 0.75" in notice for notice in resumed.notices)
    assert of_labels(state) == of_labels(whole)
    assert state.labels.agreement_of("2").values == len(FIRST) + 4
    chosen = fresh(folder, one, two, **task, target_scale=2.0)
    other = Checkpoint(Store(folder, 2), {"m": chosen})
    resumed = other.resume()
    other.store.close()
    assert resumed.lost, "a unit that the configuration names is another definition"
