"""Every value has exactly one cell, and it is the one that a search over the edges would find."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.batch import UNSEEN
from monitor.profile.bins import Binning
from monitor.profile.layout import FAULT_CELLS, Layout, Role, SignalBins, vocabulary

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    edges=st.lists(st.lists(finite, unique=True, max_size=40).map(sorted), min_size=1, max_size=4),
    data=st.data(),
)
def test_numeric_cell_is_the_number_of_edges_at_or_below_the_value(edges, data):
    layout = Layout(tuple(SignalBins(f"x{i}", "numeric", edges=tuple(e)) for i, e in enumerate(edges)))
    rows = data.draw(st.integers(1, 30))
    pool = [edge for signal in edges for edge in signal] + [0.0, -0.0, math.nan]
    values = data.draw(arrays(np.float64, (rows, len(edges)), elements=st.one_of(finite, st.sampled_from(pool))))
    cells = Binning.of(layout, {}).cells_of(values)
    for f, signal in enumerate(edges):
        expected = np.searchsorted(signal, values[:, f], side="right") + FAULT_CELLS
        expected[np.isnan(values[:, f])] = Role.MISSING
        assert cells[f].tolist() == expected.tolist()


@pytest.mark.parametrize("times", [0, 1, 375, 376, 1_024, 1_025, 2_048, 2_049, 5_000])
def test_a_block_border_changes_nothing(times):
    layout = Layout((SignalBins("x", "numeric", edges=(0.0, 1.0)),))
    values = np.tile([-1.0, 0.5, 2.0, math.nan], times)[:, None]
    assert Binning.of(layout, {}).cells_of(values)[0].tolist() == [3, 4, 5, 0] * times


def test_categories_meet_their_own_cell_other_unseen_and_out_of_range():
    signal = SignalBins("c", "categorical", categories=("b", "a"), tail=("rare",))
    declared = SignalBins("d", "categorical", categories=("x",), declared=("x", "y"))
    layout = Layout((signal, declared))
    words = vocabulary([layout])
    assert words == {"c": ("a", "b", "rare"), "d": ("x", "y")}
    codes = np.array([[0, 0], [1, 1], [2, UNSEEN], [UNSEEN, math.nan]])
    cells = Binning.of(layout, words).cells_of(codes)
    labels = [[s.labels()[cell] for cell in row] for s, row in zip(layout.signals, cells, strict=True)]
    assert labels == [["a", "b", "other", "unseen"], ["x", "unseen", "out of range", "missing"]]


def test_cells_outside_the_declared_range_have_that_role():
    signal = SignalBins("x", "numeric", edges=(0.0, 5.0, math.nextafter(10.0, math.inf)), range=(0.0, 10.0))
    cells = Binning.of(Layout((signal,)), {}).cells_of(np.array([[-0.1], [0.0], [5.0], [10.0], [10.1]]))[0]
    roles = [signal.roles[cell] for cell in cells]
    assert roles == [Role.OUT_OF_RANGE, Role.VALUE, Role.VALUE, Role.VALUE, Role.OUT_OF_RANGE]


@pytest.mark.parametrize("edges", [(1.0, 1.0), (2.0, 1.0), (math.nan,), (math.inf,)])
def test_edges_that_do_not_increase_are_refused(edges):
    with pytest.raises(ValueError, match="expected finite, increasing edges"):
        SignalBins("x", "numeric", edges=edges)


def test_too_many_edges_are_refused():
    with pytest.raises(ValueError, match="expected at most 250 edges, got 251"):
        SignalBins("x", "numeric", edges=tuple(float(i) for i in range(251)))


@given(st.lists(finite, unique=True, min_size=1, max_size=20).map(sorted))
def test_each_cell_has_a_label_and_a_role(edges):
    signal = SignalBins("x", "numeric", edges=tuple(edges))
    assert len(signal.labels()) == len(signal.roles) == signal.cells == len(edges) + 1 + FAULT_CELLS


def test_a_category_is_labelled_without_what_a_terminal_would_act_on():
    assert SignalBins("c", "categorical", categories=("", "a\x1b[2J", "ü")).labels()[3:6] == ["(empty)", "a?[2J", "ü"]


def test_the_cell_of_a_single_value_is_labelled_with_that_value():
    labels = SignalBins("x", "numeric", edges=(5.0, 100.0, math.nextafter(100.0, math.inf), 250.0)).labels()
    assert labels[FAULT_CELLS:] == ["below 5", "5 to 100", "100", "100 to 250", "250 and above"]


def test_a_code_of_another_vocabulary_is_refused():
    layout = Layout((SignalBins("c", "categorical", categories=("a", "b")), SignalBins("d", "categorical", categories=("x",))))
    binning = Binning.of(layout, vocabulary([layout]))
    with pytest.raises(IndexError, match="expected codes of the vocabulary"):
        binning.cells_of(np.array([[2.0, 0.0]]))


@given(st.integers(1, 40), st.booleans())
def test_cells_do_not_depend_on_how_values_stand_in_memory(rows, by_signal):
    words = {"c": ("a", "b"), "d": ("x", "y", "z")}
    layout = Layout(
        (
            SignalBins("n", "numeric", edges=(0.0, 1.0)),
            SignalBins("c", "categorical", categories=("b",), tail=("a",)),
            SignalBins("m", "numeric"),
            SignalBins("d", "categorical", categories=("z", "x")),
        )
    )
    random = np.random.default_rng(rows)
    values = np.column_stack(
        [random.normal(size=rows), random.integers(-1, 2, rows), random.normal(size=rows), random.integers(-1, 3, rows)]
    )
    values[random.random(values.shape) < 0.2] = math.nan
    given_as = np.asfortranarray(np.vstack([values, values]))[:rows] if by_signal else values
    expected = [
        [Role.MISSING if math.isnan(x) else FAULT_CELLS + int(x >= 0) + int(x >= 1) for x in values[:, 0]],
        [Role.MISSING if math.isnan(x) else layout.signals[1].cells_of_categories([None, "a", "b"])[int(x) + 1] for x in values[:, 1]],
        [Role.MISSING if math.isnan(x) else FAULT_CELLS for x in values[:, 2]],
        [Role.MISSING if math.isnan(x) else layout.signals[3].cells_of_categories([None, "x", "y", "z"])[int(x) + 1] for x in values[:, 3]],
    ]
    assert Binning.of(layout, words).cells_of(given_as).tolist() == expected
