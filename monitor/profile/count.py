"""Rows to their panes: the one place where an event costs more than a look."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.profile.cells import Cells
from monitor.profile.leaves import Numbers
from monitor.profile.pane import OpenPane


def count(cells: Cells, leaves: Sequence[Numbers], pane_of_row: NDArray[np.intp], panes: Sequence[OpenPane]) -> None:
    """Hand each pane its rows, in their order.

    ``leaves`` [bases][rows] number the rows' leaves; ``pane_of_row`` indexes ``panes``, each of which has a row.
    """
    if len(panes) == 1:
        panes[0].add(cells, leaves)
        return
    order = np.argsort(pane_of_row.astype(np.min_scalar_type(len(panes))), kind="stable")  # narrow codes are sorted in linear time
    ends = np.cumsum(np.bincount(pane_of_row, minlength=len(panes)))
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    by_pane = np.argsort(place[cells.tail_rows], kind="stable")
    tail_places = place[cells.tail_rows[by_pane]]
    tail_ends = np.searchsorted(tail_places, ends)
    start = tail_start = 0
    for pane, stop, tail_stop in zip(panes, ends.tolist(), tail_ends.tolist(), strict=True):
        rows, tails = order[start:stop], by_pane[tail_start:tail_stop]
        of_pane = Cells(
            np.take(cells.cells, rows, axis=1),
            cells.tail_signals[tails],
            tail_places[tail_start:tail_stop] - start,
            cells.tail_sides[tails],
            cells.tail_logs[tails],
        )
        pane.add(of_pane, [numbers[rows] for numbers in leaves])
        start, tail_start = stop, tail_stop
