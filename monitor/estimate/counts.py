"""What an estimate is made of: predictions and labels, counted by pane of the prediction's time.

Rows of equal (pane, segment, cell, predicted, lag) are one row with a count: the sparse form of [pane, segment, cell, …] arrays. Counts
of two sources are joined by putting their rows one after the other; repeated rows and any order of rows mean the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PredictionRows:
    """All predictions, labelled or not; [K] each."""

    pane: Int64  # place among ``PaneCounts.start_ms``
    segment: Int64  # place among ``PaneCounts.segments``
    cell: Int64  # cell of the score
    predicted: Int64  # predicted class; any whole number when classes do not matter
    count: Int64

    def __len__(self) -> int:
        return len(self.pane)


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Those whose label has come, as it stands now; [K] each."""

    pane: Int64  # of the prediction's time
    segment: Int64
    cell: Int64
    predicted: Int64
    lag: Int64  # bin of label time - prediction time
    right: Int64 | Float64  # rows predicted right, wrong; parts of rows where lags are not known for sure
    wrong: Int64 | Float64

    def __len__(self) -> int:
        return len(self.pane)


@dataclass(frozen=True, eq=False)
class PaneCounts:
    """Counts of one model version over any number of panes, T, oldest first; of different width if need be.

    ``segments`` part the traffic: each prediction is in exactly one of them. Panes should reach back as far as labels are used
    (``Settings.lookback_rows``, 80,000), and as far as the longest usual lag, so that it can be learnt which labels come late.
    """

    segments: tuple[str, ...]  # [G]
    start_ms: Int64  # [T] of prediction time, rising; a pane ends where the next begins
    end_ms: int  # end of the last pane
    labels_to_ms: int  # labels have been read up to this time
    predictions: PredictionRows
    labelled: LabelledRows
    lag_edges_ms: tuple[int, ...]  # bin i holds lags with i edges <= lag
    label_instants_ms: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))  # sorted: when labels came; none: unknown

    def __post_init__(self) -> None:
        edges = np.append(self.start_ms, self.end_ms)
        if len(self.start_ms) == 0 or (np.diff(edges) <= 0).any():
            raise ValueError(f"expected panes that follow one another, got starts {self.start_ms.tolist()} and the end {self.end_ms}")

    @property
    def panes(self) -> int:
        """Number of panes."""
        return len(self.start_ms)

    @property
    def lags(self) -> int:
        """Number of bins of the lag."""
        return len(self.lag_edges_ms) + 1

    def labelled_by_pane(self) -> Int64:
        """[T] labelled rows."""
        return total(self.labelled.pane, self.labelled.right + self.labelled.wrong, self.panes).astype(np.int64)


def total(places: Int64, weights: NDArray[np.float64] | Int64, size: int) -> Float64:
    """[size] sum of ``weights`` by place."""
    return np.bincount(places, weights, minlength=size).astype(np.float64)


def prediction_rows(rows: PredictionRows, chosen: Bool) -> PredictionRows:
    """Some of the rows."""
    return PredictionRows(rows.pane[chosen], rows.segment[chosen], rows.cell[chosen], rows.predicted[chosen], rows.count[chosen])


def labelled_rows(rows: LabelledRows, chosen: Bool) -> LabelledRows:
    """Some of the rows."""
    return LabelledRows(
        rows.pane[chosen], rows.segment[chosen], rows.cell[chosen], rows.predicted[chosen],
        rows.lag[chosen], rows.right[chosen], rows.wrong[chosen],
    )  # fmt: skip
