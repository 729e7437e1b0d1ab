"""Block moments equal sums over blocks counted by hand, whatever the batch cuts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from monitor.profile.layout import Layout, SignalBins
from monitor.reference import blocks
from monitor.reference.blocks import LENGTHS_MS, BlockSums
from monitor.reference.reference import BlockMoments

LAYOUT = Layout((SignalBins("a", "numeric", edges=(0.0, 1.0)), SignalBins("b", "categorical", categories=("x",))))
MINUTE = 60_000


def run(times: np.ndarray, segments: np.ndarray, cells: np.ndarray, cuts: int = 1, lateness_ms: int = 600_000) -> BlockMoments | None:
    sums = BlockSums(LAYOUT, np.bincount(segments, minlength=3).tolist(), int(times.min()), int(times.max()), lateness_ms)
    for part in np.array_split(np.arange(len(times)), cuts):
        sums.add(times[part], segments[part], cells[:, part])
    return sums.moments()


def random_rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    times = np.sort(random.integers(0, 3 * 86_400_000, n)) + 7 * 86_400_000
    cells = np.stack([random.integers(0, signal.cells, n) for signal in LAYOUT.signals]).astype(np.uint8)
    return times, random.integers(0, 3, n), cells


def by_hand(
    times: np.ndarray, groups: np.ndarray, cells: np.ndarray, length: int, signal: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums over complete blocks of each group, one block after the other."""
    size = LAYOUT.signals[signal].cells
    nn, n_total, totals = np.zeros((size, size)), np.zeros(size), np.zeros(3)
    for block, group in sorted(set(zip((times // length).tolist(), groups.tolist(), strict=True))):
        if block * length < times.min() or (block + 1) * length > times.max() + 1:
            continue
        held = cells[signal, (times // length == block) & (groups == group)]
        n = np.bincount(held, minlength=size)
        nn += np.outer(n, n)
        n_total += n.sum() * n
        totals += (1, n.sum(), n.sum() ** 2)
    return nn, n_total, totals


@pytest.mark.parametrize("level", range(len(LENGTHS_MS)))
def test_moments_equal_sums_over_blocks_counted_one_by_one(level: int) -> None:
    times, segments, cells = random_rows(3_000, seed=level)
    found = run(times, segments, cells, cuts=7)
    assert found is not None
    for signal in range(2):
        nn, n_total, totals = by_hand(times, np.zeros_like(segments), cells, LENGTHS_MS[level], signal)
        assert totals[0] > 0
        assert np.array_equal(found.across[level][signal], nn)
        assert np.array_equal(found.across_n_total[level][signal], n_total)
        assert np.array_equal(found.across_totals[level], totals)
        nn, n_total, totals = by_hand(times, segments, cells, LENGTHS_MS[level], signal)
        assert np.array_equal(found.within[level][signal], nn)
        assert np.array_equal(found.within_n_total[level][signal], n_total)
        assert np.array_equal(found.within_totals[level], totals)


def test_of_many_blocks_a_fixed_and_even_sample_is_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    times, segments, cells = random_rows(30_000, seed=5)
    whole = run(times, segments, cells)
    monkeypatch.setattr(blocks, "MAX_BLOCKS", 500)
    some, again = run(times, segments, cells), run(times, segments, cells, cuts=9)
    assert whole is not None and some is not None and again is not None
    # Over 800 blocks of five minutes across, over 2,400 within three segments.
    assert whole.across_totals[0, 0] > 800 and whole.within_totals[0, 0] > 2_400
    assert 400 < some.across_totals[0, 0] < 600 and 400 < some.within_totals[0, 0] < 600
    assert np.array_equal(some.across_totals[1:], np.where(whole.across_totals[1:, :1] <= 500, whole.across_totals[1:], 0))
    assert np.array_equal(some.within_totals, again.within_totals)
    rate = some.within_totals[0, 0] / whole.within_totals[0, 0]
    assert np.allclose(some.within[0][0] / rate, whole.within[0][0], rtol=0.25)


def test_the_hash_spreads_numbers_evenly() -> None:
    share = np.histogram(blocks.hashed(np.arange(100_000)), bins=20, range=(0, 1))[0]
    assert share.sum() == 100_000
    assert stats.chisquare(share).pvalue > 1e-4


def test_independent_rows_vary_from_block_to_block_as_much_as_a_multinomial() -> None:
    """The use of the moments: variance of a cell's block counts given the blocks' totals, over n p (1 - p)."""
    times, segments, cells = random_rows(40_000, seed=3)
    found = run(times, segments, cells)
    assert found is not None
    share = 1 / LAYOUT.signals[0].cells
    _, rows, squares = found.across_totals[2]
    variance = found.across[2][0][0, 0] - 2 * share * found.across_n_total[2][0][0] + share**2 * squares
    assert 0.6 < variance / (rows * share * (1 - share)) < 1.5


def test_rows_in_bursts_vary_more() -> None:
    times, segments, cells = random_rows(40_000, seed=4)
    cells[0] = (times // 3_600_000) % 3  # one value an hour
    found = run(times, segments, cells)
    assert found is not None
    share = np.mean(cells[0] == 0)
    _, rows, squares = found.across_totals[2]
    variance = found.across[2][0][0, 0] - 2 * share * found.across_n_total[2][0][0] + share**2 * squares
    assert variance / (rows * share * (1 - share)) > 100


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 1_000))
def test_batch_cuts_change_nothing(cuts: int, seed: int) -> None:
    times, segments, cells = random_rows(60, seed)
    whole, parts = run(times, segments, cells), run(times, segments, cells, cuts)
    assert whole is not None and parts is not None
    for level in range(len(LENGTHS_MS)):
        assert np.array_equal(whole.across_totals[level], parts.across_totals[level])
        for signal in range(2):
            assert np.array_equal(whole.within[level][signal], parts.within[level][signal])


def test_rows_out_of_order_by_less_than_the_lateness_count_in_their_blocks() -> None:
    times, segments, cells = random_rows(2_000, seed=9)
    order = np.argsort(times + np.random.default_rng(1).integers(0, 5 * MINUTE, 2_000), kind="stable")
    sorted_, shuffled = run(times, segments, cells), run(times[order], segments[order], cells[:, order], cuts=5)
    assert sorted_ is not None and shuffled is not None
    assert not np.array_equal(times, times[order])
    assert np.array_equal(sorted_.within_totals, shuffled.within_totals)


def test_data_that_is_not_in_order_has_no_block_moments() -> None:
    times, segments, cells = random_rows(200, seed=2)
    assert run(times[::-1].copy(), segments, cells) is None
    late = np.concatenate([times, [times[-1] - 11 * MINUTE]])
    assert run(late, np.append(segments, 0), np.column_stack([cells, cells[:, 0]])) is None
