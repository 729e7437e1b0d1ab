"""The second reading of the data: every row into its cells, by the code that production counts with."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.batch import UNSEEN, Batch
from monitor.config.model import PREDICTED_CLASS, SCORE
from monitor.decode.decoder import PROBABILITIES
from monitor.outcome.cells import kept_rows
from monitor.profile.bins import Binning
from monitor.profile.cells import cells_of
from monitor.profile.layout import Layout, vocabulary
from monitor.profile.leaves import Leaves, Numbers
from monitor.profile.pane import OpenPane, close_panes
from monitor.profile.table import CountTable
from monitor.reference.blocks import BlockSums
from monitor.reference.classes import Classes, classes_of
from monitor.reference.hours import HourCounts, hour_counts
from monitor.reference.labels import LABEL, LabelCounts
from monitor.reference.leaves import Admitted, Leaf, admit, leaves_of
from monitor.reference.moments import CellSums
from monitor.reference.outcomes import Judged, OutcomeTables, reference_layout
from monitor.reference.survey import Survey, rows_of_version
from monitor.segment import segment_key


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
    classes: Classes | None = None  # of the labels

    def __post_init__(self) -> None:
        survey, layout = self.survey, self.layout
        self.vocabulary = vocabulary([layout])
        self.binning = Binning.of(layout, self.vocabulary)
        self.admitted = admit(survey.leaves, survey.bases, survey.model.segments.max_segments)
        # Admission bounds the leaves: the pane itself need not.
        self.known = tuple(map(Leaves, survey.bases))
        self.pane = OpenPane(layout, self.known, sys.maxsize)
        extents = [(numbers.low, numbers.high) for numbers in survey.numbers.values()]
        self.sums = CellSums(layout, extents, survey.rows)
        if self.has_times and survey.start_ms is not None and survey.end_ms is not None:
            self.hours = hour_counts(layout, survey.end_ms - survey.start_ms, survey.leaves, self.admitted, survey.bases)
            self.finest = max(range(len(survey.bases)), key=lambda index: len(survey.bases[index].columns))
            self.block_segments, rows = self._block_rows()
            self.blocks = BlockSums(layout, rows, survey.start_ms, survey.end_ms, survey.model.windows.lateness_ms)
        columns = tuple(survey.model.segments.columns)
        self.label_place = columns.index(LABEL) if LABEL in columns else None
        self.labels = None if self.label_place is None else self._label_counts()
        self.outcomes = None if self.label_place is None else self._outcome_tables()

    def _block_rows(self) -> tuple[dict[Leaf, int], list[int]]:
        """Numbers of the finest grouping's segments, as they are counted, and their rows."""
        rows: dict[Leaf, int] = {}
        for leaf, n in self.survey.leaves[self.finest].counts.items():
            counted = self.admitted.folded(self.finest, leaf)
            rows[counted] = rows.get(counted, 0) + n
        other = self.admitted.folded(self.finest, ("",) * len(self.survey.bases[self.finest].columns))
        rows.setdefault(other, 0)
        return {leaf: number for number, leaf in enumerate(rows)}, list(rows.values())

    def _label_counts(self) -> LabelCounts:
        seen = self.survey.labels
        self.classes = classes_of(self.survey.model, seen.counts, seen.most(1_000), self.vocabulary)
        score = self.layout.names.index(SCORE) if SCORE in self.layout.names else None
        numbers = None if score is None else self.survey.numbers[score]
        return LabelCounts(
            classes=self.classes.names,
            cells=1 if score is None else self.layout.signals[score].cells,
            probability=numbers is not None and numbers.low >= 0.0 and numbers.high <= 1.0,
            positive=self.classes.positive,
            spellings=self.classes.spellings,
        )

    def _outcome_tables(self) -> OutcomeTables | None:
        """None where the configuration does not say what labels are."""
        model = self.survey.model
        if model.labels is None:
            return None
        scores = self.survey.reservoir.values[:, self.layout.names.index(SCORE)] if SCORE in self.layout.names else np.zeros(0)
        scores = scores[np.isfinite(scores)]
        return OutcomeTables(
            reference_layout(model.labels, self.layout, float(scores.std()) if len(scores) else 0.0, model.keeps_probabilities)
        )

    def add(self, batch: Batch, lag_ms: NDArray[np.float64] | None = None) -> None:
        """Add rows decoded with ``vocabulary``; those of other versions are left out.

        ``lag_ms`` [rows]: how much later than the prediction the label was known; NaN where that is unknown.
        """
        chosen = rows_of_version(batch, self.version)
        if not len(chosen):
            return
        self.rows += len(chosen)
        cells = cells_of(self.binning, batch, chosen)
        times = batch.time_ms[chosen]
        self.sums.add(cells.cells, batch.values[chosen])
        numbered: list[Numbers] = []
        outcomes = self._add_labels(batch, chosen, lag_ms, cells.cells)
        judged = self._judged(batch, chosen)
        for index, base in enumerate(self.survey.bases):
            found, all_rows = leaves_of(batch, base)
            group = all_rows[chosen]
            leaves = [self.admitted.folded(index, leaf) for leaf in found]
            numbered.append(np.array([self.known[index].number(leaf) for leaf in leaves], np.int32)[group])
            if self.hours is not None:
                self.hours.add(index, leaves, group, times, cells.cells)
            if self.labels is not None and outcomes is not None:
                keys = [segment_key(base.columns, leaf) for leaf in leaves]
                self.labels.add_segments(keys, group, self._score_cells(cells.cells), outcomes)
                if self.outcomes is not None and judged is not None:
                    self.outcomes.add(keys, group[judged.at], judged)
            if self.blocks is not None and index == self.finest:
                numbers = np.array([self.block_segments[leaf] for leaf in leaves], np.intp)
                self.blocks.add(times, numbers[group], cells.cells)
        self.pane.add(cells, numbered)

    def _add_labels(
        self, batch: Batch, rows: NDArray[np.intp], lag_ms: NDArray[np.float64] | None, cells: NDArray[np.uint8]
    ) -> NDArray[np.int64] | None:
        if self.labels is None or self.label_place is None or self.classes is None:
            return None
        known = [self.classes.label(text) for text in batch.segment_values[self.label_place]]
        labels = [known[code] for code in batch.segments[rows, self.label_place].tolist()]
        scores = self._column(batch, rows, SCORE)
        predicted = [self.classes.predicted[code] if code >= 0 else None for code in self._predicted_codes(batch, rows).tolist()]
        outcomes = self.labels.outcomes(labels, predicted)
        lags = np.full(len(rows), np.nan) if lag_ms is None else lag_ms[rows]
        self.labels.add(labels, predicted, scores, lags, outcomes, self._score_cells(cells))
        return outcomes

    def _judged(self, batch: Batch, rows: NDArray[np.intp]) -> Judged | None:
        """The labelled ones of ``rows``."""
        if self.outcomes is None or self.label_place is None or self.classes is None:
            return None
        layout = self.outcomes.layout
        values = np.array([self.classes.value(text, layout.classes) for text in batch.segment_values[self.label_place]], np.float64)
        truth = values[batch.segments[rows, self.label_place]]
        at = np.flatnonzero(np.isfinite(truth))
        of = rows[at]
        scores, codes = self._column(batch, of, SCORE), self._predicted_codes(batch, of)
        index = {name: place for place, name in enumerate(layout.classes)}
        of_code = np.array([*(index.get(name, np.nan) for name in self.classes.predicted), np.nan])
        answered = codes >= 0
        predicted = of_code[np.where(answered, codes, -1)]
        probabilities = batch.extra.get(PROBABILITIES)
        kept = kept_rows(layout, scores, layout.score_cell(scores), predicted, None if probabilities is None else probabilities[of])
        return Judged(at, kept, truth[at], answered)

    def _column(self, batch: Batch, rows: NDArray[np.intp], signal: str) -> NDArray[np.float64]:
        """[n] values of a signal, NaN where there is none such."""
        names = self.layout.names
        return batch.values[rows, names.index(signal)] if signal in names else np.full(len(rows), np.nan)

    def _predicted_codes(self, batch: Batch, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """[n] codes of predicted classes; NaN is no class, and so is one beyond the known categories: below 0."""
        return np.nan_to_num(self._column(batch, rows, PREDICTED_CLASS), nan=UNSEEN).astype(np.intp)

    def _score_cells(self, cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
        names = self.layout.names
        return cells[names.index(SCORE)] if SCORE in names else np.zeros(cells.shape[1], np.uint8)

    def table(self) -> CountTable:
        """Counts per segment."""
        return close_panes(self.layout, self.known, [self.pane])
