"""Distances against closed forms: normal distributions in fine bins, and tables that scipy knows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from monitor.config.evaluation import STATISTICS, Evaluation
from monitor.profile.layout import FAULT_CELLS, Layout
from monitor.profile.table import TAIL_SCALE, CountTable
from tests.evaluate.make import categorical, judge, numeric, one_signal, quantile_edges, reference_of, table_of

EDGES = np.linspace(-7, 7, 250)
MANY = 10**15  # values, so that rounding to whole counts and the bias vanish


def normal_counts(mean: float) -> NDArray[np.int64]:
    below = stats.norm.cdf([-np.inf, *EDGES, np.inf], loc=mean)
    return np.rint(np.diff(below) * MANY).astype(np.int64)


def normals(mean: float) -> dict[str, float]:
    """Every distance of N(mean, 1) from N(0, 1), from counts."""
    layout = Layout((numeric("x", EDGES.tolist()),))
    reference = reference_of(table_of(layout, {"ALL": [0, 0, 0, *normal_counts(0.0)]}))
    reference.means[0], reference.stds[0] = 0.0, 1.0
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    reference.bin_means[FAULT_CELLS + 1 : -1] = middle
    verdicts = judge(table_of(layout, {"ALL": [0, 0, 0, *normal_counts(mean)]}), reference)
    return dict(zip(STATISTICS, verdicts.value[0, 0].tolist(), strict=True))


def density_integral(integrand: object) -> float:
    return float(integrate.quad(integrand, -12, 12, limit=500, epsabs=1e-12)[0])


@pytest.mark.parametrize("mean", [0.05, 0.25, 0.5, 1.0])
def test_normals_that_differ_in_mean_have_their_known_distances(mean: float) -> None:
    p, q = stats.norm(0, 1).pdf, stats.norm(mean, 1).pdf
    shannon = density_integral(lambda x: (q(x) * math.log(2 * q(x) / (p(x) + q(x))) + p(x) * math.log(2 * p(x) / (p(x) + q(x)))) / 2)
    found = normals(mean)
    assert found["psi"] == pytest.approx(mean**2, rel=2e-3)  # the symmetrised Kullback-Leibler divergence
    assert found["hellinger"] == pytest.approx(math.sqrt(1 - math.exp(-(mean**2) / 8)), rel=1e-3)
    assert found["wasserstein"] == pytest.approx(mean, rel=1e-3)
    assert found["ks"] == pytest.approx(2 * stats.norm.cdf(mean / 2) - 1, rel=1e-3)
    assert found["jensen_shannon"] == pytest.approx(math.sqrt(shannon / math.log(2)), rel=1e-3)
    v2 = density_integral(lambda x: (q(x) - p(x)) ** 2 / (p(x) + q(x)) / 2)
    assert found["chi_square"] == pytest.approx(math.sqrt(v2), rel=1e-3)


def categorical_pair(now: list[int], then: list[int]) -> dict[str, float]:
    layout = Layout((categorical("c", [f"c{i}" for i in range(len(now))]),))
    cells = [[0, 0, 0, *counts, 0, 0, 0] for counts in (now, then)]
    verdicts = judge(table_of(layout, {"ALL": cells[0]}), reference_of(table_of(layout, {"ALL": cells[1]})))
    return dict(zip(STATISTICS, verdicts.value[0, 0].tolist(), strict=True))


def test_cramers_v_is_that_of_scipy_when_both_samples_are_equally_large() -> None:
    now, then = [120, 300, 80, 500], [200, 250, 150, 400]
    v = stats.contingency.association(np.array([now, then]), method="cramer")
    assert categorical_pair(now, then)["chi_square"] == pytest.approx(v, rel=1e-12)


def test_cramers_v_does_not_depend_on_how_long_the_reference_is() -> None:
    now, then = [120, 300, 80, 500], [200, 250, 150, 400]
    chi_square = stats.chi2_contingency(np.array([now, then]), correction=False).statistic
    expected = math.sqrt(chi_square / 2000)
    for times in (1, 7, 1000):
        assert categorical_pair(now, [count * times for count in then])["chi_square"] == pytest.approx(expected, rel=1e-12)


def test_disjoint_samples_are_at_the_largest_distance() -> None:
    found = categorical_pair([500, 500, 0, 0], [0, 0, 600, 400])
    for name in ("jensen_shannon", "hellinger", "chi_square"):
        assert found[name] == pytest.approx(1.0, abs=1e-12)


def test_no_distance_that_ends_at_one_is_beyond_it_by_rounding() -> None:
    layout = Layout((numeric("x", range(12)),))
    random = np.random.default_rng(0)
    for now, then in random.integers(1, 1000, (100, 2, 6)).tolist():
        reference = reference_of(table_of(layout, {"ALL": [0, 0, 0, *then, *[0] * 7]}))
        value = judge(table_of(layout, {"ALL": [0, 0, 0, *[0] * 7, *now]}), reference).value[0, 0]
        for name in ("jensen_shannon", "ks", "hellinger", "chi_square"):
            assert 1 - 1e-12 < value[STATISTICS.index(name)] <= 1, name


def test_a_cell_that_is_empty_counts_as_half_a_row_of_the_effective_sample() -> None:
    n, m = 1000, 4000
    half = 0.5 * (1 / n + 1 / m)
    psi = (0.7 - 0.5) * math.log(0.7 / 0.5) + (0.3 - 0.4) * math.log(0.3 / 0.4) + (half - 0.1) * math.log(half / 0.1)
    bias = 2 * (1 / n + 1 / m)
    assert categorical_pair([700, 300, 0], [2000, 1600, 400])["psi"] == pytest.approx(psi - bias, abs=0.2 * bias)


def test_psi_loses_its_bias() -> None:
    """The mean over 4,000 segments with a known PSI, each compared with its own reference."""
    rng = np.random.default_rng(3)
    p, q = np.full(10, 0.1), 0.1 + 0.02 * np.linspace(-1, 1, 10)
    truth = float(((q - p) * np.log(q / p)).sum())
    n, m, segments = 1000, 2000, 4000
    layout = Layout((categorical("c", [f"c{i}" for i in range(10)]),))
    faults, rest = np.zeros((segments, 3), np.int64), np.zeros((segments, 3), np.int64)
    keys = tuple(f"country={i:04d}" for i in range(segments))

    def table(probability: NDArray[np.float64], rows: int) -> CountTable:
        counts = np.hstack([faults, rng.multinomial(rows, probability, segments), rest])
        return CountTable(layout, ("ALL", *keys), np.vstack([counts.sum(axis=0), counts]), np.zeros((segments + 1, 1, 2), np.int64))

    verdicts = judge(table(q, n), reference_of(table(p, m)), Evaluation(pooling_rows=0))
    psi = verdicts.value[1:, 0, 0]
    bias = 9 * (1 / n + 1 / m)
    slope = np.sqrt(4 * truth / n + 4 * truth / m + 2 * 9 * (1 / n + 1 / m) ** 2)
    # PSI is bent, so its mean rises by a little more than the bias where something has changed; 5 % of it is what is left.
    assert abs(float(np.maximum(psi, 0).mean()) - truth) < 0.1 * bias + 4 * slope / math.sqrt(segments)
    assert bias > 0.5 * truth  # without the correction the test would fail by far


def test_overflow_is_placed_at_the_geometric_mean_of_its_values() -> None:
    rng = np.random.default_rng(0)
    sample = rng.uniform(0, 1, 10_000)
    now = np.concatenate([rng.uniform(0, 1, 9_000), np.full(1_000, 16.0)])
    table, reference = one_signal(quantile_edges(sample), sample, now)
    found = dict(zip(STATISTICS, judge(table, reference).value[0, 0].tolist(), strict=True))
    # A tenth of the mass has moved from all over [0, 1] to 16.
    assert found["wasserstein"] == pytest.approx(0.1 * 15.5 / sample.std(), rel=0.02)


def test_underflow_is_the_mirror_image_of_overflow() -> None:
    rng = np.random.default_rng(0)
    sample = rng.uniform(0, 1, 10_000)
    now = np.concatenate([rng.uniform(0, 1, 9_000), np.full(1_000, 16.0)])
    right = judge(*one_signal(quantile_edges(sample), sample, now)).value[0, 0]
    edges = sorted(float(np.nextafter(-edge, np.inf)) for edge in quantile_edges(sample))  # cells are closed on the left
    left = judge(*one_signal(edges, -sample, -now)).value[0, 0]
    np.testing.assert_allclose(left, right, rtol=1e-9)


def test_above_negative_values_a_smaller_size_is_taken_to_be_negative_too() -> None:
    rng = np.random.default_rng(0)
    sample = rng.uniform(-2, -1, 10_000)
    now = np.concatenate([sample[:9_000], np.full(1_000, -0.5)])
    found = judge(*one_signal(quantile_edges(sample), sample, now)).value[0, 0, STATISTICS.index("wasserstein")]
    assert found == pytest.approx(0.1 * 1.0 / sample.std(), rel=0.05)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_value_next_to_the_edge_stays_on_its_side_however_its_size_is_rounded(sign: int) -> None:
    """Sizes are known from their logarithm in 2**-16: rounded up to the edge, a value a millionth below it would be its negative."""
    sample = sign * np.random.default_rng(1).uniform(100, 101, 10_000)
    edges, least = quantile_edges(sample), np.abs(sample).min()
    steps = [round(math.log2(least * (1 - near)) * TAIL_SCALE) - math.log2(least) * TAIL_SCALE for near in np.geomspace(1e-8, 1e-4, 50)]
    assert any(step >= 0 for step in steps), "some are rounded to the edge, or beyond it"
    for near in np.geomspace(1e-8, 1e-4, 50):
        now = np.append(sample[:999], sign * least * (1 - near))
        assert judge(*one_signal(edges, sample, now)).value[0, 0, STATISTICS.index("wasserstein")] < 0.2


@pytest.mark.parametrize("sign", [1, -1])
def test_zeros_are_zeros_though_their_logarithm_is_taken_to_be_that_of_one(sign: int) -> None:
    sample = sign * np.random.default_rng(1).uniform(0.1, 0.2, 10_000)
    found = judge(*one_signal(quantile_edges(sample), sample, np.zeros(1_000))).value[0, 0, STATISTICS.index("wasserstein")]
    assert found == pytest.approx(0.15 / sample.std(), rel=0.01)


def test_what_lies_between_the_reference_and_the_end_of_a_declared_range_is_next_to_the_reference() -> None:
    sample = np.random.default_rng(1).uniform(1, 10, 10_000)
    edges = [0.0, *quantile_edges(sample), 1e9]
    now = np.append(sample[:999], 10.5)
    assert judge(*one_signal(edges, sample, now)).value[0, 0, STATISTICS.index("wasserstein")] < 0.2


def test_a_hostile_size_beyond_the_edges_stays_a_finite_number() -> None:
    layout = Layout((numeric("x", [0.0, 1.0]),))
    reference = reference_of(table_of(layout, {"ALL": [0, 0, 0, 0, 1000, 0]}))
    reference.means[0], reference.stds[0] = 0.5, 1e-300
    table = CountTable(layout, ("ALL",), np.array([[0, 0, 0, 0, 500, 500]]), np.full((1, 1, 2), 500 * 1024 * TAIL_SCALE))
    value = judge(table, reference).value[0, 0, STATISTICS.index("wasserstein")]
    assert np.isfinite(value)
    assert value > 1e300
