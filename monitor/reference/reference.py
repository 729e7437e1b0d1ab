"""What a reference is: the counts of the training data and what is needed to judge against them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.profile.layout import Layout
from monitor.profile.table import CountTable


@dataclass(frozen=True)
class HourSlots:
    """Counts by hour slot of the event time (UTC): hour of the day, or of the week from two weeks of data on."""

    slots: int  # 24 or 168; slot 0 is the hour from Monday 00:00 UTC in the latter case
    segments: tuple[str, ...]  # those with enough rows; ALL always
    counts: NDArray[np.int64]  # [segments, slots, cells]


@dataclass(frozen=True)
class BlockMoments:
    """Second moments of block counts, from which clustering is measured: per signal and block length.

    With n the counts of a block over a signal's cells and N their sum, over complete blocks:
    ``nn`` = sum of n nᵀ, ``n_total`` = sum of N n, ``total2`` = sum of N². ``across`` blocks of ALL; ``within``
    the same summed over the segments of the finest grouping, each with its own blocks.

    ``pairs`` compare a block with the next one of the same segment, so that neither a slow change nor a difference between
    segments enters: with d = (n₁ N₂ - n₂ N₁) / (N₁ + N₂), the sum of (8 d)(8 d)ᵀ, d rounded to an eighth; for independent rows
    its mean is 64 N₁ N₂ / (N₁ + N₂) times the covariance of one row. ``pair_totals`` hold the sum of those factors.
    """

    lengths_ms: tuple[int, ...]
    across: tuple[tuple[NDArray[np.float64], ...], ...]  # [length][signal] -> [cells, cells]
    within: tuple[tuple[NDArray[np.float64], ...], ...]
    across_totals: NDArray[np.float64]  # [lengths, 3]: blocks, sum of N, sum of N²
    within_totals: NDArray[np.float64]
    across_n_total: tuple[tuple[NDArray[np.float64], ...], ...]  # [length][signal] -> [cells] sum of N n
    within_n_total: tuple[tuple[NDArray[np.float64], ...], ...]
    across_pairs: tuple[tuple[NDArray[np.float64], ...], ...] | None = None  # None: built before pairs were measured
    within_pairs: tuple[tuple[NDArray[np.float64], ...], ...] | None = None
    across_pair_totals: NDArray[np.float64] | None = None  # [lengths, 2]: pairs, sum of 64 N₁ N₂ / (N₁ + N₂)
    within_pair_totals: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Reference:
    """The baseline of one model version."""

    model: str
    model_version: str
    dataset_version: str | None
    pipeline_version: str | None
    rows: int
    start_ms: int | None  # first and last event time of the data, None when it has no times
    end_ms: int | None
    schema: tuple[dict[str, Any], ...]  # the features as configured when it was built
    groupings: tuple[tuple[str, ...], ...]
    table: CountTable  # counts per segment, ALL included
    bin_means: NDArray[np.float64]  # [cells] mean of the values in a numeric value cell; NaN where there are none
    means: NDArray[np.float64]  # [signals] mean and standard deviation of finite values; NaN for categorical
    stds: NDArray[np.float64]
    hours: HourSlots | None  # None: the data has no times, season unknown
    blocks: BlockMoments | None  # None: the data has no times or is not in their order
    labels: dict[str, Any] | None  # validation performance and error tables, when the data has labels
    fingerprint: str  # SHA-256 of the content, as hexadecimal

    @property
    def layout(self) -> Layout:
        """The cells that production is counted in."""
        return self.table.layout
