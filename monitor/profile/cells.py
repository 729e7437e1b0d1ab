"""Rows as cells: what is left of their values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Batch, Int64
from monitor.profile.bins import Binning
from monitor.profile.layout import FAULT_CELLS
from monitor.profile.table import TAIL_SCALE


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows as cells: [signals, rows], and the logarithms of values outside the edges."""

    cells: NDArray[np.uint8]
    tail_signals: NDArray[np.intp]  # sparse: values in an under- or overflow cell
    tail_rows: NDArray[np.intp]
    tail_sides: NDArray[np.intp]  # 0 underflow, 1 overflow
    tail_logs: Int64  # log2|x| in units of 1 / TAIL_SCALE

    def __len__(self) -> int:
        return int(self.cells.shape[1])

    @property
    def memory_bytes(self) -> int:
        """Memory of the arrays."""
        return self.cells.nbytes + 4 * self.tail_logs.nbytes


def cells_of(binning: Binning, batch: Batch, rows: NDArray[np.intp] | None = None) -> Cells:
    """Cells of a batch's rows, or of the chosen ``rows`` of it, in their order."""
    by_signal = batch.values.T if rows is None else np.take(batch.values.T, rows, axis=1)
    cells = binning.cells_of(by_signal.T)
    if len(batch.fault_rows):
        place = np.arange(len(batch))
        if rows is not None:
            place[:] = -1
            place[rows] = np.arange(len(rows))
        fault_rows = place[batch.fault_rows]
        kept = fault_rows >= 0
        cells[batch.fault_columns[kept], fault_rows[kept]] = batch.fault_kinds[kept]
    numeric = np.take(cells, binning.numeric, axis=0)
    outside = np.flatnonzero((numeric == binning.first_cell) | (numeric == binning.last_cell))
    which, where = np.divmod(outside, cells.shape[1])
    signals = binning.numeric[which]
    sides = (numeric.ravel()[outside] != FAULT_CELLS).astype(np.intp)
    magnitude = np.abs(by_signal[signals, where])
    logs = np.log2(np.where(magnitude > 0, magnitude, 1.0))
    return Cells(cells, signals, where, sides, np.rint(logs * TAIL_SCALE).astype(np.int64))
