"""The evaluate stage: counts of a window and a reference to verdicts, for all segments, signals and statistics at once.

A verdict is DRIFTED when its value is at least the configured threshold and above the noise floor. Differences of rates have
the sign of now minus reference. An increase of invalid, unseen or out-of-range values is drift, a decrease is not: fewer faults
harm nobody. A change of missing values in either direction is drift: where values no longer are missing, a default may have been put in.

Where a verdict cannot be reached, the first of these that holds is its status: NOT_APPLICABLE, NO_REFERENCE, INSUFFICIENT_DATA, PARTIAL.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.config.model import STATISTICS, Evaluation
from monitor.evaluate.baseline import RATES, Baseline, distance_cells, rate_counts
from monitor.evaluate.distance import HELLINGER, JENSEN_SHANNON, PSI, SQUARED_V, distances
from monitor.evaluate.noise import divergence_floor, ks_floor, normal_quantile, rate_floor, wasserstein_floor
from monitor.evaluate.onset import with_onset
from monitor.evaluate.unit import unit_changes
from monitor.evaluate.verdict import ShareVerdicts, Status, Verdicts, Window
from monitor.profile.layout import Layout
from monitor.profile.table import CountTable
from monitor.reference.reference import Reference
from monitor.segment import ALL

__all__ = ["Baseline", "evaluate", "thresholds", "with_onset"]

Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

DISTANCES = len(STATISTICS) - RATES
"""The distances come first among the statistics, then the differences of rates."""

_TWO_SIDED = np.array([name == "missing_rate" for name in STATISTICS[DISTANCES:]])


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
    threshold = thresholds(table.layout, settings)
    if reference is None:
        found = _without_reference(table)
    else:
        if baseline is None:
            baseline = Baseline.of(reference, table.segments, settings)
        _check(table, reference, baseline)
        found = _compare(table, baseline, settings)
    size = np.abs(found.value)
    size[:, :, DISTANCES:][..., ~_TWO_SIDED] = found.value[:, :, DISTANCES:][..., ~_TWO_SIDED]
    drifted = (size >= threshold) & (size > found.noise)
    status = _status(drifted, found.enough, partial)
    status[:, applicable(table.layout, reference) & (reference is None)] = Status.NO_REFERENCE
    status[:, ~applicable(table.layout, reference)] = Status.NOT_APPLICABLE
    unit = unit_changes(table, baseline, status == Status.DRIFTED) if baseline is not None and reference is not None else None
    nowhere = np.full(found.n_now.shape, np.nan)
    return Verdicts(
        model=model,
        version=version,
        window=window,
        reference=reference,
        table=table,
        statistics=STATISTICS,
        value=found.value,
        threshold=threshold,
        noise=found.noise,
        status=status,
        n_now=found.n_now,
        n_reference=found.n_reference,
        unit_factor=nowhere if unit is None else unit.factor,
        share=_share(table, None if reference is None else baseline, settings, partial),
        since_ms=np.full(found.value.shape, -1, np.int64),
        unit_offset=nowhere if unit is None else unit.offset,
        baseline=None if reference is None else baseline,
    )


def thresholds(layout: Layout, settings: Evaluation) -> Float64:
    """[signals, statistics] the smallest effects that matter, with the overrides of single features."""
    general = {name: getattr(settings.thresholds, name) for name in STATISTICS}
    return np.array([[{**general, **settings.feature_thresholds.get(signal, {})}[name] for name in STATISTICS] for signal in layout.names])


def applicable(layout: Layout, reference: Reference | None) -> Bool:
    """[signals, statistics] whether a statistic has a meaning for a signal.

    KS and Wasserstein need numbers, Wasserstein also a reference whose values vary; unseen needs categories; out of range needs
    a declared range or list; a distance needs two cells.
    """
    numeric = np.array([signal.kind == "numeric" for signal in layout.signals])
    varies = numeric if reference is None else numeric & (np.nan_to_num(reference.stds, posinf=0.0) > 0)
    declared = np.array([signal.range is not None or signal.declared is not None for signal in layout.signals])
    spans = [distance_cells(layout, index) for index in range(len(layout.signals))]
    compared = np.array([span.stop - span.start >= 2 for span in spans])
    needs = {"ks": numeric, "wasserstein": varies, "unseen_rate": ~numeric, "out_of_range_rate": declared}
    whole = np.ones(len(layout.signals), np.bool_)
    columns = [needs.get(name, whole) & (compared if k < DISTANCES else whole) for k, name in enumerate(STATISTICS)]
    return np.stack(columns, axis=1)


@dataclass(frozen=True, eq=False)
class _Found:
    value: Float64  # [S, F, K]
    noise: Float64  # [S, F, K]
    enough: Bool  # [S, F, K] rows on both sides
    n_now: NDArray[np.int64]  # [S, F]
    n_reference: NDArray[np.int64]  # [S, F]


def _compare(table: CountTable, baseline: Baseline, settings: Evaluation) -> _Found:
    layout, quantile = table.layout, settings.noise_quantile
    far = distances(table, baseline)
    effective = np.where((far.n > 0) & (far.effective > 0), far.effective, np.nan)
    mean, top = divergence_floor(far.cumulants, effective, quantile)
    value = np.empty((len(STATISTICS), *far.n.shape))  # [K, F, S]: a statistic's numbers stay together
    noise = np.empty_like(value)
    known = effective > 0
    to_distance = {JENSEN_SHANNON: 1 / np.log(2), HELLINGER: 1.0, SQUARED_V: 1.0}
    for name, column in (("jensen_shannon", JENSEN_SHANNON), ("hellinger", HELLINGER), ("chi_square", SQUARED_V)):
        k = STATISTICS.index(name)
        value[k] = np.sqrt(far.divergence[column] * to_distance[column])
        noise[k] = np.sqrt(top[column] * to_distance[column])
    k = STATISTICS.index("psi")
    value[k], noise[k] = np.maximum(far.divergence[PSI] - mean[PSI], 0.0), top[PSI] - mean[PSI]
    k = STATISTICS.index("ks")
    value[k], noise[k] = far.ks, ks_floor(effective, quantile)
    k = STATISTICS.index("wasserstein")
    value[k] = far.wasserstein
    for f, signal in enumerate(baseline.signals):
        noise[k, f] = wasserstein_floor(signal.spread[0], signal.spread[1], effective[f], quantile) if signal.axis is not None else np.nan
    value[:DISTANCES, ~known] = np.nan

    rows = table.rows.astype(np.float64)[:, None]
    two_sided = normal_quantile((1 + quantile) / 2)
    for rate, cases in enumerate(rate_counts(layout, table.counts)):
        difference = np.where((rows > 0) & (baseline.rate_effective[rate] > 0), cases / np.maximum(rows, 1.0) - baseline.rate[rate], np.nan)
        z = two_sided if _TWO_SIDED[rate] else normal_quantile(quantile)
        floor = rate_floor(difference, baseline.rate[rate], rows, baseline.rate_effective[rate], z)
        value[DISTANCES + rate], noise[DISTANCES + rate] = difference.T, floor.T

    needed = settings.min_rows
    enough = np.empty((len(STATISTICS), *far.n.shape), np.bool_)
    sizes = np.stack([signal.effective for signal in baseline.signals])
    enough[:DISTANCES] = (far.n >= needed) & (sizes >= needed)
    enough[DISTANCES:] = ((rows >= needed) & (baseline.rate_effective >= needed)).transpose(0, 2, 1)
    suits = applicable(layout, baseline.reference).T
    value[~suits] = noise[~suits] = np.nan
    return _Found(
        np.ascontiguousarray(value.transpose(2, 1, 0)),
        np.ascontiguousarray(noise.transpose(2, 1, 0)),
        np.ascontiguousarray(enough.transpose(2, 1, 0)),
        far.n.T.astype(np.int64),
        baseline.n_reference,
    )


def _without_reference(table: CountTable) -> _Found:
    layout = table.layout
    spans = [distance_cells(layout, index) for index in range(len(layout.signals))]
    n = np.stack([table.counts[:, span].sum(axis=1) for span in spans], axis=1)
    shape = (*n.shape, len(STATISTICS))
    unknown = np.full(shape, np.nan)
    return _Found(unknown, unknown.copy(), np.zeros(shape, np.bool_), n, np.zeros_like(n))


def _status(drifted: Bool, enough: Bool, partial: bool) -> NDArray[np.uint8]:
    if partial:
        return np.where(enough, Status.PARTIAL, Status.INSUFFICIENT_DATA).astype(np.uint8)
    return np.where(enough, drifted.view(np.uint8), np.uint8(Status.INSUFFICIENT_DATA))


def _share(table: CountTable, baseline: Baseline | None, settings: Evaluation, partial: bool) -> ShareVerdicts:
    rows = table.rows
    total = int(rows[table.index[ALL]]) if ALL in table.index else 0
    share = rows / max(total, 1)
    whole = np.array([segment == ALL for segment in table.segments], np.bool_)
    threshold = settings.thresholds.segment_share
    since = np.full(len(rows), -1, np.int64)
    if baseline is None:
        status = np.where(whole, Status.NOT_APPLICABLE, Status.NO_REFERENCE).astype(np.uint8)
        return ShareVerdicts(share, np.zeros(len(rows)), np.full(len(rows), np.nan), threshold, status, since)
    difference = share - baseline.segment_share
    z = normal_quantile((1 + settings.noise_quantile) / 2)
    noise = rate_floor(difference, baseline.segment_share, float(total), float(baseline.pooled_rows), z)
    drifted = (np.abs(difference) >= threshold) & (np.abs(difference) > noise)
    enough = np.full(len(rows), total >= settings.min_rows and baseline.pooled_rows >= settings.min_rows)
    status = _status(drifted, enough, partial)
    status[~baseline.has_grouping] = Status.NO_REFERENCE
    status[whole] = Status.NOT_APPLICABLE
    return ShareVerdicts(share, baseline.segment_share, noise, threshold, status, since)


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
