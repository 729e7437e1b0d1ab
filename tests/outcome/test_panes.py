"""Panes of sparse counts: their window is their sum, however and whenever things were added."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.outcome.panes import OutcomePanes
from monitor.outcome.sparse import SparseCounts, add, sparse

Addition = tuple[int, int, int]


def added(panes: OutcomePanes, additions: list[Addition]) -> None:
    pane, codes, weights = (np.array(column, np.int64) for column in zip(*additions, strict=True))
    panes.add(pane, codes, weights)


def summed(additions: list[Addition], first: int, end: int) -> SparseCounts:
    return add([sparse(np.array([code]), np.array([weight])) for pane, code, weight in additions if first <= pane < end])


addition = st.tuples(st.integers(0, 30), st.integers(0, 6), st.integers(-2, 3))
step = st.one_of(st.lists(addition, min_size=1, max_size=6), st.integers(0, 34), st.none())


@given(st.lists(step, max_size=25))
def test_totals_equal_sums_over_all_that_was_added_while_its_pane_was_kept(steps: list[list[Addition] | int | None]) -> None:
    panes, kept = OutcomePanes(4, 8), list[Addition]()
    for each in steps:
        if isinstance(each, list):
            added(panes, each)
            kept += [a for a in each if a[0] >= panes.end_pane - 8]
        elif isinstance(each, int):
            panes.move_to(each)
        else:
            panes.total(), panes.before()  # asking changes nothing
    assert panes.total() == summed(kept, panes.end_pane - 4, panes.end_pane)
    assert panes.before() == summed(kept, panes.end_pane - 8, panes.end_pane - 4)


def test_what_comes_for_a_pane_that_is_gone_is_counted() -> None:
    panes = OutcomePanes(2, 4)
    panes.move_to(10)
    added(panes, [(5, 1, 3), (6, 1, 1), (5, 2, -1)])
    assert panes.too_old == 4
    assert list(panes.settle()) == [6]


def test_bytes_of_a_pane_are_made_once_until_it_changes() -> None:
    panes = OutcomePanes(2, 2)
    added(panes, [(1, 1, 1)])
    first = panes.packed()[1]
    assert panes.packed()[1] == (first[0], 2)
    added(panes, [(1, 1, 1)])
    assert panes.packed()[1][1] == 1
