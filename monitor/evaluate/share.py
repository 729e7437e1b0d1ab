"""Representativeness: each segment's share of the traffic of its grouping, against the reference.

Every row is in exactly one segment of each grouping, so a grouping's traffic is that of ALL. A share is judged by the rows of ALL:
a segment that has vanished is a finding, not too little data. It can only be found while the table still has its key.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.config.evaluation import Evaluation
from monitor.evaluate.baseline import Baseline
from monitor.evaluate.noise import normal_quantile, rate_floor
from monitor.evaluate.verdict import ShareVerdicts, Status
from monitor.segment import ALL


def share_verdicts(
    segments: tuple[str, ...], rows: NDArray[np.int64], baseline: Baseline | None, settings: Evaluation, *, partial: bool
) -> ShareVerdicts:
    """Judge the shares of segments with ``rows`` [S]; two-sided. NOT_APPLICABLE for ALL, NO_REFERENCE for a grouping it does not have."""
    whole = np.array([segment == ALL for segment in segments], np.bool_)
    total = int(rows[whole].sum())
    share = rows / max(total, 1)
    threshold = settings.thresholds.segment_share
    since = np.full(len(rows), -1, np.int64)
    if baseline is None:
        status = np.where(whole, Status.NOT_APPLICABLE, Status.NO_REFERENCE).astype(np.uint8)
        return ShareVerdicts(share, np.zeros(len(rows)), np.full(len(rows), np.nan), threshold, status, since)
    difference = share - baseline.segment_share
    two_sided = normal_quantile((1 + settings.noise_quantile) / 2)
    noise = rate_floor(difference, baseline.segment_share, float(total), float(baseline.pooled_rows), two_sided)
    drifted = (np.abs(difference) >= threshold) & (np.abs(difference) > noise)
    status = np.where(drifted, Status.DRIFTED, Status.STABLE).astype(np.uint8)
    if partial:
        status[:] = Status.PARTIAL
    if min(total, baseline.pooled_rows) < settings.min_rows:
        status[:] = Status.INSUFFICIENT_DATA
    status[~baseline.has_grouping] = Status.NO_REFERENCE
    status[whole] = Status.NOT_APPLICABLE
    return ShareVerdicts(share, baseline.segment_share, noise, threshold, status, since)
