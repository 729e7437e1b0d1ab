"""Noise floors against exact distributions, and against simulation when nothing has changed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from monitor.config.evaluation import STATISTICS, Evaluation, Thresholds
from monitor.evaluate.noise import (
    cell_cumulants,
    cell_psi_means,
    divergence_floor,
    normal_quantile,
    pearson3_quantile,
    psi_bias,
    rarity,
    rate_floor,
    table_steps,
)
from monitor.profile.layout import Layout
from monitor.profile.table import CountTable
from monitor.reference.edges import QUANTILES
from tests.evaluate.make import categorical, judge, numeric, one_signal, quantile_edges, reference_of


@pytest.mark.parametrize(("freedom", "error"), [(1, 0.031), (2, 0.023), (5, 0.012), (10, 0.006), (30, 0.002)])
@pytest.mark.parametrize("quantile", [0.95, 0.99, 0.999])
def test_the_chi_square_quantile_is_as_exact_as_it_says(freedom: int, error: float, quantile: float) -> None:
    mean, variance, third = (np.array([float(freedom * cumulant)]) for cumulant in (1, 2, 8))
    found = pearson3_quantile(mean, variance, third, normal_quantile(quantile))[0]
    assert found == pytest.approx(stats.chi2.ppf(quantile, freedom), rel=error)


def places_of(p: NDArray[np.float64], n: float, m: float) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    effective = np.array([n * m / (n + m)])
    return effective, np.clip(rarity(p)[:, None] + table_steps(effective), 0, len(cell_cumulants()) - 1)


def bias_of(p: NDArray[np.float64], n: float, m: float) -> float:
    effective, places = places_of(p, n, m)
    return float(psi_bias(cell_psi_means()[places].sum(axis=0), effective)[0])


def test_with_many_values_in_each_cell_the_mean_of_psi_is_the_known_formula() -> None:
    assert bias_of(np.full(10, 0.1), 50_000, 200_000) == pytest.approx(9 * (1 / 50_000 + 1 / 200_000), rel=0.005)


@pytest.mark.parametrize(("n", "published"), [(200, 0.047), (1000, 0.010)])
def test_the_mean_of_psi_is_that_of_an_independent_simulation(n: int, published: float) -> None:
    """10 equal cells, a reference of 10,000; 20,000 draws of numpy's histogram and logarithm gave these."""
    assert bias_of(np.full(10, 0.1), n, 10_000) == pytest.approx(published, abs=0.0006)


def test_with_many_values_the_floors_are_chi_square() -> None:
    n, m = 1e6, 4e6
    effective, places = places_of(np.full(31, 1 / 31), n, m)
    top = divergence_floor(cell_cumulants()[places].sum(axis=0).T.reshape(3, 4, 1).astype(np.float64), effective, 0.999)
    chi_square = stats.chi2.ppf(0.999, 30) * (1 / n + 1 / m)
    np.testing.assert_allclose(top[:, 0], chi_square / np.array([1, 8, 8, 4]), rtol=0.005)


SHAPES = {
    "quantiles with fine tails": np.diff([0.0, *QUANTILES, 1.0]),
    "Zipf": np.arange(1, 31.0) ** -1.5 / (np.arange(1, 31.0) ** -1.5).sum(),
    "one that dominates": np.array([0.97, 0.01, 0.005, 0.005, 0.005, 0.003, 0.001, 0.001]),
    "binary": np.array([0.95, 0.05]),
    "rare": np.array([0.995, 0.005]),
}
SEGMENTS = 3000


def unchanged(p: NDArray[np.float64], n: int, m: int, seed: int) -> tuple[CountTable, CountTable]:
    """Windows of n rows and references of m, all drawn from the same distribution; a numeric and a categorical signal."""
    rng = np.random.default_rng(seed)
    layout = Layout(
        (numeric("x", np.arange(len(p) + 1.0).tolist(), range=None), categorical("c", [f"c{i}" for i in range(len(p) - 1)], declared=None))
    )
    faults = np.array([0.02, 0.004, 0.001])
    whole = np.concatenate([faults, p * (1 - faults.sum())])
    keys = ("ALL", *(f"country={i:04d}" for i in range(SEGMENTS)))

    def table(rows: int) -> CountTable:
        x, c = (rng.multinomial(rows, whole, SEGMENTS) for _ in range(2))
        none = np.zeros((SEGMENTS, 1), np.int64)
        counts = np.hstack([x[:, :3], none, x[:, 3:], none, c, none, none])
        return CountTable(layout, keys, np.vstack([counts.sum(axis=0), counts]), np.zeros((SEGMENTS + 1, 2, 2), np.int64))

    return table(n), table(m)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [200, 1_000, 20_000])
@pytest.mark.parametrize("m", [1_000, 30_000])
def test_without_change_noise_alone_is_drift_no_oftener_than_the_quantile_says(shape: str, n: int, m: int) -> None:
    p = SHAPES[shape]
    now, then = unchanged(p, n, m, seed=n + m)
    reference = reference_of(then)
    place = np.arange(len(p)) + 0.5
    reference.stds[0] = math.sqrt(float((p * place**2).sum() - (p * place).sum() ** 2))
    reference.bin_means[4 : 4 + len(p)] = place
    quantile = 0.99
    # Floors are approximations. With the thresholds of the configuration they must hold; alone nearly so, and least where a
    # handful of rows in the reference is all that is known of a rare cell.
    alone = 1.6 if m * p.min() * len(p) > 10 else 3.2
    for settings, allowed in ((Evaluation(noise_quantile=quantile, pooling_rows=0), 1.0), (floors_alone(quantile), alone)):
        drifted = judge(now, reference, settings).drifted()[1:].mean(axis=0)
        most = (1 - quantile) * allowed
        limit = most + 4 * math.sqrt(most / SEGMENTS)
        over = {(f, STATISTICS[k]): drifted[f, k] for f, k in np.argwhere(drifted > limit).tolist()}
        assert over == {}


@pytest.mark.parametrize("exponent", [600, -600])
def test_the_floor_of_wasserstein_does_not_depend_on_the_unit(exponent: int) -> None:
    """Squares of such values are infinite, or 0."""
    sample, now = np.random.default_rng(0).normal(0, 1, (2, 2_000))
    table, reference = one_signal(quantile_edges(sample), sample, now)
    unit = 2.0**exponent
    far_table, _ = one_signal([edge * unit for edge in quantile_edges(sample)], sample, now * unit)
    far = reference_of(CountTable(far_table.layout, reference.table.segments, reference.table.counts, reference.table.tails))
    far.bin_means[:], far.means[:], far.stds[:] = reference.bin_means * unit, reference.means * unit, reference.stds * unit
    place = STATISTICS.index("wasserstein")
    plain, scaled = judge(table, reference), judge(far_table, far)
    assert scaled.noise[0, 0, place] == pytest.approx(plain.noise[0, 0, place], rel=1e-12)
    assert scaled.value[0, 0, place] == pytest.approx(plain.value[0, 0, place], rel=1e-3)


@pytest.mark.parametrize("rare", [0.01, 0.02])
@pytest.mark.parametrize("n", [200, 2_000, 20_000])
def test_a_small_reference_that_happens_to_lack_a_rare_value_is_no_drift(rare: float, n: int) -> None:
    now, then = unchanged(np.array([1 - rare, rare]), n, 250, seed=n)
    reference = reference_of(then)
    reference.stds[0] = math.sqrt(rare * (1 - rare))
    reference.bin_means[4:6] = 0.5, 1.5
    drifted = judge(now, reference, Evaluation(pooling_rows=0)).drifted()[1:].mean(axis=0)
    assert drifted.max() <= 0.001 + 3 * math.sqrt(0.001 / SEGMENTS)


def floors_alone(quantile: float) -> Evaluation:
    least = dict.fromkeys([*STATISTICS, "segment_share"], 1e-12)
    return Evaluation(noise_quantile=quantile, pooling_rows=0, thresholds=Thresholds(**least))


def test_the_floors_of_divergences_are_not_too_high_either() -> None:
    now, then = unchanged(SHAPES["quantiles with fine tails"], 1_000, 30_000, seed=1)
    drifted = judge(now, reference_of(then), floors_alone(0.9)).drifted()[1:].mean(axis=0)
    for name in ("psi", "jensen_shannon", "hellinger", "chi_square"):
        assert 0.07 < drifted[0, STATISTICS.index(name)] < 0.13


@pytest.mark.parametrize("n", [200, 5_000])
@pytest.mark.parametrize("m", [200, 5_000, 1_000_000])
@pytest.mark.parametrize("total", [1, 3, 10, 50, 150])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_floor_of_a_rate_holds_exactly(n: int, m: int, total: int, sign: int) -> None:
    """Given ``total`` such rows in both samples, those of the window are hypergeometric."""
    quantile = 0.999
    cases = np.arange(min(n, total) + 1.0)
    reference_rate = (total - cases) / m
    difference = cases / n - reference_rate
    floor = rate_floor(difference, reference_rate, float(n), float(m), normal_quantile(quantile))
    beyond = (difference * sign > 0) & (np.abs(difference) > floor)
    probability = float(stats.hypergeom(n + m, total, n).pmf(cases)[beyond].sum())
    assert probability <= 2.5 * (1 - quantile)


def test_a_rate_that_rises_from_nothing_is_found_in_few_rows() -> None:
    """Four of 1,000 rows where 100,000 of the reference had none: hardly chance, and above the floor."""
    floor = rate_floor(np.array([0.004]), np.array([0.0]), 1_000.0, 100_000.0, normal_quantile(0.999))
    assert floor[0] < 0.004


def test_the_floor_of_a_common_rate_is_that_of_the_normal_distribution() -> None:
    z = normal_quantile(0.999)
    floor = rate_floor(np.array([0.05]), np.array([0.5]), 20_000.0, 20_000.0, z)
    assert floor[0] == pytest.approx(z * math.sqrt(0.525 * 0.475 * 2 / 20_000), rel=0.01)
