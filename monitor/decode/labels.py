"""Raw messages of one model's label topic to one columnar batch of labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.batch import UNSEEN, Carried, Fault, Float64, Labels, RawBatch, Rejection, RejectReason
from monitor.config import PREDICTED_CLASS, ModelConfig
from monitor.decode.classes import indices_of
from monitor.decode.decoder import EventColumns
from monitor.decode.growing import GrowingBatch
from monitor.decode.mapping import LABEL_SIGNALS, LABEL_TEXTS, label_uses
from monitor.decode.records import Records
from monitor.decode.refusal import Refusal, by_reason
from monitor.decode.tables import Coded, ValueTable
from monitor.segment import MISSING

MAX_TEXT_LENGTH = 64
_WANTED = {
    "binary": "one of labels.positive or labels.negative",
    "multiclass": "one of labels.classes",
    "regression": "a finite number",
}
_LABEL, _CONFIDENCE, _KPI, _SCORE, _CLASS = range(len(LABEL_SIGNALS))


class LabelDecoder:
    """Decodes the labels of one model. What it remembers between batches changes its speed, never its results."""

    def __init__(self, model: ModelConfig) -> None:
        """Build the types. The model must have ``labels``."""
        assert model.labels is not None
        self._model, self._labels = model, model.labels
        spellings = self._labels.class_indices
        self._index = np.array([*spellings.values(), math.nan], np.float64)  # by code, the last is UNSEEN
        self._texts = [ValueTable("", MAX_TEXT_LENGTH) for _ in LABEL_TEXTS]
        self._segments = [ValueTable(MISSING, model.segments.max_value_length) for _ in model.segments.columns]
        vocabulary = dict.fromkeys((LABEL_SIGNALS[_LABEL], PREDICTED_CLASS), tuple(spellings))
        tables = [*self._texts, *self._segments]
        self.events = EventColumns(self._labels, label_uses(model), vocabulary, len(LABEL_SIGNALS), tables, model.version)

    def decode(self, raws: Sequence[RawBatch]) -> tuple[Labels, list[Rejection]]:
        """Messages of any partitions of the label topic as one batch, and those that yield no row, in log order.

        Each message is a row, a tombstone or a rejection. Never raises for what a message holds.
        """
        records, growing = self.events.read(raws)
        value = growing.values[:, _LABEL]
        if self._labels.task != "regression":
            value = indices_of(value, self._index)
        usable = ~np.isnan(value)
        if not usable.all():
            growing.refused += self._unusable(growing, np.flatnonzero(~usable))
        return self._batch(records, growing, value, np.flatnonzero(usable)), records.rejections(growing.refused)

    def _unusable(self, growing: GrowingBatch, rows: NDArray[np.intp]) -> list[tuple[int, Refusal]]:
        """The messages of rows without a usable label, and why."""
        fault_rows, _, kinds = growing.faults_of(1)
        faults = dict(zip(fault_rows.tolist(), kinds.tolist(), strict=True))
        got = {None: "nothing", Fault.INVALID: "another type", Fault.NON_FINITE: "a number that is not finite"}
        wanted = _WANTED[self._labels.task]
        found = []
        for row in rows.tolist():
            fault = faults.get(row)
            unseen = growing.values[row, _LABEL] == UNSEEN  # of a regression -1 is usable
            reason = RejectReason.NO_LABEL if fault is None and not unseen else RejectReason.BAD_LABEL
            detail = f"expected {wanted} at {self._labels.label}, got {'another value' if unseen else got[fault]}"
            found.append((int(growing.places[row]), Refusal(reason, detail)))
        return found

    def _batch(self, records: Records, growing: GrowingBatch, value: Float64, rows: NDArray[np.intp]) -> Labels:
        values, places = growing.values[rows], growing.places[rows]
        annotators, versions, sources = (self._texts[column].only_used(growing.segments[rows, column]) for column in range(3))
        confidence = values[:, _CONFIDENCE]
        return Labels(
            model=self._model.name,
            spans=records.spans(places),
            time_ms=growing.time_ms[rows],
            record_time_ms=records.timestamps_ms[places],
            ids=growing.ids[rows],
            value=value[rows],
            annotators=annotators[0],
            annotator=annotators[1],
            versions=versions[0],
            version=versions[1],
            sources=sources[0],
            source=sources[1],
            confidence=np.where((confidence >= 0) & (confidence <= 1), confidence, math.nan),
            kpi=values[:, _KPI],
            carried=None if self._labels.prediction is None else self._carried(growing, values, rows),
            messages=len(records),
            tombstones=growing.tombstones,
            rejected=by_reason(growing.refused),
            id_texts=[growing.id_texts[row] for row in rows.tolist()],
        )

    def _carried(self, growing: GrowingBatch, values: Float64, rows: NDArray[np.intp]) -> Carried:
        """The predictions that the rows carry."""
        score, predicted, threshold = values[:, _SCORE], values[:, _CLASS], self._model.predictions.threshold
        carried = self._labels.prediction
        assert carried is not None
        if carried.predicted_class is not None:
            predicted = indices_of(predicted, self._index)
        elif threshold is not None and self._labels.task == "binary":
            predicted = np.where(np.isnan(score), math.nan, score >= threshold)
        versions, version = self.events.versions(growing.versions[rows])
        first = len(LABEL_TEXTS)
        segments: list[Coded] = [
            table.only_used(growing.segments[rows, column]) for column, table in enumerate(self._segments, start=first)
        ]
        return Carried(
            versions=versions,
            version=version,
            time_ms=growing.times_ms[rows, -1],
            score=score,
            predicted=predicted,
            segment_values=tuple(names for names, _ in segments),
            segments=np.stack([codes for _, codes in segments], axis=1) if segments else np.zeros((len(rows), 0), np.int32),
        )
