"""Predictions that no label comes after: their number stays bounded, their sum and their order of time do not change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.detect import watch
from monitor.detect.outcomes import FINE_MS, WIDENING, joined
from tests.detect.make import PLAIN, detector


@given(st.dictionaries(st.integers(0, 5_000), st.integers(1, 9), min_size=1, max_size=60))
def test_neighbours_become_one_where_that_is_narrow_for_their_age(counts: dict[int, int]) -> None:
    waiting = {fine: np.array([float(n), 2.0 * n]) for fine, n in counts.items()}
    found = joined(waiting)
    starts, newest = sorted(found), max(waiting)
    assert set(starts) <= set(waiting)
    assert sum(found.values(), np.zeros(2)).tolist() == [sum(counts.values()), 2 * sum(counts.values())]
    for start, end in zip(starts, [*starts[1:], newest + 1], strict=True):
        held = [fine for fine in waiting if start <= fine < end]
        assert found[start][0] == sum(counts[fine] for fine in held), "those from its start to the next one's"
        assert len(held) == 1 or max(held) + 1 - start <= (newest - max(held)) / WIDENING


def test_predictions_without_labels_stay_within_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MAX_WAITING", 50)
    found = detector(PLAIN, sooner=1.0).watch
    assert found.outcomes
    counts = np.zeros((len(found.bank.leaves.leaves), found.bank.reference.layout.cells), np.int64)
    for signal in range(len(found.bank.reference.layout.signals)):
        counts[:, found.bank.reference.layout.span(signal).start + 3] = 1
    for pane in range(400):
        found.counted(pane * FINE_MS, (pane + 1) * FINE_MS, [(0, counts)])
        assert len(found.waiting) <= 50
    assert sum(rows[0] for rows in found.waiting.values()) == 400 * len(counts)
