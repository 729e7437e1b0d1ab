"""Labels of the sample's flights: drawn with a seed, joined and judged as in production.

A flight's delay is known hours to days after its prediction. In March the model misses half of the late flights at JFK, which it
did not in its validation; and more flights of carrier EV are late than were.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.noise import normal_quantile
from monitor.label_verdicts import LabelVerdicts, RestatedPane
from monitor.labels import LabelsEvaluated
from monitor.outcome.cells import Outcomes, outcome_codes, prediction_codes, row_dtype
from monitor.outcome.combination import Combinations
from monitor.outcome.counts import OutcomeCounts, outcome_counts
from monitor.outcome.layout import OutcomeLayout
from monitor.outcome.panes import OutcomePanes
from monitor.performance import backlog
from monitor.performance.collect import shortages, wanted
from monitor.performance.cost import cost_table
from monitor.performance.delay import coverage, pane_lags
from monitor.performance.failure_modes import failure_modes
from monitor.performance.representativeness import representativeness
from monitor.performance.validation import Validation
from monitor.performance.verdict import PerformanceSettings, Restatement, View, performance
from monitor.profile.layout import SignalBins
from monitor.window import Window
from tests.expose import qualities

DAY_MS = 86_400_000
NOW_MS = 1_364_860_800_000  # 2013-04-02 00:00 UTC, as in ``sample``
DAYS = 21
ORIGINS = ("EWR", "JFK", "LGA")
CARRIERS = ("AA", "B6", "DL", "EV", "UA", "WN")
BINARY = OutcomeLayout("binary", ("0", "1"), SignalBins("score", "numeric", tuple(x / 25 for x in range(1, 25))))
REGRESSION = OutcomeLayout("regression", (), SignalBins("score", "numeric", tuple(float(x) for x in range(-20, 60, 5))), scale=15.0)
GROUPINGS: tuple[tuple[str, ...], ...] = ((), ("origin",), ("carrier",), ("origin", "carrier"))
Z = normal_quantile(0.975)
RESTATED_MS = NOW_MS - DAY_MS // 2
COSTS = ((0.0, 1.0), (4.0, 0.0))


def combinations() -> Combinations:
    return Combinations(("origin", "carrier"), 1_000, [("__other__", "__other__"), *itertools.product(ORIGINS, CARRIERS)])


def _rows(layout: OutcomeLayout, n: int, rng: np.random.Generator, *, worse: bool) -> tuple[NDArray[np.void], NDArray[np.float64]]:
    """Predictions and what turned out to be true."""
    rows = np.zeros(n, row_dtype(layout, False))
    rows["combination"] = rng.integers(1, 1 + len(ORIGINS) * len(CARRIERS), n)
    jfk = (rows["combination"] - 1) // len(CARRIERS) == ORIGINS.index("JFK")
    ev = (rows["combination"] - 1) % len(CARRIERS) == CARRIERS.index("EV")
    if layout.task == "regression":
        truth = rng.gamma(2.0, 8.0, n) - 6
        score = truth + rng.normal(4.0 if worse else 0.0, 6.0, n)
    else:
        chance = rng.beta(1.2, 3.0, n)
        truth = (rng.random(n) < np.clip(chance + np.where(ev & worse, 0.12, 0.0), 0, 1)).astype(float)
        score = np.where(jfk & worse, chance * 0.55, chance)
        rows["predicted"] = score >= 0.4
    rows["score"], rows["score_cell"] = score, layout.score_cell(score)
    return rows, truth


def evaluated(
    layout: OutcomeLayout = BINARY,
    *,
    rows: int = 60_000,
    worse: bool = True,
    known: bool = True,
    version: str = "2013-02",
    model: str = "flights",
) -> LabelsEvaluated:
    """The labels of three weeks; ``known``: the reference has labels too."""
    rng = np.random.default_rng(11)
    kept, truth = _rows(layout, rows, rng, worse=worse)
    time_ms = NOW_MS - rng.integers(1, DAYS * DAY_MS, rows)
    label_ms = time_ms + np.rint(rng.lognormal(np.log(0.6), 0.9, rows) * DAY_MS).astype(np.int64)
    came = (label_ms < NOW_MS) & (rng.random(rows) < 0.9)
    audit = came & (rng.random(rows) < 0.05)
    panes = {name: OutcomePanes(DAYS, DAYS) for name in ("prediction", "label", "audit", "review")}
    every = np.arange(rows)
    panes["prediction"].add(time_ms // DAY_MS, prediction_codes(layout, kept), np.ones(rows, np.int64))
    for chosen, views in ((every[came & ~audit], ("prediction", "label")), (every[audit], ("audit",))):
        codes, weights, row = outcome_codes(
            layout, Outcomes(kept[chosen], time_ms[chosen], label_ms[chosen], truth[chosen], np.full(len(chosen), np.nan))
        )
        for view in views:
            of_view = time_ms if view == "prediction" else label_ms
            panes[view].add((of_view[chosen] // DAY_MS)[row], codes, weights)
    for each in panes.values():
        each.move_to(NOW_MS // DAY_MS)
    names = combinations()
    segments, places = names.segments(GROUPINGS, np.bincount(kept["combination"], minlength=len(names)), (), 1_000)
    counts = {name: outcome_counts(layout, each.total(), segments, places) for name, each in panes.items()}
    before = Validation(_validated(layout, segments, places), None) if known else None
    window = Window("labels", NOW_MS - DAYS * DAY_MS, NOW_MS)
    settings = PerformanceSettings(costs=COSTS if layout.task == "binary" else ())

    def judged(name: str, view: View):  # type: ignore[no-untyped-def]
        found = performance(counts[name], settings, model=model, version=version, view=view, window=window, validation=before)
        first = found.value + 0.01 if view == "prediction_time" else None
        return replace(found, restatement=Restatement(found.labelled // 50, np.where(found.labelled >= 50, RESTATED_MS, 0), first))

    lags = [
        pane_lags(layout, (day + 1) * DAY_MS, of_pane, list(places), len(segments)) for day, of_pane in panes["prediction"].settle().items()
    ]
    classes = layout.task != "regression"
    estimate, errors = qualities.estimate(segments)
    one = LabelVerdicts(
        version, window, 14 * DAY_MS,
        judged("prediction", "prediction_time"), judged("label", "label_time"), judged("audit", "audit"), counts["review"],
        coverage(lags, NOW_MS, 14 * DAY_MS, Z, DAYS // 2 * DAY_MS),
        representativeness(counts["prediction"], noise_quantile=0.999, min_labelled=200),
        wanted(counts["prediction"], 0.05, Z) if classes else None,
        () if before is None else tuple(shortages(counts["label"], before.counts, Z)), qualities.quality(segments, places),
        failure_modes(counts["prediction"], None, before and before.counts, cost_table(COSTS) if classes else None, Z),
        qualities.ANNOTATORS, estimate, Window("estimate", NOW_MS - DAY_MS, NOW_MS), errors, panes_restated(counts["prediction"].labelled),
    )  # fmt: skip
    modes = backlog.advance({}, one.modes, version, NOW_MS, min_labelled=200, limit=200)
    return LabelsEvaluated(model, NOW_MS, (one,), tuple(modes.values()))


def panes_restated(labelled: NDArray[np.int64]) -> tuple[RestatedPane, ...]:
    """A revised label in fifty, all of them in one of two panes."""
    last_ms = np.where(labelled >= 50, RESTATED_MS, 0)
    starts = [NOW_MS - days * DAY_MS for days in (9, 2)]
    return tuple(RestatedPane(start, start + DAY_MS, labelled // 50 * part, last_ms) for part, start in enumerate(starts))


def _validated(layout: OutcomeLayout, segments: tuple[str, ...], places: NDArray[np.intp]) -> OutcomeCounts:
    rng = np.random.default_rng(12)
    rows, truth = _rows(layout, 40_000, rng, worse=False)
    zeros = np.zeros(len(rows), np.int64)
    panes = OutcomePanes(1, 1)
    codes, weights, row = outcome_codes(layout, Outcomes(rows, zeros, zeros, truth, np.full(len(rows), np.nan)))
    panes.add(zeros[row], codes, weights)
    panes.move_to(1)
    return outcome_counts(layout, panes.total(), segments, places)


@functools.cache
def flights() -> LabelsEvaluated:
    return evaluated()
