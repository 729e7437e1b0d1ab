"""How large a drift is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.detect.effect import WIDTH, outcome_effect

SHARES = st.floats(0.0, 1.0)


@given(SHARES, SHARES, st.integers(1, 10**6), st.floats(1.0, 1e7), st.floats(1.0, 50.0))
def test_the_interval_of_a_difference_of_shares_holds_it_and_stays_within_what_shares_can_differ_by(
    now: float, then: float, n: int, reference_rows: float, phi: float
) -> None:
    found = outcome_effect(np.array([n, now * n, then * n]), reference_rows, phi)
    assert -1.0 <= found.low <= found.size + 1e-12
    assert found.size - 1e-12 <= found.high <= 1.0


def test_all_wrong_where_few_were_is_at_most_a_hundred_points() -> None:
    found = outcome_effect(np.array([40.0, 40.0, 0.2]), 100_000, 1.0)
    assert found.size == pytest.approx(0.995)
    assert found.high <= 1.0 and found.low > 0.7


def test_many_rows_give_the_usual_interval() -> None:
    found = outcome_effect(np.array([100_000.0, 7_000.0, 5_000.0]), 1e12, 1.0)
    error = WIDTH * np.sqrt(0.07 * 0.93 / 100_000)
    assert found.size == pytest.approx(0.02)
    assert (found.low, found.high) == pytest.approx((0.02 - error, 0.02 + error), abs=error / 50)
