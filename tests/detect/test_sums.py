"""However evidence is added up, it is what leaf by leaf, one after the other, gives."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest

from benchmarks import workload
from monitor.config.detection import Detection
from monitor.detect.bank import _streams, bank_of
from monitor.detect.history import History
from monitor.detect.watch import Watch
from tests.detect.make import PLAIN, reference


@cache
def watch() -> Watch:
    """Of 9 leaves, those of two columns; countries, devices and the whole traffic are sums."""
    return Watch.of(workload.day_reference(9, 20_000), Detection())


@pytest.mark.parametrize("active", [[0, 1, 2, 5, 6, 8], [3], [0, 2, 4, 6, 8], list(range(9))])
def test_leaves_without_rows_change_nothing_about_the_others(active):
    bank = watch().bank
    assert len(bank.leaves.leaves) == 9
    counts = np.random.default_rng(1).poisson(0.4, (9, bank.reference.layout.cells))
    chosen = np.array(active)
    for group in bank.groups:
        assert group.per_leaf
        for place, leaf in enumerate(active):
            alone = group.increments(np.array([leaf]), [(7, counts[[leaf]])])
            together = group.increments(chosen, [(7, counts[chosen])])
            # Products, whose last bit depends on how the linear algebra adds.
            np.testing.assert_allclose(together[0][place], alone[0][0], rtol=1e-5, atol=1e-5)
            assert together[1][place].tobytes() == alone[1][0].tobytes()


def test_a_sum_is_added_in_the_order_of_its_leaves():
    by_leaf = np.random.default_rng(2).normal(size=(40, 30)).astype(np.float32)
    members = [np.arange(40), np.array([1, 3, 39]), np.array([7])]
    found = _streams(by_leaf, np.array([5, 0]), list(enumerate(members)))
    assert found[:2].tobytes() == by_leaf[[5, 0]].tobytes()
    for place, leaves in enumerate(members):
        expected = np.zeros(30, np.float32)
        for leaf in leaves:
            expected += by_leaf[leaf]
        assert found[2 + place].tobytes() == expected.tobytes()


def test_streams_taken_some_at_a_time_are_as_all_at_once(monkeypatch):
    """Two panes of one block and one of the next, to the bit: the bound on a block's evidence is no other, whoever comes first."""
    of = reference(PLAIN, session=8.0)

    def evidence(at_once):
        monkeypatch.setattr("monitor.detect.group._STREAMS_AT_ONCE", at_once)
        bank, rng, said = bank_of(of, Detection(), 20.0), np.random.default_rng(5), []
        for end_ms in (60_000, 120_000, 90_000_000):
            counts = rng.poisson(3.0, (len(bank.leaves.leaves), of.layout.cells))
            said += [m.tobytes() for _, _, m in bank.update(end_ms, [(0, counts)])]
        assert any(len(group.bounded) for group in bank.groups)
        return [*said, *(group.evidence.tobytes() + group.spent.tobytes() for group in bank.groups)]

    together = evidence(1_000)
    for at_once in (1, 2, 3):
        assert evidence(at_once) == together


def test_rows_of_streams_are_those_of_their_leaves():
    leaves = watch().bank.leaves
    rows = np.random.default_rng(3).integers(0, 2**40, len(leaves.leaves))
    assert leaves.summed(rows).tolist() == [sum(int(rows[leaf]) for leaf in members) for members in leaves.members]
    assert leaves.summed(rows)[0] == rows.sum(), "ALL is every row"


@pytest.mark.parametrize(
    ("pane_ms", "starts"), [(10_000, [0, 60_000]), (60_000, [0, 60_000, 120_000]), (3_600_000, [0, 3_600_000, 7_200_000])]
)
def test_a_block_begins_where_the_first_of_its_panes_does(pane_ms: int, starts: list[int]) -> None:
    """An alarm takes the start of a drift from it, and a slow model's panes are an hour long."""
    history = History(3, 5)
    for pane in range(3 if pane_ms >= 60_000 else 9):
        history.add(pane * pane_ms, (pane + 1) * pane_ms, [(0, np.ones((3, 5), np.int64))])
    assert [block.start_ms for block in history.blocks] == starts


def test_a_block_of_the_past_is_the_sum_of_its_panes():
    random, history, expected = np.random.default_rng(4), History(3, 5), Counter[tuple[int, int]]()
    for pane in range(6):  # ten seconds each, so all in one block
        parts = [(quarter, random.poisson(0.5, (3, 5))) for quarter in (pane // 3, 4)]
        history.add(pane * 10_000, (pane + 1) * 10_000, parts)
        for quarter, counts in parts:
            expected.update({(quarter, place): int(n) for place, n in enumerate(counts.ravel()) if n})
    history.add(60_000, 70_000, [(1, np.zeros((3, 5), np.int64))])
    found = Counter[tuple[int, int]]()
    for block, (leaf, quarter, cell, counts) in history.of(np.arange(3), 0, 5):
        assert (np.diff(block.codes) > 0).all(), "each once, in order"
        found.update({(q, x * 5 + c): n for x, q, c, n in zip(*(a.tolist() for a in (leaf, quarter, cell, counts)), strict=True)})
    assert found == expected
