"""Rows that come in sessions: strong bets, rare cells and long sessions, each against its closed form."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.detection import null
from monitor.detect.bank import bank_of
from monitor.detect.clustering import Clustering, measured, of_long_sessions
from tests.detect.make import PLAIN, SETTINGS, reference

SHARES = np.array([0.02, 0.38, 0.4, 0.2])
STRONG = np.log(np.array([[0.4 / 0.02, 0.6 / 0.98, 0.6 / 0.98, 0.6 / 0.98]]))  # 2 % to 40 %
WEAK = np.log(np.array([[1.05, 1.05, 0.95, 0.99 + 0.005]]) / np.array([[1.05, 1.05, 0.95, 0.995]] @ SHARES))
MOST = 5.7


def growth(ratios: np.ndarray, mean: float, phi: float, most: float) -> float:
    """Mean of exp(min(S (w - psi) / phi, most)) over geometric sizes S, summed exactly."""
    w = ratios - np.log(np.exp(ratios) @ SHARES)
    size = np.arange(1, 2_000)
    chance = (1 / mean) * (1 - 1 / mean) ** (size - 1)
    return float((chance[:, None] * np.exp(np.minimum(size[:, None] * w / phi, most)) @ SHARES).sum())


@pytest.mark.parametrize("mean", [4.0, 8.0, 30.0])
def test_a_strong_bet_needs_more_than_the_variance_of_sessions_says(mean: float) -> None:
    spread = 2 * mean - 1  # E[S^2] / E[S] of a geometric size
    found = Clustering(np.array([spread, spread]), np.array([300_000, 300_000]), spread)
    raised = of_long_sessions(found, np.concatenate([STRONG, WEAK]), SHARES, MOST)
    assert growth(STRONG[0], mean, spread, MOST) > 1.0 >= growth(STRONG[0], mean, raised.phi[0], MOST) - 0.01
    assert raised.phi[0] > spread and raised.phi[1] <= 1.2 * spread


def test_rows_that_hardly_resemble_each_other_are_left_as_they_are() -> None:
    found = Clustering(np.array([1.4]), np.array([300_000]), 1.4)
    assert of_long_sessions(found, STRONG, SHARES, MOST) is found


def test_a_cell_that_is_hardly_met_takes_over_what_the_others_show() -> None:
    shares = np.array([0.5, 0.5 - 1e-7, 1e-7])
    ratios = np.array([[0.2, -0.2, 0.0], [0.1, -0.1, 0.0], [0.0, 0.0, 5.0]])
    covariance = 9.0 * (np.diag(shares) - np.outer(shares, shares))  # of sessions of nine
    covariance[2] = covariance[:, 2] = 0.0  # the reference has none of the third cell
    pairs, worth = 4_000.0, 64 * 100_000.0
    centred = ratios - (ratios @ shares)[:, None]
    variance = np.maximum(centred**2 @ shares, 1e-300)
    tails = centred**4 @ shares / variance**2
    found = measured([covariance * worth], np.array([[pairs, worth]]), (300_000,), centred, variance, tails, False)
    assert found.phi[:2] == pytest.approx([9.0, 9.0], rel=0.01) and found.typical == pytest.approx(9.0, rel=0.01)
    assert found.phi[2] == found.typical and found.block_ms[2] == 300_000


def test_sessions_are_not_taken_for_a_daily_cycle() -> None:
    bank = bank_of(reference(PLAIN, session=8.0), SETTINGS, 20.0)
    assert not any(group.cycles for group in bank.groups)
    assert min(float(np.median(group.phi)) for group in bank.groups) > 6


def test_sessions_in_twenty_segments_trigger_nothing_and_hardly_warn() -> None:
    row = null.measure("sessions", 1, 300_000)
    assert row["events"] >= 300_000 and not row["triggers"]
    assert row["highest"] < -1.0 and row["warnings"] <= 3
