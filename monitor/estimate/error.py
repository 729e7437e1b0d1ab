"""The estimator's own error: what was estimated when labels were missing against what they said in the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.accuracy import Estimates

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class EstimateError:
    """Of one window, [N] each: ALL first, then the segments. NaN, and not covered: too few of its labels have come to judge."""

    segments: tuple[str, ...]
    error: Float64  # estimate - accuracy as labels have it now
    absolute_error: Float64
    tolerance: Float64  # how far labels still missing leave the truth open, in the same unit (one standard deviation)
    covered: Bool  # whether the truth lay in the interval
    judged: Bool


@dataclass(frozen=True, eq=False)
class ErrorTrack:
    """The errors of windows past, summed up; ``merge`` adds those of other windows."""

    windows: Int64  # [N] judged
    covered: Int64  # [N]
    signed: Float64  # [N] sum of errors
    absolute: Float64  # [N] sum of absolute errors
    segments: tuple[str, ...]

    @property
    def mean_error(self) -> Float64:
        """[N] bias; NaN without a window."""
        return _mean(self.signed, self.windows)

    @property
    def mean_absolute_error(self) -> Float64:
        """[N]."""
        return _mean(self.absolute, self.windows)

    @property
    def coverage(self) -> Float64:
        """[N] share of windows whose truth lay in the interval."""
        return _mean(self.covered.astype(np.float64), self.windows)

    def merge(self, other: ErrorTrack) -> ErrorTrack:
        """Sum by segment key."""
        keys = tuple(dict.fromkeys((*self.segments, *other.segments)))
        columns = []
        for name in ("windows", "covered", "signed", "absolute"):
            sums = dict.fromkeys(keys, 0)
            for track in (self, other):
                for key, value in zip(track.segments, getattr(track, name).tolist(), strict=True):
                    sums[key] += value
            columns.append(np.array([sums[key] for key in keys]))
        windows, covered, signed, absolute = columns
        return ErrorTrack(windows.astype(np.int64), covered.astype(np.int64), signed.astype(np.float64), absolute.astype(np.float64), keys)


def estimate_error(then: Estimates, now: Estimates, min_share: float = 0.95) -> EstimateError:
    """Error of the estimate made ``then`` of a window, by what labels say ``now`` of the same window.

    A segment is judged once ``min_share`` of its predictions have labels, or of the share that ever gets them: the truth is the labelled
    rows' accuracy where all are labelled, else today's estimate, which then rests on labels almost alone.
    """
    place = {key: row for row, key in enumerate(now.segments)}
    rows = np.array([place.get(key, -1) for key in then.segments], np.intp)
    known = rows >= 0
    n, labelled = (np.where(known, array[rows], 0) for array in (now.n, now.labelled))
    truth = np.where(known, now.value[rows], np.nan)
    judged = known & (n > 0) & (labelled >= min_share * n) & (then.n > 0)
    error = np.where(judged, then.value - truth, np.nan)
    open_ = np.where(judged, (now.high[rows] - now.low[rows]) / 4, np.nan)
    covered = judged & (truth >= then.low - 1e-12) & (truth <= then.high + 1e-12)
    return EstimateError(then.segments, error, np.abs(error), open_, covered, judged)


def track(error: EstimateError) -> ErrorTrack:
    """One window as a track."""
    judged = error.judged
    return ErrorTrack(
        judged.astype(np.int64),
        error.covered.astype(np.int64),
        np.where(judged, error.error, 0.0),
        np.where(judged, error.absolute_error, 0.0),
        error.segments,
    )


def _mean(total: Float64, windows: Int64) -> Float64:
    return np.where(windows > 0, total / np.maximum(windows, 1), np.nan)
