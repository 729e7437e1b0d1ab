"""Open panes count what a dictionary over single rows would, whenever rows are folded and however they came."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.profile import leaves as leaves_module
from monitor.profile.cells import Cells
from monitor.profile.count import count
from monitor.profile.grouping import plan
from monitor.profile.layout import Layout, SignalBins
from monitor.profile.leaves import Leaves
from monitor.profile.pane import OpenPane, _group_sums, close_panes
from monitor.segment import OTHER

LAYOUT = Layout((SignalBins("x", "numeric", edges=(0.0, 1.0)), SignalBins("c", "categorical", categories=("a",))))
BASES = plan(("k", "d", "z"), [("k",), ("k", "d"), ("z",)])
VALUES = ("a", "b", "c")

Row = tuple[int, int, int, int, int, int]  # pane, three segment values, cell of x, cell of c
rows_of_batches = st.lists(
    st.lists(
        st.tuples(*(st.integers(0, 2) for _ in range(4)), st.integers(0, LAYOUT.signals[0].cells - 1), st.integers(0, 3)),
        min_size=1,
        max_size=12,
    ),
    min_size=1,
    max_size=6,
)


def cells_of(rows: list[Row]) -> Cells:
    """Each row's cells, and a tail of the row's own size where x is in its first or last value cell."""
    x = np.array([row[4] for row in rows], np.uint8)
    outside = np.flatnonzero((x == 3) | (x == LAYOUT.signals[0].cells - 1))
    sides = (x[outside] != 3).astype(np.intp)
    cells = np.array([[row[4] for row in rows], [row[5] for row in rows]], np.uint8)
    return Cells(cells, np.zeros(len(outside), np.intp), outside, sides, 1 + x[outside].astype(np.int64) * 7)


def played(batches: list[list[Row]], most: int, folds: set[int]) -> tuple[tuple[Leaves, ...], list[OpenPane]]:
    """Three panes after the batches; those before the batches in ``folds`` are folded, in each third also the leaves are forgotten."""
    known = tuple(map(Leaves, BASES))
    panes = [OpenPane(LAYOUT, known, most) for _ in range(3)]
    for number, rows in enumerate(batches):
        if number in folds:
            for pane in panes:
                pane.fold()
            if number % 3 == 0:
                for leaves in known:
                    leaves.clear()
        segments = np.array([row[1:4] for row in rows], np.int32)
        # The names of a batch have an order of their own.
        names = [VALUES[number % 3 :] + VALUES[: number % 3]] * 3
        shifted = (segments - number) % 3
        numbers = [leaves.numbers(shifted.astype(np.int32), names) for leaves in known]
        present = sorted({row[0] for row in rows})
        count(cells_of(rows), numbers, np.array([present.index(row[0]) for row in rows]), [panes[pane] for pane in present])
    return known, panes


def expected(batches: list[list[Row]], most: int) -> tuple[Counter[tuple[str, int]], Counter[tuple[str, int]], int]:
    """Counts by (segment, cell), tails by (segment, side), and rows folded, row by row."""
    entered: dict[tuple[int, int], set[tuple[str, ...]]] = {}
    counts, tails, folded = Counter(), Counter(), 0
    for rows in batches:
        for row in rows:
            for index, base in enumerate(BASES):
                leaf = tuple(VALUES[row[1 + place]] for place in base.places)
                known = entered.setdefault((row[0], index), set())
                if leaf not in known and len(known) >= most:
                    leaf, folded = (OTHER,) * len(leaf), folded + 1
                known.add(leaf)
                for grouping in base.groupings:
                    segment = grouping.key(leaf)
                    counts[segment, row[4]] += 1
                    counts[segment, int(LAYOUT.offsets[1]) + row[5]] += 1
                    if row[4] in (3, LAYOUT.signals[0].cells - 1):
                        tails[segment, int(row[4] != 3)] += 1 + row[4] * 7
    return counts, tails, folded


@settings(max_examples=400, deadline=None)
@given(rows_of_batches, st.sampled_from([2, 3, 100]), st.sets(st.integers(0, 5)))
@example([[(0, 0, 0, 0, 0, 0)], [(1, 0, 0, 0, 0, 0), (1, 1, 0, 0, 0, 0)], [(0, 0, 0, 0, 0, 0)], [(1, 0, 1, 0, 0, 0)]], 2, {3})
def test_a_closed_pane_holds_what_its_rows_say(batches, most, folds):
    known, panes = played(batches, most, folds)
    table = close_panes(LAYOUT, known, panes)
    counts, tails, folded = expected(batches, most)
    assert list(table.segments) == sorted({segment for segment, _ in counts})
    got = {(s, cell): n for s, row in zip(table.segments, table.counts.tolist(), strict=True) for cell, n in enumerate(row) if n}
    assert got == counts
    got_tails = {(s, side): n for s, row in zip(table.segments, table.tails[:, 0].tolist(), strict=True) for side, n in enumerate(row) if n}
    assert got_tails == tails
    assert not table.tails[:, 1].any()
    assert sum(pane.rows for pane in panes) == sum(map(len, batches))
    assert sum(pane.folded for pane in panes) == folded


@given(rows_of_batches, st.sampled_from([2, 100]), st.sets(st.integers(0, 5)))
def test_folding_early_or_late_leaves_the_same_counts(batches, most, folds):
    found = []
    for when in (folds, set()):
        _, panes = played(batches, most, when)
        found.append([sorted((leaf, c.tolist(), t.tolist()) for leaf, c, t in pane.counted()) for pane in panes])
        assert all(not pane.waiting for pane in panes)
    assert found[0] == found[1]


@pytest.mark.parametrize("table", [1 << 20, 8, 0])
@given(
    st.lists(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("uvwxyz"), st.just("-")), min_size=1, max_size=9), max_size=5)
)
def test_numbers_stand_for_values_and_last(table, batches):
    """Also where there are too many combinations for a table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaves_module, "_TABLE", table)
        known, seen = Leaves(BASES[0]), {}
        for rows in batches:
            names = [tuple(sorted(set(column))) for column in zip(*rows, strict=True)]
            segments = np.array([[names[c].index(value) for c, value in enumerate(row)] for row in rows], np.int32)
            for number, row in zip(known.numbers(segments, names).tolist(), rows, strict=True):
                assert known.values[number] == row[:2]
                assert seen.setdefault(row[:2], number) == number
        assert len(known) == len(seen)
        of_leaf, keys = known.segments([g.columns for g in known.base.groupings].index(("k",)))
        assert [keys[segment] for segment in of_leaf.tolist()] == [f"k={values[0]}" for values in known.values]


def test_rows_wait_no_longer_than_their_counts_would_take_memory():
    known = tuple(map(Leaves, BASES))
    pane, random = OpenPane(LAYOUT, known, 1_000), np.random.default_rng(0)
    most = 0
    for _ in range(40):
        rows = [tuple(map(int, row)) for row in random.integers(0, 3, (2_000, 6))]
        names = [VALUES] * 3
        numbers = [leaves.numbers(np.array([row[1:4] for row in rows], np.int32), names) for leaves in known]
        pane.add(cells_of(rows), numbers)
        most = max(most, pane.memory_bytes)
    assert pane.rows == 80_000
    assert most < 300_000
    for _ in range(200):  # many small pieces are no better than few large ones
        pane.add(cells_of(rows[:1]), [each[:1] for each in numbers])
        assert len(pane.waiting) <= 64


def test_memory_is_counted_with_the_room_that_is_kept_for_more_leaves():
    known = tuple(map(Leaves, BASES))
    pane = OpenPane(LAYOUT, known, 1_000)
    for leaf in range(33):
        pane.enter((0, (str(leaf), "")))
    assert len(pane.counts) > 33
    assert pane.memory_bytes == pane.counts.nbytes + pane.tails.nbytes


@pytest.mark.parametrize("shape", [(40, 3), (40, 300), (40, 5, 2), (40, 200, 2)])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_rows_of_a_group_are_added_whether_they_are_wide_or_narrow(shape, dtype):
    random = np.random.default_rng(5)
    rows = random.integers(-9, 9, shape).astype(dtype)
    for groups in (1, 7, 40):
        group = random.permutation(np.arange(40) % groups)
        sums = _group_sums(rows, group, groups)
        assert sums.dtype == dtype
        expected = [sum(rows[row].astype(int) for row in range(40) if group[row] == number) for number in range(groups)]
        assert sums.tolist() == np.array(expected).tolist()
