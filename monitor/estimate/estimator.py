"""The estimate in process: validation rows in, then predictions and labels as they come; at any time the accuracy of any window.

    estimator = Estimator(scores, segments, labels=labels, predicted=predicted)
    estimator.predictions(ids, time_ms, segments, scores, predicted)
    estimator.labels(ids, time_ms, labels)
    estimate = estimator.estimate(estimator.newest(10_000))
    estimate.value, estimate.low, estimate.high, estimate.rectified

The arithmetic is that of the live monitor. What comes twice counts once; the cut into calls does not matter, nor does the order of labels.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.decode.arrays import is_absent
from monitor.estimate.accuracy import Estimates, accuracy
from monitor.estimate.classes import Costs, Interval, class_metrics
from monitor.estimate.columns import milliseconds, numbers, values
from monitor.estimate.estimate import Wrong, wrong_predictions
from monitor.estimate.rectifier import Rectifier, Settings, rectify
from monitor.estimate.stream import LAG_EDGES_MS, Codes, Stream
from monitor.estimate.tables import ReferenceLags, error_table
from monitor.outcome.layout import OutcomeLayout
from monitor.profile.layout import SignalBins
from monitor.reference.edges import numeric_edges
from monitor.segment import ALL

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

HISTORY_ROWS = 400_000
"""Newest predictions that are looked at for an estimate, beside those of its window."""


@dataclass(frozen=True)
class Estimate:
    """Accuracy of the predictions of a window, estimated."""

    value: float
    low: float
    high: float
    n: int  # predictions
    labelled: int  # of them labelled so far
    rectified: bool  # whether labels say clearly otherwise than the validation rows
    lookback: int  # labelled predictions that speak of the present
    table_value: float  # from validation rows alone, as without any label
    table_low: float
    table_high: float


class Estimator:
    """Estimates of one model. Scores may be any numbers, NaN where there is none.

    ``scores`` [m] and ``segments`` [m] of validation rows, and which were wrong: either ``wrong`` [m], or ``labels`` [m] and
    ``predicted`` [m]. ``lag_ms`` [m]: how much later their labels were known, NaN where unknown. Predicted classes are apart when there
    are two: 0 and 1, or, in ``labels``, any two values, the greater of which is the positive one. Without ``predicted`` it is score >=
    ``threshold``. A row whose label is None or NaN is left out. Raises ``ValueError`` for columns that do not fit together, for labels of
    a single class, and where classes are not two and ``predicted`` is missing.

    >>> rng = np.random.default_rng(0)
    >>> score = rng.random(50_000)
    >>> estimator = Estimator(score, labels=rng.random(50_000) < score)
    >>> estimator.predictions(range(1_000), range(1_000), None, np.full(1_000, 0.8))
    >>> found = estimator.estimate()
    >>> round(found.value, 1), found.low < 0.8 < found.high, found.n, found.labelled, found.rectified
    (0.8, True, 1000, 0, False)
    """

    def __init__(
        self,
        scores: ArrayLike,
        segments: Sequence[Hashable] | NDArray[Any] | None = None,
        *,
        wrong: ArrayLike | None = None,
        labels: Sequence[Hashable] | NDArray[Any] | None = None,
        predicted: Sequence[Hashable] | NDArray[Any] | None = None,
        lag_ms: ArrayLike | None = None,
        threshold: float = 0.5,
        settings: Settings | None = None,
    ) -> None:
        score = numbers("scores", scores)
        lags = None if lag_ms is None else numbers("lag_ms", lag_ms, len(score))
        self.threshold, self.settings = threshold, settings or Settings()
        self._segments, self._segmented = Codes(), segments is not None
        self._stream = Stream()
        group = self._segment_codes(segments, len(score))
        if wrong is None:
            if labels is None:
                raise ValueError("expected either wrong, or labels (and predicted), of the validation rows; got neither")
            of_rows = values("labels", labels, len(score))
            there = np.array([not is_absent(value) for value in of_rows], bool)
            of_rows = [value for value in of_rows if not is_absent(value)]
            if len({*of_rows}) < 2:
                raise ValueError(
                    f"expected labels of two classes at least, got {len(of_rows)} labelled rows that are all {of_rows[:1]}: how often "
                    "predictions are wrong cannot be learnt from them"
                )
            self._classes, self._two = Codes(_two_classes(of_rows)), False
            truth, mistaken = self._classes.of(of_rows), np.zeros(len(score), bool)
            mistaken[there] = self._predicted_codes(predicted, score)[there] != truth
            self._two = len(self._classes.number) == 2
        else:
            self._classes, self._two = Codes((0, 1)), False
            flags = numbers("wrong", wrong, len(score))
            there = ~np.isnan(flags)
            mistaken = there & (flags != 0)
        if not there.any():
            raise ValueError("expected validation rows, got none that are known to be wrong or right")
        score, group, mistaken = score[there], group[there], mistaken[there]
        self._score = _bins(score)
        cells, shape = _cells(self._score, score), (len(self._segments.number), self._score.cells)
        place = group * shape[1] + cells
        both = [np.bincount(place[rows], minlength=shape[0] * shape[1]).reshape(shape) for rows in (slice(None), mistaken)]
        late = None if lags is None else _lags(lags[there], cells, mistaken, shape[1])
        self.table = replace(error_table(self._segment_keys(), both[0], both[1]), lags=late)

    def predictions(
        self,
        ids: Sequence[Hashable] | NDArray[Any],
        time_ms: ArrayLike,
        segments: Sequence[Hashable] | NDArray[Any] | None,
        scores: ArrayLike,
        predicted: Sequence[Hashable] | NDArray[Any] | None = None,
    ) -> None:
        """Take in predictions, [k] each. An id that was there before is left out.

        Times are milliseconds or datetimes. Raises ``ValueError``, having taken in nothing, for columns that do not fit together, a row
        without a time, a class that is neither of two, and where validation rows had segments and these have none.
        """
        score = numbers("scores", scores)
        names, time = values("ids", ids, len(score)), milliseconds("time_ms", time_ms, len(score))
        of_class = self._predicted_codes(predicted, score)
        if segments is None and self._segmented:
            raise ValueError("expected segments, as the validation rows have them, got None")
        group = self._segment_codes(segments, len(score))
        self._stream.predict(names, time, group, _cells(self._score, score), of_class)

    def labels(self, ids: Sequence[Hashable] | NDArray[Any], time_ms: ArrayLike, labels: Sequence[Hashable] | NDArray[Any]) -> None:
        """Take in labels that have become known, [k] each: the id of the prediction, when it became known, and what it is.

        Of several labels of one prediction the latest holds. A label may come before its prediction; one that is None or NaN is none.
        Raises ``ValueError``, having taken in nothing, for columns that do not fit together, a row without a time, and a label that is
        neither of two classes.
        """
        given = values("labels", labels)
        names, time = values("ids", ids, len(given)), milliseconds("time_ms", time_ms, len(given))
        there = [place for place, value in enumerate(given) if not is_absent(value)]
        self._stream.label([names[place] for place in there], time[there], self._class_codes("labels", [given[place] for place in there]))

    def newest(self, n: int) -> tuple[int, int]:
        """The window [start, end) in ms that holds the newest ``n`` predictions (and others of the very same time as its first)."""
        time = self._stream.time_ms
        if not len(time) or n < 1:
            raise ValueError(f"expected predictions, and to be asked for one at least, got {len(time)} and {n}")
        first = np.partition(time, max(len(time) - n, 0))[max(len(time) - n, 0)]
        return int(first), int(time.max()) + 1

    def forget(self, before_ms: int) -> int:
        """Drop predictions older than a time, and labels older than it that have found none; returns how many predictions.

        Keep those that labels still come for, and some 80,000 labelled ones.
        """
        return self._stream.forget(before_ms)

    def estimate(self, window: tuple[int, int] | None = None) -> Estimate:
        """Accuracy of the predictions made in ``window`` [start, end) in ms; of all when None."""
        found = self.estimates(window)
        return Estimate(
            value=float(found.value[0]),
            low=float(found.low[0]),
            high=float(found.high[0]),
            n=int(found.n[0]),
            labelled=int(found.labelled[0]),
            rectified=bool(found.rectified[0]),
            lookback=int(found.lookback[0]),
            table_value=float(found.table_value[0]),
            table_low=float(found.table_low[0]),
            table_high=float(found.table_high[0]),
        )

    def estimates(self, window: tuple[int, int] | None = None) -> Estimates:
        """The same for ALL and each segment, as arrays."""
        wrong, fit = self._wrong(window)
        return accuracy(wrong, fit, self.settings.interval)

    def class_metrics(self, window: tuple[int, int] | None = None, costs: Costs | None = None) -> dict[str, Interval]:
        """Precision, recall, F1, label rate and cost of a binary model, for ALL and each segment."""
        return class_metrics(self._wrong(window)[0], costs, self.settings.interval)

    def _wrong(self, window: tuple[int, int] | None) -> tuple[Wrong, Rectifier]:
        start, end = window or self.newest(len(self._stream))
        binary = len(self._classes.number) <= 2
        counts = self._stream.counts(start, end, HISTORY_ROWS, self._segment_keys(), 2 if binary else 1)
        fit = rectify(self.table, counts, self.settings)
        return wrong_predictions(counts, (counts.start_ms >= start) & (counts.start_ms < end), fit), fit

    def _segment_keys(self) -> list[str]:
        return [str(key) for key in self._segments.number]

    def _segment_codes(self, segments: Sequence[Hashable] | NDArray[Any] | None, n: int) -> Int64:
        return self._segments.of([ALL] * n if segments is None else values("segments", segments, n))

    def _predicted_codes(self, predicted: Sequence[Hashable] | NDArray[Any] | None, score: Float64) -> Int64:
        if predicted is not None:
            return self._class_codes("predicted", values("predicted", predicted, len(score)))
        if len(self._classes.number) > 2:
            raise ValueError(f"expected predicted, or labels of two classes or 0 and 1, got {self._known()} and no predicted")
        self._two = True  # else a label that a threshold cannot give would be a wrong answer, whatever was answered
        return (score >= self.threshold).astype(np.int64)

    def _class_codes(self, name: str, of_rows: list[Any]) -> Int64:
        strange = next((value for value in of_rows if self._two and value not in self._classes.number), None)
        if strange is not None:
            raise ValueError(f"expected {name} that are {self._known()}, got {strange!r}")
        return self._classes.of(of_rows)

    def _known(self) -> str:
        return ", ".join(f"{value!r}" for value in list(self._classes.number)[:5])


def _two_classes(labels: list[Any]) -> Sequence[Hashable]:
    """The negative and the positive class."""
    found = {*labels}
    if len(found) != 2:
        return (0, 1)
    try:
        return sorted(found)
    except TypeError:  # such as a number and a word
        return sorted(found, key=repr)


def _bins(score: Float64) -> SignalBins:
    finite = score[np.isfinite(score)]
    if not len(finite):
        return SignalBins("score", "numeric")
    low, high = float(finite.min()), float(finite.max())
    return SignalBins("score", "numeric", edges=numeric_edges(finite, low, high, probability=True))


def _cells(bins: SignalBins, score: Float64) -> Int64:
    return np.asarray(OutcomeLayout("binary", ("0", "1"), score=bins).score_cell(score), np.int64)


def _lags(lag_ms: Float64, cells: Int64, wrong: NDArray[np.bool_], size: int) -> ReferenceLags:
    known = ~np.isnan(lag_ms)
    shape = (len(LAG_EDGES_MS) + 1, size)
    place = np.searchsorted(LAG_EDGES_MS, lag_ms[known], side="right") * size + cells[known]
    right, mistaken = (np.bincount(place[rows[known]], minlength=shape[0] * shape[1]).reshape(shape) for rows in (~wrong, wrong))
    return ReferenceLags(right.astype(np.int64), mistaken.astype(np.int64), LAG_EDGES_MS)
