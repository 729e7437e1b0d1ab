"""Labelled predictions with all their labels, as items of agreement: who said what first, and what holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.join.match import Predictions
from monitor.join.record import Records, sorted_by_annotator
from monitor.outcome.annotations import Items
from monitor.outcome.layout import OutcomeLayout


def items_of(
    layout: OutcomeLayout,
    predictions: Predictions,
    records: Records,
    effective: Records,
    ranks: NDArray[np.int64],
    numbers: NDArray[np.uint64],
) -> Items:
    """Items of the predictions that have labels.

    ``records`` and ``effective`` have rows of ``predictions`` as subjects; ``effective`` one for each that has any, in order. ``numbers``
    are the hashes of the known annotators by their number; an unknown one shares the number after the last.
    """
    ordered = records.where(sorted_by_annotator(records, ranks))
    subject, annotator = ordered.subject, ordered.rows["annotator"]
    first = np.ones(len(ordered), np.bool_)
    first[1:] = (subject[1:] != subject[:-1]) | (annotator[1:] != annotator[:-1])
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], len(ordered)) - 1
    old, new = ordered.where(starts), ordered.where(ends)
    version, value = ordered.rows["version"], ordered.rows["value"]
    moved = np.zeros(len(ordered), np.bool_)
    moved[1:] = ~first[1:] & ((version[1:] != version[:-1]) | (value[1:] != value[:-1]))
    restated = np.add.reduceat(moved, starts) > 0 if len(starts) else np.zeros(0, np.bool_)
    kind = np.where(restated, np.where(old.rows["version"] == new.rows["version"], 1, 2), 0)
    place = np.searchsorted(effective.subject, new.subject)
    number = _number(new.rows["annotator"], numbers)
    order = np.lexsort((number, place))
    return Items(
        combination=predictions.rows["combination"][effective.subject].astype(np.int64),
        consensus=_values(layout, effective.rows["value"]),
        definition=effective.rows["version"].astype(np.int64),
        item=place[order],
        annotator=number[order],
        value=_values(layout, new.rows["value"])[order],
        first_value=_values(layout, old.rows["value"])[order],
        restated=kind[order],
        confidence=new.rows["confidence"].astype(np.float64)[order],
    )


def _number(annotators: NDArray[np.uint64], numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
    order = np.argsort(numbers)
    at = np.minimum(np.searchsorted(numbers[order], annotators), len(numbers) - 1)
    return np.where(numbers[order][at] == annotators, order[at], len(numbers)).astype(np.int64)


def _values(layout: OutcomeLayout, values: NDArray[np.float64]) -> NDArray[np.int64]:
    return layout.score_cell(values.astype(np.float64)) if layout.task == "regression" else values.astype(np.int64)
