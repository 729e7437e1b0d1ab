"""The live pipeline's counts and the estimate in process: the same numbers from the same events."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.estimate.accuracy import estimate_accuracy
from monitor.estimate.counts import PaneCounts
from monitor.estimate.outcomes import pane_counts
from monitor.estimate.tables import error_table
from monitor.outcome.cells import Outcomes, outcome_codes, prediction_codes, row_dtype
from monitor.outcome.combination import Combinations
from monitor.outcome.layout import LAG_EDGES_MS, OutcomeLayout
from monitor.outcome.sparse import SparseCounts, add, sparse

HOUR = 3_600_000
LAYOUT = OutcomeLayout("binary", ("0", "1"))
N = 20_000


def live() -> tuple[dict[str, np.ndarray], dict[int, SparseCounts], tuple[str, ...], np.ndarray]:
    """Events of two countries and devices; their counts by pane, and the places of combinations by grouping."""
    rng = np.random.default_rng(4)
    score = rng.beta(0.7, 0.9, N)
    event = {
        "country": rng.integers(0, 2, N), "device": rng.integers(0, 2, N), "score": score, "predicted": (score >= 0.5).astype(int),
        "truth": (rng.random(N) < 0.1 + 0.8 * score).astype(int), "time": np.sort(rng.integers(0, 48 * HOUR, N)),
        "lag": (6 * HOUR * np.exp(rng.normal(0, 1, N))).astype(int),
    }  # fmt: skip
    combinations = Combinations(("country", "device"), 10)
    number = combinations.number(np.stack([event["country"], event["device"]], axis=1).astype(np.int32), [["DE", "FR"], ["pc", "app"]])
    rows = np.zeros(N, row_dtype(LAYOUT, probabilities=False))
    rows["score"], rows["predicted"], rows["combination"] = score, event["predicted"], number
    rows["score_cell"] = LAYOUT.score_cell(score)
    come = event["time"] + event["lag"] < 48 * HOUR
    event["cell"], event["come"] = rows["score_cell"], come
    outcomes = Outcomes(rows, event["time"], event["time"] + event["lag"], event["truth"].astype(float), np.full(N, np.nan))
    panes = {}
    for pane in range(48):
        mine = event["time"] // HOUR == pane
        labelled = Outcomes(*(getattr(outcomes, name)[mine & come] for name in ("rows", "prediction_ms", "label_ms", "value", "kpi")))
        codes, weights, _ = outcome_codes(LAYOUT, labelled)
        predicted = prediction_codes(LAYOUT, rows[mine])
        panes[pane] = add([sparse(codes, weights), sparse(predicted, np.ones(len(predicted), np.int64))])
    groupings = [(), ("country",), ("device",)]
    segments, places = combinations.segments(groupings, np.bincount(number, minlength=len(combinations)), (), 100)
    return event, panes, segments, places


@pytest.fixture(scope="module")
def counted():
    return live()


def of(counted, grouping: int) -> PaneCounts:
    _, panes, segments, places = counted
    return pane_counts(LAYOUT, panes, HOUR, segments, places[grouping], 48 * HOUR, np.zeros(0, np.int64))


def test_counts_of_a_grouping_equal_plain_loops(counted):
    event, made = counted[0], of(counted, 1)
    assert made.segments == ("country=DE", "country=FR")
    assert made.start_ms.tolist() == [pane * HOUR for pane in range(48)]
    rows, labelled = made.predictions, made.labelled
    lag = np.searchsorted(LAG_EDGES_MS, event["lag"], side="right")
    for pane, country, predicted in ((3, 0, 0), (20, 1, 1), (47, 1, 0)):
        mine = (event["time"] // HOUR == pane) & (event["country"] == country) & (event["predicted"] == predicted)
        at = (rows.pane == pane) & (rows.segment == country) & (rows.predicted == predicted)
        assert rows.count[at].sum() == mine.sum()
        for cell in np.unique(event["cell"][mine]):
            assert rows.count[at & (rows.cell == cell)].sum() == (mine & (event["cell"] == cell)).sum()
        at = (labelled.pane == pane) & (labelled.segment == country) & (labelled.predicted == predicted)
        come, wrong = mine & event["come"], event["predicted"] != event["truth"]
        for bin_ in np.unique(lag[come]):
            assert labelled.wrong[at & (labelled.lag == bin_)].sum() == (come & wrong & (lag == bin_)).sum()
            assert labelled.right[at & (labelled.lag == bin_)].sum() == (come & ~wrong & (lag == bin_)).sum()


def test_every_grouping_estimates_the_same_traffic(counted):
    event = counted[0]
    cells = LAYOUT.score_cells
    wrong = event["predicted"] != event["truth"]
    truth = 1 - wrong[event["time"] >= 36 * HOUR].mean()
    for grouping, column in ((1, "country"), (2, "device")):
        made = of(counted, grouping)
        codes = event[column] * cells + event["cell"]
        n, k = (np.bincount(codes, w, minlength=2 * cells).reshape(2, cells).astype(int) for w in (None, wrong))
        table = error_table(("country=DE", "country=FR") if column == "country" else ("device=pc", "device=app"), n, k)
        found = estimate_accuracy(table, made, made.start_ms >= 36 * HOUR)
        assert found.segments == ("ALL", *made.segments)
        assert found.n[0] == (event["time"] >= 36 * HOUR).sum()
        assert found.labelled[0] == (event["come"] & (event["time"] >= 36 * HOUR)).sum()
        assert found.low[0] < truth < found.high[0]


def test_a_regression_is_neither_right_nor_wrong(counted):
    with pytest.raises(ValueError, match="expected a classification, got a regression"):
        pane_counts(OutcomeLayout("regression", ()), counted[1], HOUR, counted[2], counted[3][0], 0, np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="expected panes of outcomes, got none"):
        pane_counts(LAYOUT, {}, HOUR, counted[2], counted[3][0], 0, np.zeros(0, np.int64))
