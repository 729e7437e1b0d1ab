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

from monitor.estimate.accuracy import Estimates, accuracy
from monitor.estimate.classes import Costs, Interval, class_metrics
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
    """Estimates of one model. Scores may be any numbers.

    ``scores`` [m] and ``segments`` [m] of validation rows, and which were wrong: either ``wrong`` [m], or ``labels`` [m] and
    ``predicted`` [m]. ``lag_ms`` [m]: how much later their labels were known, NaN where unknown. Predicted classes are apart when there
    are two: 0 and 1, or, in ``labels``, any two values, the greater of which is the positive one. Without ``predicted`` it is score >=
    ``threshold``.

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
        score = np.asarray(scores, np.float64)
        self.threshold, self.settings = threshold, settings or Settings()
        self._classes = Codes(_two_classes([] if labels is None else _plain(labels)))
        self._segments = Codes()
        self._stream = Stream()
        self._score = _bins(score)
        group = self._segment_codes(segments, len(score))
        if wrong is None:
            if labels is None:
                raise ValueError("expected either wrong, or labels (and predicted), of the validation rows; got neither")
            truth = self._classes.of(_plain(labels))
            mistaken = self._predicted_codes(predicted, score) != truth
        else:
            mistaken = np.asarray(wrong, bool)
        if not len(score) == len(group) == len(mistaken):
            raise ValueError(f"expected as many segments and labels as scores, got {len(score)}, {len(group)} and {len(mistaken)}")
        cells, shape = _cells(self._score, score), (len(self._segments.number), self._score.cells)
        place = group * shape[1] + cells
        both = [np.bincount(place[rows], minlength=shape[0] * shape[1]).reshape(shape) for rows in (slice(None), mistaken)]
        lags = None if lag_ms is None else _lags(np.asarray(lag_ms, np.float64), cells, mistaken, shape[1])
        self.table = replace(error_table(self._segment_keys(), both[0], both[1]), lags=lags)

    def predictions(
        self,
        ids: Sequence[Hashable] | NDArray[Any],
        time_ms: ArrayLike,
        segments: Sequence[Hashable] | NDArray[Any] | None,
        scores: ArrayLike,
        predicted: Sequence[Hashable] | NDArray[Any] | None = None,
    ) -> None:
        """Take in predictions, [k] each. An id that was there before is left out."""
        score = np.asarray(scores, np.float64)
        names, time = _plain(ids), np.asarray(time_ms, np.int64)
        group, of_class = self._segment_codes(segments, len(score)), self._predicted_codes(predicted, score)
        if not len(names) == len(time) == len(score) == len(group) == len(of_class):
            raise ValueError(f"expected columns of equal length, got {[len(x) for x in (names, time, group, score, of_class)]}")
        self._stream.predict(names, time, group, _cells(self._score, score), of_class)

    def labels(self, ids: Sequence[Hashable] | NDArray[Any], time_ms: ArrayLike, labels: Sequence[Hashable] | NDArray[Any]) -> None:
        """Take in labels that have become known, [k] each: the id of the prediction, when it became known, and what it is.

        Of several labels of one prediction the latest holds. A label may come before its prediction.
        """
        names, time, values = _plain(ids), np.asarray(time_ms, np.int64), _plain(labels)
        if not len(names) == len(time) == len(values):
            raise ValueError(f"expected columns of equal length, got {[len(x) for x in (names, time, values)]}")
        self._stream.label(names, time, self._classes.of(values))

    def newest(self, n: int) -> tuple[int, int]:
        """The window [start, end) in ms that holds the newest ``n`` predictions (and others of the very same time as its first)."""
        time = self._stream.time_ms
        if not len(time):
            raise ValueError("expected predictions, got none yet")
        first = np.partition(time, max(len(time) - n, 0))[max(len(time) - n, 0)]
        return int(first), int(time.max()) + 1

    def forget(self, before_ms: int) -> int:
        """Drop predictions older than a time; returns how many. Keep those that labels still come for, and some 80,000 labelled ones."""
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
        return self._segments.of([ALL] * n if segments is None else _plain(segments))

    def _predicted_codes(self, predicted: Sequence[Hashable] | NDArray[Any] | None, score: Float64) -> Int64:
        return (score >= self.threshold).astype(np.int64) if predicted is None else self._classes.of(_plain(predicted))


def _plain(values: Sequence[Hashable] | NDArray[Any]) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else [getattr(value, "item", lambda value=value: value)() for value in values]


def _two_classes(labels: list[Any]) -> Sequence[Hashable]:
    """The negative and the positive class."""
    values = {*labels}
    if len(values) != 2:
        return (0, 1)
    try:
        return sorted(values)
    except TypeError:  # such as a number and a word
        return sorted(values, key=repr)


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
