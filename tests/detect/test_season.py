"""Cycles and clustering: found where they are, not where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.detect.clustering import measured
from monitor.detect.season import QUARTERS, corrected, cycle_of, has_cycle, quarter_of
from monitor.profile.layout import FAULT_CELLS, Layout, SignalBins
from monitor.reference.blocks import BlockSums

RATIOS = np.array([[-0.3, -0.1, 0.1, 0.3], [0.0, 0.0, 0.0, 0.5]])
SHARES = np.array([[0.1, 0.4, 0.4, 0.1], [0.2, 0.3, 0.3, 0.2]])
ANGLES = 2 * np.pi * (np.arange(24) + 0.5) / 24


def slots(amplitude: float, rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Counts [2, 24, 4] whose first cells grow and shrink over the day, and their true shares."""
    tilt = amplitude * np.sin(ANGLES)[:, None] * np.array([1, 0.5, -0.5, -1])
    p = SHARES[:, None, :] * np.exp(tilt)
    p /= p.sum(axis=2, keepdims=True)
    return np.random.default_rng(seed).multinomial(rows, p).astype(float), p


def test_a_cycle_is_found_and_chance_is_not() -> None:
    found, _ = slots(0.4, 500)
    flat = [slots(0.0, 500, seed)[0] for seed in range(30)]

    def judged(counts: np.ndarray) -> bool:
        own = counts.sum(axis=1)
        return has_cycle(counts, own / own.sum(axis=1, keepdims=True), RATIOS)

    assert judged(found)
    assert not any(judged(counts) for counts in flat)


@pytest.mark.parametrize("ordered", [False, True])
def test_the_cycle_has_the_reference_as_its_mean_and_the_truth_at_each_hour(ordered: bool) -> None:
    counts, truth = slots(0.5, 4_000)
    own = counts.sum(axis=1)
    cycle = cycle_of(counts, own, ordered)
    assert np.allclose(cycle.mean(), own / own.sum(axis=1, keepdims=True), atol=1e-4)
    assert np.abs(cycle.shares - truth).max() < 0.03


def test_offsets_follow_the_truth_and_average_to_nothing() -> None:
    counts, truth = slots(0.5, 4_000)
    e = np.exp(RATIOS)[None].transpose(0, 2, 1)
    cycle = corrected(cycle_of(counts, counts.sum(axis=1), True), counts, np.arange(2), e)
    usual = (cycle.mean()[:, None, :] @ e)[:, 0]
    for hour in range(24):
        here = np.mean([cycle.offsets(hour * QUARTERS + part, e, cycle.usual(e)) for part in range(QUARTERS)], axis=0)
        assert np.allclose(here, np.log((truth[:, hour][:, None, :] @ e)[:, 0] / usual), atol=0.02)


def test_an_hour_that_the_reference_hardly_has_meets_the_worst_of_the_others() -> None:
    counts, _ = slots(0.5, 4_000)
    counts[:, 3] = 0
    e = np.exp(RATIOS)[None].transpose(0, 2, 1)
    cycle = cycle_of(counts, counts.sum(axis=1), True)
    every = np.max([cycle.offsets(hour * QUARTERS, e, cycle.usual(e)) for hour in range(24) if hour != 3], axis=0)
    assert np.allclose(cycle.offsets(3 * QUARTERS, e, cycle.usual(e)), every, atol=0.02)


@pytest.mark.parametrize("harmonics", [False, True])
def test_all_quarters_at_once_are_each_by_itself(harmonics: bool) -> None:
    counts, _ = slots(0.5, 4_000)
    counts[:, 3] = 0
    e = np.exp(RATIOS)[None].transpose(0, 2, 1)
    cycle = cycle_of(counts, counts.sum(axis=1), True)
    if harmonics:
        cycle = corrected(cycle, counts, np.arange(2), e)
    for direction in range(e.shape[2]):
        own, one = e[:, :, direction : direction + 1], cycle.direction(direction)
        each = [one.offsets(quarter, own, one.usual(own))[:, 0] for quarter in range(24 * QUARTERS)]
        assert np.allclose(one.every_offset(own), each, atol=1e-12)


def test_a_segment_with_a_cycle_of_its_own_keeps_it() -> None:
    counts, _ = slots(0.5, 4_000)
    counts[1] = counts[1][::-1]  # the other way round
    cycle = cycle_of(counts, counts.sum(axis=1), False)
    assert np.abs(cycle.shares[1] - counts[1] / counts[1].sum(axis=1, keepdims=True)).max() < 0.02


def test_quarters_count_from_monday_or_from_midnight() -> None:
    quarter = 900_000
    assert quarter_of(np.array([0, quarter, 23 * 4 * quarter]), 24).tolist() == [0, 1, 92]
    assert quarter_of(np.array([4 * 86_400_000]), 168).tolist() == [0]
    assert quarter_of(np.array([123_456_789]), 1).tolist() == [0]


LAYOUT = Layout((SignalBins("a", "numeric", edges=(0.0, 1.0, 2.0)),))


def phi_of(times: np.ndarray, values: np.ndarray, cycle: bool = False) -> np.ndarray:
    cells = (FAULT_CELLS + values)[None].astype(np.uint8)
    sums = BlockSums(LAYOUT, [len(times)], int(times.min()), int(times.max()), 0)
    sums.add(times, np.zeros(len(times), np.intp), cells)
    moments = sums.moments()
    assert moments is not None and moments.within_pairs is not None and moments.within_pair_totals is not None
    p = np.bincount(values, minlength=4) / len(values)
    centred = RATIOS - (RATIOS @ p)[:, None]
    variance = centred**2 @ p
    tails = centred**4 @ p / variance**2
    products = [signals[0][FAULT_CELLS:, FAULT_CELLS:] for signals in moments.within_pairs]
    return measured(products, moments.within_pair_totals, moments.lengths_ms, centred, variance, tails, cycle).phi


def test_independent_rows_are_not_clustered() -> None:
    random = np.random.default_rng(1)
    times = np.sort(random.integers(0, 4 * 86_400_000, 60_000))
    assert (phi_of(times, random.choice(4, 60_000, p=SHARES[0])) < 1.3).all()


def test_sessions_of_eight_alike_rows_count_for_an_eighth() -> None:
    random = np.random.default_rng(2)
    start = np.sort(random.integers(0, 4 * 86_400_000, 8_000))
    values = random.choice(4, 8_000, p=SHARES[0])
    times = np.sort((start[:, None] + np.arange(8) * 1_000).ravel())
    phi = phi_of(times, np.repeat(values, 8))
    assert (phi > 6.5).all() and (phi < 13).all()  # the largest of five lengths, each right to a few parts in ten


def test_neither_a_daily_cycle_nor_a_slow_change_is_clustering() -> None:
    random = np.random.default_rng(3)
    times = np.sort(random.integers(0, 4 * 86_400_000, 60_000))
    up = 0.3 * np.sin(2 * np.pi * times / 86_400_000)
    values = (random.random(60_000) < 0.5 + up).astype(int) * 2 + random.integers(0, 2, 60_000)
    assert (phi_of(times, values, cycle=True) < 1.3).all()
