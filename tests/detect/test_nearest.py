"""The nearest normal shares against a general optimiser, closed forms, and what a bet against them is good for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from monitor.detect import nearest as module
from monitor.detect.nearest import nearest


def divergence(q: np.ndarray, p: np.ndarray) -> np.ndarray:
    return (q * np.log(q / p)).sum(axis=-1)


def world(seed: int, members: int, cells: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """An alternative [1, 1, cells] and normal shares [members, 1, cells] around a reference, which is the first of them."""
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.ones(cells)) + 0.01
    around = [p * np.exp(spread * random.normal(size=cells)) for _ in range(members - 1)]
    null = np.stack([shares / shares.sum() for shares in (p, *around)])[:, None, :]
    q = p * np.exp(0.5 * random.normal(size=cells))
    return (q / q.sum())[None, None], null


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 12), st.floats(0.01, 0.3))
def test_no_mixture_is_nearer_than_where_the_steps_lead(seed: int, members: int, cells: int, spread: float) -> None:
    q, null = world(seed, members, cells, spread)
    few = divergence(q, nearest(q, null))[0, 0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_STEPS", 200)
        found = divergence(q, nearest(q, null))[0, 0]

    def of(logits: np.ndarray) -> float:
        part = np.exp(logits - logits.max())
        return float(divergence(q[0, 0], (part / part.sum()) @ null[:, 0]))

    starts = [np.zeros(members), *(8.0 * np.eye(members))]
    best = min(optimize.minimize(of, start, method="L-BFGS-B").fun for start in starts)
    nearest_member = divergence(q[0, 0], null[:, 0]).min()
    assert found <= few + 1e-12 and few <= nearest_member + 1e-12
    assert found <= best + 0.02 * (nearest_member - best) + 3e-4
    assert few <= best + 0.4 * (nearest_member - best) + 3e-4


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 12), st.floats(0.01, 0.3))
def test_the_ratio_to_it_grows_at_least_as_fast_as_one_to_the_reference_that_is_as_safe(
    seed: int, members: int, cells: int, spread: float
) -> None:
    q, null = world(seed, members, cells, spread)
    growth = []
    for against in (null[0][None], nearest(q, null)):
        w = np.log(q / against)[0, 0]
        growth.append(q[0, 0] @ w - np.log((null[:, 0] @ np.exp(w)).max()))  # less psi: safe under every member
    assert growth[1] >= growth[0] - 1e-3


def test_between_two_rates_it_is_the_nearer_end() -> None:
    null = np.array([[[0.9, 0.1]], [[0.88, 0.12]], [[0.92, 0.08]]])
    q = np.array([[[0.7, 0.3], [0.99, 0.01], [0.89, 0.11]]])
    assert nearest(q, null)[0] == pytest.approx(np.array([[0.88, 0.12], [0.92, 0.08], [0.89, 0.11]]), abs=1e-6)


def test_leaves_are_each_by_itself_however_many_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = [world(seed, 4, 6, 0.1) for seed in range(5)]
    q, null = np.concatenate([q for q, _ in worlds]), np.concatenate([null for _, null in worlds], axis=1)
    alone = np.concatenate([nearest(*each) for each in worlds])
    assert nearest(q, null) == pytest.approx(alone, abs=1e-12)
    monkeypatch.setattr(module, "_NUMBERS_AT_ONCE", 13)
    assert nearest(q, null) == pytest.approx(alone, abs=1e-12)


def test_a_member_without_a_cell_is_no_end_of_it() -> None:
    null = np.array([[[0.5, 0.4, 0.1]], [[0.55, 0.45, 0.0]]])
    found = nearest(np.array([[[0.6, 0.3, 0.1]]]), null)
    assert np.isfinite(found).all() and (found > 0).all()
