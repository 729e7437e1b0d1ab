"""Did the new version, or the last fix, help? Two performances compared, per segment and metric.

The two samples count as independent. Where both versions answered the same requests (a shadow), the interval is wider than it need be:
what both find hard does not cancel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.verdict import Status
from monitor.performance.interval import Estimate, difference
from monitor.performance.metric import METRICS
from monitor.performance.verdict import Performance

Float64 = NDArray[np.float64]


class Change(IntEnum):
    """What became of a metric."""

    UNCLEAR = 0  # the interval of the difference holds 0
    BETTER = 1
    WORSE = 2
    OTHER = 3  # moved, and neither way is better
    INSUFFICIENT_DATA = 4  # on either side

    @property
    def label(self) -> str:
        """Metric label value, ``better`` and so on."""
        return self.name.lower()


@dataclass(frozen=True, eq=False)
class VersionComparison:
    """After minus before. G segments and M columns that both have."""

    before: str  # version
    after: str
    segments: tuple[str, ...]  # [G]
    metrics: tuple[str, ...]  # [M]
    classes: tuple[str, ...]  # [M]
    difference: Estimate  # [G, M]
    change: NDArray[np.uint8]  # [G, M] ``Change``


def compare(before: Performance, after: Performance) -> VersionComparison:
    """Compare at the confidence of the two performances' intervals. Raises ``ValueError`` for another model."""
    if before.model != after.model:
        raise ValueError(f"expected two versions of one model, got {before.model!r} and {after.model!r}")
    columns_before = {key: place for place, key in enumerate(zip(before.metrics, before.classes, strict=True))}
    keys = [key for key in zip(after.metrics, after.classes, strict=True) if key in columns_before]
    segments = tuple(segment for segment in after.segments if segment in set(before.segments))
    old = _part(before, segments, [columns_before[key] for key in keys])
    new = _part(after, segments, [after.column(*key) for key in keys])
    moved = difference(new[0], old[0])
    better = np.array([METRICS[name].better for name, _ in keys], np.int64)
    with np.errstate(invalid="ignore"):
        rose, fell = moved.low > 0, moved.high < 0
    change = np.full(moved.value.shape, Change.UNCLEAR, np.uint8)
    change[(rose | fell) & (better == 0)] = Change.OTHER
    change[(rose & (better > 0)) | (fell & (better < 0))] = Change.BETTER
    change[(fell & (better > 0)) | (rose & (better < 0))] = Change.WORSE
    unknown = np.isnan(moved.low) | np.isnan(moved.high)
    change[old[1] | new[1] | unknown] = Change.INSUFFICIENT_DATA
    names, classes = tuple(name for name, _ in keys), tuple(of for _, of in keys)
    return VersionComparison(before.version, after.version, segments, names, classes, moved, change)


def _part(side: Performance, segments: tuple[str, ...], columns: list[int]) -> tuple[Estimate, NDArray[np.bool_]]:
    place = {segment: row for row, segment in enumerate(side.segments)}
    cells = np.ix_([place[segment] for segment in segments], columns)
    return Estimate(side.value[cells], side.low[cells], side.high[cells], side.n[cells]), side.metric_status[
        cells
    ] == Status.INSUFFICIENT_DATA
