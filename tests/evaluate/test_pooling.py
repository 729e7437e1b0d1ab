"""How much segments lend each other, and that it never looks like drift."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.config.evaluation import STATISTICS, Evaluation
from monitor.evaluate.pooling import Groupings, along, borrowed, chi_square_of, location_and_spread, worth
from monitor.evaluate.verdict import Status
from monitor.profile.layout import Layout
from tests.evaluate.make import count, judge, numeric, quantile_edges, reference_of

SHARE = np.array([0.4, 0.3, 0.2, 0.1])


@pytest.mark.parametrize("concentration", [5.0, 40.0])
def test_how_far_segments_scatter_is_read_off_them(concentration: float) -> None:
    rng = np.random.default_rng(1)
    rows = rng.integers(50, 2_000, 4_000)
    counts = np.array([rng.multinomial(n, rng.dirichlet(concentration * SHARE)) for n in rows], np.float64).T
    groupings = Groupings(np.zeros(4_000, np.intp), np.zeros(1, np.intp), np.zeros(1, np.intp), 1)
    found = groupings.concentration(chi_square_of(counts, SHARE[:, None]), 3.0, rows.astype(np.float64))
    assert found == pytest.approx([concentration], rel=0.08)


def test_each_grouping_has_its_own_and_one_that_is_not_there_none() -> None:
    groupings = Groupings.of({"ALL": 0, "a=1": 1, "a=2": 2, "b=1": 3, "b=2": 4}, ("a=3", "b=1", "c=1"))
    rows = np.array([400.0, 200, 200, 200, 200])
    found = groupings.concentration(np.array([0.0, 41.0, 61.0, 0.0, 0.0]), 1.0, rows)
    assert found[0] == pytest.approx(398 / (100 + 2) - 1), "of a, with its standard error of 2"
    assert found[1] == np.inf or found[1] > 1_000, "of b, whose segments are as the pool"
    assert found[2] == np.inf, "nothing is known of c"


def test_what_is_borrowed_is_bounded_by_each_reason() -> None:
    most, own = np.array([500.0, 500, 500, 500, 0]), np.array([50.0, 50, 50, 0, 50])
    k = borrowed(most, own, np.array([np.inf, 7, np.inf, 30, 3]), np.array([1.0, 1, 30, 0, 1]), 3.0)
    assert k.tolist() == [500, 7, 50, 30, 0]


def test_what_it_is_worth_has_the_errors_of_both() -> None:
    assert worth(np.array([50.0]), np.array([0.0]), np.array([1e4])) == pytest.approx([50.0])
    assert worth(np.array([0.0]), np.array([100.0]), np.array([100.0])) == pytest.approx([50.0])
    assert worth(np.array([50.0]), np.array([50.0]), np.array([1e9])) == pytest.approx([100.0])
    assert worth(np.array([0.0, 5.0]), np.array([0.0, 5.0]), np.array([9.0, 0.0])).tolist() == [0.0, 0.0]


def test_scores_of_location_and_spread_are_legendres_polynomials_of_the_rank() -> None:
    share = np.full(1_000, 1e-3)
    rank = (np.arange(1_000) + 0.5) / 1_000
    location, spread = location_and_spread(share)
    assert location == pytest.approx(np.sqrt(12) * (rank - 0.5), abs=1e-4)
    assert spread == pytest.approx(np.sqrt(180) * ((rank - 0.5) ** 2 - 1 / 12), abs=1e-4)
    assert len(location_and_spread(np.array([0.5, 0.5]))) == 1, "of two cells there is but a location"
    assert location_and_spread(np.array([0.0, 1.0])) == ()
    location, spread = location_and_spread(np.concatenate([SHARE, [0.0]]))
    assert (SHARE @ location[:4], SHARE @ location[:4] ** 2, SHARE @ (location * spread)[:4]) == pytest.approx((0, 1, 0), abs=1e-12)
    assert along(1_000 * SHARE[:, None], location[:4]) == pytest.approx([0.0], abs=1e-12)


@pytest.mark.parametrize("own", [50, 200, 500])
@pytest.mark.parametrize("apart", [0.0, 0.25, 0.5, 1.5])
def test_segments_that_differ_and_do_not_change_do_not_drift(own: int, apart: float) -> None:
    """``apart``: half of the segments have their mean so many standard deviations above that of the others."""
    rng = np.random.default_rng(own)
    names = [f"country={i:03d}" for i in range(400)]
    means = np.where(np.arange(400) % 2, apart, 0.0)[:, None]

    def samples(rows: int) -> dict[str, dict[str, np.ndarray]]:
        values = rng.normal(size=(400, rows)) + means
        values[rng.random(values.shape) < 0.02 + 0.1 * (means > 0)] = np.nan
        return {"ALL": {"x": values.ravel()}, **{name: {"x": row} for name, row in zip(names, values, strict=True)}}

    then = samples(own)
    layout = Layout((numeric("x", quantile_edges(then["ALL"]["x"][np.isfinite(then["ALL"]["x"])])),))
    reference = reference_of(count(layout, then), samples=then["ALL"])
    found = judge(count(layout, samples(1_000)), reference, Evaluation(min_rows=20))
    assert (found.status[1:, 0, 0] < Status.INSUFFICIENT_DATA).all()
    drifted = dict(zip(STATISTICS, found.drifted()[1:, 0].mean(axis=0).tolist(), strict=True))
    assert max(drifted.values()) <= 0.01, drifted
