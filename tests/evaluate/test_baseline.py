"""What a segment is compared with."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.config.evaluation import STATISTICS, Evaluation
from monitor.evaluate.baseline import Baseline
from monitor.profile.layout import Layout
from tests.evaluate.make import categorical, judge, reference_of, table_of

LAYOUT = Layout((categorical("c", ["a", "b"]),))


def cells(a: int, b: int, missing: int = 0) -> list[int]:
    return [missing, 0, 0, a, b, 0, 0, 0]


POOL = cells(60_000, 40_000)


def shares(segment: list[int] | None, pooling_rows: int, pool: list[int] = POOL) -> tuple[list[float], float]:
    table = table_of(LAYOUT, {"ALL": pool} | ({} if segment is None else {"country=FR": segment}))
    baseline = Baseline.of(reference_of(table), ("ALL", "country=FR"), Evaluation(pooling_rows=pooling_rows))
    return baseline.signals[0].share[:2, 1].tolist(), float(baseline.signals[0].effective[1])


def test_a_segment_like_the_pool_borrows_the_configured_rows() -> None:
    share, effective = shares(cells(303, 197), 500)  # X² is below its degrees of freedom
    assert share == pytest.approx([(303 + 500 * 0.6) / 1000, (197 + 500 * 0.4) / 1000])
    assert effective == pytest.approx(1 / (1 / 1000 + 0.5**2 / 100_000))


def test_a_segment_unlike_the_pool_borrows_less() -> None:
    own = np.array([100, 400])
    chi_square = ((own - [300, 200]) ** 2 / np.array([300, 200])).sum()
    k = 499 / (chi_square - 1 + np.sqrt(2)) - 1  # one degree of freedom
    share, _ = shares(cells(100, 400), 500)
    assert share == pytest.approx(((own + k * np.array([0.6, 0.4])) / (500 + k)).tolist())
    assert share[0] < 0.202  # hardly moved from its own 0.2


def test_borrowing_does_not_look_like_drift() -> None:
    then = table_of(LAYOUT, {"ALL": POOL, "country=FR": cells(100, 400, missing=50)})
    now = table_of(LAYOUT, {"ALL": POOL, "country=FR": cells(1000, 4000, missing=500)})
    verdicts = judge(now, reference_of(then), Evaluation(pooling_rows=500))
    assert not verdicts.drifted()[1].any()


def test_without_pooling_a_segment_stands_alone() -> None:
    assert shares(cells(100, 400), 0) == (pytest.approx([0.2, 0.8]), 500.0)


@pytest.mark.parametrize("pooling_rows", [0, 500])
def test_a_segment_that_the_reference_lacks_is_compared_with_the_pool_and_says_so(pooling_rows: int) -> None:
    share, effective = shares(None, pooling_rows)
    assert share == pytest.approx([0.6, 0.4])
    assert effective == pytest.approx(1 / (1 / max(pooling_rows, 1) + 1 / 100_000))
    now = table_of(LAYOUT, {"ALL": cells(600, 400), "country=FR": cells(600, 400)})
    verdicts = judge(now, reference_of(table_of(LAYOUT, {"ALL": POOL})), Evaluation(pooling_rows=pooling_rows))
    assert verdicts.n_reference.tolist() == [[100_000], [0]]
    assert verdicts.value[1, 0, STATISTICS.index("psi")] == 0.0


def test_the_pool_borrows_nothing_from_itself() -> None:
    baseline = Baseline.of(reference_of(table_of(LAYOUT, {"ALL": cells(600, 400)})), ("ALL",), Evaluation())
    assert baseline.signals[0].effective.tolist() == [1000.0]
    assert baseline.rate_effective[:, 0, 0].tolist() == [1000.0] * 4


def test_a_reference_without_values_of_a_signal_decides_nothing() -> None:
    verdicts = judge(table_of(LAYOUT, {"ALL": cells(600, 400)}), reference_of(table_of(LAYOUT, {"ALL": cells(0, 0, missing=1000)})))
    assert np.isnan(verdicts.value[0, 0, 0])
    assert verdicts.status[0, 0, 0] == 2
    assert verdicts.value[0, 0, STATISTICS.index("missing_rate")] == -1.0


def test_a_reference_without_all_is_refused() -> None:
    with pytest.raises(ValueError, match="expected counts of the segment ALL in the reference of m; build the reference again"):
        Baseline.of(reference_of(table_of(LAYOUT, {"country=FR": POOL})), ("ALL",), Evaluation())
