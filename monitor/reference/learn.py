"""A reference from the first hours of production, read from the topic itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Batch, RawBatch, by_reason
from monitor.config.model import ModelConfig
from monitor.config.source import SourceConfig
from monitor.decode import Decoder, id_hash, needs
from monitor.duplicates import SeenIds
from monitor.errors import SourceError
from monitor.reference.build import Built, Options, Part, build_reference, unwatched
from monitor.reference.read import Rows
from monitor.reference.spool import Spool
from monitor.reference.summary import time_text
from monitor.source.base import Gap, Source, TopicPartition
from monitor.source.open import open_recorded

POLL_MS = 500
HOUR_MS = 3_600_000
_FOREVER_TICKS = 1 << 30


@dataclass(frozen=True, slots=True)
class Stretch:
    """The stretch of event time to learn from."""

    hours: float
    from_ms: int | None = None  # None: the first event that the log still has
    max_spool_bytes: int = 4 << 30


class _FromTheStart:
    """Begins every partition where the log does. What retention takes away while it is read is counted."""

    offsets_lost = 0

    def assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {}

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        return

    lost = revoked

    def gap(self, gap: Gap) -> None:
        self.offsets_lost += gap.lost


def learn_reference(source: SourceConfig, model: ModelConfig, stretch: Stretch, options: Options, part: Part = unwatched) -> Built:
    """Read the topic from its start, keep the stretch on disk, and build from it.

    The stretch is complete once every partition has passed its end by the lateness, or has given all that it held at the start.
    Repeated ids are left out, as production leaves them out. Raises ``SourceError``.
    """
    # Outside of the group: the monitor that may be running must not lose its partitions to this.
    reader = open_recorded(source, [model.predictions.topic], needs(model))
    gathered = _Gathered(model, stretch)
    beginning = _FromTheStart()
    try:
        try:
            reader.start(beginning)
            _gather(gathered, reader, part("reading", None))
        finally:
            reader.close()
        start, end = gathered.window()
        rows = Rows(gathered.spool.size_of(start, end), lambda: gathered.spool.read(start, end), as_produced=True)
        try:
            built = build_reference(model, rows, options, part)
        except SourceError as error:
            newest = time_text(max(gathered.newest_ms.values()))
            looked = f"looked at {time_text(start)} to {time_text(end)} in a log read up to {newest}; --from begins elsewhere"
            raise SourceError(f"{error}; {looked}") from error
        lost = [f"{beginning.offsets_lost:,} offsets were deleted by the broker before they were read"] if beginning.offsets_lost else []
        return Built(built.reference, (*gathered.notes(), *lost, *built.notes))
    finally:
        gathered.spool.close()


def _gather(gathered: _Gathered, reader: Source, advance: Callable[[int, int], None]) -> None:
    unread = True
    while unread and not reader.finished():
        for raw in reader.poll(POLL_MS):
            advance(0, gathered.add(raw))
        owned, lag = reader.assignment().owned, reader.lag()
        past = frozenset(pair for pair in owned if gathered.past_end(pair))
        reader.pause(past)
        unread = any(lag.get(pair) != 0 for pair in owned - past)


@dataclass(eq=False)
class _Gathered:
    """Messages of the stretch so far."""

    model: ModelConfig
    stretch: Stretch
    start_ms: int | None = None
    duplicates: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # messages that cannot be used, by reason
    newest_ms: dict[TopicPartition, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Slices begin with panes and with hours, so that a stretch is made of whole slices.
        self.spool = Spool(math.gcd(self.model.windows.pane_ms, 300_000), self.stretch.max_spool_bytes)
        self.decoder = Decoder(self.model, {})
        self.seen = SeenIds(_FOREVER_TICKS, self.model.predictions.duplicates.max_ids)
        if self.stretch.from_ms is not None:
            self.start_ms = self.stretch.from_ms // self.spool.slice_ms * self.spool.slice_ms

    def add(self, raw: RawBatch) -> int:
        """Keep what can be used; returns the number of rows kept."""
        batch, rejections = self.decoder.decode([raw])
        self.refused.update(rejection.reason.label for rejection in rejections)
        if not len(batch):
            return 0
        gone = {rejection.offset for rejection in rejections}
        offsets = zip(raw.values, raw.offsets.tolist(), strict=True)
        messages = np.array([i for i, (value, offset) in enumerate(offsets) if value is not None and offset not in gone], np.intp)
        pair = raw.topic, raw.partition
        newest = np.maximum.accumulate(batch.time_ms)
        if pair not in self.newest_ms and self.stretch.from_ms is None:
            # A single wrong timestamp must not decide where the stretch begins: only rows in time can.
            timely = batch.time_ms[batch.time_ms >= newest - self.model.windows.lateness_ms]
            first = int(timely.min()) // self.spool.slice_ms * self.spool.slice_ms
            self.start_ms = first if self.start_ms is None else min(self.start_ms, first)
        self.newest_ms[pair] = max(self.newest_ms.get(pair, int(newest[-1])), int(newest[-1]))
        start, end = self.window()
        kept = np.flatnonzero((batch.time_ms >= start) & (batch.time_ms < end))
        if self.model.predictions.duplicates.enabled and len(kept):
            kept = kept[~self._repeated(batch, kept)]
        if not self.spool.add(raw, messages[kept], batch.time_ms[kept]):
            raise SourceError(
                f"expected the stretch to fit into {self.stretch.max_spool_bytes >> 20} MB, and {self.spool.rows:,} rows filled them; "
                "learn from fewer hours or allow more with --max-spool-mb"
            )
        return len(kept)

    def _repeated(self, batch: Batch, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        salt = np.array([id_hash(version) for version in batch.versions], np.uint64).reshape(-1, 2)
        ticks = np.zeros(len(rows), np.int32)  # within the stretch an id never comes again
        repeated = self.seen.repeats(batch.ids[rows] ^ salt[batch.version[rows]], ticks, ticks, 0)
        self.seen.take_fresh()
        self.duplicates += int(np.count_nonzero(repeated))
        return repeated

    def window(self) -> tuple[int, int]:
        """The stretch [start, end) in milliseconds, as far as is known. Raises ``SourceError`` when nothing came."""
        if self.start_ms is None:
            refused = f" ({by_reason(self.refused)})" if self.refused else ""
            raise SourceError(f"{self.model.predictions.topic}: expected predictions to learn from, got none that can be used{refused}")
        slices = max(1, round(self.stretch.hours * HOUR_MS / self.spool.slice_ms))
        return self.start_ms, self.start_ms + slices * self.spool.slice_ms

    def past_end(self, pair: TopicPartition) -> bool:
        """Whether nothing of the stretch can come from this partition any more."""
        return pair in self.newest_ms and self.newest_ms[pair] >= self.window()[1] + self.model.windows.lateness_ms

    def notes(self) -> Iterator[str]:
        """What a person should know about the stretch."""
        end = self.window()[1]
        newest = max(self.newest_ms.values())
        if newest < end:
            yield f"the log ends at {time_text(newest)}, before the {self.stretch.hours:g} hours were over: fewer were learned from"
        if self.duplicates:
            yield f"{self.duplicates:,} repeated rows left out"
        if self.refused:
            yield f"{self.refused.total():,} messages rejected ({by_reason(self.refused)})"
