"""Predictions that have left the panes, and how late their labels came: kept until labels have had their whole horizon.

Panes of outcomes hold a window or two. Labels go on coming for the rest of the horizon, and how many still will is told only by
predictions that old. Of those this keeps no more than combination and lag, in wide panes: a 64th of the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.outcome.layout import LAGS, OutcomeLayout
from monitor.outcome.panes import OutcomePanes
from monitor.outcome.sparse import SparseCounts

Int64 = NDArray[np.int64]

COHORTS = 64
"""Cohorts in a horizon; those of a quarter of it more are kept, or only one would tell of the longest lags."""

CELLS = 1 + LAGS
"""Cells of a combination: its predictions, and its labels by lag."""


@dataclass(eq=False)
class Cohorts:
    """Counts by cohort, ``width`` panes each: code is combination * CELLS + (0: a prediction, 1 + lag: a label)."""

    layout: OutcomeLayout
    width: int
    counts: OutcomePanes

    @staticmethod
    def empty(layout: OutcomeLayout, pane_ms: int, horizon_ms: int) -> Cohorts:
        """Before the first prediction."""
        width = -(-horizon_ms // (COHORTS * pane_ms))
        kept = -(-5 * horizon_ms // (4 * width * pane_ms)) + 2
        return Cohorts(layout, width, OutcomePanes(kept, kept))

    def add(self, pane: Int64, codes: Int64, weights: Int64) -> None:
        """Add outcomes of panes, [n] each: ``codes`` of the layout."""
        combination, cell = np.divmod(codes, self.layout.cells)
        counted = cell < self.layout.first_sum
        of_lag = self.layout.score_cells * self.layout.predicted * self.layout.truth
        lag = np.where(cell < self.layout.first_outcome, -1, (cell - self.layout.first_outcome) // of_lag)
        self.counts.add(pane[counted] // self.width, (combination * CELLS + 1 + lag)[counted], weights[counted])

    def move_to(self, end_pane: int) -> None:
        """Let go what no label can reach any more; ``end_pane``: of the panes."""
        self.counts.move_to(end_pane // self.width)


def cohort_lags(counts: SparseCounts, places: NDArray[np.intp], segments: int) -> tuple[Int64, Int64]:
    """[G] predictions and [G, LAGS] labels of one cohort; ``places`` [groupings, combinations] of the segments."""
    combination, cell = np.divmod(counts.codes, CELLS)
    found = np.zeros((segments, CELLS), np.int64)
    for place in places:
        np.add.at(found, (place[combination], cell), counts.counts)
    return found[:, 0], found[:, 1:]
