"""Verdicts: what is concluded about every segment, signal and statistic of a window, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.baseline import Baseline
from monitor.profile.table import CountTable
from monitor.reference.reference import Reference
from monitor.window import Window

__all__ = ["ShareVerdicts", "Status", "Verdicts", "Window"]


class Status(IntEnum):
    """The conclusion. Unknown is never zero and never "no drift"."""

    STABLE = 0
    DRIFTED = 1  # above the configured effect and above the noise floor
    INSUFFICIENT_DATA = 2  # fewer rows than configured, in the window or the reference
    PARTIAL = 3  # this process does not see all partitions
    NO_REFERENCE = 4  # no reference of this model version
    NOT_APPLICABLE = 5  # the statistic has no meaning for this signal

    @property
    def label(self) -> str:
        """Metric label value, ``insufficient_data`` and so on."""
        return self.name.lower()


@dataclass(frozen=True)
class ShareVerdicts:
    """Representativeness: each segment's share of its grouping's traffic against the reference."""

    share: NDArray[np.float64]  # [segments] now
    reference_share: NDArray[np.float64]  # [segments]; 0 for a segment the reference does not have
    noise: NDArray[np.float64]  # [segments]
    threshold: float
    status: NDArray[np.uint8]  # [segments]
    since_ms: NDArray[np.int64]  # [segments] event time since when DRIFTED without a break; -1 otherwise


@dataclass(frozen=True)
class Verdicts:
    """All verdicts about one window of one model version. S segments, F signals, K statistics."""

    model: str
    version: str
    window: Window
    reference: Reference | None
    table: CountTable  # the evidence: counts of the window
    statistics: tuple[str, ...]
    value: NDArray[np.float64]  # [S, F, K]; NaN where undefined
    threshold: NDArray[np.float64]  # [F, K] smallest effect that matters
    noise: NDArray[np.float64]  # [S, F, K] noise floor: what the statistic reaches when nothing has changed
    status: NDArray[np.uint8]  # [S, F, K] ``Status``
    n_now: NDArray[np.int64]  # [S, F] values that took part, now
    n_reference: NDArray[np.int64]  # [S, F] and in the segment's own reference
    unit_factor: NDArray[np.float64]  # [S, F] probable change of unit: now = factor x reference; NaN otherwise
    share: ShareVerdicts
    since_ms: NDArray[np.int64]  # [S, F, K] event time since when DRIFTED without a break; -1 otherwise
    unit_offset: NDArray[np.float64] | None = None  # [S, F] where ``unit_factor`` is given: now = factor x reference + offset
    baseline: Baseline | None = None  # what was compared with, for ``worst_bins``; None without a reference

    @property
    def segments(self) -> tuple[str, ...]:
        """Keys of the S segments."""
        return self.table.segments

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the F signals."""
        return self.table.layout.names

    def drifted(self) -> NDArray[np.bool_]:
        """[S, F, K] where the conclusion is DRIFTED."""
        return np.asarray(self.status == Status.DRIFTED)
