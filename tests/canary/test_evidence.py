"""Evidence at any time: the mixture is what it says, its reach inverts it, and e-BH names what it may."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.canary.evidence import LAMBDAS, WEIGHTS, confidence, discoveries, log_evidence, reach


@given(st.floats(-500, 500), st.floats(0, 2_000))
def test_the_evidence_is_the_mean_over_the_mixture(total, squares):
    # In logarithms, term by term, with Python's own floats.
    terms = [x * total - squares * (-math.log(1 - x) - x) for x in LAMBDAS.tolist()]
    top = max(terms)
    expected = top + math.log(math.fsum(weight * math.exp(term - top) for weight, term in zip(WEIGHTS.tolist(), terms, strict=True)))
    assert float(log_evidence(np.array(total), np.array(squares))) == pytest.approx(expected, abs=1e-9)


@given(st.floats(0, 1e5), st.floats(0.1, 20))
def test_the_reach_is_where_the_evidence_becomes_enough(squares, threshold):
    sum_ = reach(np.array([squares]), threshold)
    assert log_evidence(sum_, np.array([squares]))[0] >= threshold
    assert log_evidence(sum_ * (1 - 1e-9) - 1e-9, np.array([squares]))[0] < threshold


def test_one_step_is_a_supermartingale_for_every_two_point_term():
    """E[exp(λX − ψ(λ)(X − f)²)] ≤ exp(λ E[X]): exactly, for terms of 0 or b with any probability and any forecast between."""
    p, b, f = np.meshgrid(np.linspace(0, 1, 41), np.array([-1.0, -0.3, 0.2, 0.5, 1.0]), np.linspace(0, 1, 21), indexing="ij")
    forecast = f * b
    for x in LAMBDAS.tolist():
        psi = -math.log(1 - x) - x
        mean = (1 - p) * np.exp(-psi * forecast**2) + p * np.exp(x * b - psi * (b - forecast) ** 2)
        assert (mean <= np.exp(x * p * b) * (1 + 1e-12)).all()


def test_the_weights_are_those_of_a_mixture():
    assert math.fsum(WEIGHTS.tolist()) == pytest.approx(1, abs=1e-15)
    assert (LAMBDAS < 1).all() and (LAMBDAS > 0).all()


def test_the_reach_grows_like_the_root_of_the_squares():
    far = reach(np.array([100.0, 10_000.0]), math.log(40))
    fixed = 1.96 * np.sqrt([100.0, 10_000.0])
    assert (far / fixed < 2.2).all(), "what looking at any time costs over one look at a fixed time"
    assert (far / fixed > 1.3).all()


def test_confidence_is_none_for_evidence_against():
    assert confidence(np.array([-5.0, 0.0, math.log(20)])).tolist() == pytest.approx([0, 0, 0.95])


def test_e_bh_by_hand():
    # Four claims at level 0.1: needed are 40, 20, 13.3 and 10 for the first, second, third and fourth in order.
    of = lambda *values: discoveries(np.log(np.array(values, float)), 0.1).tolist()  # noqa: E731
    assert of(39, 1, 1, 1) == [False] * 4
    assert of(1, 41, 1, 1) == [False, True, False, False]
    assert of(20.1, 14, 1, 20.1) == [True, True, False, True]
    assert of(10.1, 10.1, 10.1, 10.1) == [True] * 4
    assert discoveries(np.zeros(0), 0.1).tolist() == []


def test_e_bh_keeps_the_share_of_false_claims():
    random = np.random.default_rng(1)
    false_share = []
    for _ in range(2_000):
        # Half are true; the evidence of the false ones is a likelihood ratio of two normals, the same shock for all of them.
        shock = random.normal()
        evidence = np.concatenate([np.full(10, 6.0) + random.normal(size=10), np.full(10, 2.0 * shock - 2.0)])
        found = discoveries(evidence, 0.2)
        false_share.append(found[10:].sum() / max(found.sum(), 1))
    assert np.mean(false_share) <= 0.2 * 0.5 + 3 * np.std(false_share) / math.sqrt(2_000)
