"""Rows to counts: the one place where an event costs more than a look.

Each row is binned once, and counted once per base grouping: one addition over (leaf, signal, cell).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Batch, Int64
from monitor.profile.bins import Binning
from monitor.profile.grouping import Base
from monitor.profile.layout import FAULT_CELLS
from monitor.profile.pane import OpenPane
from monitor.profile.table import TAIL_SCALE

_TABLE = 1 << 20  # codes below this are made dense by a table, larger ones by sorting


@dataclass(frozen=True, slots=True)
class Cells:
    """A batch's rows as cells: [signals, rows], and the logarithms of values outside the edges."""

    cells: NDArray[np.uint8]
    tail_signals: NDArray[np.intp]  # sparse: values in an under- or overflow cell
    tail_rows: NDArray[np.intp]
    tail_sides: NDArray[np.intp]  # 0 underflow, 1 overflow
    tail_logs: Int64  # log2|x| in units of 1 / TAIL_SCALE


def cells_of(binning: Binning, batch: Batch, rows: NDArray[np.intp] | None = None) -> Cells:
    """Cells of a batch's rows, or of the chosen ``rows`` of it, in their order."""
    values = batch.values if rows is None else batch.values[rows]
    cells = binning.cells_of(values)
    if len(batch.fault_rows):
        place = np.arange(len(batch))
        if rows is not None:
            place[:] = -1
            place[rows] = np.arange(len(rows))
        fault_rows = place[batch.fault_rows]
        kept = fault_rows >= 0
        cells[batch.fault_columns[kept], fault_rows[kept]] = batch.fault_kinds[kept]
    numeric = cells[binning.numeric]
    outside = np.flatnonzero((numeric == binning.first_cell) | (numeric == binning.last_cell))
    which, where = np.divmod(outside, cells.shape[1])
    signals = binning.numeric[which]
    sides = (numeric.ravel()[outside] != FAULT_CELLS).astype(np.intp)
    magnitude = np.abs(values[where, signals])
    logs = np.log2(np.where(magnitude > 0, magnitude, 1.0))
    return Cells(cells, signals, where, sides, np.rint(logs * TAIL_SCALE).astype(np.int64))


def count(
    cells: Cells,
    binning: Binning,
    base_index: int,
    base: Base,
    segments: NDArray[np.int32],
    values: Sequence[Sequence[str]],
    pane_of_row: NDArray[np.intp],
    panes: Sequence[OpenPane],
) -> None:
    """Count rows into their panes by the leaves of one base grouping.

    ``segments`` [rows, columns] indexes ``values`` [columns][codes]; ``pane_of_row`` indexes ``panes``.
    """
    layout = binning.layout
    group, first = _leaf_groups(pane_of_row, len(panes), [(segments[:, place], len(values[place])) for place in base.places])
    pane_index = pane_of_row[first]
    columns = [[values[place][code] for code in segments[first, place].tolist()] for place in base.places]
    leaves = list(zip(*columns, strict=True)) if columns else [()] * len(first)
    targets = _targets(panes, pane_index, leaves, base_index, first, group)

    if base_index == 0:
        for index, rows in enumerate(np.bincount(pane_of_row, minlength=len(panes)).tolist()):
            panes[index].count_rows(rows)

    # Adding at each cell costs the same whatever the number of leaves; a dense block per leaf would not.
    pool, layout = panes[0].pool, binning.layout
    row = targets[group]
    flat = (row * layout.cells + layout.offsets[:-1, None]) + cells.cells
    np.add.at(pool.counts.reshape(-1), flat.ravel(), pool.counts.dtype.type(1))
    if len(cells.tail_logs):
        np.add.at(pool.tails, (row[cells.tail_rows], cells.tail_signals, cells.tail_sides), cells.tail_logs)


def _leaf_groups(
    pane_of_row: NDArray[np.intp], panes: int, columns: Sequence[tuple[NDArray[np.int32], int]]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Group of each row by pane and segment values, and the first row of each group."""
    codes, size = pane_of_row, panes
    for column, radix in columns:
        if size * radix > _TABLE:  # keep the product small, or it could overflow
            codes, distinct = dense(codes, size)
            size = len(distinct)
        codes, size = codes * radix + column, size * radix
    group, distinct = dense(codes, size)
    return group, first_rows(group, len(distinct))


def first_rows(group: NDArray[np.intp], groups: int) -> NDArray[np.intp]:
    """[groups] the first row of each group; each has one."""
    first = np.empty(groups, np.intp)
    first[group[::-1]] = np.arange(len(group))[::-1]  # the last write is the first row
    return first


def dense(codes: NDArray[np.intp], size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Codes below ``size`` renumbered without gaps, in rising order, and the distinct codes."""
    if size > _TABLE:
        distinct, place = np.unique(codes, return_inverse=True)
        return place.reshape(-1), distinct
    seen = np.zeros(size, np.bool_)
    seen[codes] = True
    distinct = np.flatnonzero(seen)
    renumbered = np.empty(size, np.intp)
    renumbered[distinct] = np.arange(len(distinct))
    return renumbered[codes], distinct


def _targets(
    panes: Sequence[OpenPane],
    pane_index: NDArray[np.intp],
    leaves: Sequence[tuple[str, ...]],
    base_index: int,
    first: NDArray[np.intp],
    group: NDArray[np.intp],
) -> NDArray[np.intp]:
    """Row in its pane for each leaf; new leaves enter in the order in which the log names them."""
    known = [panes[index].leaves.get((base_index, leaf), -1) for index, leaf in zip(pane_index.tolist(), leaves, strict=True)]
    targets = np.array(known, np.intp)
    new = np.flatnonzero(targets < 0)
    if len(new):
        sizes = np.bincount(group, minlength=len(leaves))
        for i in new[np.argsort(first[new])].tolist():
            pane = panes[int(pane_index[i])]
            targets[i], folded = pane.enter((base_index, leaves[i]))
            if folded:
                pane.folded += int(sizes[i])
    return targets
