"""What is counted of predictions and of their labels: named blocks of cells in one row of whole numbers.

    predicted   [score cells, predicted]                  every prediction, labelled or not
    outcome     [lags, score cells, predicted, truth]     every labelled one
    sums        [SUMS]                                    losses and the like, in fixed point
    class_score [classes, class scores, 2]                every labelled one once for each class, where rows keep probabilities

``predicted`` are the classes and one cell for a class that is none of them. ``truth`` are the classes, or for regression
the cells of the error prediction - label, in units of ``scale``. Score cells are those of the reference's score, so
that counts stand beside the reference's tables; without a reference they are 20 equal parts of [0, 1]. Class scores are the
probability of a class, in cells that are finer towards 0 and 1; the last axis is whether the row is the class. Everything that is
reported of labels is a sum over some of these axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from monitor.profile.layout import FAULT_CELLS, Layout, SignalBins

Task = Literal["binary", "multiclass", "regression"]

LAG_EDGES_MS = tuple(
    minutes * 60_000 for minutes in (0, 1, 5, 15, 60, 180, 360, 720, 1_440, 2_880, 4_320, 10_080, 20_160, 43_200, 86_400, 129_600)
)
"""Label lags in bins from below zero (a label before its prediction) over minutes and days to 90 days and more."""

LAGS = len(LAG_EDGES_MS) + 1

SUMS = (
    "scored_rows",  # labelled rows with a usable score (classes: a probability)
    "squared_error",  # (p - y)², over classes; regression: squared error in units of scale²
    "squared_error_squared",  # classes: squares of these terms, from which their spread follows
    "log_loss",  # -ln p of the true class
    "log_loss_squared",
    "error",  # regression: prediction - label, in units of scale
    "absolute_error",
    "target",  # regression: label, in units of scale
    "target_squared",
    "clipped_rows",  # regression: rows whose error or label was too large for the fixed point
    "kpi_rows",
    "kpi",  # in units of kpi_max
    "kpi_squared",
    "kpi_clipped_rows",
)
"""Names of the sums. Rows are counted in whole numbers, the kpi in units of 1 / KPI_SCALE, the rest in units of 1 / SUM_SCALE."""

SUM_SCALE = 1 << 20
"""A sum of 10^9 terms of at most 2^13 stays within 64 bits, and a term is right to a millionth."""

KPI_SCALE = SUM_SCALE << 12
"""The kpi is within [-1, 1] in units of ``kpi_max``, which may be much larger than usual values: their squares must not round to 0."""

LARGEST_TERM = float(1 << 6)
"""Errors and labels of a regression are clipped at 64 times ``scale``: their squares are then at most 2^12."""

_RARE = (0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075)
CLASS_SCORE_EDGES = (*_RARE, *(step / 20 for step in range(2, 19)), *(1 - edge for edge in reversed(_RARE)))
"""Edges of the cells of the probability of one class. A rare class has hardly any above a tenth."""

CLASS_SCORES = len(CLASS_SCORE_EDGES) + 1

_RESIDUAL_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
RESIDUAL_EDGES = tuple([-step for step in reversed(_RESIDUAL_STEPS)] + [0.0] + list(_RESIDUAL_STEPS))
"""Edges of the cells of a regression's error, in units of ``scale``."""

_DEFAULT_SCORE = SignalBins("score", "numeric", edges=tuple(i / 20 for i in range(1, 20)))


@dataclass(frozen=True)
class OutcomeLayout:
    """The blocks of one model version. Counts of two layouts never mix; equal layouts have equal fields."""

    task: Task
    classes: tuple[str, ...]  # binary: negative, positive; empty for regression
    score: SignalBins = _DEFAULT_SCORE  # cells of the score; one value cell without a score
    scale: float = 1.0  # regression: the unit of errors
    kpi_max: float = 1e6
    probabilities: bool = False  # multiclass: rows keep the probability of each class

    @property
    def score_cells(self) -> int:
        """Cells of the score, the fault cells included."""
        return self.score.cells

    @property
    def predicted(self) -> int:
        """Cells of the predicted class: the classes, and one for none of them; 1 for regression."""
        return len(self.classes) + 1

    @property
    def truth(self) -> int:
        """Cells of the truth."""
        return len(RESIDUAL_EDGES) + 1 if self.task == "regression" else len(self.classes)

    @property
    def first_outcome(self) -> int:
        """First cell of the block ``outcome``."""
        return self.score_cells * self.predicted

    @property
    def first_sum(self) -> int:
        """First cell of the block ``sums``."""
        return self.first_outcome + LAGS * self.score_cells * self.predicted * self.truth

    @property
    def first_class_score(self) -> int:
        """First cell of the block ``class_score``."""
        return self.first_sum + len(SUMS)

    @property
    def cells(self) -> int:
        """Cells in all."""
        return self.first_class_score + (2 * CLASS_SCORES * len(self.classes) if self.probabilities else 0)

    @cached_property
    def score_edges(self) -> np.ndarray:
        """[edges] edges of the score, rising."""
        return np.array(self.score.edges, np.float64)

    def score_cell(self, scores: np.ndarray) -> np.ndarray:
        """[n] cell of each score; NaN goes to the cell of missing ones, an infinity to that of non-finite ones.

        >>> OutcomeLayout("binary", ("0", "1")).score_cell(np.array([0.0, 0.05, 0.999, np.nan, np.inf])).tolist()
        [3, 4, 22, 0, 2]
        """
        cells = FAULT_CELLS + np.searchsorted(self.score_edges, scores, side="right")
        cells[np.isinf(scores)] = 2
        cells[np.isnan(scores)] = 0
        return cells.astype(np.int64)


def score_bins(layout: Layout) -> SignalBins | None:
    """The cells of the score that a reference or another version of the model has; None where it has no score, or one of a single value."""
    return next((signal for signal in layout.signals if signal.name == "score" and signal.edges), None)


def same_score(reference: Layout, counted: OutcomeLayout) -> bool:
    """Whether a reference's tables by score cell stand beside what is counted: they do not where its version was counted before it came."""
    return score_bins(reference) in (None, counted.score)
