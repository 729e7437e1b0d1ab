"""The estimator's own error: what was estimated when labels were missing against what they said in the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.accuracy import Estimates

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

MOST_OPEN = 0.9
"""Of the variance of an estimate, the share that may still be open when it is judged."""

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class EstimateError:
    """Of one window, [N] each: ALL first, then the segments. NaN, and not covered: too few of its labels have come to judge."""

    segments: tuple[str, ...]
    error: Float64  # estimate - accuracy as it is known now
    absolute_error: Float64
    tolerance: Float64  # half the width of the interval of what is known now: 0 once all labels are in
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


def estimate_error(then: Estimates, now: Estimates) -> EstimateError:
    """Error of the estimate made ``then`` of a window, by what is known ``now`` of the same window.

    Of predictions that never get a label the truth stays an estimate: a segment is judged where labels have made it clearly sharper than
    it was then. What has become known since must lie within that part of the interval which is due to what was not known then: with V the
    variances, within sqrt(1 - V now / V then) of it. Once all labels are in, that is the interval.
    """
    place = {key: row for row, key in enumerate(now.segments)}
    rows = np.array([place.get(key, -1) for key in then.segments], np.intp)
    known = rows >= 0
    value, width, n = (np.where(known, array[rows], np.nan) for array in (now.value, now.high - now.low, now.n))
    width_then = then.high - then.low
    open_share = np.where(width_then > 0, (width / np.where(width_then > 0, width_then, 1.0)) ** 2, np.where(width > 0, np.inf, 0.0))
    judged = known & (n > 0) & (then.n > 0) & (open_share <= MOST_OPEN)
    reach = np.sqrt(np.where(judged, 1 - open_share, 0.0))
    low, high = then.value - reach * (then.value - then.low), then.value + reach * (then.high - then.value)
    error = np.where(judged, then.value - value, np.nan)
    covered = judged & (value >= low - _ROUNDING) & (value <= high + _ROUNDING)
    return EstimateError(then.segments, error, np.abs(error), np.where(judged, width / 2, np.nan), covered, judged)


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
