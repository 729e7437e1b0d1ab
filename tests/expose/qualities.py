"""An estimate and a label quality by hand, for pages and metrics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.accuracy import Estimates
from monitor.estimate.error import ErrorTrack
from monitor.outcome.annotations import AgreementLayout, Items, agreement_counts, annotation_codes
from monitor.outcome.sparse import sparse
from monitor.performance.agreement import LabelQuality, label_quality

ANNOTATORS = ("", "ann", "ben")


def estimate(segments: tuple[str, ...]) -> tuple[Estimates, ErrorTrack]:
    """ALL at 90 %, every other segment two points lower than the one before; eight windows judged, one of them missed."""
    n = len(segments)
    value = 0.9 - 0.02 * np.arange(n)
    rows = np.full(n, 500, np.int64)
    found = Estimates(
        segments, rows, rows // 2, value, value - 0.03, value + 0.03, value + 0.01, value - 0.04, value + 0.06,
        np.arange(n) == 1, rows * 10,
    )  # type: ignore[arg-type]  # fmt: skip
    windows = np.full(n, 8, np.int64)
    return found, ErrorTrack(windows, windows - 1, np.full(n, 0.04), np.full(n, 0.08), segments)


def quality(segments: tuple[str, ...], places: NDArray[np.intp]) -> LabelQuality:
    """Two annotators on twelve items, who agree on nine; one label in four was restated to another value."""
    items, value = 12, np.array([0, 1] * 12)
    value = np.repeat(np.array([0, 1] * 6), 2)
    value[1:6:2] ^= 1  # the second annotator of the first three items says otherwise
    first = value.copy()
    first[::4] ^= 1
    layout = AgreementLayout(2, 4, 2)
    of_item = Items(
        combination=np.full(items, 3, np.int64),  # of carrier DL
        consensus=value[::2],
        definition=np.zeros(items, np.int64),
        item=np.repeat(np.arange(items), 2),
        annotator=np.array([1, 2] * items),
        value=value,
        first_value=first,
        restated=(first != value).astype(np.int64),
        confidence=np.full(2 * items, 0.8),
    )
    codes, _ = annotation_codes(layout, of_item)
    counts = agreement_counts(layout, sparse(codes, np.ones(len(codes), np.int64)), segments, list(places))
    return label_quality(counts, 1.96)
