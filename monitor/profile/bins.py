"""Values to cells, all signals and rows of a block at once.

A numeric value's cell is the number of edges at or below it, found by comparing a whole block with one edge of every
signal after the other: no branch, no search, and exactly ``numpy.searchsorted(edges, x, side="right")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.profile.layout import FAULT_CELLS, Layout, Vocabulary

_NO_CELL = 255
_BUFFER = 4096
"""Where two rows of a block fit numpy's buffer of 8,192 numbers, it copies what it compares them with, and takes thrice as long: so blocks
are longer than this, and shorter ones padded. Blocks of twice as many rows, 1.3 MB for 20 signals, still stay in the second-level cache."""

_WORTH_PADDING = 1500


@dataclass(frozen=True, eq=False)
class Binning:
    """A layout prepared for counting, together with the codes that decoding gives to categories."""

    layout: Layout
    numeric: NDArray[np.intp]  # signals that are numeric
    edges: NDArray[np.float64]  # [edges, numeric, 1] padded with +inf, which no finite value reaches
    first_cell: NDArray[np.uint8]  # [numeric, 1] underflow cell of each; an index that no cell has where there are no edges
    last_cell: NDArray[np.uint8]  # [numeric, 1] overflow cell
    categorical: NDArray[np.intp]
    cell_of_code: NDArray[np.uint8]  # of all categorical signals, one after the other: NaN, UNSEEN, code 0, …
    first_code: NDArray[np.intp]  # [categorical, 1] where each signal's entries begin
    codes: NDArray[np.intp]  # [categorical] how many entries each has

    @staticmethod
    def of(layout: Layout, vocabulary: Vocabulary) -> Binning:
        """Prepare a layout."""
        numeric = [i for i, signal in enumerate(layout.signals) if signal.kind == "numeric"]
        categorical = [i for i, signal in enumerate(layout.signals) if signal.kind == "categorical"]
        most = max((len(layout.signals[i].edges) for i in numeric), default=0)
        edges = np.full((most, len(numeric), 1), np.inf)
        for column, i in enumerate(numeric):
            edges[: len(layout.signals[i].edges), column, 0] = layout.signals[i].edges
        cells = []
        for i in categorical:
            signal = layout.signals[i]
            known: Sequence[str | None] = (None, *vocabulary.get(signal.name, ()))
            cells.append(np.array([0, *signal.cells_of_categories(known)], np.uint8))
        first = [[FAULT_CELLS if layout.signals[i].edges else _NO_CELL] for i in numeric]
        last = [[layout.signals[i].cells - 1 if layout.signals[i].edges else _NO_CELL] for i in numeric]
        return Binning(
            layout,
            np.array(numeric, np.intp),
            edges,
            np.array(first, np.uint8).reshape(-1, 1),
            np.array(last, np.uint8).reshape(-1, 1),
            np.array(categorical, np.intp),
            np.concatenate([np.zeros(0, np.uint8), *cells]),
            np.cumsum([0, *map(len, cells)])[:-1].reshape(-1, 1),
            np.array([len(each) for each in cells], np.intp),
        )

    def cells_of(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """[signals, rows] cell of each value within its signal, from [rows, signals] values and codes.

        NaN goes to the cell MISSING; the caller overwrites cells with other faults. Infinities are no values
        and must not be given. Raises ``IndexError`` for a code that the vocabulary does not have.
        """
        rows = len(values)
        cells = np.empty((len(self.layout.signals), rows), np.uint8)
        blocks = max(1, rows // (_BUFFER + 1))
        for number in range(blocks):
            block = slice(rows * number // blocks, rows * (number + 1) // blocks)
            columns = values[block].T
            if columns.strides[1] != columns.itemsize:
                columns = np.ascontiguousarray(columns)  # rows of a signal side by side, as decoding leaves them
            if len(self.numeric):
                size = columns.shape[1]
                padded = _BUFFER + 1 if _WORTH_PADDING < size <= _BUFFER else size
                cells[self.numeric, block] = self._numeric_cells(_rows(columns, self.numeric, padded))[:, :size]
            if len(self.categorical):
                entries = _rows(columns, self.categorical, columns.shape[1]) + 2.0
                np.copyto(entries, 0.0, where=np.isnan(entries))
                if (entries.max(axis=1, initial=0.0) >= self.codes).any():
                    raise IndexError("expected codes of the vocabulary that the layout was prepared with, got others")
                cells[self.categorical, block] = self.cell_of_code.take(entries.astype(np.intp) + self.first_code)
        return cells

    def _numeric_cells(self, x: NDArray[np.float64]) -> NDArray[np.uint8]:
        present = x == x  # noqa: PLR0124 (NaN is the only value unlike itself)
        cells: NDArray[np.uint8] = present.view(np.uint8) * np.uint8(FAULT_CELLS)
        reached = np.empty(x.shape, np.bool_)
        for edge in self.edges:
            np.greater_equal(x, edge, out=reached)
            np.add(cells, reached.view(np.uint8), out=cells)
        return cells


def _rows(columns: NDArray[np.float64], chosen: NDArray[np.intp], width: int) -> NDArray[np.float64]:
    """The chosen rows, padded with zeros. Row by row: an index copies all of a part of an array first, or gives another memory layout."""
    size = columns.shape[1]
    rows = np.empty((len(chosen), width))
    rows[:, size:] = 0.0
    for row, index in enumerate(chosen.tolist()):
        rows[row, :size] = columns[index]
    return rows
