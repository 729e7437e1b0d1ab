"""The second reading of the data: every row into its cells, by the code that production counts with."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Batch
from monitor.profile.bins import Binning
from monitor.profile.count import cells_of, count
from monitor.profile.grouping import Base
from monitor.profile.layout import Layout, vocabulary
from monitor.profile.pane import OpenPane, Pool, close_panes
from monitor.profile.table import CountTable
from monitor.reference.blocks import BlockSums
from monitor.reference.hours import HourCounts, hour_counts
from monitor.reference.leaves import Admitted, Leaf, admit, leaves_of
from monitor.reference.moments import CellSums
from monitor.reference.survey import Survey, rows_of_version


@dataclass(eq=False)
class Tally:
    """All counts of the rows that ``survey`` saw. Raises nothing: a row that decodes has a cell in each signal."""

    survey: Survey
    layout: Layout
    version: str
    has_times: bool
    rows: int = 0
    blocks: BlockSums | None = None
    hours: HourCounts | None = None
    admitted: Admitted = field(init=False)

    def __post_init__(self) -> None:
        survey, layout = self.survey, self.layout
        self.vocabulary = vocabulary([layout])
        self.binning = Binning.of(layout, self.vocabulary)
        self.admitted = admit(survey.leaves, survey.bases, survey.model.segments.max_segments)
        # Admission bounds the leaves: the pane itself need not.
        self.pane = OpenPane(Pool(layout), sys.maxsize)
        extents = [(numbers.low, numbers.high) for numbers in survey.numbers.values()]
        self.sums = CellSums(layout, extents, survey.rows)
        if self.has_times and survey.start_ms is not None and survey.end_ms is not None:
            self.hours = hour_counts(layout, survey.end_ms - survey.start_ms, survey.leaves, self.admitted, survey.bases)
            self.finest = max(range(len(survey.bases)), key=lambda index: len(survey.bases[index].columns))
            self.block_segments: dict[Leaf, int] = {}
            segments = len(self.admitted.leaves[self.finest]) + 1
            self.blocks = BlockSums(layout, segments, survey.start_ms, survey.end_ms, survey.model.windows.lateness_ms)

    def add(self, batch: Batch) -> None:
        """Add rows decoded with ``vocabulary``; those of other versions are left out."""
        chosen = rows_of_version(batch, self.version)
        if not len(chosen):
            return
        self.rows += len(chosen)
        cells = cells_of(self.binning, batch, chosen)
        times = batch.time_ms[chosen]
        self.sums.add(cells.cells, batch.values[chosen])
        pane_of_row = np.zeros(len(chosen), np.intp)
        for index, base in enumerate(self.survey.bases):
            found, all_rows = leaves_of(batch, base)
            group = all_rows[chosen]
            leaves = [self.admitted.folded(index, leaf) for leaf in found]
            # The leaf's number stands in for the code of each of its columns.
            segments = np.broadcast_to(group[:, None], (len(group), len(base.columns))).astype(np.int32)
            values = list(zip(*leaves, strict=True)) if base.columns else []
            own = Base(base.columns, tuple(range(len(base.columns))), base.groupings)
            count(cells, self.binning, index, own, segments, values, pane_of_row, [self.pane])
            if self.hours is not None:
                self.hours.add(index, leaves, group, times, cells.cells)
            if self.blocks is not None and index == self.finest:
                self.blocks.add(times, self._block_segments(leaves)[group], cells.cells)

    def _block_segments(self, leaves: list[Leaf]) -> NDArray[np.intp]:
        return np.array([self.block_segments.setdefault(leaf, len(self.block_segments)) for leaf in leaves], np.intp)

    def table(self) -> CountTable:
        """Counts per segment."""
        return close_panes(self.layout, self.survey.bases, [self.pane])
