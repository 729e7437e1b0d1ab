"""From the one number a user sets to the threshold of every stream.

``at_most`` false alarms ``per`` period are shared out: 60 % to the whole traffic, 40 % to the segments, evenly over the streams of each.
A stream that sees n events in the period and may raise a false alarms gets the threshold c = n / a, because the
expected number of false alarms in n events is at most n / c. Sums of expectations need no independence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

WARNING = 1e-3  # of the threshold
LEAST_THRESHOLD = 1e4  # of a stream with hardly any events, which would otherwise fire on a handful
ALL_PART = 0.6


def thresholds(events: Float64, whole: NDArray[np.bool_], kinds: int, at_most: float) -> Float64:
    """[streams] thresholds for segments that see ``events`` in the period, each watched by ``kinds`` streams.

    ``whole`` marks the whole traffic.

    >>> thresholds(np.array([1e8, 5e7, 5e7]), np.array([True, False, False]), 44, 1.0).round(1).tolist()
    [7333333333.3, 11000000000.0, 11000000000.0]
    """
    parts = np.where(whole, ALL_PART if not whole.all() else 1.0, 1.0 - ALL_PART if whole.any() else 1.0)
    streams = np.where(whole, whole.sum(), (~whole).sum()) * kinds
    return np.asarray(np.maximum(events * streams / (parts * at_most), LEAST_THRESHOLD))
