"""Which cells of a layout take part in what, and where the cells of a numeric signal lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.config.evaluation import STATISTICS
from monitor.profile.layout import Layout, Role, SignalBins
from monitor.profile.table import TAIL_SCALE

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

RATES = 4
"""Missing, invalid (or not finite), unseen, out of range: in the order of the last statistics."""

DISTANCES = len(STATISTICS) - RATES
"""The distances come first among the statistics, then the differences of rates."""

_LOG_UNIT = 2.0 ** (1 / TAIL_SCALE)
"""By how much a size that is known from its logarithm in whole units may be off."""


def distance_cells(layout: Layout, index: int) -> slice:
    """Columns of the cells that take part in distances: VALUE and UNSEEN, which stand side by side."""
    span = layout.span(index)
    roles = layout.roles[span]
    places = np.flatnonzero((roles == Role.VALUE) | (roles == Role.UNSEEN)) + span.start
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(span.start, span.start)


def rate_counts(layout: Layout, counts: Int64) -> Int64:
    """[RATES, signals, segments] rows with a missing, an invalid or not finite, an unseen, an out-of-range value."""
    first = layout.offsets[:-1]
    cases = np.zeros((RATES, len(first), len(counts)), np.int64)
    cases[0] = counts[:, first + Role.MISSING].T
    cases[1] = (counts[:, first + Role.INVALID] + counts[:, first + Role.NON_FINITE]).T
    for case, role in enumerate((Role.UNSEEN, Role.OUT_OF_RANGE), start=2):
        for place in np.flatnonzero(layout.roles == role):
            cases[case, layout.signal_of_cell[place]] += counts[:, place]
    return cases


def rows_counted(layout: Layout, counts: Int64) -> Int64:
    """[signals, segments] rows in any cell. Signals of a segment differ when one of them started anew."""
    return np.ascontiguousarray(np.add.reduceat(counts, layout.offsets[:-1], axis=1).T)


def applicable(layout: Layout, stds: Float64 | None) -> NDArray[np.bool_]:
    """[statistics, signals] whether a statistic has a meaning for a signal; ``stds`` are the reference's standard deviations.

    KS and Wasserstein need numbers, Wasserstein also a reference whose values vary; unseen needs categories; out of range needs
    a declared range or list; a distance needs two cells.
    """
    numeric = np.array([signal.kind == "numeric" for signal in layout.signals])
    varies = numeric if stds is None else numeric & np.isfinite(stds) & (stds > 0)
    declared = np.array([signal.range is not None or signal.declared is not None for signal in layout.signals])
    spans = [distance_cells(layout, index) for index in range(len(layout.signals))]
    compared = np.array([span.stop - span.start >= 2 for span in spans])
    needs = {"ks": numeric, "wasserstein": varies, "unseen_rate": ~numeric, "out_of_range_rate": declared}
    always = np.ones(len(layout.signals), np.bool_)
    return np.stack([needs.get(name, always) & (compared if k < DISTANCES else always) for k, name in enumerate(STATISTICS)])


def cell_bounds(signal: SignalBins) -> tuple[Float64, Float64]:
    """[value cells] lower and upper ends of a numeric signal's cells; the outermost are infinite."""
    return np.array([-np.inf, *signal.edges]), np.array([*signal.edges, np.inf])


def cell_positions(low: Float64, high: Float64, means: Float64) -> Float64:
    """[value cells] where a cell's values are taken to be: their mean in the reference, else the middle, or the finite end.

    Beyond all values of the reference, as far as a declared range, which may end anywhere, it is the end next to them.
    """
    with np.errstate(invalid="ignore"):
        middle = low / 2 + high / 2  # halves first: the sum of two ends can overflow
    middle = np.where(np.isinf(low), high, np.where(np.isinf(high), low, middle))
    held = np.flatnonzero(np.isfinite(means[1:-1])) + 1
    if len(held):
        first, after = held[0], held[-1] + 1
        middle[:first], middle[after:] = high[:first], low[after:]
    middle = np.where(np.isfinite(middle), middle, 0.0)  # a signal without edges is one cell, wherever
    return np.asarray(np.clip(np.where(np.isfinite(means), means, middle), low, high))


def beyond(rows: Float64, logs: Float64, edge: float) -> Float64:
    """[S] where the values of an open cell are taken to be that lie beyond ``edge``: at the geometric mean of their size, never before it.

    ``rows`` [S] are the values, ``logs`` [S] the sums of their log2|x|, as in the tails of a table. Seen with the open end on the right;
    the left one is its mirror image. Where several places have that size, the smallest move is assumed.
    """
    size = np.exp2(np.clip(logs / np.maximum(rows, 1.0), -1022.0, 1023.0))
    # A value nearer to 0 than a negative edge may have either sign; one next to the edge is rounded to either side of it.
    place = np.where((edge < 0) & (size < -edge * _LOG_UNIT), -size, size)
    if -1 < edge <= 0:
        place = np.where(logs == 0, 0.0, place)  # 0 has the logarithm of 1
    return np.asarray(np.maximum(place, edge))
