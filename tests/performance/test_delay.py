"""Label delay and coverage by age, against scipy's product limit and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from monitor.outcome.cells import Outcomes, outcome_codes, prediction_codes
from monitor.outcome.layout import LAG_EDGES_MS, LAGS
from monitor.outcome.sparse import add, sparse
from monitor.performance import delay
from tests.performance.rows import BINARY, binary_rows

Z = 1.96
HOUR, DAY = 3_600_000, 86_400_000
EDGES = np.array(LAG_EDGES_MS)


def lag_cells(lag_ms: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(EDGES, lag_ms, side="right"), minlength=LAGS)


def cohort(end_ms: int, lag_ms: np.ndarray, now_ms: int) -> delay.PaneLags:
    """A pane whose predictions were all made at its end; labels beyond ``now_ms`` have not come."""
    return delay.PaneLags(end_ms, np.array([len(lag_ms)]), lag_cells(lag_ms[end_ms + lag_ms < now_ms])[None])


def test_quantiles_of_the_lag_are_those_of_the_labels() -> None:
    lag = np.random.default_rng(1).exponential(20 * HOUR, 50_000)
    for p in (0.1, 0.5, 0.9):
        found = delay.lag_quantile(lag_cells(lag)[None], p, Z)
        assert found.value[0] == pytest.approx(np.quantile(lag, p), rel=0.06)
        assert found.low[0] < found.value[0] < found.high[0]


def test_no_quantile_of_the_lag_lies_beyond_the_horizon() -> None:
    """The horizon cuts the bin from three to seven days: all that is in it came before."""
    random = np.random.default_rng(6)
    lag = random.lognormal(np.log(12 * HOUR), 1.2, 50_000)
    lag = lag[lag <= 5 * DAY]
    for p in (0.5, 0.9, 0.99):
        found = delay.lag_quantile(lag_cells(lag)[None], p, Z, 5 * DAY)
        assert found.value[0] == pytest.approx(np.quantile(lag, p), rel=0.07)
        assert found.high[0] < 5 * DAY
    assert delay.lag_quantile(lag_cells(np.full(9, 30.0 * DAY))[None], 0.5, Z, 30 * DAY).value[0] == pytest.approx(30 * DAY)


def test_a_label_before_its_prediction_has_no_lag_and_one_beyond_90_days_none_that_is_known() -> None:
    assert delay.lag_quantile(lag_cells(np.full(9, -5_000.0))[None], 0.5, Z).value[0] == 0.0
    assert np.isnan(delay.lag_quantile(lag_cells(np.full(9, 100.0 * DAY))[None], 0.5, Z).value[0])


def test_shares_by_age_are_scipys_product_limit() -> None:
    """Lags and ages on the edges of the bins, where cohorts hide nothing from the product limit."""
    random = np.random.default_rng(2)
    now = 200 * DAY
    panes, times, censored = [], [], []
    for age in EDGES[[4, 7, 9, 12, 13, 15]]:
        bins = random.integers(1, LAGS, 400)  # the last stands for never
        lag = np.where(bins < LAGS - 1, EDGES[np.minimum(bins, LAGS - 2)] - 1, 10**12)
        panes.append(cohort(int(now - age), lag, now))
        seen = EDGES[np.minimum(bins, LAGS - 2)]
        out = (lag > 10**11) | (seen > age)
        times.append(np.where(out, age, seen))
        censored.append(out)
    time, out = np.concatenate(times), np.concatenate(censored)
    expected = stats.ecdf(stats.CensoredData(uncensored=time[~out], right=time[out])).sf
    found = delay.coverage(panes, now, 90 * DAY, Z).share
    assert found.value[0] == pytest.approx(1 - expected.evaluate(EDGES), abs=1e-9)
    greenwood = expected.confidence_interval(0.95)
    for place in range(3, len(EDGES)):
        low, high = 1 - greenwood.high.evaluate(EDGES[place]), 1 - greenwood.low.evaluate(EDGES[place])
        assert found.high[0, place] - found.low[0, place] == pytest.approx(high - low, rel=0.05)


def test_young_predictions_do_not_make_labels_look_fast() -> None:
    """Traffic grows: most predictions are young. Of those labelled most came within hours; of all, half within four days."""
    random = np.random.default_rng(3)
    now = 40 * DAY
    panes = [cohort(now - age * DAY, random.exponential(5.77 * DAY, 6000 // (age + 1)), now) for age in range(36)]
    found = delay.coverage(panes, now, 30 * DAY, Z)
    ages = {int(age / DAY): place for place, age in enumerate(EDGES) if age >= DAY}
    for days in (1, 3, 7, 30):
        share = 1 - np.exp(-days / 5.77)
        assert found.share.value[0, ages[days]] == pytest.approx(share, abs=0.02)
    labelled = sum(pane.labelled for pane in panes)
    assert delay.lag_quantile(labelled, 0.5, Z).value[0] < 0.75 * np.log(2) * 5.77 * DAY
    assert np.isnan(found.share.value[0, ages[60]])  # no pane is that old


def test_intervals_of_shares_cover() -> None:
    random = np.random.default_rng(4)
    now, covered = 40 * DAY, []
    place = int(np.flatnonzero(EDGES == 7 * DAY)[0])
    for _ in range(600):
        panes = [cohort(now - age * DAY, random.exponential(5.77 * DAY, 20), now) for age in range(15)]
        share = delay.coverage(panes, now, 30 * DAY, Z).share
        covered.append(share.low[0, place] <= 1 - np.exp(-7 / 5.77) <= share.high[0, place])
    assert 0.92 <= np.mean(covered) <= 0.98


def test_the_backlog_and_what_is_still_to_come() -> None:
    random = np.random.default_rng(5)
    now = 60 * DAY
    lags = {age: random.exponential(5 * DAY, 4000) for age in (0, 2, 5, 10, 20, 29, 35, 50)}
    panes = [cohort(now - age * DAY, lag, now) for age, lag in lags.items()]
    found = delay.coverage(panes, now, 30 * DAY, Z)
    out = {age: lag >= age * DAY for age, lag in lags.items()}
    assert found.pending[0] == sum(out[age].sum() for age in lags if age <= 30)
    still = sum((out[age] & (lags[age] < 30 * DAY)).sum() for age in lags if age <= 30)
    assert found.expected[0] == pytest.approx(still, rel=0.05)
    assert found.oldest_pending_ms[0] == 29 * DAY
    assert found.labelled[0] + sum(mask.sum() for mask in out.values()) == found.predictions[0]


def test_old_predictions_are_less_likely_to_be_labelled_still() -> None:
    """Half of the labels come within the first day or never; of those out after a day none is expected."""
    lag = np.where(np.arange(1000) % 2 == 0, 5.0 * HOUR, 500.0 * DAY)
    now = 40 * DAY
    panes = [cohort(now - age * DAY, lag, now) for age in (3, 10, 35)]
    found = delay.coverage(panes, now, 30 * DAY, Z)
    assert found.pending[0] == 1000
    assert found.expected[0] == pytest.approx(0.0)
    young = delay.coverage([*panes, cohort(now, lag, now)], now, 30 * DAY, Z)
    assert young.expected[0] == pytest.approx(500.0)


def test_when_all_are_labelled_nothing_is_pending() -> None:
    panes = [cohort(0, np.full(50, 2.0 * HOUR), 10 * DAY)]
    found = delay.coverage(panes, 10 * DAY, 30 * DAY, Z)
    assert found.pending[0] == 0
    assert found.oldest_pending_ms[0] == -1
    assert found.share.value[0, EDGES == 6 * HOUR] == [1.0]
    assert found.expected[0] == 0


def test_without_panes_it_is_said() -> None:
    with pytest.raises(ValueError, match="expected at least one pane of predictions"):
        delay.coverage([], 0, DAY, Z)


def test_lags_of_a_pane_come_from_its_sparse_counts() -> None:
    random = np.random.default_rng(6)
    rows = binary_rows(random, 500, segments=3)
    rows.lag_ms, rows.labelled = random.integers(0, 20 * DAY, 500), random.random(500) < 0.6
    counts = rows.counts()
    codes, weights = np.zeros(0, np.int64), np.zeros(0, np.int64)
    prepared = np.zeros(500, [("combination", "<i4"), ("version", "<u2"), ("score_cell", "u1"), ("predicted", "u1"), ("score", "<f4")])
    prepared["combination"], prepared["score"], prepared["predicted"] = rows.segment, rows.score, rows.predicted
    prepared["score_cell"] = BINARY.score_cell(rows.score)
    chosen = rows.labelled
    outcomes = Outcomes(
        prepared[chosen],
        np.zeros(chosen.sum(), np.int64),
        rows.lag_ms[chosen],
        rows.truth[chosen].astype(float),
        np.full(chosen.sum(), np.nan),
    )
    codes, weights, _ = outcome_codes(BINARY, outcomes)
    both = add([sparse(codes, weights), sparse(prediction_codes(BINARY, prepared), np.ones(500, np.int64))])
    pane = delay.pane_lags(BINARY, 7, both, [np.zeros(3, np.intp), np.array([1, 2, 3])], 4)
    assert pane.end_ms == 7
    assert (pane.predictions == counts.predicted_rows).all()
    assert (pane.labelled == counts.by_lag.sum(axis=2)).all()


def test_the_rate_of_arrival_covers() -> None:
    arrived = np.random.default_rng(7).poisson(12 * 24, 4000)
    found = delay.arrivals_per_hour(arrived, DAY, Z)
    assert found.value.mean() == pytest.approx(12, rel=0.01)
    assert 0.94 <= ((found.low <= 12) & (found.high >= 12)).mean() <= 0.96
    none = delay.arrivals_per_hour(np.array([0]), DAY, Z)
    assert (none.low[0], none.high[0]) == pytest.approx((0.0, Z**2 / 24))


def test_labels_beyond_the_window_are_expected_as_they_came_for_predictions_before_it() -> None:
    random = np.random.default_rng(8)
    now, window, horizon = 100 * DAY, 7 * DAY, 30 * DAY
    lags = {age: random.exponential(9 * DAY, 3000) for age in range(38)}
    panes = [cohort(now - age * DAY, lag, now) for age, lag in lags.items()]
    found = delay.coverage(panes, now, horizon, Z, window)
    out = {age: lag >= age * DAY for age, lag in lags.items() if age < 7}
    assert found.predictions[0] == 7 * 3000
    assert found.pending[0] == sum(mask.sum() for mask in out.values())
    still = sum((out[age] & (lags[age] < horizon)).sum() for age in out)
    assert found.expected[0] == pytest.approx(still, rel=0.05)
    # Of the window alone nothing that old is known.
    assert np.isnan(delay.coverage([pane for pane in panes if pane.end_ms > now - window], now, horizon, Z, window).expected[0])


def test_a_bin_is_told_by_the_window_where_it_can_and_by_predictions_before_it_where_it_cannot() -> None:
    now, window = 100 * DAY, 7 * DAY
    slow, fast = np.full(1000, 1.5 * DAY), np.full(1000, 5.0 * HOUR)  # labels came after a day and a half once
    panes = [cohort(now - age * DAY, fast if age < 7 else slow, now) for age in range(20)]
    found = delay.coverage(panes, now, 30 * DAY, Z, window).share.value[0]
    assert found[EDGES == 6 * HOUR] == [1.0]
    few = [cohort(now - age * DAY, (fast if age < 7 else slow)[: 10 if age < 7 else 1000], now) for age in range(20)]
    assert delay.coverage(few, now, 30 * DAY, Z, window).share.value[0][EDGES == 6 * HOUR] < 0.01


def test_a_horizon_between_two_ages_is_known_once_predictions_are_that_old() -> None:
    random = np.random.default_rng(9)
    now, horizon = 100 * DAY, 20 * DAY
    lags = {age: random.uniform(0, 25 * DAY, 4000) for age in range(25)}
    panes = [cohort(now - age * DAY, np.where(lag > horizon, 10**12, lag), now) for age, lag in lags.items()]
    found = delay.coverage(panes, now, horizon, Z)
    still = sum(((lag >= age * DAY) & (lag < horizon)).sum() for age, lag in lags.items() if age <= 20)
    assert found.expected[0] == pytest.approx(still, rel=0.03)
    assert found.share.value[0, EDGES == 30 * DAY] == pytest.approx([0.8], abs=0.02)


@pytest.mark.parametrize(("stopped", "ratio"), [(0, 1.0), (3, 0.5), (6, 0.0)])
def test_labels_that_stopped_are_fewer_than_due_at_the_age_of_their_predictions(stopped: int, ratio: float) -> None:
    """Labels come within 18 hours, for two thirds of the predictions; for days none has come at all."""
    random = np.random.default_rng(10)
    now, window = 100 * DAY, 7 * DAY
    panes = []
    for age in range(1, 30):
        lag = np.where(random.random(3000) < 2 / 3, random.uniform(0, 18 * HOUR, 3000), 10**12)
        came = cohort(now - age * DAY, lag, now).labelled * (age > stopped)
        panes.append(delay.PaneLags(now - age * DAY, np.array([3000]), came))
    found = delay.coverage(panes, now, 30 * DAY, Z, window)
    assert found.due[0] == pytest.approx(6 * 2000, rel=0.02)
    assert found.in_time[0] / found.due[0] == pytest.approx(ratio, abs=0.03)


def test_young_predictions_are_not_due() -> None:
    """Traffic grew a hundredfold an hour ago; labels need two to three hours."""
    now, window = 100 * DAY, 7 * DAY
    random = np.random.default_rng(11)
    panes = [cohort(now - age * HOUR, random.uniform(2.1, 2.9, 50_000 if age < 1 else 500) * HOUR, now) for age in range(0, 300)]
    found = delay.coverage(panes, now, 30 * DAY, Z, window)
    assert found.labelled[0] < 0.65 * found.predictions[0]
    assert found.in_time[0] / found.due[0] == pytest.approx(1.0, abs=0.01)


def test_what_was_due_is_unknown_before_there_was_a_window_before() -> None:
    now = 100 * DAY
    panes = [cohort(now - age * DAY, np.full(500, 3.0 * HOUR), now) for age in range(7)]
    assert np.isnan(delay.coverage(panes, now, 30 * DAY, Z, 7 * DAY).due[0])
