"""Labelled predictions as raw rows, and their counts: what tests compare with libraries that read raw rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.outcome.cells import PROBABILITY_SCALE, Outcomes, outcome_codes, prediction_codes, row_dtype
from monitor.outcome.counts import OutcomeCounts, outcome_counts
from monitor.outcome.layout import OutcomeLayout
from monitor.outcome.sparse import add, sparse

BINARY = OutcomeLayout("binary", ("no", "yes"))
THREE = OutcomeLayout("multiclass", ("a", "b", "c"))
PROBABILITIES = OutcomeLayout("multiclass", ("a", "b", "c"), probabilities=True)


@dataclass
class Rows:
    """Raw rows; ``segment`` is a number per row, segments are named s0, s1, ... beside ALL."""

    layout: OutcomeLayout
    score: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray
    segment: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    kpi: np.ndarray | None = None
    lag_ms: np.ndarray | None = None
    labelled: np.ndarray | None = None  # which predictions have a label; all when None

    def counts(self) -> OutcomeCounts:
        n = len(self.score)
        rows = np.zeros(n, row_dtype(self.layout, self.probabilities is not None))
        rows["score"], rows["predicted"] = self.score, self.predicted
        rows["score_cell"] = self.layout.score_cell(np.asarray(self.score, float))
        if self.probabilities is not None:
            rows["probabilities"] = np.rint(self.probabilities * PROBABILITY_SCALE)
        segment = np.zeros(n, int) if self.segment is None else self.segment
        rows["combination"] = segment
        chosen = np.full(n, True) if self.labelled is None else self.labelled
        kpi = np.full(n, np.nan) if self.kpi is None else self.kpi
        lag = np.zeros(n, np.int64) if self.lag_ms is None else self.lag_ms
        truth = np.asarray(self.truth, float)
        outcomes = Outcomes(rows[chosen], np.zeros(chosen.sum(), np.int64), lag[chosen], truth[chosen], kpi[chosen])
        codes, weights, _ = outcome_codes(self.layout, outcomes)
        predicted = prediction_codes(self.layout, rows)
        both = add([sparse(codes, weights), sparse(predicted, np.ones(n, np.int64))])
        names = ("ALL", *(f"s{number}" for number in range(int(segment.max(initial=0)) + 1)))
        places = np.stack([np.zeros(len(names) - 1, np.intp), np.arange(1, len(names))])
        return outcome_counts(self.layout, both, names, places)


def binary_rows(random: np.random.Generator, n: int, segments: int = 1, threshold: float = 0.5, tilt: float = 0.0) -> Rows:
    """Scores of a model that is calibrated when ``tilt`` is 0: the positive class has the score's probability + tilt."""
    score = random.beta(1.0, 2.0, n).astype(np.float32).astype(float)
    truth = (random.random(n) < np.clip(score + tilt, 0, 1)).astype(int)
    return Rows(BINARY, score, (score >= threshold).astype(int), truth, random.integers(0, segments, n))


def multiclass_rows(
    random: np.random.Generator, n: int, segments: int = 1, layout: OutcomeLayout = THREE, shares: tuple[float, ...] = (1.0, 0.7, 0.4)
) -> Rows:
    probabilities = random.dirichlet(shares, n)
    truth = (random.random((n, 1)) > np.cumsum(probabilities, axis=1)).sum(axis=1)
    predicted = probabilities.argmax(axis=1)
    return Rows(layout, probabilities.max(axis=1), predicted, truth, random.integers(0, segments, n), probabilities=probabilities)


def probability_rows(random: np.random.Generator, n: int, segments: int = 1) -> Rows:
    """The same, counted by the probability of each class too."""
    return multiclass_rows(random, n, segments, PROBABILITIES)
