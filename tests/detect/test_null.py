"""Nulls and directions against closed forms, and the promise averaged over references."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from monitor.detect import directions
from monitor.detect.null import LEAST_Z, null_of, sampling_error
from monitor.detect.shares import Scale, aligned, mixed, normal_cdf, normal_score, odds_moved, smoothed, tilted
from monitor.reference.edges import numeric_edges


def counts_of(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1).astype(float)


def scale_of(values: np.ndarray) -> tuple[np.ndarray, Scale]:
    edges = np.array(numeric_edges(values, values.min(), values.max()))
    counts = counts_of(values, edges)
    where = np.searchsorted(edges, values, side="right")
    means = np.array([values[where == cell].mean() if (where == cell).any() else np.nan for cell in range(len(edges) + 1)])
    return edges, Scale(edges, smoothed(counts[None], counts)[0], means)


def test_the_normal_distribution_is_that_of_scipy() -> None:
    z = np.linspace(-9, 9, 500)
    assert np.allclose(normal_cdf(z), stats.norm.cdf(z), rtol=2e-7)
    p = np.concatenate([np.logspace(-9, -1, 50), np.linspace(0.1, 0.9, 20), 1 - np.logspace(-9, -1, 50)])
    assert np.allclose(normal_score(p), stats.norm.ppf(p), atol=1e-7)


@pytest.mark.parametrize("shape", [stats.norm(), stats.gamma(2), stats.lognorm(1.0)], ids=["normal", "gamma", "lognormal"])
def test_moved_and_stretched_shares_are_those_of_moved_and_stretched_values(shape: stats.rv_continuous) -> None:
    values = shape.rvs(200_000, random_state=1)
    edges, scale = scale_of(values)
    for change, then in ((0.25, lambda x: x + 0.25 * values.std()), (-0.25, lambda x: x - 0.25 * values.std())):
        assert np.abs(scale.moved(change)[0] - counts_of(then(values), edges) / len(values)).sum() < 0.05
    wider = values.mean() + (values - values.mean()) * 1.5
    assert np.abs(scale.stretched(1.5)[0] - counts_of(wider, edges) / len(values)).sum() < 0.08


def test_segments_of_one_shape_are_recognised_though_they_lie_differently() -> None:
    random = np.random.default_rng(2)
    parts = [random.gamma(2, 1, 20_000) * width + offset for width, offset in ((1, 0), (1.3, 1), (0.8, 2), (1.1, 0.5))]
    values = np.concatenate(parts)
    edges = np.array(numeric_edges(values, values.min(), values.max()))
    counts = np.stack([counts_of(part, edges) for part in parts])
    where = np.searchsorted(edges, values, side="right")
    means = np.array([values[where == cell].mean() if (where == cell).any() else np.nan for cell in range(len(edges) + 1)])
    targets = aligned(edges, counts, means)
    assert targets is not None
    raw = smoothed(counts, counts.sum(axis=0))[1]
    assert (smoothed(counts, counts.sum(axis=0), targets)[1] < raw).all()
    assert np.abs(targets - counts / counts.sum(axis=1, keepdims=True)).sum(axis=1).max() < 0.15


@given(st.floats(0.001, 0.5), st.floats(0.2, 5), st.integers(100, 100_000), st.floats(1e-6, 0.2))
def test_a_bet_on_a_rate_is_the_likelihood_ratio_to_the_end_of_its_gate_and_needs_no_more_psi(
    p: float, odds: float, rows: int, gate: float
) -> None:
    shares = np.array([[1 - p, p]])
    bank = directions.outcomes(shares, gate)
    k = list(directions.OUTCOME_RATES).index(1.5)
    null = null_of(shares * rows, bank, np.zeros(1))
    q = 0.999 * 1.5 * p / (1 + 0.5 * p) + 0.001 * p  # the direction keeps a thousandth of the reference
    gated = (1 + gate) * p / (1 + gate * p)
    assert np.exp(bank.ratios[0, k]) == pytest.approx([(1 - q) / (1 - gated), q / gated])
    assert null.log_mean[0, k] == pytest.approx(0.0, abs=1e-9)
    mean = (1 - p) * (1 - q) / (1 - gated) + p * q / gated  # under the reference itself it is less
    assert mean < 1
    ungated = replace(bank, gates=bank.gates[:1])
    assert null_of(shares * rows, ungated, np.zeros(1)).log_mean[0, k] == pytest.approx(np.log(mean), abs=1e-9)


def test_the_sampling_error_is_bernsteins_bound_at_z_standard_errors() -> None:
    counts = np.array([[9_000.0, 1_000.0]])
    bank = directions.outcomes(counts / counts.sum(), 0.0)
    null = null_of(counts, bank, np.zeros(1))
    found = sampling_error(null, np.array([0]), 22.9, np.ones(len(bank.weights)))
    e = np.exp(bank.ratios[0])
    p = (counts[0] + 0.5) / 10_001
    sd_w = np.sqrt((p * bank.ratios[0] ** 2).sum(axis=1) - (p * bank.ratios[0]).sum(axis=1) ** 2)
    sd_e = np.sqrt((p * e**2).sum(axis=1) - (p * e).sum(axis=1) ** 2)
    z = np.clip(22.9 / (sd_w * 100), LEAST_Z, 4.0)
    assert np.allclose(found, z * sd_e / 100 + z**2 * e.max(axis=1) / (3 * 10_000), rtol=1e-4)


def test_averaged_over_references_a_stream_alarms_no_more_often_than_promised() -> None:
    """The rate of alarms of a direction is c ** -theta, with theta the root of E exp(theta (w - psi)) = 1 under the truth (Lundberg)."""
    random, p, rows, log_c = np.random.default_rng(3), 0.1, 10_000, 22.9
    rates = []
    for _ in range(400):
        yes = random.binomial(rows, p)
        counts = np.array([[rows - yes, yes]], float)
        bank = directions.outcomes(np.array([[1 - p, p]]), 1e-12)
        null = null_of(counts, bank, np.zeros(1))
        psi = null.log_mean[0] + sampling_error(null, np.array([0]), log_c, np.ones(len(bank.weights)))
        for k in range(len(psi)):
            w = bank.ratios[0, k] - psi[k]
            theta = optimize.brentq(lambda t, w=w: np.log((1 - p) * np.exp(t * w[0]) + p * np.exp(t * w[1])), 1e-3, 50)
            rates.append(np.exp((1 - theta) * log_c) * bank.weights[k])
    assert sum(rates) / 400 < 1.0


SHARES = st.lists(st.floats(0.01, 1), min_size=3, max_size=12).map(lambda xs: np.array([xs]) / sum(xs))


@settings(deadline=None)
@given(SHARES, st.floats(0.01, 0.2))
def test_directions_are_likelihood_ratios_to_a_normal_mixture_so_that_psi_is_never_negative(shares: np.ndarray, gate: float) -> None:
    for bank in (
        directions.categorical(shares, shares.shape[1] - 3 if shares.shape[1] > 3 else 1, gate),
        directions.faults(np.pad(shares[:, :3], ((0, 0), (0, 1)), constant_values=0.5) / (shares[:, :3].sum() + 0.5), gate),
    ):
        p = bank.gates[0]
        means = np.einsum("lkb,jlb->jlk", np.exp(bank.ratios), bank.gates)
        assert (means.max(axis=0) >= 1.0 - 1e-9).all()  # of a mixture it is 1
        assert (means.max(axis=0) <= 1.0 + 0.02 * gate).all()  # and of no member much more
        assert bank.weights.sum() == pytest.approx(1.0)
        assert (bank.weights >= 0).all() and len(bank.weights) == len(bank.directions)
        assert np.allclose(bank.gates.sum(axis=2), 1.0)
        assert (null_of(p * 1_000, bank, np.zeros(1)).log_mean >= -1e-9).all()


@settings(deadline=None)
@given(SHARES, SHARES)
def test_no_direction_gains_more_than_the_divergence(p: np.ndarray, q: np.ndarray) -> None:
    if p.shape != q.shape:
        q = np.full_like(p, 1 / p.shape[1])
    bank = directions.categorical(p, max(p.shape[1] - 3, 1), 1e-12)
    psi = np.log((np.exp(bank.ratios) * p[:, None, :]).sum(axis=2))
    gain = (bank.ratios * q[:, None, :]).sum(axis=2) - psi
    assert gain.max() <= (q * np.log(q / p)).sum() + 1e-9


def test_numeric_directions_are_likelihood_ratios_but_for_their_cap() -> None:
    values = np.random.default_rng(5).normal(size=50_000)
    _, scale = scale_of(values)
    bank = directions.numeric(scale, 0.03)
    means = np.einsum("lkb,jlb->jlk", np.exp(bank.ratios), bank.gates)[:, 0]
    near = np.array([d.what in {"shift", "spread", "outliers above", "outliers below", "outliers"} for d in bank.directions])
    # Those to the nearest of what does not matter have mean 1 under a mixture of it, those to the reference under that.
    most = np.where(near, means.max(axis=0), means[0])
    assert (most <= 1 + 1e-3).all() and (most > 0.8).all() and np.median(most) == pytest.approx(1.0, abs=1e-5)
    assert (means[0, near] < 1 - 1e-3).any()
    assert {direction.what for direction in bank.directions} >= {"shift", "rank shift", "spread", "outliers above", "lower tail", "cell"}
    # A shift of 0.25 standard deviations gains, in its own direction, what it has in divergence from one of 0.03 that does not matter.
    k = next(i for i, d in enumerate(bank.directions) if (d.what, d.size) == ("shift", 0.25))
    q = stats.norm.cdf(np.append(np.array(scale.edges), np.inf) - 0.25) - stats.norm.cdf(np.append(-np.inf, np.array(scale.edges)) - 0.25)
    assert (bank.ratios[0, k] * q).sum() == pytest.approx((0.25 - 0.03) ** 2 / 2, rel=0.1)


EDGES = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, *np.arange(0.1, 1.0, 0.1), 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999]


def world_of(shape: stats.rv_continuous) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges, true shares and true means of the cells."""
    edges = shape.ppf(EDGES)
    shares = np.diff([0.0, *EDGES, 1.0])
    within = [shape.expect(ub=edges[0]), *(shape.expect(lb=a, ub=b) for a, b in pairwise(edges)), shape.expect(lb=edges[-1])]
    return edges, shares, np.array(within) / shares


@pytest.mark.parametrize("shape", [stats.norm(), stats.gamma(2), stats.t(5)], ids=["normal", "gamma", "t5"])
@pytest.mark.parametrize("change", ["none", "shift", "spread"])
def test_averaged_over_references_what_does_not_matter_alarms_no_more_often_than_promised(shape: stats.rv_continuous, change: str) -> None:
    """Shifts and spreads as far as they do not matter, exactly; the rates are Lundberg's, as above."""
    random, log_c, gate = np.random.default_rng(7), 22.9, 0.03
    edges, shares, means = world_of(shape)
    moved = {"none": edges, "shift": edges - gate * shape.std(), "spread": shape.mean() + (edges - shape.mean()) / (1.0 + gate)}
    truth = np.diff([0.0, *shape.cdf(moved[change]), 1.0])
    rates = []
    for _ in range(40):
        counts = random.multinomial(20_000, shares)[None].astype(float)
        bank = directions.numeric(Scale(edges, (counts + 0.5) / (counts + 0.5).sum(), means), gate)
        null = null_of(counts, bank, np.ones(1))
        w = bank.ratios[0] - null.log_mean[0, :, None] - sampling_error(null, np.array([0]), log_c, np.ones(len(bank.weights)))[:, None]
        low, high = np.full(len(w), 1e-3), np.full(len(w), 4.0)
        for _ in range(30):
            theta = (low + high) / 2.0
            beyond = np.exp(theta[:, None] * w) @ truth > 1.0
            low, high = np.where(beyond, low, theta), np.where(beyond, theta, high)
        rates.append(np.exp((1.0 - theta) * log_c) @ bank.weights)
    assert 0.0 < np.mean(rates) < 1.0


@pytest.mark.parametrize("shape", [stats.gamma(2), stats.t(5)], ids=["gamma", "t5"])
def test_what_is_charged_for_having_chosen_outliers_by_the_same_rows_is_what_that_takes_off_the_mean(shape: stats.rv_continuous) -> None:
    """Averaged over references: the mean of exp(w) over all rows there are, less that over the reference's own."""
    random, rows = np.random.default_rng(4), 2_000
    edges = shape.ppf([0.001, 0.01, 0.025, 0.05, *np.arange(0.1, 1.0, 0.1), 0.95, 0.975, 0.99, 0.995])
    truth = np.diff(shape.cdf(np.concatenate([[-np.inf], edges, [np.inf]])))
    means = (
        np.array([shape.expect(ub=edges[0]), *(shape.expect(lb=a, ub=b) for a, b in pairwise(edges)), shape.expect(lb=edges[-1])]) / truth
    )
    found = []
    for _ in range(600):
        counts = random.multinomial(rows, truth)[None].astype(float)
        shares = (counts + 0.5) / (counts + 0.5).sum()
        bank = directions.numeric(Scale(edges, shares, means), 0.03)
        k = [i for i, d in enumerate(bank.directions) if d.what.startswith("outliers") and d.size <= 0.02]
        grown = np.exp(bank.ratios[0, k])
        charged = np.exp(null_of(counts, bank, np.ones(1)).log_mean[0, k]) - np.exp(null_of(counts, bank, np.zeros(1)).log_mean[0, k])
        found.append([grown @ truth - grown @ (counts[0] / rows), charged])
    (lost, charged), error = np.mean(found, axis=0), np.std([row[0] for row in found], axis=0) / np.sqrt(len(found))
    assert (charged > 0).all()
    assert (charged >= lost - 4 * error).all()
    assert charged[3] <= 2 * lost[3] + 4 * error[3]  # and not much more, for 2 % above, where the tail is long


def test_a_signal_of_a_few_numbers_has_no_moves() -> None:
    values = np.random.default_rng(6).choice([0.0, 1.0, 7.0], 10_000)
    edges = np.array(numeric_edges(values, 0.0, 7.0))
    counts = counts_of(values, edges)
    scale = Scale(edges, smoothed(counts[None], counts)[0], np.full(len(edges) + 1, np.nan))
    assert not scale.is_smooth
    assert "shift" not in {direction.what for direction in directions.numeric(scale, 0.03).directions}


def test_shares_that_are_mixed_tilted_or_given_other_odds_stay_shares() -> None:
    p = np.array([[0.2, 0.3, 0.5]])
    assert np.allclose(mixed(p, np.array([[0, 0, 1.0]]), 0.1), [[0.18, 0.27, 0.55]])
    assert np.allclose(tilted(p, np.log(np.array([[2.0, 1.0, 1.0]]))), np.array([[0.4, 0.3, 0.5]]) / 1.2)
    moved = odds_moved(p, 0, 4.0)
    assert moved[0, 0] / (1 - moved[0, 0]) == pytest.approx(4 * 0.2 / 0.8)
    assert moved[0, 1] / moved[0, 2] == pytest.approx(0.6) and moved.sum() == pytest.approx(1.0)
