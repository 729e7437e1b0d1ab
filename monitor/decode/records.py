"""Messages of several partitions as one sequence, with what stands beside their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from monitor.batch import Int64, RawBatch, Rejection, Span
from monitor.config.path import Steps
from monitor.decode.refusal import Refusal
from monitor.decode.scalar import Scalar


@dataclass(frozen=True, eq=False)
class Records:
    """The messages of several raw batches, one batch after the other; a message is known by its place in this sequence."""

    raws: Sequence[RawBatch]
    values: Sequence[bytes | None]
    timestamps_ms: Int64
    latest_ms: Int64  # see ``RawBatch.latest_ms``
    starts: Int64  # place of each raw batch's first message, and the number of messages

    @staticmethod
    def of(raws: Sequence[RawBatch]) -> Records:
        """The raw batches in the given order; those without messages are left out."""
        raws = [raw for raw in raws if len(raw)]
        nothing = np.zeros(0, np.int64)
        times = np.concatenate([nothing, *(raw.timestamps_ms for raw in raws)])
        latest = np.concatenate([nothing, *(raw.latest_ms for raw in raws)])
        starts = np.cumsum([0, *map(len, raws)])
        values = raws[0].values if len(raws) == 1 else list(chain.from_iterable(raw.values for raw in raws))
        return Records(raws, values, times, latest, starts)

    def __len__(self) -> int:
        return len(self.values)

    def times_at(self, places: Int64) -> Int64:
        """[n] timestamps of the messages at rising places."""
        return _at(self.timestamps_ms, places)

    def latest_at(self, places: Int64) -> Int64:
        """[n] when the events of the messages at rising places had happened at the latest; -1: unknown."""
        return _at(self.latest_ms, places)

    def outside(self, steps: Steps, places: Int64) -> list[Scalar]:
        """What stands beside the values, at the given places: keys and headers as text, timestamps as numbers."""
        if steps == ("$timestamp",):
            return list(map(int, self.timestamps_ms[places]))
        found: list[Scalar] = []
        cuts = np.searchsorted(places, self.starts)
        for raw, start, low, high in zip(self.raws, self.starts.tolist(), cuts.tolist(), cuts[1:].tolist(), strict=False):
            inside = (places[low:high] - start).tolist()
            if steps == ("$key",):
                found.extend([None] * len(inside) if raw.keys is None else [_text(raw.keys[index]) for index in inside])
            elif raw.headers is None:
                found.extend([None] * len(inside))
            else:
                # Of several headers of one name the last counts, as with keys of an object.
                found.extend(_text(dict(raw.headers[index]).get(str(steps[1]))) for index in inside)
        return found

    def spans(self, places: Int64) -> tuple[Span, ...]:
        """The rows of each raw batch, when the rows are the messages at these rising places."""
        cuts = np.searchsorted(places, self.starts).tolist()
        return tuple(Span(raw.partition, cuts[i], cuts[i + 1], raw.next_offset) for i, raw in enumerate(self.raws))

    def rejections(self, refused: Sequence[tuple[int, Refusal]]) -> list[Rejection]:
        """The messages that yield no row, in log order."""
        return [self._rejection(place, refusal) for place, refusal in sorted(refused, key=lambda item: item[0])]

    def _rejection(self, place: int, refusal: Refusal) -> Rejection:
        at = int(np.searchsorted(self.starts, place, side="right")) - 1
        raw, index = self.raws[at], place - int(self.starts[at])
        key = None if raw.keys is None else raw.keys[index]
        return Rejection(raw.topic, raw.partition, int(raw.offsets[index]), refusal.reason, refusal.shown, raw.values[index], key)


def _at(times: Int64, places: Int64) -> Int64:
    if len(places) and places[-1] - places[0] == len(places) - 1:  # as nearly always: then there is nothing to pick out
        return times[places[0] : places[-1] + 1]
    return times[places]


def _text(value: bytes | None) -> str | None:
    # A key may be any bytes. As an id they are still told apart, each other byte being a surrogate.
    return None if value is None else value.decode("utf-8", "surrogateescape")
