"""Revisions by pane: sums and newest times over any cut, and back from their bytes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.outcome.restated import RestatedPanes, by_segment, pack_restated, unpack_restated

REVISED = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(1, 10**13)), max_size=30)
PLACES = [np.array([0, 0, 0, 0, 0]), np.array([1, 1, 2, 2, 1])]


def panes_of(revised, window=10, end_pane=10):
    panes = RestatedPanes(window)
    for pane, combination, at_ms in revised:
        panes.add(np.array([pane]), np.array([combination]), at_ms)
    panes.move_to(end_pane)
    return panes


@given(REVISED, st.randoms())
def test_segments_are_sums_and_newest_times_however_ordered(revised, random):
    shuffled = random.sample(revised, len(revised))
    revision, last_ms = by_segment(panes_of(shuffled).total(), 3, PLACES)
    segments = [[0, 1 + (combination in (2, 3))] for _, combination, _ in revised]
    expected = Counter(segment for both in segments for segment in both)
    assert revision.tolist() == [expected[segment] for segment in range(3)]
    newest = [max((ms for both, (_, _, ms) in zip(segments, revised, strict=True) if g in both), default=0) for g in range(3)]
    assert last_ms.tolist() == newest


@given(REVISED, st.integers(0, 14), st.integers(1, 12))
def test_a_window_is_its_panes(revised, end_pane, window):
    inside = [each for each in revised if end_pane - window <= each[0] < end_pane]
    assert panes_of(revised, window, end_pane).total().revision.sum() == len(inside)


@given(REVISED)
def test_bytes_come_back(revised):
    before, after = panes_of(revised, 4, 8), RestatedPanes(4)
    unpack_restated(pack_restated({"prediction": before}), {"prediction": after})
    assert after.end_pane == before.end_pane
    assert after.panes.keys() == before.panes.keys()
    for number, pane in before.panes.items():
        for name in ("combination", "revision", "last_ms"):
            np.testing.assert_array_equal(getattr(after.panes[number], name), getattr(pane, name))


def test_other_bytes_are_refused():
    with pytest.raises(ValueError, match="expected packed revisions, got 5 bytes"):
        unpack_restated(b"wrong", {})
