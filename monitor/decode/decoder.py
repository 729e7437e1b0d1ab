"""Raw messages of one model's topic to one columnar batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.batch import UNSEEN, Batch, Float64, Int64, RawBatch, Rejection, RejectReason
from monitor.config.model import PREDICTED_CLASS, SCORE, ModelConfig
from monitor.decode.admit import admit
from monitor.decode.columns import SignalColumn, columns_of
from monitor.decode.event_time import event_times, record_times
from monitor.decode.floats import Rows, blocks_of
from monitor.decode.growing import GrowingBatch
from monitor.decode.identity import hash_ids
from monitor.decode.mapping import Role, tree_of, uses_of
from monitor.decode.records import Records
from monitor.decode.refusal import Refusal, without
from monitor.decode.rows import decode_rows, typed_decode
from monitor.decode.shape import codes_of, shape_of
from monitor.decode.tables import CategoryCodes, ValueTable
from monitor.profile.bare import signal_names
from monitor.profile.layout import Vocabulary
from monitor.segment import MISSING

CHUNK_MESSAGES = 1_000
"""So many rows exist as structs at a time: enough to spread numpy's cost of a call, few enough to stay in the cache."""

MAX_VERSION_LENGTH = 100


class Decoder:
    """Decodes the events of one model. What it remembers between batches changes its speed, never its results."""

    def __init__(self, model: ModelConfig, vocabulary: Vocabulary) -> None:
        """Build the types. Codes of a categorical signal index ``vocabulary[name]``."""
        self._model = model
        uses = uses_of(model)
        self._shape = shape_of(tree_of(uses), vocabulary)
        self._blocks = tuple(blocks_of(self._shape))
        columns = columns_of(uses, self._shape)
        (self._id,) = (column for column in columns if column.use.role is Role.ID)
        (self._time,) = (column for column in columns if column.use.role is Role.TIME)
        self._version = next((column for column in columns if column.use.role is Role.VERSION), None)
        self._segments = [column for column in columns if column.use.role is Role.SEGMENT]
        self._signals = [
            SignalColumn(column, CategoryCodes(codes_of(column.use, vocabulary)) if column.use.role is Role.CATEGORY else None)
            for column in columns
            if column.use.role in {Role.NUMBER, Role.CATEGORY}
        ]
        self._names = signal_names(model)
        self._classes = {text: float(code) for code, text in enumerate(vocabulary.get(PREDICTED_CLASS, ()))}
        self._version_names = ValueTable(model.version, MAX_VERSION_LENGTH)
        self._segment_values = [ValueTable(MISSING, model.segments.max_value_length) for _ in self._segments]
        self._typed = typed_decode(self._shape)

    def decode(self, raws: Sequence[RawBatch]) -> tuple[Batch, list[Rejection]]:
        """Messages of any partitions of the model's topic as one batch, and those that yield no row, in log order.

        Each message is a row, a tombstone or a rejection. Never raises for what a message holds.
        """
        records = Records.of(raws)
        for table in (self._version_names, *self._segment_values):
            table.begin_batch()
        growing = GrowingBatch(len(records), len(self._names), len(self._segments))
        for start in range(0, len(records), CHUNK_MESSAGES):
            self._decode_chunk(records, start, min(start + CHUNK_MESSAGES, len(records)), growing)
        growing.refused.sort(key=lambda item: item[0])
        return self._batch(records, growing), [records.rejection(place, refusal) for place, refusal in growing.refused]

    def _decode_chunk(self, records: Records, start: int, stop: int, growing: GrowingBatch) -> None:
        predictions = self._model.predictions
        admitted = admit(records.values[start:stop], start, predictions.max_message_bytes, predictions.max_depth)
        decoded = decode_rows(self._typed, self._shape, admitted.places, admitted.messages)
        growing.tombstones += admitted.tombstones
        growing.refused += admitted.refused + decoded.refused
        if not decoded.rows:
            return
        rows, places = decoded.rows, _array(decoded.places)
        ids, no_ids = hash_ids(self._id.read(rows, records, places), predictions.id)
        times, no_times = self._times(rows, records, places)
        refused = no_times | no_ids
        if refused:
            growing.refused += [(int(places[row]), refusal) for row, refusal in refused.items()]
            kept = np.ones(len(rows), np.bool_)
            kept[list(refused)] = False
            rows, places, times, ids = without(rows, refused), places[kept], times[kept], ids[kept]
        if not rows:
            return
        added = growing.add(places, times, ids)
        growing.place_faults |= decoded.faults
        if self._version is not None:
            growing.versions[added] = self._version_names.codes(self._version.read(rows, records, places))
        for index, (column, table) in enumerate(zip(self._segments, self._segment_values, strict=True)):
            growing.segments[added, index] = table.codes(column.read(rows, records, places))
        for block in self._blocks:
            block.read(rows, growing.values[added])
        for signal in self._signals:
            faults = signal.read(rows, records, places, growing.values[added])
            growing.faults += [(added.start + row, signal.column.use.column, fault) for row, fault in faults]

    def _times(self, rows: Rows, records: Records, places: Int64) -> tuple[Int64, dict[int, Refusal]]:
        """[n] event times, and the rows that have none, or one that is too far after the record's own."""
        predictions = self._model.predictions
        record_ms = records.timestamps_ms[places]
        if self._time.use.steps == ("$timestamp",):
            return record_times(record_ms)
        written = predictions.time.unit == "iso8601"
        read = self._time.read if written else self._time.read_numbers
        times, refused = event_times(read(rows, records, places), predictions.time)
        ahead_ms = times - record_ms
        for row in np.flatnonzero((ahead_ms > predictions.future_tolerance_ms) & (record_ms >= 0)).tolist():
            detail = f"expected a time at most {predictions.future_tolerance_ms} ms after the record's, got {ahead_ms[row]} ms"
            refused.setdefault(row, Refusal(RejectReason.FUTURE, detail))
        return times, refused

    def _batch(self, records: Records, growing: GrowingBatch) -> Batch:
        places = growing.places
        if self._model.predictions.has_class and self._model.predictions.predicted_class is None:
            self._derive_class(growing.values)
        if self._version is None:
            growing.versions[:] = self._version_names[None]
        versions, version = self._version_names.only_used(growing.versions)
        segments = [table.only_used(growing.segments[:, index]) for index, table in enumerate(self._segment_values)]
        for index, (_, codes) in enumerate(segments):
            growing.segments[:, index] = codes
        fault_rows, fault_columns, fault_kinds = growing.all_faults()
        return Batch(
            model=self._model.name,
            spans=records.spans(places),
            time_ms=growing.time_ms,
            record_time_ms=records.timestamps_ms[places],
            ids=growing.ids,
            versions=versions,
            version=version,
            values=growing.values,
            fault_rows=fault_rows,
            fault_columns=fault_columns,
            fault_kinds=fault_kinds,
            segment_values=tuple(names for names, _ in segments),
            segments=growing.segments,
            messages=len(records),
            tombstones=growing.tombstones,
            rejected=np.bincount([refusal.reason for _, refusal in growing.refused], minlength=len(RejectReason)).astype(np.int64),
        )

    def _derive_class(self, values: Float64) -> None:
        """The predicted class from score and threshold. Without a score there is none: missing."""
        score, threshold = values[:, self._names.index(SCORE)], self._model.predictions.threshold
        assert threshold is not None
        positive, negative = (self._classes.get(text, UNSEEN) for text in ("1", "0"))
        classes = np.where(score >= threshold, positive, negative)
        values[:, self._names.index(PREDICTED_CLASS)] = np.where(np.isnan(score), np.nan, classes)


def _array(places: Sequence[int]) -> Int64:
    return np.arange(places.start, places.stop, dtype=np.int64) if isinstance(places, range) else np.array(places, np.int64)
