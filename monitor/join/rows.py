"""Batches as rows of the join: predictions to wait for labels, labels to wait for their turn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

from monitor.batch import Batch, Carried, Labels
from monitor.join.inbox import LabelRows
from monitor.join.record import RECORD, Source
from monitor.join.state import LabelState
from monitor.outcome.cells import kept_rows
from monitor.outcome.layout import OutcomeLayout

NO_FIELDS = np.dtype([])


def prediction_rows(
    state: LabelState,
    version: str,
    batch: Batch,
    chosen: NDArray[np.intp] | slice,
    scores: NDArray[np.float64] | None,
    predicted: NDArray[np.float64] | None,
) -> NDArray[np.void]:
    """[n] what is kept of the ``chosen`` rows of a batch, all of one version.

    ``scores`` and ``predicted`` (class index, NaN for none of the classes) are [rows of the batch], None where there is no such signal.
    """
    probabilities = batch.extra.get("probabilities")
    return _rows(
        state,
        version,
        batch.segments[chosen],
        batch.segment_values,
        None if scores is None else scores[chosen],
        None if predicted is None else predicted[chosen],
        None if probabilities is None else probabilities[chosen],
    )


def _rows(
    state: LabelState,
    version: str,
    segments: NDArray[np.int32],
    segment_values: Sequence[Sequence[str]],
    scores: NDArray[np.float64] | None,
    predicted: NDArray[np.float64] | None,
    probabilities: NDArray[np.float64] | None,
) -> NDArray[np.void]:
    layout: OutcomeLayout = state.outcomes_of(version).layout
    score = np.full(len(segments), np.nan) if scores is None else scores
    known = np.full(len(segments), np.nan) if predicted is None else predicted
    rows = kept_rows(layout, score, layout.score_cell(score), known, probabilities)
    rows["combination"] = state.combinations.number(segments, segment_values)
    rows["version"] = state.version_names.number_of(version)
    return rows


def label_rows(state: LabelState, labels: Labels) -> LabelRows:
    """All labels of a batch as rows."""
    n = len(labels.time_ms)
    rows = np.zeros(n, RECORD)
    rows["annotator"] = _annotators(state, labels.annotators)[labels.annotator]
    rows["version"] = np.array([state.label_versions.number_of(name) for name in labels.versions], np.int64)[labels.version]
    rows["source"] = np.array([_source(state, name) for name in labels.sources], np.int64)[labels.source]
    rows["value"], rows["confidence"], rows["kpi"] = labels.value, labels.confidence, labels.kpi
    carried, carried_ms = np.zeros(n, NO_FIELDS), labels.time_ms
    if labels.carried is not None:
        carried, carried_ms = _carried_rows(state, labels.carried), labels.carried.time_ms
    texts = np.full(n, "", object)
    texts[: len(labels.id_texts)] = labels.id_texts
    return LabelRows(labels.ids, labels.time_ms, rows, carried_ms, carried, texts)


def _carried_rows(state: LabelState, carried: Carried) -> NDArray[np.void]:
    parts: list[tuple[NDArray[np.intp], NDArray[np.void]]] = []
    for code, name in enumerate(carried.versions):
        at = np.flatnonzero(carried.version == code)
        rows = _rows(
            state, state.place_of(name), carried.segments[at], carried.segment_values, carried.score[at], carried.predicted[at], None
        )
        parts.append((at, rows))
    result = np.zeros(len(carried.version), parts[0][1].dtype if parts else NO_FIELDS)
    for at, rows in parts:
        result[at] = rows
    return result


def _annotators(state: LabelState, names: Sequence[str]) -> NDArray[np.uint64]:
    """[names] hash of each annotator; names are remembered while there is room, to be shown."""
    hashes = [xxhash.xxh3_64_intdigest(name.encode()) if name else 0 for name in names]
    for name, number in zip(names, hashes, strict=True):
        if number and len(state.annotators) < state.config.max_annotators:
            state.annotators.setdefault(number, name)
    return np.array(hashes, np.uint64)


def _source(state: LabelState, name: str) -> Source:
    if name in state.config.review_sources:
        return Source.REVIEW
    return Source.AUDIT if name in state.config.audit_sources else Source.ORGANIC
