"""What the labels of the data say: validation performance, errors by segment and score, and how late labels come.

All tables are counts; sums of losses are kept in fixed point, so nothing depends on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.outcome.layout import LAG_EDGES_MS
from monitor.profile.layout import FAULT_CELLS
from monitor.segment import MISSING

LABEL = "label of the row"
"""The segment column that carries the label while data is read."""

FINE_LAG_EDGES_MS = (0, *(round(60_000 * 1.25**step) for step in range(54)))
"""The same range in steps of a quarter: what is expected of a label depends on its lag, and within a wide bin it would change too much."""

_NEGATIVE = frozenset({"0", "0.0", "false", "no", "n", "f", "negative", "neg", "-1"})
_MAX_CLASSES = 20
_LOSS_SCALE = 1 << 30
_SMALLEST = 1e-15  # a probability is at least this, as is usual for log loss

Ints = NDArray[np.int64]


def positive_class(classes: Sequence[str]) -> str | None:
    """The class whose probability a binary model's score is, by its name; None when there are not two classes.

    >>> positive_class(["false", "true"]), positive_class(["bad", "good"]), positive_class(["a", "b", "c"])
    ('true', 'good', None)
    """
    if len(classes) != 2:
        return None
    first, second = sorted(classes)
    return first if second.lower() in _NEGATIVE and first.lower() not in _NEGATIVE else second


@dataclass(eq=False)
class LabelCounts:
    """Labelled rows counted by segment and cell of the score, by class and by lag.

    ``cells`` is the number of cells of the score, 1 without one; ``probability``: whether scores lie within [0, 1].
    """

    classes: tuple[str, ...]  # labels of the data, the most frequent first
    cells: int
    probability: bool
    positive: str | None
    spellings: dict[str, int] | None = None  # configured names of classes, and the index of each; None: by text
    rows: int = 0
    unlabelled: int = 0
    tables: dict[str, Ints] = field(default_factory=dict)  # segment -> [labelled, wrong, positive] x cells
    loss: Ints = field(default_factory=lambda: np.zeros(3, np.int64))  # rows with a score, squared, logarithmic
    lag: Ints = field(default_factory=lambda: np.zeros((3, len(LAG_EDGES_MS) + 1), np.int64))
    fine_lag: Ints = field(default_factory=lambda: np.zeros((3, len(FINE_LAG_EDGES_MS) + 1), np.int64))

    def __post_init__(self) -> None:
        self.classes = self.classes[:_MAX_CLASSES]
        self.confusion = np.zeros((len(self.classes) + 1, len(self.classes) + 1), np.int64)
        self.known_class = False
        self.known_lag = False
        # [labelled, wrong] by lag and cell: whether labels that come soon are of other predictions, or wrong more often.
        self.lag_by_cell = np.zeros((2, len(LAG_EDGES_MS) + 1, self.cells), np.int64)

    def outcomes(self, labels: Sequence[str], predicted: Sequence[str | None]) -> Ints:
        """[3, rows] whether each row is labelled, wrong, positive."""
        labelled = np.array([label != MISSING for label in labels], np.int64)
        wrong = [p is not None and label not in (MISSING, p) for label, p in zip(labels, predicted, strict=True)]
        positive = [self.positive is not None and label == self.positive for label in labels]
        return np.stack([labelled, np.array(wrong, np.int64), np.array(positive, np.int64)])

    def add(
        self,
        labels: Sequence[str],
        predicted: Sequence[str | None],
        scores: NDArray[np.float64],
        lag_ms: NDArray[np.float64],
        outcomes: Ints,
        cells: NDArray[np.uint8] | None = None,
    ) -> None:
        """Count rows once: labels and predicted classes as text, scores and lags with NaN for none, ``cells`` of the score."""
        self.rows += int(outcomes[0].sum())
        self.unlabelled += int((1 - outcomes[0]).sum())
        place = {name: index for index, name in enumerate(self.classes)}
        for label, p in zip(labels, predicted, strict=True):
            if label != MISSING and p is not None:
                self.confusion[place.get(label, -1), place.get(p, -1)] += 1
                self.known_class = True
        if self.probability and self.positive is not None:
            judged = (outcomes[0] == 1) & ~np.isnan(scores)
            p, y = scores[judged], outcomes[2, judged]
            likelihood = np.maximum(np.where(y == 1, p, 1.0 - p), _SMALLEST)
            losses = np.stack([np.ones_like(p), (p - y) ** 2, -np.log(likelihood)])
            self.loss += np.rint(losses * _LOSS_SCALE).astype(np.int64).sum(axis=1)
        late = (outcomes[0] == 1) & ~np.isnan(lag_ms)
        if late.any():
            self.known_lag = True
            for edges, table in ((LAG_EDGES_MS, self.lag), (FINE_LAG_EDGES_MS, self.fine_lag)):
                bins = np.searchsorted(edges, lag_ms[late], side="right")
                for row, weights in enumerate(outcomes[:, late]):
                    table[row] += np.bincount(bins, weights, minlength=table.shape[1]).astype(np.int64)
            if cells is not None:
                bins = np.searchsorted(LAG_EDGES_MS, lag_ms[late], side="right")
                flat, size = bins * self.cells + cells[late], self.lag_by_cell[0].size
                sums = [np.bincount(flat, weights, minlength=size) for weights in outcomes[:2, late]]
                self.lag_by_cell += np.array(sums, np.int64).reshape(self.lag_by_cell.shape)

    def add_segments(self, keys: Sequence[str], group: NDArray[np.intp], cells: NDArray[np.uint8], outcomes: Ints) -> None:
        """Count rows by their segments of one grouping, ``keys[group]``, and the cells of their scores."""
        flat = group * self.cells + cells
        sums = np.stack([np.bincount(flat, weights, minlength=len(keys) * self.cells) for weights in outcomes])
        for index, key in enumerate(keys):
            found = sums[:, index * self.cells : (index + 1) * self.cells].astype(np.int64)
            if found[0].any():
                held = self.tables.setdefault(key, np.zeros((3, self.cells), np.int64))
                held += found

    def content(self, everything: str) -> dict[str, Any]:
        """The tables as plain JSON; ``everything`` is the key of the whole traffic."""
        total = self.tables.get(everything, np.zeros((3, self.cells), np.int64))
        segments = sorted(self.tables)
        wrong, positive = self.known_class, self.positive is not None

        def table(row: int) -> list[list[int]]:
            return [self.tables[segment][row].tolist() for segment in segments]

        by_lag, by_fine_lag = (dict(zip(("labelled", "wrong", "positive"), t.tolist(), strict=True)) for t in (self.lag, self.fine_lag))
        by_score = dict(zip(("labelled", "wrong"), self.lag_by_cell.tolist(), strict=True))
        return {
            "rows": self.rows,
            "unlabelled": self.unlabelled,
            "positive": self.positive,
            **({} if self.spellings is None else {"spellings": self.spellings}),
            "performance": self._performance(total),
            "confusion": {"classes": [*self.classes, "other"], "counts": self.confusion.tolist()} if wrong else None,
            "errors": {
                "segments": segments,
                "labelled": table(0),
                "wrong": table(1) if wrong else None,
                "positive": table(2) if positive else None,
            },
            "lag": {"edges_ms": list(LAG_EDGES_MS), **by_lag, "by_score": by_score} if self.known_lag else None,
            "fine_lag": {"edges_ms": list(FINE_LAG_EDGES_MS), **by_fine_lag} if self.known_lag else None,
        }

    def _performance(self, total: Ints) -> dict[str, float | None]:
        labelled, wrong, positive = total.sum(axis=1).tolist()
        classified = int(self.confusion.sum())
        scored, squared, logarithmic = (self.loss / _LOSS_SCALE).tolist()
        binary = self.positive is not None
        negatives = total[0] - total[2]
        return {
            "accuracy": 1.0 - wrong / classified if classified else None,
            "positive_rate": positive / labelled if binary and labelled else None,
            "auc": auc(total[2, FAULT_CELLS:], negatives[FAULT_CELLS:]) if binary else None,
            "brier": squared / scored if scored else None,
            "log_loss": logarithmic / scored if scored else None,
        }


def auc(positive: Ints, negative: Ints) -> float | None:
    """Area under the ROC curve from counts by cell of the score, rising; pairs within a cell count half. None without pairs.

    >>> auc(np.array([0, 1]), np.array([1, 0])), auc(np.array([1, 1]), np.array([1, 1])), auc(np.array([1]), np.array([0]))
    (1.0, 0.5, None)
    """
    pairs = int(positive.sum()) * int(negative.sum())
    if not pairs:
        return None
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs)
