"""Which cells of a signal moved most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.evaluate.baseline import one_rest
from monitor.evaluate.verdict import Verdicts


@dataclass(frozen=True, slots=True)
class BinShift:
    """One cell: its shares among the values that take part in distances, and its part of PSI, which is never negative."""

    label: str
    reference_share: float
    share: float
    contribution: float


def worst_bins(verdicts: Verdicts, segment: int, signal: int, n: int) -> tuple[BinShift, ...]:
    """At most ``n`` cells that moved, those that contribute most to PSI first; ties in the order of the cells.

    ``segment`` and ``signal`` are indices. Empty without a reference, and without values on either side. The reference's
    shares are the ones the segment was compared with, what it borrowed from the pooled reference included. So unseen categories are
    part of other where there are rare ones.
    """
    baseline = verdicts.baseline
    if baseline is None:
        return ()
    base = baseline.signals[signal]
    counts = verdicts.table.counts[segment, base.cells].astype(np.float64)
    if base.rest:
        one_rest(counts)
    total, size = float(counts.sum()), float(base.effective[segment])
    if not (total and size):
        return ()
    q, p = counts / total, base.compared[:, segment]
    half_row = 0.5 * (total + size) / (total * size)
    floored_q, floored_p = np.maximum(q, half_row), np.maximum(p, half_row)
    contribution = (floored_q - floored_p) * np.log(floored_q / floored_p)
    first = base.cells.start - int(verdicts.table.layout.offsets[signal])
    labels = verdicts.table.layout.signals[signal].labels()[first:]
    order = [cell for cell in np.argsort(-contribution, kind="stable")[: max(n, 0)].tolist() if contribution[cell] > 0]
    return tuple(BinShift(labels[cell], float(p[cell]), float(q[cell]), float(contribution[cell])) for cell in order)
