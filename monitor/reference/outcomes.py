"""Labelled rows of the data as production counts its own: errors of a regression, losses and probabilities of classes, by segment.

The cells are those of ``outcome.layout`` but for the lag, so that validation performance is computed by the same code as production's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.config.labels import Labels
from monitor.outcome.cells import Outcomes, outcome_codes
from monitor.outcome.layout import CLASS_SCORE_EDGES, CLASS_SCORES, RESIDUAL_EDGES, SUM_SCALE, SUMS, OutcomeLayout, score_bins
from monitor.profile.layout import Layout

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

KEPT_SUMS = tuple(name for name in SUMS if not name.startswith("kpi"))


def reference_layout(labels: Labels, layout: Layout, spread: float, probabilities: bool) -> OutcomeLayout:
    """The cells of outcomes beside a reference of ``layout``; ``spread``: the unit of a regression's errors unless one is configured."""
    score = score_bins(layout)
    scale = labels.target_scale or (spread if spread > 0 else 1.0)
    plain = OutcomeLayout(labels.task, labels.class_names, scale=scale, kpi_max=labels.kpi_max, probabilities=probabilities)
    return plain if score is None else replace(plain, score=score)


@dataclass(frozen=True, eq=False)
class Judged:
    """Labelled rows of a batch."""

    at: NDArray[np.intp]  # [n] their places
    rows: NDArray[np.void]  # [n] as production keeps predictions
    value: Float64  # [n] labels: class indices, or numbers
    answered: NDArray[np.bool_]  # [n] whether there is a predicted class; data without any tell nothing of mistakes


@dataclass(eq=False)
class OutcomeTables:
    """Counts by segment: a table of cells, and ``SUMS``."""

    layout: OutcomeLayout
    tables: dict[str, Int64] = field(default_factory=dict)  # see ``table_cells``
    sums: dict[str, Int64] = field(default_factory=dict)

    @property
    def cells(self) -> int:
        """Cells of a segment's table."""
        return table_cells(self.layout)

    def add(self, keys: Sequence[str], group: NDArray[np.intp], judged: Judged) -> None:
        """Count rows by their segments of one grouping, ``keys[group]``."""
        rows, value = judged.rows, judged.value
        layout, placed, none = self.layout, rows.copy(), np.zeros(len(rows), np.int64)
        placed["combination"] = group
        codes, weights, _ = outcome_codes(layout, Outcomes(placed, none, none, value, np.full(len(rows), np.nan)))
        segment, cell = np.divmod(codes, layout.cells)
        is_sum = (cell >= layout.first_sum) & (cell < layout.first_class_score)
        sums = np.zeros((len(keys), len(SUMS)), np.int64)
        np.add.at(sums, (segment[is_sum], cell[is_sum] - layout.first_sum), weights[is_sum])
        tables = np.zeros((len(keys), self.cells), np.int64)
        if layout.task == "regression":
            chosen = (cell >= layout.first_outcome) & (cell < layout.first_sum)
            place = (cell[chosen] - layout.first_outcome) % self.cells
        else:
            chosen = cell >= layout.first_class_score
            place = cell[chosen] - layout.first_class_score + layout.predicted * layout.truth
            at = np.flatnonzero(judged.answered)
            np.add.at(tables, (group[at], rows["predicted"][at].astype(np.int64) * layout.truth + value[at].astype(np.int64)), 1)
        np.add.at(tables, (segment[chosen], place), weights[chosen])
        for number in np.unique(group).tolist():
            key = keys[number]
            self.sums[key] = self.sums.get(key, 0) + sums[number]
            self.tables[key] = self.tables.get(key, 0) + tables[number]

    def content(self) -> dict[str, Any]:
        """The tables as plain JSON; of tables only the cells that are not empty."""
        layout, segments = self.layout, sorted(self.sums)
        held = [np.flatnonzero(self.tables[segment]) for segment in segments]
        return {
            "task": layout.task,
            "classes": list(layout.classes),
            "scale": layout.scale,
            "score_cells": layout.score_cells,
            "edges": list(_edges(layout)),
            "segments": segments,
            "sums": {name: [int(self.sums[segment][SUMS.index(name)]) for segment in segments] for name in KEPT_SUMS},
            "cells": [at.tolist() for at in held],
            "rows": [self.tables[segment][at].tolist() for segment, at in zip(segments, held, strict=True)],
        }

    def errors(self, segment: str) -> dict[str, float | None]:
        """MAE, RMSE, bias and R² of a regression's segment; None without rows."""
        sums = self.sums.get(segment, np.zeros(len(SUMS), np.int64))
        n = int(sums[SUMS.index("scored_rows")])
        names = ("absolute_error", "squared_error", "error", "target", "target_squared")
        absolute, squared, error, target, target_squared = (float(sums[SUMS.index(name)]) / SUM_SCALE / max(n, 1) for name in names)
        spread, scale = target_squared - target**2, self.layout.scale
        known = {"mae": absolute * scale, "rmse": squared**0.5 * scale, "bias": error * scale}
        r2 = 1 - squared / spread if spread > 0 else None
        return {**known, "r2": r2} if n else dict.fromkeys((*known, "r2"))


def table_cells(layout: OutcomeLayout) -> int:
    """Cells of a segment's table: score cell by cell of the error; or predicted by true class, and after these the class scores."""
    if layout.task == "regression":
        return layout.score_cells * layout.truth
    return layout.predicted * layout.truth + (2 * CLASS_SCORES * len(layout.classes) if layout.probabilities else 0)


def _edges(layout: OutcomeLayout) -> tuple[float, ...]:
    return RESIDUAL_EDGES if layout.task == "regression" else CLASS_SCORE_EDGES if layout.probabilities else ()


def stored_scale(labels: Mapping[str, Any] | None) -> float | None:
    """The unit in which a reference holds a regression's errors; None where it holds none."""
    held = None if labels is None else labels.get("outcomes")
    return None if held is None or held["task"] != "regression" else float(held["scale"])


def stored_tables(labels: Mapping[str, Any], layout: OutcomeLayout) -> tuple[tuple[str, ...], Int64, Int64] | None:
    """Segments [G], sums [G, SUMS] and tables [G, cells] of a reference's ``labels``; None where it has none in the cells of ``layout``."""
    held = labels.get("outcomes")
    wanted = (layout.task, list(layout.classes), list(_edges(layout)))
    if held is None or (held["task"], held["classes"], held["edges"]) != wanted:
        return None
    if layout.task == "regression" and (held["scale"], held["score_cells"]) != (layout.scale, layout.score_cells):
        return None
    segments = tuple(held["segments"])
    sums, tables = np.zeros((len(segments), len(SUMS)), np.int64), np.zeros((len(segments), table_cells(layout)), np.int64)
    for name, column in held["sums"].items():
        if name in SUMS:
            sums[:, SUMS.index(name)] = column
    for g, (cells, rows) in enumerate(zip(held["cells"], held["rows"], strict=True)):
        tables[g, cells] = rows
    return segments, sums, tables
