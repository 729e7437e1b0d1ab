"""Raw messages of one model's topic to one columnar batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.batch import UNSEEN, Batch, Float64, Int64, RawBatch, Rejection, RejectReason
from monitor.config import PREDICTED_CLASS, SCORE, Labels, ModelConfig, Predictions
from monitor.decode.admit import admit
from monitor.decode.columns import Column, SignalColumn, columns_of
from monitor.decode.event_time import event_times, record_times
from monitor.decode.floats import Rows, blocks_of
from monitor.decode.growing import GrowingBatch
from monitor.decode.identity import check_ids, hash_ids
from monitor.decode.mapping import Role, Use, probabilities_of, tree_of, uses_of
from monitor.decode.records import Records
from monitor.decode.refusal import Refusal, by_reason, without
from monitor.decode.rows import Decoded, KnownOnly, decode_rows, typed_decode
from monitor.decode.shape import codes_of, shape_of
from monitor.decode.tables import CategoryCodes, Coded, ValueTable
from monitor.profile.bare import signal_names
from monitor.profile.layout import Vocabulary
from monitor.segment import MISSING

CHUNK_MESSAGES = 1_000
"""So many rows exist as structs at a time: enough to spread numpy's cost of a call, few enough to stay in the second-level cache.

A row of 20 features takes about a kilobyte, and is gone through once for every column beside them.
"""

MAX_VERSION_LENGTH = 100

PROBABILITIES = "probabilities"
"""In ``Batch.extra``: [n, classes] probability of each of ``labels.classes``; a row of NaN where one of them is absent or not finite."""


class EventColumns:
    """Reads the events of one topic into columns. What it remembers between batches changes its speed, never its results."""

    def __init__(
        self,
        section: Predictions | Labels,
        uses: tuple[Use, ...],
        vocabulary: Vocabulary,
        signals: int,
        segment_values: Sequence[ValueTable],
        version: str,
        *,
        with_ids: bool = True,
    ) -> None:
        """Build the types. Codes of a categorical signal index ``vocabulary[name]``. A column that no use fills is without values.

        Without ids they are checked, but not hashed.
        """
        self._section = section
        self.shape = shape_of(tree_of(uses), vocabulary)
        self.typed = typed_decode(self.shape)
        self.known_only = KnownOnly.of(self.shape, section.max_message_bytes, section.max_depth)
        self._known_have_ids = self.shape.proves_id
        self._blocks = tuple(blocks_of(self.shape))
        columns = columns_of(uses, self.shape)
        (self._id,) = (column for column in columns if column.use.role is Role.ID)
        self._moments = [column for column in columns if column.use.role is Role.TIME]
        self._version = next((column for column in columns if column.use.role is Role.VERSION), None)
        self._segments = [column for column in columns if column.use.role is Role.SEGMENT]
        self._signals = [
            SignalColumn(column, CategoryCodes(codes_of(column.use, vocabulary)) if column.use.role is Role.CATEGORY else None)
            for column in columns
            if column.use.role in {Role.NUMBER, Role.CATEGORY}
        ]
        self._unused = sorted(set(range(signals)) - {use.column for use in uses if use.role in {Role.NUMBER, Role.CATEGORY}})
        self._width = signals
        self._with_ids = with_ids
        self._segment_values = segment_values
        self._version_names = ValueTable(version, MAX_VERSION_LENGTH)

    def read(self, raws: Sequence[RawBatch]) -> tuple[Records, GrowingBatch]:
        """The messages of any partitions of the topic, and the columns of those that have an id and a time."""
        records = Records.of(raws)
        for table in (self._version_names, *self._segment_values):
            table.begin_batch()
        growing = GrowingBatch(len(records), len(self._moments), self._width, len(self._segment_values))
        for start in range(0, len(records), CHUNK_MESSAGES):
            self._decode_chunk(records, start, min(start + CHUNK_MESSAGES, len(records)), growing)
        if self._version is None:
            growing.versions[:] = self._version_names[None]
        for index in set(range(len(self._segment_values))) - {column.use.column for column in self._segments}:
            growing.segments[:, index] = self._segment_values[index][None]
        growing.values[:, self._unused] = np.nan
        return records, growing

    def versions(self, codes: NDArray[np.int32]) -> Coded:
        """The model versions that these codes of a batch stand for."""
        return self._version_names.only_used(codes)

    def _decode_chunk(self, records: Records, start: int, stop: int, growing: GrowingBatch) -> None:
        section = self._section
        values = records.values[start:stop]
        known = self.known_only.rows(values) if self.typed is not None else None
        if known is not None:
            decoded = Decoded(range(start, stop), known, [], {})
        else:
            admitted = admit(values, start, section.max_message_bytes, section.max_depth)
            decoded = decode_rows(self.typed, self.shape, admitted.places, admitted.messages)
            growing.tombstones += admitted.tombstones
            growing.refused += admitted.refused + decoded.refused
        if not decoded.rows:
            return
        rows, places = decoded.rows, _array(decoded.places)
        ids, texts, no_ids = self._ids(rows, records, places, proven=known is not None and self._known_have_ids)
        times, no_times = self._times(rows, records, places)
        refused = no_times | no_ids
        if refused:
            growing.refused += [(int(places[row]), refusal) for row, refusal in refused.items()]
            kept = np.ones(len(rows), np.bool_)
            kept[list(refused)] = False
            rows, places, times, ids = without(rows, refused), places[kept], times[kept], None if ids is None else ids[kept]
            texts = [text for text, stays in zip(texts, kept.tolist(), strict=True) if stays] if ids is not None else ()
        if not rows:
            return
        added = growing.add(places, times, ids)
        growing.id_texts += texts
        growing.place_faults |= decoded.faults
        if self._version is not None:
            growing.versions[added] = self._version_names.codes(self._version.read(rows, records, places))
        for column in self._segments:
            index = column.use.column
            growing.segments[added, index] = self._segment_values[index].codes(column.read(rows, records, places))
        for block in self._blocks:
            block.read(rows, growing.values[added])
        for signal in self._signals:
            faults = signal.read(rows, records, places, growing.values[added])
            growing.faults += [(added.start + row, signal.column.use.column, fault) for row, fault in faults]

    def _ids(
        self, rows: Rows, records: Records, places: Int64, *, proven: bool
    ) -> tuple[NDArray[np.uint64] | None, Sequence[str], dict[int, Refusal]]:
        """[n, 2] hashes of ids and [n] their texts, where they are wanted, and the rows that have none. ``proven``: each has one."""
        if proven and not self._with_ids:
            return None, (), {}
        column = self._id.read(rows, records, places)
        return hash_ids(column, self._section.id) if self._with_ids else (None, (), check_ids(column, self._section.id))

    def _times(self, rows: Rows, records: Records, places: Int64) -> tuple[Int64, dict[int, Refusal]]:
        """[n, moments] times, and the rows of which one is none, or in the future."""
        found = [self._time(column, rows, records, places) for column in self._moments]
        refused = {row: refusal for _, none in reversed(found) for row, refusal in none.items()}
        return found[0][0][:, None] if len(found) == 1 else np.column_stack([times for times, _ in found]), refused

    def _time(self, column: Column, rows: Rows, records: Records, places: Int64) -> tuple[Int64, dict[int, Refusal]]:
        time, tolerance_ms = column.use.time, self._section.future_tolerance_ms
        assert time is not None
        if column.use.steps == ("$timestamp",):
            return record_times(records.times_at(places))
        read = column.read if time.unit == "iso8601" else column.read_numbers
        times, refused = event_times(read(rows, records, places), time)
        latest_ms = records.latest_at(places)
        ahead_ms = times - latest_ms
        for row in np.flatnonzero((ahead_ms > tolerance_ms) & (latest_ms >= 0)).tolist():
            bound = "the record's" if records.timestamps_ms[places[row]] >= 0 else "it was read"
            detail = f"expected a time at most {tolerance_ms} ms after {bound}, got {ahead_ms[row]} ms"
            refused.setdefault(row, Refusal(RejectReason.FUTURE, detail))
        return times, refused


def needs_ids(model: ModelConfig) -> bool:
    """Whether anything that becomes of a model's predictions asks for their ids: to hash them costs time per message."""
    return model.predictions.duplicates.enabled or model.labels is not None


class Decoder:
    """Decodes the predictions of one model."""

    def __init__(self, model: ModelConfig, vocabulary: Vocabulary, *, with_ids: bool = True, verbatim: Collection[str] = ()) -> None:
        """Codes of a categorical signal index ``vocabulary[name]``. Without ids those of the batch are zeros: see ``needs_ids``.

        Values of the segment columns ``verbatim`` are not cleaned: see ``ValueTable``.
        """
        self._model = model
        self._names = signal_names(model)
        self._classes = {text: float(code) for code, text in enumerate(vocabulary.get(PREDICTED_CLASS, ()))}
        length = model.segments.max_value_length
        self._segment_values = [ValueTable(MISSING, length, verbatim=column in verbatim) for column in model.segments.columns]
        width = len(self._names) + len(probabilities_of(model))
        self.events = EventColumns(
            model.predictions, uses_of(model), vocabulary, width, self._segment_values, model.version, with_ids=with_ids
        )

    def decode(self, raws: Sequence[RawBatch]) -> tuple[Batch, list[Rejection]]:
        """Messages of any partitions of the model's topic as one batch, and those that yield no row, in log order.

        Each message is a row, a tombstone or a rejection. Never raises for what a message holds.
        """
        records, growing = self.events.read(raws)
        return self._batch(records, growing), records.rejections(growing.refused)

    def _batch(self, records: Records, growing: GrowingBatch) -> Batch:
        places, signals = growing.places, len(self._names)
        values, extra = growing.values, {}
        if growing.signals > signals:
            probabilities = values[:, signals:].copy()
            probabilities[np.isnan(probabilities).any(axis=1)] = np.nan
            values, extra = values[:, :signals], {PROBABILITIES: probabilities}
        if self._model.predictions.has_class and self._model.predictions.predicted_class is None:
            self._derive_class(values)
        versions, version = self.events.versions(growing.versions)
        segments = [table.only_used(growing.segments[:, index]) for index, table in enumerate(self._segment_values)]
        for index, (_, codes) in enumerate(segments):
            growing.segments[:, index] = codes
        fault_rows, fault_columns, fault_kinds = growing.faults_of(signals)
        return Batch(
            model=self._model.name,
            spans=records.spans(places),
            time_ms=growing.time_ms,
            record_time_ms=records.times_at(places),
            ids=growing.ids,
            versions=versions,
            version=version,
            values=values,
            fault_rows=fault_rows,
            fault_columns=fault_columns,
            fault_kinds=fault_kinds,
            segment_values=tuple(names for names, _ in segments),
            segments=growing.segments,
            messages=len(records),
            tombstones=growing.tombstones,
            rejected=by_reason(growing.refused),
            extra=extra,
            id_texts=growing.id_texts,
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
