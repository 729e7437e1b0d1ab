"""Means and deviations equal numpy's, whatever the order and however far out a stray value lies."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.profile.bins import Binning
from monitor.profile.layout import FAULT_CELLS, Layout, SignalBins
from monitor.reference.moments import CellSums, Moments


def moments(values: np.ndarray, layout: Layout, cuts: int = 1) -> tuple[Moments, np.ndarray, np.ndarray]:
    binning = Binning.of(layout, {})
    cells = binning.cells_of(values)
    flat = cells + layout.offsets[:-1, None]
    counts = np.bincount(flat.ravel(), minlength=layout.cells)
    extents = [(np.nanmin(column), np.nanmax(column)) for column in values.T]
    sums = CellSums(layout, extents, len(values))
    for part in np.array_split(np.arange(len(values)), cuts):
        sums.add(cells[:, part], values[part])
    return sums.moments(counts), counts, cells


def test_means_and_deviations_equal_those_of_numpy() -> None:
    random = np.random.default_rng(1)
    values = np.column_stack([random.normal(1e6, 3, 5_000), random.lognormal(0, 2, 5_000)])
    values[random.random(5_000) < 0.2, 0] = np.nan
    layout = Layout(
        (
            SignalBins("a", "numeric", edges=tuple(np.quantile(values[:, 0][~np.isnan(values[:, 0])], [0.1, 0.5, 0.9]))),
            SignalBins("b", "numeric", edges=(0.5, 1.0, 4.0)),
        )
    )
    found, _, cells = moments(values, layout)
    assert np.allclose(found.means, np.nanmean(values, axis=0), rtol=1e-12)
    assert np.allclose(found.stds, np.nanstd(values, axis=0), rtol=1e-9)
    for signal in range(2):
        for cell in range(FAULT_CELLS, layout.signals[signal].cells):
            held = values[cells[signal] == cell, signal]
            assert np.isclose(found.bin_means[layout.offsets[signal] + cell], held.mean(), rtol=1e-10)
    assert np.isnan(found.bin_means[:FAULT_CELLS]).all()


def test_one_stray_value_costs_the_others_no_precision() -> None:
    values = np.array([[0.1], [0.2], [0.3], [1e300]])
    found, _, _ = moments(values, Layout((SignalBins("a", "numeric", edges=(0.1, 0.5)),)))
    assert np.isclose(found.bin_means[FAULT_CELLS + 1], 0.2, rtol=1e-12)
    assert found.bin_means[FAULT_CELLS + 2] == 1e300
    assert np.isclose(found.stds[0], 1e300 * np.sqrt(3 / 16))


def test_a_cell_of_one_value_has_exactly_that_mean() -> None:
    value = 0.1
    layout = Layout((SignalBins("a", "numeric", edges=(value, np.nextafter(value, 1.0))),))
    found, _, _ = moments(np.full((7, 1), value), layout)
    assert found.bin_means[FAULT_CELLS + 1] == value
    assert found.means[0] == value and found.stds[0] == 0.0


def test_values_outside_the_declared_range_take_no_part_in_the_mean_of_a_signal() -> None:
    layout = Layout((SignalBins("a", "numeric", edges=(0.0, 5.0, np.nextafter(10.0, 11.0)), range=(0.0, 10.0)),))
    found, _, _ = moments(np.array([[1.0], [9.0], [-999.0], [-999.0]]), layout)
    assert np.isclose(found.means[0], 5.0) and np.isclose(found.stds[0], 4.0)
    assert np.isclose(found.bin_means[FAULT_CELLS], -999.0)


@settings(max_examples=50)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60), st.integers(1, 5), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_batch_cuts_change_a_bit(numbers: list[float], cuts: int, random: object) -> None:
    layout = Layout((SignalBins("a", "numeric", edges=(-5.0, 0.0, 1e-3, 7.0)),))
    shuffled = list(numbers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, _, _ = moments(np.array(numbers)[:, None], layout)
    second, _, _ = moments(np.array(shuffled)[:, None], layout, cuts)
    assert np.array_equal(first.bin_means, second.bin_means, equal_nan=True)
    assert np.array_equal(first.stds, second.stds, equal_nan=True)
