"""The evaluate stage: counts of a window and a reference to verdicts, for all segments, signals and statistics at once.

A verdict is DRIFTED when its value is at least the configured threshold and above the noise floor. Differences of rates have
the sign of now minus reference. An increase of invalid, unseen or out-of-range values is drift, a decrease is not: fewer faults
harm nobody. A change of missing values in either direction is drift: where values no longer are missing, a default may have been put in.

Where a verdict cannot be reached, the first of these that holds is its status: NOT_APPLICABLE, NO_REFERENCE, INSUFFICIENT_DATA, PARTIAL.
Distances need ``min_rows`` values on both sides, rates and shares as many rows; what a segment borrows from the pooled reference counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from monitor.config.evaluation import STATISTICS, Evaluation
from monitor.evaluate.baseline import Baseline
from monitor.evaluate.cells import DISTANCES, RATES, applicable, distance_cells, rate_counts, rows_counted
from monitor.evaluate.distance import distances
from monitor.evaluate.noise import normal_quantile, rate_floor
from monitor.evaluate.onset import with_onset
from monitor.evaluate.share import share_verdicts
from monitor.evaluate.unit import unit_changes
from monitor.evaluate.verdict import Status, Verdicts, Window
from monitor.profile.layout import Layout
from monitor.profile.table import CountTable
from monitor.reference.reference import Reference

__all__ = ["Baseline", "evaluate", "thresholds", "with_onset"]

Float64 = NDArray[np.float64]
Number = TypeVar("Number", bound=np.generic)

TWO_SIDED = ("missing_rate",)
"""Rates whose decrease is drift too."""

_TRANSPOSED_SEGMENTS = 64  # at once: 50 signals and 10 statistics of them are 256 KB


def evaluate(
    table: CountTable,
    window: Window,
    reference: Reference | None,
    baseline: Baseline | None,
    settings: Evaluation,
    *,
    model: str,
    version: str,
    partial: bool,
) -> Verdicts:
    """Judge a window's counts.

    ``baseline`` is that of ``reference`` and the table's segments; it is built when None. ``since_ms`` is left at -1: see
    ``with_onset``. Raises ``ValueError`` when counts, reference and baseline do not belong together.
    """
    rows = rows_counted(table.layout, table.counts)
    threshold = thresholds(table.layout, settings)
    if reference is None:
        baseline = None
        found = _without_reference(table)
    else:
        baseline = baseline or Baseline.of(reference, table.segments, settings)
        _check(table, reference, baseline)
        found = _compare(table, rows, baseline, threshold, settings, partial)
    status = _segments_first(found.status)
    unit = None if baseline is None else unit_changes(table, baseline, status == Status.DRIFTED)
    nowhere = np.full(found.n_now.shape, np.nan)
    return Verdicts(
        model=model,
        version=version,
        window=window,
        reference=reference,
        table=table,
        statistics=STATISTICS,
        value=_segments_first(found.value),
        threshold=threshold,
        noise=_segments_first(found.noise),
        status=status,
        n_now=found.n_now,
        n_reference=found.n_reference,
        unit_factor=nowhere if unit is None else unit.factor,
        share=share_verdicts(table.segments, rows.max(axis=0, initial=0), baseline, settings, partial=partial),
        since_ms=np.full(status.shape, -1, np.int64),
        unit_offset=nowhere if unit is None else unit.offset,
        baseline=baseline,
    )


def thresholds(layout: Layout, settings: Evaluation) -> Float64:
    """[F, K] the smallest effects that matter, with the overrides of single features."""
    general = {name: getattr(settings.thresholds, name) for name in STATISTICS}
    return np.array([[{**general, **settings.feature_thresholds.get(signal, {})}[name] for name in STATISTICS] for signal in layout.names])


@dataclass(frozen=True, eq=False)
class _Found:
    """Statistics first, segments last: the numbers of one statistic and signal stand together."""

    value: Float64  # [K, F, S]
    noise: Float64  # [K, F, S]
    status: NDArray[np.uint8]  # [K, F, S]
    n_now: NDArray[np.int64]  # [S, F]
    n_reference: NDArray[np.int64]  # [S, F]


def _compare(
    table: CountTable, rows: NDArray[np.int64], baseline: Baseline, threshold: Float64, settings: Evaluation, partial: bool
) -> _Found:
    far = distances(table, baseline, settings.noise_quantile)
    shape = (len(STATISTICS), *rows.shape)
    value, noise, status = np.empty(shape), np.empty(shape), np.empty(shape, np.uint8)
    value[:DISTANCES], noise[:DISTANCES] = far.value, far.noise
    cases = rate_counts(table.layout, table.counts)
    for case in range(RATES):
        value[DISTANCES + case], noise[DISTANCES + case] = _rate(cases[case], rows, baseline, case, settings.noise_quantile)

    sizes = np.stack([signal.effective for signal in baseline.signals])
    distances_enough = np.minimum(far.n, sizes) >= settings.min_rows
    for k, name in enumerate(STATISTICS):
        is_distance = k < DISTANCES
        enough = distances_enough if is_distance else np.minimum(rows, baseline.rate_effective[k - DISTANCES]) >= settings.min_rows
        size = np.abs(value[k]) if name in TWO_SIDED else value[k]
        drifted = (size >= threshold[:, k, None]) & (size > noise[k])
        judged = np.uint8(Status.PARTIAL) if partial else drifted.view(np.uint8)
        status[k] = np.where(enough, judged, np.uint8(Status.INSUFFICIENT_DATA))
    status[~baseline.applicable] = Status.NOT_APPLICABLE
    value[~baseline.applicable] = noise[~baseline.applicable] = np.nan
    return _Found(value, noise, status, np.ascontiguousarray(far.n.T), baseline.n_reference)


def _rate(cases: NDArray[np.int64], rows: NDArray[np.int64], baseline: Baseline, case: int, quantile: float) -> tuple[Float64, Float64]:
    """[F, S] difference of a rate from the reference, and its noise floor."""
    expected, size = baseline.rate[case], baseline.rate_effective[case]
    two_sided = STATISTICS[DISTANCES + case] in TWO_SIDED
    z = normal_quantile((1 + quantile) / 2 if two_sided else quantile)
    nothing = np.where((rows > 0) & (size > 0), 0.0, np.nan)
    difference = cases / np.maximum(rows, 1) - expected + nothing
    unseen = STATISTICS[DISTANCES + case] == "unseen_rate"
    new = np.array([[signal.new if unseen else 0.0] for signal in baseline.signals])
    return difference, new + rate_floor(difference - new, expected + new, rows.astype(np.float64), size, z)


def _without_reference(table: CountTable) -> _Found:
    layout = table.layout
    spans = [distance_cells(layout, index) for index in range(len(layout.signals))]
    n = np.stack([table.counts[:, span].sum(axis=1) for span in spans], axis=1)
    unknown = np.full((len(STATISTICS), *n.T.shape), np.nan)
    status = np.full(unknown.shape, Status.NO_REFERENCE, np.uint8)
    status[~applicable(layout, None)] = Status.NOT_APPLICABLE
    return _Found(unknown, unknown, status, n, np.zeros_like(n))


def _segments_first(array: NDArray[Number]) -> NDArray[Number]:
    """[K, F, S] to [S, F, K], by blocks: a plain copy would jump through memory at each number."""
    out = np.empty(array.shape[::-1], array.dtype)
    for start in range(0, len(out), _TRANSPOSED_SEGMENTS):
        block = slice(start, start + _TRANSPOSED_SEGMENTS)
        out[block] = array[:, :, block].T
    return out


def _check(table: CountTable, reference: Reference, baseline: Baseline) -> None:
    if table.layout is not reference.layout and table.layout.fingerprint != reference.layout.fingerprint:
        raise ValueError(
            f"expected counts of the reference's layout {reference.layout.fingerprint[:12]}, got {table.layout.fingerprint[:12]}: "
            "they have other bins; count with the layout of the reference"
        )
    if baseline.reference is not reference and baseline.reference.fingerprint != reference.fingerprint:
        raise ValueError(
            f"expected the baseline of reference {reference.fingerprint[:12]}, got one of {baseline.reference.fingerprint[:12]}; "
            "build it with Baseline.of"
        )
    if baseline.segments != table.segments:
        raise ValueError(
            f"expected a baseline of the table's {len(table.segments)} segments, got one of {len(baseline.segments)} "
            "others; build it with Baseline.of"
        )
