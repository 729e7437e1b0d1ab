"""One small verdict about two segments, two signals and two statistics, all numbers chosen by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monitor.evaluate.verdict import ShareVerdicts, Status, Verdicts, Window
from monitor.profile.layout import Layout, SignalBins
from monitor.profile.table import CountTable

NAN = float("nan")
LAYOUT = Layout((SignalBins("age", "numeric", (18.0, 65.0)), SignalBins("plan", "categorical", categories=("a", "b"))))
# Cells of age: missing, invalid, non-finite, below 18, 18 to 65, 65 and above. Of plan: the first three, a, b, other, unseen, out of range.
COUNTS = [
    [10, 0, 0, 40, 50, 0, 0, 0, 0, 60, 20, 0, 20, 0],
    [2, 1, 1, 4, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0],
]


def small(segments: tuple[str, ...] = ("ALL", "country=FR"), model: str = "m", version: str = "v1") -> Verdicts:
    status = np.array(
        [[[Status.DRIFTED, Status.STABLE], [Status.STABLE, Status.STABLE]],
         [[Status.INSUFFICIENT_DATA] * 2, [Status.INSUFFICIENT_DATA] * 2]], np.uint8,
    )  # fmt: skip
    value = np.array([[[0.5, 0.01], [0.03, 0.0]], [[NAN, NAN], [NAN, NAN]]])
    return Verdicts(
        model, version, Window("short", 1_700_000_000_000, 1_700_003_600_000), None,
        CountTable(LAYOUT, segments, np.array(COUNTS, np.int64), np.zeros((2, 2, 2), np.int64)),
        ("psi", "missing_rate"), value, np.array([[0.1, 0.02], [0.2, 0.02]]), np.full((2, 2, 2), 0.01), status,
        np.array([[90, 100], [8, 8]]), np.full((2, 2), 1000), np.array([[NAN, NAN], [60.0, NAN]]),
        ShareVerdicts(np.array([1.0, 0.08]), np.array([1.0, 0.25]), np.full(2, 0.01), 0.05,
                      np.array([Status.STABLE, Status.DRIFTED], np.uint8), np.array([-1, 1_699_990_000_000])),
        np.where(status == Status.DRIFTED, 1_699_999_990_500, -1),
    )  # fmt: skip


def with_segments(count: int) -> Verdicts:
    """Stable verdicts about ``ALL`` and ``count - 1`` more segments; psi of segment i is i thousandths."""
    one = small()
    shape = (count, 2, 2)
    names = ("ALL", *(f"id={i:06d}" for i in range(1, count)))
    value = np.full(shape, 0.001)
    value[:, 0, 0] = np.arange(count) / 1000
    return replace(
        one,
        table=CountTable(LAYOUT, names, np.ones((count, LAYOUT.cells), np.int64), np.zeros((count, 2, 2), np.int64)),
        value=value, noise=np.zeros(shape), status=np.full(shape, Status.STABLE, np.uint8), n_now=np.ones((count, 2), np.int64),
        n_reference=np.ones((count, 2), np.int64), unit_factor=np.full((count, 2), NAN), since_ms=np.full(shape, -1),
        share=ShareVerdicts(np.full(count, 0.1), np.full(count, 0.1), np.zeros(count), 0.05, np.zeros(count, np.uint8), np.full(count, -1)),
    )  # fmt: skip
