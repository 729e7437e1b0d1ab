"""The estimate without labels at one evaluation, and what labels later say of it: pure, from the counts of one model version."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.accuracy import Estimates, estimate_accuracy
from monitor.estimate.error import ErrorTrack, estimate_error, track
from monitor.estimate.outcomes import label_instants_ms, pane_counts
from monitor.estimate.tables import ErrorTable, reference_table
from monitor.outcome.layout import OutcomeLayout, same_score
from monitor.outcome.panes import OutcomePanes
from monitor.reference.reference import Reference

_ERRORS = ("windows", "covered", "signed", "absolute")


@dataclass(eq=False)
class EstimateHistory:
    """Estimates whose labels are still to come, and the errors of those whose labels came."""

    waiting: list[tuple[int, int, Estimates]] = field(default_factory=list)  # window's start and end in ms
    errors: ErrorTrack | None = None
    latest: tuple[int, int, Estimates] | None = None


def error_tables(
    reference: Reference | None, groupings: Sequence[tuple[str, ...]], layout: OutcomeLayout
) -> dict[tuple[str, ...], ErrorTable]:
    """What the reference's labels let expect, by grouping; those of which it has no rows are left out."""
    if reference is None or reference.labels is None:
        return {}
    same = same_score(reference.layout, layout)
    found = {grouping: reference_table(reference.labels, grouping, layout.score_cells, same_score=same) for grouping in groupings}
    return {grouping: table for grouping, table in found.items() if table is not None}


def estimates(
    tables: dict[tuple[str, ...], ErrorTable],
    by_prediction: OutcomePanes,
    layout: OutcomeLayout,
    pane_ms: int,
    shown: tuple[str, ...],
    places: NDArray[np.intp],
    groupings: Sequence[tuple[str, ...]],
    window: tuple[int, int],
    labels_to_ms: int,
    label_panes: Collection[int],
) -> Estimates | None:
    """Accuracy of the predictions made in ``window`` [start, end) in ms, for ALL and every segment; None without tables or predictions.

    ``label_panes`` are the numbers of those in which labels came. ALL is the sum of the segments of the first grouping that has a table,
    so a changed mix of them is taken into account.
    """
    panes = {number: counts for number, counts in by_prediction.settle().items() if (number + 1) * pane_ms <= window[1]}
    inside = {number for number in panes if number * pane_ms >= window[0]}
    if not inside or not tables:
        return None
    parts, instants = [], label_instants_ms(label_panes, pane_ms)
    several = any(grouping in tables for grouping in groupings if grouping)
    for grouping, place in zip(groupings, places, strict=True):
        if grouping not in tables or (several and not grouping):
            continue
        counts = pane_counts(layout, panes, pane_ms, shown, place, labels_to_ms, instants)
        chosen = np.isin(counts.start_ms // pane_ms, sorted(inside))
        parts.append((grouping, estimate_accuracy(tables[grouping], counts, chosen)))
    return _joined(parts) if parts else None


def _joined(parts: Sequence[tuple[tuple[str, ...], Estimates]]) -> Estimates:
    """ALL once, then the segments of every grouping."""
    first = next((part for grouping, part in parts if grouping), parts[0][1])
    chosen = [(first, 0)]
    chosen += [(part, row) for grouping, part in parts if grouping for row in range(1, len(part.segments))]
    columns: dict[str, Any] = {}
    for column in fields(Estimates):
        if column.name == "segments":
            columns["segments"] = tuple(part.segments[row] for part, row in chosen)
        else:
            columns[column.name] = np.array([getattr(part, column.name)[row] for part, row in chosen])
    return Estimates(**columns)


def remember(history: EstimateHistory, window: tuple[int, int], found: Estimates) -> None:
    """Show an estimate, and keep it until its labels have come; windows kept follow one another, so each prediction is judged once."""
    history.latest = (*window, found)
    if not history.waiting or history.waiting[-1][1] <= window[0]:
        history.waiting.append((*window, found))


def settle(history: EstimateHistory, window: tuple[int, int], now: Estimates | None) -> None:
    """Judge the estimate of a window by what labels say ``now`` of it; None: they are gone, nothing can be said."""
    waiting = [each for each in history.waiting if each[:2] == window]
    history.waiting = [each for each in history.waiting if each[:2] != window]
    if waiting and now is not None:
        of_window = track(estimate_error(waiting[0][2], now))
        history.errors = of_window if history.errors is None else history.errors.merge(of_window)


def to_values(history: EstimateHistory) -> dict[str, Any]:
    """Small values for the state."""
    return {
        "waiting": [[start, end, _columns(found)] for start, end, found in history.waiting],
        "latest": None if history.latest is None else [*history.latest[:2], _columns(history.latest[2])],
        "errors": None
        if history.errors is None
        else [list(history.errors.segments), *(getattr(history.errors, name).tolist() for name in _ERRORS)],
    }


def from_values(values: dict[str, Any]) -> EstimateHistory:
    """The inverse of ``to_values``."""
    waiting = [(start, end, _estimates(columns)) for start, end, columns in values["waiting"]]
    start, end, columns = values["latest"] or (0, 0, None)
    latest = None if columns is None else (start, end, _estimates(columns))
    if values["errors"] is None:
        return EstimateHistory(waiting, None, latest)
    segments, windows, covered, signed, absolute = values["errors"]
    whole = (np.array(windows, np.int64), np.array(covered, np.int64))
    errors = ErrorTrack(*whole, np.array(signed, np.float64), np.array(absolute, np.float64), tuple(segments))
    return EstimateHistory(waiting, errors, latest)


def _columns(found: Estimates) -> dict[str, list[Any]]:
    return {column.name: np.asarray(getattr(found, column.name)).tolist() for column in fields(Estimates)}


def _estimates(columns: dict[str, list[Any]]) -> Estimates:
    whole = {"n": np.int64, "labelled": np.int64, "lookback": np.int64, "rectified": np.bool_}
    arrays: dict[str, Any] = {name: np.array(column, whole.get(name, np.float64)) for name, column in columns.items() if name != "segments"}
    return Estimates(segments=tuple(columns["segments"]), **arrays)
