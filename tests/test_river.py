"""Detectors of river see means of panes, never NaN, and go on after a restart as if nothing had happened."""

from __future__ import annotations

import itertools
import math
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config import RiverDetector
from monitor.errors import ConfigError
from monitor.profile.layout import Layout
from monitor.profile.table import TAIL_SCALE, CountTable
from monitor.river import RiverWatch, build, pack_river, pane_means, unpack_river
from tests.flow import world

REFERENCE = world.reference()
LAYOUT = REFERENCE.layout
X = LAYOUT.names.index("x")
DETECTORS = ("river.drift.ADWIN", "river.drift.PageHinkley", "river.drift.KSWIN")


def table(**cells: dict[int, int]) -> CountTable:
    """Counts of x by segment: ``table(ALL={cell: count})``; the other signals are missing."""
    segments = tuple(sorted(cells))
    counts = np.zeros((len(segments), LAYOUT.cells), np.int64)
    for row, segment in enumerate(segments):
        for cell, count in cells[segment].items():
            counts[row, LAYOUT.span(X).start + cell] = count
        for index in range(len(LAYOUT.signals)):
            if index != X:
                counts[row, LAYOUT.span(index).start] = sum(cells[segment].values())
    return CountTable(LAYOUT, segments, counts, np.zeros((len(segments), len(LAYOUT.signals), 2), np.int64))


def watch(name: str = "river.drift.ADWIN", segments: str = "every", **parameters) -> RiverWatch:
    return RiverWatch([RiverDetector(river=name, signal="x", segments=segments, parameters=parameters)])


def test_the_mean_of_a_pane_is_that_of_the_reference_means_weighted_by_counts():
    middle, last = 3 + 4, 3 + len(world.EDGES)  # a cell [-0.5, 0) has the mean -0.25 in the world's reference; overflow 2.5
    names, means = pane_means(table(ALL={middle: 3, last: 1}, B={0: 5}), REFERENCE, "x")
    assert names == ["ALL"], "a segment without a value has no mean"
    assert means.tolist() == [(3 * -0.25 + 2.5) / 4]


def built_reference():
    """One whose end cells are beyond its smallest and largest value, as in every reference that is built from rows."""
    bin_means = REFERENCE.bin_means.copy()
    cells = LAYOUT.span(X)
    bin_means[[cells.start + 3, cells.start + 3 + 4, cells.stop - 1]] = np.nan
    return replace(REFERENCE, bin_means=bin_means)


def with_tails(panes: CountTable, **tails: tuple[float, float]) -> CountTable:
    """The same with the sums of log2|x| of the values of x below and above all edges."""
    for segment, sums in tails.items():
        panes.tails[panes.index[segment], X] = np.rint(np.array(sums) * TAIL_SCALE)
    return panes


def test_values_beyond_all_that_the_reference_holds_count_with_their_size():
    first, middle, last = 3, 3 + 4, 3 + len(world.EDGES)
    panes = table(HIGH={5: 1, last: 3}, LOW={first: 2}, ONLY={last: 4}, NEAR={last: 5}, GAP={middle: 3})
    panes = with_tails(panes, HIGH=(0, 3 * math.log2(64)), LOW=(2 * math.log2(100), 0), ONLY=(0, 4 * math.log2(1e6)), NEAR=(0, -50))
    names, means = pane_means(panes, built_reference(), "x")
    found = dict(zip(names, means.tolist(), strict=True))
    inside = REFERENCE.bin_means[LAYOUT.span(X)][5]
    assert found["HIGH"] == pytest.approx((inside + 3 * 64) / 4, rel=1e-4)
    assert found["LOW"] == pytest.approx(-100, rel=1e-4)
    assert found["ONLY"] == pytest.approx(1e6, rel=1e-4)
    assert found["NEAR"] == world.EDGES[-1], "what lies above an edge is never taken to be below it"
    assert found["GAP"] == (world.EDGES[3] + world.EDGES[4]) / 2, "a cell that is empty in the reference"


def test_values_outside_the_declared_range_take_no_part():
    signal = replace(
        LAYOUT.signals[X], range=(world.EDGES[0], world.EDGES[-2]), edges=(*world.EDGES[:-1], math.nextafter(world.EDGES[-2], 9))
    )
    layout = Layout((*LAYOUT.signals[:X], signal, *LAYOUT.signals[X + 1 :]))
    panes = table(ALL={3: 5, 5: 2, 3 + len(world.EDGES): 7})
    panes = with_tails(CountTable(layout, panes.segments, panes.counts, panes.tails), ALL=(5, 7 * 20.0))
    assert pane_means(panes, REFERENCE, "x")[1].tolist() == [REFERENCE.bin_means[LAYOUT.span(X)][5]]


def test_between_the_references_values_and_the_end_of_the_range_they_count_as_the_nearest_of_the_references():
    """Else the middle of a cell that a range of 0 to 1e9 leaves would be a mean of half a thousand million."""
    edges = (*world.EDGES, 1e9)
    layout = Layout((*LAYOUT.signals[:X], replace(LAYOUT.signals[X], range=(-1e9, 1e9), edges=(-1e9, *edges)), *LAYOUT.signals[X + 1 :]))
    span = layout.span(X)
    counts = np.zeros((2, layout.cells), np.int64)
    counts[:, span.start + 3 + 5] = 3
    counts[0, span.stop - 2] = counts[1, span.start + 3 + 1] = 1
    bin_means = np.full(layout.cells, np.nan)
    bin_means[span.start + 3 + 2 : span.stop - 2] = [(low + high) / 2 for low, high in itertools.pairwise(world.EDGES)]
    panes = CountTable(layout, ("A", "B"), counts, np.zeros((2, len(layout.signals), 2), np.int64))
    inside = bin_means[span.start + 3 + 5]
    assert pane_means(panes, replace(REFERENCE, bin_means=bin_means), "x")[1].tolist() == [(3 * inside + 2) / 4, (3 * inside - 2) / 4]


def test_a_signal_that_the_reference_never_saw_has_no_mean():
    layout = Layout((*LAYOUT.signals[:X], replace(LAYOUT.signals[X], edges=()), *LAYOUT.signals[X + 1 :]))
    cells = LAYOUT.span(X)
    keep = [i for i in range(LAYOUT.cells) if not cells.start + 4 <= i < cells.stop]
    panes = table(ALL={3: 5})
    panes = CountTable(layout, panes.segments, panes.counts[:, keep], panes.tails)
    bin_means = REFERENCE.bin_means[keep].copy()
    bin_means[cells.start + 3] = np.nan
    assert pane_means(panes, replace(REFERENCE, bin_means=bin_means), "x")[0] == []


def test_missing_invalid_and_non_finite_values_never_reach_a_detector():
    seen = []

    class Recorder:
        drift_detected = False

        def update(self, value: float) -> None:
            seen.append(value)

    watched = watch()
    watched.update(table(ALL={3: 1}), REFERENCE, 1)
    watched.watched[0, "ALL"].detector = Recorder()
    for cells in ({0: 9}, {1: 9}, {2: 9}, {}, {0: 1, 5: 1}):
        watched.update(table(ALL=cells), REFERENCE, 2)
    assert len(seen) == 1
    assert all(math.isfinite(value) for value in seen)


def test_the_mean_of_the_largest_numbers_is_finite_so_that_no_infinity_nor_nan_reaches_a_detector():
    cells = LAYOUT.span(X)
    bin_means = REFERENCE.bin_means.copy()
    bin_means[[cells.start + 3, cells.stop - 1]] = -(2.0**1022), 2.0**1022  # as references have them at the most
    last = len(range(cells.start, cells.stop)) - 1
    panes = table(A={3: 9}, B={last: 9}, C={3: 9, last: 9}, D={4: 9, last: 1})
    _, means = pane_means(panes, replace(REFERENCE, bin_means=bin_means), "x")
    assert np.isfinite(means).all()
    assert means[0] < means[2] == 0 < means[3] < means[1]


def shifting_panes(count: int) -> list[CountTable]:
    random = np.random.default_rng(3)
    panes = []
    for number in range(count):
        centre = 5 if number < count // 2 else 10
        cells = random.integers(centre - 1, centre + 2, 50)
        panes.append(table(ALL=dict(zip(*(a.tolist() for a in np.unique(cells, return_counts=True)), strict=True))))
    return panes


@pytest.mark.parametrize("name", DETECTORS)
def test_a_shift_of_the_mean_is_an_alarm_with_its_time(name):
    parameters = {"seed": 1} if name.endswith("KSWIN") else {}
    parameters |= {"threshold": 5} if name.endswith("PageHinkley") else {}
    watched = watch(name, **parameters)
    for number, pane in enumerate(shifting_panes(400)):
        watched.update(pane, REFERENCE, number)
    found = watched.watched[0, "ALL"]
    assert found.alarms >= 1
    assert found.last_alarm_ms is not None
    assert found.last_alarm_ms >= 200


@settings(max_examples=15, deadline=None)
@given(cut=st.integers(0, 300), name=st.sampled_from(DETECTORS))
def test_a_restart_changes_no_alarm(cut, name):
    parameters = {"seed": 1} if name.endswith("KSWIN") else {}
    whole, cut_in_two = watch(name, **parameters), watch(name, **parameters)
    for number, pane in enumerate(shifting_panes(300)):
        if number == cut:
            cut_in_two = unpack_river(pack_river(cut_in_two), cut_in_two.configured)
        whole.update(pane, REFERENCE, number)
        cut_in_two.update(pane, REFERENCE, number)
        a, b = whole.watched[0, "ALL"], cut_in_two.watched[0, "ALL"]
        assert (a.alarms, a.last_alarm_ms) == (b.alarms, b.last_alarm_ms)


def test_only_all_is_watched_unless_every_segment_is_asked_for():
    both = table(ALL={5: 1}, B={5: 1})
    for segments, expected in (("all", {(0, "ALL")}), ("every", {(0, "ALL"), (0, "B")})):
        watched = watch(segments=segments)
        watched.update(both, REFERENCE, 1)
        assert watched.watched.keys() == expected


def test_without_a_reference_there_are_no_means():
    watched = watch()
    watched.update(table(ALL={5: 1}), None, 1)
    assert watched.watched == {}


class Hostile:
    """What a tampered state folder could hold."""

    def __reduce__(self):
        return os.system, ("echo tampered",)


@pytest.mark.parametrize("data", [b"", b"junk", pickle.dumps([Hostile()]), pickle.dumps([eval])])
def test_a_state_that_holds_anything_else_is_refused(data, capfd):
    with pytest.raises(ValueError, match="expected saved detectors of river"):
        unpack_river(data, [])
    assert "tampered" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"), [("os.system", "expected a detector of river.drift"), ("river.drift.Nothing", "has no 'Nothing'")]
)
def test_another_name_than_a_detector_of_river_is_a_mistake(name, said):
    with pytest.raises(ConfigError, match=said):
        world.model_config(detectors=[{"river": name, "signal": "x"}])


def test_a_categorical_signal_has_no_mean_to_watch():
    with pytest.raises(ConfigError, match=r"detectors\[0\].signal: expected a numeric feature or score, got 'c'"):
        world.model_config(detectors=[{"river": "river.drift.ADWIN", "signal": "c"}])


def test_a_restart_finds_a_detector_by_what_it_is_and_not_by_its_place():
    first, second = (RiverDetector(river=f"river.drift.{name}", signal="x") for name in ("ADWIN", "PageHinkley"))
    before = RiverWatch([first, second])
    before.update(table(ALL={5: 1}), REFERENCE, 1)
    before.watched[1, "ALL"].alarms = 7
    after = unpack_river(pack_river(before), [second, first])
    assert {key: (type(w.detector).__name__, w.alarms) for key, w in after.watched.items()} == {
        (0, "ALL"): ("PageHinkley", 7),
        (1, "ALL"): ("ADWIN", 0),
    }
    assert unpack_river(pack_river(before), [second]).watched.keys() == {(0, "ALL")}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("ADWIN", {"nope": 1}), ("adwin", {}), ("DriftRetrainingClassifier", {})],
)
def test_a_detector_that_cannot_be_made_is_a_mistake_before_the_first_pane_closes(name, parameters):
    with pytest.raises(ConfigError, match=f"expected parameters that river.drift.{name} takes"):
        world.model_config(detectors=[{"river": f"river.drift.{name}", "signal": "x", "parameters": parameters}])


def test_a_detector_that_draws_at_random_says_the_same_again():
    means = np.random.default_rng(3).normal(size=600)
    alarms = []
    for _ in range(3):
        [config] = watch("river.drift.KSWIN", alpha=0.02, window_size=40, stat_size=10).configured
        detector, said = build(config), []
        for mean in means.tolist():
            detector.update(mean)
            said.append(detector.drift_detected)
        alarms.append(said)
    assert any(alarms[0])
    assert alarms[0] == alarms[1] == alarms[2]
    assert build(watch("river.drift.KSWIN", seed=7).configured[0]).seed == 7


@pytest.mark.parametrize("name", ["DDM", "EDDM", "HDDM_A", "HDDM_W", "FHDDM"])
def test_detectors_of_bits_are_refused_for_means(name):
    """A mean above 1 would be the root of a negative number to them, in the middle of the night."""
    with pytest.raises(ValueError, match="expected a detector of numbers"):
        watch(f"river.drift.binary.{name}")
