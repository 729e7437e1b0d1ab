"""Which metrics the labels of a model can ever tell, by the names that a policy calls them."""

from __future__ import annotations

import numpy as np

from monitor.outcome.cells import PROBABILITY_SCALE, Outcomes, kept_rows, outcome_codes
from monitor.outcome.counts import outcome_counts
from monitor.outcome.layout import OutcomeLayout
from monitor.outcome.sparse import sparse
from monitor.performance.cost import cost_table
from monitor.performance.metric import metric_columns
from monitor.segment import ALL

_ROWS = 1_000
"""Of each kind: enough for every metric to have an interval."""


def called(metric: str, of: str, positive: str | None) -> tuple[str, ...]:
    """Names of a metric: of a class it is ``recall[yes]``, and of a binary model ``recall`` is that of the positive class.

    >>> called("recall", "yes", "yes"), called("recall", "no", "yes"), called("accuracy", "", "yes")
    (('recall[yes]', 'recall'), ('recall[no]',), ('accuracy',))
    """
    named = f"{metric}[{of}]" if of else metric
    return (named, metric) if of and of == positive else (named,)


def told_metrics(layout: OutcomeLayout, *, scored: bool, classed: bool, with_kpi: bool) -> tuple[str, ...]:
    """Names of all metrics that have a value where predictions of every kind have labels of every kind.

    ``scored``: predictions have a score; ``classed``: they name a class. A metric that needs what they have not stays unknown for ever.
    """
    of_classes = layout.task != "regression"
    predicted, truth = (np.arange(max(len(layout.classes), 2), dtype=np.float64) for _ in range(2))
    predicted, truth, score = (each.ravel() for each in np.meshgrid(predicted, truth, [0.25, 0.75]))
    n = len(truth)
    scores = np.full(n, np.nan) if not scored else score if of_classes else predicted
    rows = kept_rows(layout, scores, layout.score_cell(scores), predicted if classed else np.full(n, np.nan), None)
    if layout.probabilities:
        rows["probabilities"] = PROBABILITY_SCALE // len(layout.classes)
    times = np.zeros(n, np.int64)
    codes, weights, _ = outcome_codes(layout, Outcomes(rows, times, times, truth, np.full(n, 1.0 if with_kpi else np.nan)))
    counts = outcome_counts(layout, sparse(codes, weights * _ROWS), (ALL,), [np.zeros(1, np.intp)])
    costs = cost_table((1.0 - np.eye(len(layout.classes))).tolist()) if of_classes else None
    found = metric_columns(counts, 1.0, costs=costs, with_kpi=with_kpi)
    positive = layout.classes[1] if layout.task == "binary" else None
    known = np.isfinite(found.estimate.value[0] + found.estimate.low[0] + found.estimate.high[0])
    names = zip(found.names, found.classes, known.tolist(), strict=True)
    return tuple(dict.fromkeys(name for metric, of, is_known in names if is_known for name in called(metric, of, positive)))
