"""From the label pipeline's counts to what an estimate is made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.counts import LabelledRows, PaneCounts, PredictionRows
from monitor.estimate.delivery import typical_pause_ms
from monitor.outcome.layout import LAG_EDGES_MS, OutcomeLayout
from monitor.outcome.sparse import SparseCounts

Int64 = NDArray[np.int64]

TRICKLE = 2
"""Panes from one label to the next, at most, where labels come at any time."""


def pane_counts(
    layout: OutcomeLayout,
    panes: Mapping[int, SparseCounts],
    pane_ms: int,
    segments: Sequence[str],
    place: NDArray[np.intp],
    labels_to_ms: int,
    label_instants_ms: Int64,
) -> PaneCounts:
    """Counts of one grouping from panes by number, kept by the predictions' time (and restated as labels come).

    ``place`` [combinations] is the place of each combination's segment among ``segments``: one row of what ``Combinations.segments`` gives.
    Segments without rows are left out. Raises ``ValueError`` for a regression, whose predictions are neither right nor wrong, and
    without panes.
    """
    if layout.task == "regression":
        raise ValueError("expected a classification, got a regression: its predictions are neither right nor wrong")
    if not panes:
        raise ValueError("expected panes of outcomes, got none")
    numbers = np.array(sorted(panes), np.int64)
    codes = np.concatenate([panes[number].codes for number in numbers.tolist()])
    counts = np.concatenate([panes[number].counts for number in numbers.tolist()])
    pane = np.repeat(np.arange(len(numbers)), [len(panes[number]) for number in numbers.tolist()])
    combination, cell = np.divmod(codes, layout.cells)
    # The place of a combination without rows means nothing.
    used, local = np.unique(place[combination], return_inverse=True)
    segment = local.astype(np.int64)
    p, t = layout.predicted, layout.truth

    def of_class(predicted: Int64) -> Int64:
        # Only two classes are told apart: with more, strata of the score would become too many.
        return predicted if layout.task == "binary" else np.zeros_like(predicted)

    is_prediction = cell < layout.first_outcome
    is_outcome = ~is_prediction & (cell < layout.first_sum)
    score, predicted = np.divmod(cell[is_prediction], p)
    predictions = PredictionRows(pane[is_prediction], segment[is_prediction], score, of_class(predicted), counts[is_prediction])
    joint, n = cell[is_outcome] - layout.first_outcome, counts[is_outcome]
    lag, joint = np.divmod(joint, layout.score_cells * p * t)
    score, joint = np.divmod(joint, p * t)
    predicted, truth = np.divmod(joint, t)
    right = predicted == truth
    labelled = LabelledRows(
        pane[is_outcome], segment[is_outcome], score, of_class(predicted), lag, np.where(right, n, 0), np.where(right, 0, n)
    )
    return PaneCounts(
        tuple(segments[number] for number in used.tolist()),
        numbers * pane_ms,
        int(numbers[-1] + 1) * pane_ms,
        labels_to_ms,
        predictions,
        labelled,
        LAG_EDGES_MS,
        label_instants_ms,
    )


def label_instants_ms(panes: Collection[int], pane_ms: int) -> Int64:
    """When labels came, from the numbers of the panes that they came in: their ends. None where they trickle, a pane or two apart.

    That they came within such panes is all that is known, and says nothing of deliveries: not for a quiet night now and then either.
    """
    instants = (np.array(sorted(panes), np.int64) + 1) * pane_ms
    return instants if typical_pause_ms(instants) > TRICKLE * pane_ms else np.zeros(0, np.int64)
