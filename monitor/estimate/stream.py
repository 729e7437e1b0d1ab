"""What a stream has brought: predictions and labels by id, whatever the order and however often."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.counts import LabelledRows, PaneCounts, PredictionRows

Int64 = NDArray[np.int64]

LAG_EDGES_MS = tuple(1 << power for power in range(37))
"""Lags in bins that double from 1 ms to two years, so that they fit any stream."""

PANE_ROWS, PANES = 250, 400
"""Predictions in a pane at least, and panes at most."""

_NO_LABEL = -1
_FIRST_SIZE = 1 << 12


class Codes:
    """Distinct values numbered as they come."""

    def __init__(self, values: Sequence[Hashable] = ()) -> None:
        self.number: dict[Hashable, int] = {value: place for place, value in enumerate(values)}

    def of(self, values: Sequence[Hashable]) -> Int64:
        """[n] number of each value."""
        number = self.number
        return np.fromiter((number.setdefault(value, len(number)) for value in values), np.int64, len(values))


class Stream:
    """Predictions in order of arrival, [n] columns: time, segment, cell, predicted, label time, label."""

    def __init__(self) -> None:
        self._columns = np.zeros((6, _FIRST_SIZE), np.int64)
        self._row: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, tuple[int, int]] = {}
        self._size = 0
        self.labels_to_ms: int | None = None

    def __len__(self) -> int:
        return self._size

    @property
    def time_ms(self) -> Int64:
        """[n] of the predictions."""
        return self._columns[0, : self._size]

    def predict(self, ids: Sequence[Hashable], time_ms: Int64, segment: Int64, cell: Int64, predicted: Int64) -> None:
        """Add predictions; one with an id that was there before is left out."""
        while self._size + len(ids) > self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.zeros_like(self._columns)], axis=1)
        new: list[int] = []
        for place, name in enumerate(ids):
            if name not in self._row:
                self._row[name] = self._size + len(new)
                new.append(place)
        at = slice(self._size, self._size + len(new))
        for column, values in enumerate((time_ms, segment, cell, predicted)):
            self._columns[column, at] = values[new]
        self._columns[4:, at] = _NO_LABEL
        self._size += len(new)
        if self._waiting:
            for place in new:
                label = self._waiting.pop(ids[place], None)
                if label is not None:
                    self._columns[4:, self._row[ids[place]]] = label

    def label(self, ids: Sequence[Hashable], time_ms: Int64, labels: Int64) -> None:
        """Add labels. Of several for a prediction the latest holds, by its time, then by its value; one without prediction waits for it."""
        columns = self._columns
        for name, time, value in zip(ids, time_ms.tolist(), labels.tolist(), strict=True):
            row = self._row.get(name)
            if row is None:
                self._waiting[name] = max((time, value), self._waiting.get(name, (time, value)))
            elif (time, value) > (columns[4, row], columns[5, row]) or columns[5, row] == _NO_LABEL:
                columns[4, row], columns[5, row] = time, value
        if len(time_ms):
            newest = int(time_ms.max())
            self.labels_to_ms = newest if self.labels_to_ms is None else max(newest, self.labels_to_ms)

    def forget(self, before_ms: int) -> int:
        """Drop predictions before a time with their labels, and labels before it that wait for one; returns how many predictions."""
        self._waiting = {name: label for name, label in self._waiting.items() if label[0] >= before_ms}
        kept = self.time_ms >= before_ms
        place = np.cumsum(kept) - 1
        self._row = {name: int(place[row]) for name, row in self._row.items() if kept[row]}
        dropped = self._size - int(kept.sum())
        self._columns[:, : self._size - dropped] = self._columns[:, : self._size][:, kept]
        self._size -= dropped
        return dropped

    def counts(self, start_ms: int, end_ms: int, history_rows: int, segments: Sequence[str], classes: int) -> PaneCounts:
        """Counts of the newest ``history_rows`` predictions and of all since ``start_ms``; the window's ends are ends of panes.

        Predicted classes of ``classes`` and above are counted as class 0: then classes do not matter.
        """
        time = self.time_ms
        if not len(time) or start_ms >= end_ms:
            raise ValueError(f"expected predictions and a window of some time, got {len(time)} predictions and [{start_ms}, {end_ms})")
        ordered = np.sort(time)
        first = min(start_ms, int(ordered[max(len(ordered) - history_rows, 0)]))
        ordered = ordered[np.searchsorted(ordered, first) :]
        last = max(end_ms, int(time.max()) + 1)
        step = max(PANE_ROWS, -(-len(ordered) // PANES))
        edges = np.unique(np.concatenate([ordered[::step], [first, start_ms, end_ms, last]]))
        chosen = np.flatnonzero(time >= first)
        time, segment, cell, predicted, label_time, label = self._columns[:, : self._size][:, chosen]
        pane = np.searchsorted(edges, time, side="right") - 1
        shown = np.where(predicted < classes, predicted, 0)
        labelled = label != _NO_LABEL
        lag = np.searchsorted(LAG_EDGES_MS, (label_time - time)[labelled], side="right")
        sizes = (len(edges), len(segments), 1 + int(cell.max(initial=0)), classes)
        of_all, count = _grouped(sizes, (pane, segment, cell, shown))
        of_labelled, both = _grouped(
            (*sizes, len(LAG_EDGES_MS) + 1, 2),
            (*(x[labelled] for x in (pane, segment, cell, shown)), lag, (predicted != label)[labelled].astype(np.int64)),
        )
        wrong = of_labelled[5] == 1
        labels_to = self.labels_to_ms if self.labels_to_ms is not None else int(edges[0])
        return PaneCounts(
            tuple(segments),
            edges[:-1],
            int(edges[-1]),
            labels_to,
            PredictionRows(of_all[0], of_all[1], of_all[2], of_all[3], count),
            LabelledRows(
                of_labelled[0],
                of_labelled[1],
                of_labelled[2],
                of_labelled[3],
                of_labelled[4],
                np.where(wrong, 0, both),
                np.where(wrong, both, 0),
            ),
            LAG_EDGES_MS,
            np.unique(label_time[labelled]),
        )


def _grouped(sizes: tuple[int, ...], columns: tuple[Int64, ...]) -> tuple[tuple[Int64, ...], Int64]:
    """Distinct rows of ``columns`` and how often each occurs."""
    keys, count = np.unique(np.ravel_multi_index(columns, sizes), return_counts=True)
    return tuple(place.astype(np.int64) for place in np.unravel_index(keys, sizes)), count.astype(np.int64)
