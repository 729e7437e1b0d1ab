"""The records that flow between the first stages: raw messages, and typed columns of predictions or of labels.

Times are integer milliseconds since 1970-01-01 UTC. A *message* is what the broker holds; a *row* is
one prediction or one label. A message yields zero rows (tombstone), one (a JSON object) or more (batch formats).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Messages of one partition, in offset order, as one poll returned them.

    ``values[i]`` is None for a tombstone. ``keys`` and ``headers`` are None unless the field mapping
    asks for them (reading them costs time per message). Offsets need not be consecutive: compaction
    and transaction markers leave gaps.
    """

    topic: str
    partition: int
    values: Sequence[bytes | None]
    offsets: Int64  # [n]
    timestamps_ms: Int64  # [n] the record's own timestamp; -1: unknown (files)
    keys: Sequence[bytes | None] | None = None
    headers: Sequence[Sequence[tuple[str, bytes | None]]] | None = None
    read_ms: int | None = None  # wall time of reading, where records have no timestamp

    @property
    def latest_ms(self) -> Int64:
        """[n] when the event had happened at the latest: the record's timestamp, else the time of reading; -1: unknown."""
        if self.read_ms is None:
            return self.timestamps_ms
        return np.where(self.timestamps_ms < 0, self.read_ms, self.timestamps_ms)

    @property
    def next_offset(self) -> int:
        """Where reading goes on after this batch."""
        return int(self.offsets[-1]) + 1

    def __len__(self) -> int:
        return len(self.values)

    def part(self, start: int, stop: int) -> RawBatch:
        """Some of the messages, by their places."""
        which = slice(start, stop)
        return RawBatch(
            self.topic, self.partition, self.values[which], self.offsets[which], self.timestamps_ms[which],
            None if self.keys is None else self.keys[which], None if self.headers is None else self.headers[which],
            self.read_ms,
        )  # fmt: skip


class Fault(IntEnum):
    """Why a feature has no usable value in a row. The numbers are the first cells of every feature."""

    MISSING = 0
    INVALID = 1  # another type than declared
    NON_FINITE = 2  # NaN or an infinity
    # Values outside the declared range or categories are not faults of decoding: the bins know them.


class RejectReason(IntEnum):
    """Why a message yields no row. A bounded set: each is a label value of a metric. Saved states count by number: append only."""

    NOT_JSON = 0
    NOT_AN_OBJECT = 1
    TOO_LARGE = 2
    TOO_DEEP = 3
    NO_ID = 4
    BAD_ID = 5
    NO_TIME = 6
    BAD_TIME = 7
    FUTURE = 8  # later than the record's timestamp, or of a file the time of reading, plus the tolerance
    NO_LABEL = 9  # of a label event: nothing stands where the label should
    BAD_LABEL = 10  # neither a configured class nor, for a regression, a finite number

    @property
    def label(self) -> str:
        """The metric label value, ``not_json`` and so on."""
        return self.name.lower()


def by_reason(refused: Counter[str]) -> str:
    """For people: reasons with their numbers, the most frequent first.

    >>> by_reason(Counter(future=1_200, bad_time=3))
    '1,200 future, 3 bad_time'
    """
    return ", ".join(f"{number:,} {reason}" for reason, number in refused.most_common())


@dataclass(frozen=True, slots=True)
class Rejection:
    """One message that yields no row."""

    topic: str
    partition: int
    offset: int
    reason: RejectReason
    detail: str  # at most 200 characters, printable, never the payload itself
    value: bytes | None  # the original bytes, for the dead-letter topic
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The rows ``start:stop`` of a batch come from one partition, in offset order."""

    partition: int
    start: int
    stop: int
    next_offset: int  # after every message of the poll, also those that yielded no row


@dataclass(frozen=True, slots=True)
class Batch:
    """Predictions as columns: n rows of one model, grouped by partition, in log order within each.

    ``values[:, f]`` holds the number for a numeric feature; for a categorical one the code of the
    category in ``Vocabulary`` (a whole number), or ``UNSEEN`` for a value that no reference has.
    NaN means that there is no value: MISSING, unless ``faults`` names another reason for that cell.
    The columns of ``values`` are the model's signals: features in configured order, then the score,
    then the predicted class where they are configured.
    """

    model: str
    spans: tuple[Span, ...]
    time_ms: Int64  # [n] event time
    record_time_ms: Int64  # [n]
    ids: NDArray[np.uint64]  # [n, 2] 128-bit hash of the prediction's id; zeros where nothing asks for them
    versions: tuple[str, ...]  # model versions that occur in this batch
    version: NDArray[np.int32]  # [n] index into ``versions``
    values: Float64  # [n, signals]
    fault_rows: NDArray[np.int32]  # [k] sparse: cells without a value for another reason than missing
    fault_columns: NDArray[np.int32]  # [k]
    fault_kinds: NDArray[np.uint8]  # [k] ``Fault``
    segment_values: tuple[tuple[str, ...], ...]  # per segment column: the distinct values of this batch
    segments: NDArray[np.int32]  # [n, segment columns] index into ``segment_values``
    messages: int = 0  # messages read for this batch: rows + rejected + tombstones for one-row formats
    tombstones: int = 0
    rejected: Int64 = field(default_factory=lambda: np.zeros(len(RejectReason), np.int64))
    extra: dict[str, np.ndarray] = field(default_factory=dict)  # 2-D or bytes columns for ``derive``
    id_texts: Sequence[str] = ()  # [n] the ids as written, of at most 512 characters, untrusted; empty: not kept

    def __len__(self) -> int:
        return len(self.time_ms)


@dataclass(frozen=True, slots=True)
class Carried:
    """The predictions that label events carry themselves, one a label."""

    versions: tuple[str, ...]  # model versions that occur in this batch
    version: NDArray[np.int32]  # [n] index into ``versions``
    time_ms: Int64  # [n] time of the prediction; the label's own where none is mapped
    score: Float64  # [n] NaN: none, or no finite number
    predicted: Float64  # [n] class index; NaN: none, or not a configured class
    segment_values: tuple[tuple[str, ...], ...]  # per segment column of the model: the distinct values of this batch
    segments: NDArray[np.int32]  # [n, segment columns] index into ``segment_values``


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels as columns: n rows of one model, grouped by partition, in log order within each.

    Text is untrusted: unprintable characters are replaced, and it is cut to 64 characters; "" stands for none.
    """

    model: str
    spans: tuple[Span, ...]
    time_ms: Int64  # [n] when the truth became known
    record_time_ms: Int64  # [n]
    ids: NDArray[np.uint64]  # [n, 2] 128-bit hash of the prediction's id, as in ``Batch``
    value: Float64  # [n] class index (binary: 0 negative, 1 positive), or the number of a regression; always finite
    annotators: tuple[str, ...]  # annotators that occur in this batch
    annotator: NDArray[np.int32]  # [n] index into ``annotators``
    versions: tuple[str, ...]  # label versions that occur in this batch
    version: NDArray[np.int32]  # [n] index into ``versions``
    sources: tuple[str, ...]  # sources that occur in this batch
    source: NDArray[np.int32]  # [n] index into ``sources``
    confidence: Float64  # [n] 0 to 1; NaN: none, or none that lies there
    kpi: Float64  # [n] as written, not cut to ``kpi_max``; NaN: none, or no finite number
    carried: Carried | None  # with ``labels.prediction``
    messages: int = 0  # messages read for this batch: rows + rejected + tombstones
    tombstones: int = 0
    rejected: Int64 = field(default_factory=lambda: np.zeros(len(RejectReason), np.int64))
    id_texts: Sequence[str] = ()  # [n] as in ``Batch``

    def __len__(self) -> int:
        return len(self.time_ms)


UNSEEN = -1.0
"""Code of a category that no reference of the model knows."""
