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


def test_labels_of_few_leaves_take_the_work_of_few_and_count_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = detector(PLAIN, sooner=1.0).watch.outcomes[0]
    leaves, slots = outcome.expected.shape
    leaf = int(np.flatnonzero(outcome.judged)[1])
    n, yes = np.zeros((2, leaves, slots)), np.zeros((2, leaves, slots))
    n[:, leaf, :3], yes[1, leaf, 2] = [[4, 0, 1], [2, 5, 3]], 2
    step = yes[:, leaf].sum(axis=1)[:, None] * outcome.ratios[1] + (n - yes)[:, leaf].sum(axis=1)[:, None] * outcome.ratios[0]
    step = step - n[:, leaf] @ outcome.psi[leaf]
    widest, einsum = [0], np.einsum

    def watched(subscripts: str, *arrays: np.ndarray) -> np.ndarray:
        widest[0] = max(widest[0], arrays[0].shape[1])
        return np.asarray(einsum(subscripts, *arrays))

    monkeypatch.setattr(np, "einsum", watched)
    outcome.update(np.array([7, 8]), n, yes, 8)
    assert leaves > 1
    assert widest == [1]
    stream = outcome.leaves.streams.index("ALL")
    expected = (step - n[:, leaf].sum(axis=1)[:, None] * outcome.sampling[stream]) / outcome.phi
    np.testing.assert_allclose(outcome.gained[:, stream], expected, rtol=1e-12)
    assert outcome.tally[:, stream, :2].tolist() == [[5, 0], [10, 2]]
