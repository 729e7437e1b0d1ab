"""Detection in memory: arrays in, alarms out, by the code that production runs.

    detector = Detector.learn(reference, labels, label_time_ms)       # a reference of rows with times, segments, scores, labels
    alarms = detector.predictions(events)                             # batches in arrival order: repeats and late rows included
    alarms = detector.labels(ids, classes, time_ms)
    alarms = detector.finish()                                        # the panes that are still open

The same rows give the same alarms whatever the batches; only the order within a partition counts. Rows later than the lateness, and
repeats of an id, are left out and counted in ``ledger``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Batch
from monitor.clock import EventClock
from monitor.config.detection import Detection
from monitor.config.model import PREDICTED_CLASS, ModelConfig
from monitor.decode.arrays import texts_of
from monitor.decode.identity import hash_ids
from monitor.detect.alarm import Alarm, Stream
from monitor.detect.arrived import PANE_MS as LABEL_PANE_MS
from monitor.detect.arrived import Arrived
from monitor.detect.events import milliseconds, same_length
from monitor.detect.evidence import PANE_MS, EvidencePanes, horizon_pane, partition_of
from monitor.detect.outcomes import FINE_MS, lag_edges
from monitor.detect.rows import Events, batch_of, ids_of, model_of, reference_of
from monitor.detect.watch import Watch
from monitor.duplicates import SeenIds
from monitor.profile.bins import Binning
from monitor.profile.cells import cells_of
from monitor.profile.grouping import plan
from monitor.profile.layout import vocabulary
from monitor.profile.leaves import Leaves, too_many
from monitor.reference.classes import THRESHOLD_CLASSES
from monitor.reference.reference import Reference
from monitor.segment import clean_value

LABEL_HORIZON_MS = 90 * 86_400_000
_TICK_MS = 300_000
_NO_CLASS = -1


@dataclass(eq=False)
class Detector:
    """Streams of one model version. ``partitions``: those of the log of predictions, and of the log of labels."""

    model: ModelConfig
    reference: Reference
    watch: Watch
    partitions: tuple[int, ...]
    label_partitions: tuple[int, ...]
    pane_ms: int = PANE_MS  # width of evidence panes; production takes wider ones where there are fewer events (``pane_width``)
    clock: EventClock = field(init=False)
    seen: SeenIds = field(init=False)
    panes: EvidencePanes = field(init=False)
    arrived: Arrived = field(init=False)
    ledger: dict[str, int] = field(default_factory=lambda: {"counted": 0, "late": 0, "duplicate": 0})

    def __post_init__(self) -> None:
        windows, duplicates = self.model.windows, self.model.predictions.duplicates
        self.clock = EventClock(windows.pane_ms, windows.lateness_ms)
        self.clock.owned = set(self.partitions)
        self.seen = SeenIds(horizon=-(-duplicates.horizon_ms // _TICK_MS), max_ids=duplicates.max_ids)
        self.known = vocabulary([self.reference.layout])
        self.binning = Binning.of(self.reference.layout, self.known)
        bases = plan(tuple(self.model.segments.columns), self.model.segments.groupings)
        self.met = tuple(map(Leaves, bases))
        self.panes = self.watch.open_panes(bases, self.pane_ms)
        labels = self.reference.labels
        edges = np.zeros(0, np.int64) if labels is None else lag_edges(labels)
        seen_labels = SeenIds(horizon=LABEL_HORIZON_MS // FINE_MS, max_ids=duplicates.max_ids)
        self.arrived = Arrived(self.watch.bank.leaves, edges, LABEL_HORIZON_MS, seen_labels)
        self.classes: dict[str, int] = {}

    @staticmethod
    def learn(
        events: Events,
        labels: Any = None,
        label_time_ms: Any = None,
        *,
        settings: Detection | None = None,
        groupings: Sequence[tuple[str, ...]] | None = None,
        threshold: float | None = None,
        positive: Any = None,
        lateness_ms: int = 600_000,
        partitions: Sequence[int] = (0,),
        label_partitions: Sequence[int] = (0,),
    ) -> Detector:
        """A detector whose reference are these rows.

        ``labels`` [n] true classes and ``label_time_ms`` [n] when they were known, for error and label rates. ``groupings`` of segment
        columns, each column by itself when left out. ``threshold`` of the score from which on the class is "1", where ``events`` have
        no predicted class. ``positive`` is the class in ``labels`` whose probability the score is, as ``labels.positive`` of a
        configuration; when left out it is known by its name: of two the one that is not no, false, 0 or the like, else the last by name.
        Raises ``ValueError`` for columns that do not fit together, and for a positive class that is none of two.
        """
        model = model_of(events, groupings, threshold, lateness_ms)
        return Detector.of(reference_of(model, events, labels, label_time_ms, positive), model, settings, partitions, label_partitions)

    @staticmethod
    def of(
        reference: Reference,
        model: ModelConfig,
        settings: Detection | None = None,
        partitions: Sequence[int] = (0,),
        label_partitions: Sequence[int] = (0,),
        pane_ms: int = PANE_MS,
    ) -> Detector:
        """A detector for a reference that was built before."""
        watch = Watch.of(reference, settings or Detection())
        return Detector(model, reference, watch, tuple(partitions), tuple(label_partitions), pane_ms)

    def predictions(self, events: Events) -> list[Alarm]:
        """Take rows with ids in arrival order; returns the alarms of the panes that they closed."""
        if not len(events):
            return []
        if events.ids is None:
            raise ValueError("expected ids of the predictions: repeats are recognised by them")
        batch = batch_of(self.model, events, self.known)
        strangers = sorted({span.partition for span in batch.spans} - set(self.partitions))
        if strangers:
            raise ValueError(f"expected rows of the partitions {list(self.partitions)}, got {strangers}: panes close by those they know of")
        arrivals = self.clock.arrive(batch.time_ms, batch.spans)
        kept = ~(arrivals.late | arrivals.closed)
        self.ledger["late"] += int(np.count_nonzero(~kept))
        rows = np.flatnonzero(kept)
        ticks = (batch.time_ms // _TICK_MS).astype(np.int32)
        newest = (arrivals.newest_ms // _TICK_MS).astype(np.int32)
        repeated = self.seen.repeats(batch.ids[rows], ticks[rows], newest[rows], self.clock.no_row_before_ms() // _TICK_MS)
        self.seen.take_fresh()
        self.ledger["duplicate"] += int(np.count_nonzero(repeated))
        rows = rows[~repeated]
        self.ledger["counted"] += len(rows)
        if len(rows):
            if too_many(self.met):
                for met in self.met:
                    met.clear()
            numbers = [met.numbers(batch.segments[rows], batch.segment_values) for met in self.met]
            leaves = [level.of(self.met, numbers) for level in self.panes.levels]
            cells = cells_of(self.binning, batch, rows).cells
            self.panes.add(cells, leaves, partition_of(batch.spans, len(batch))[rows], batch.time_ms[rows], arrivals.newest_ms[rows])
            if self.watch.outcomes:
                self._remember(batch, rows)
        self.clock.closed_panes = self.clock.horizon_pane()
        return self._advance()

    def labels(self, ids: Any, classes: Any, time_ms: Any, partition: Any = None) -> list[Alarm]:
        """Take labels in arrival order: ids of predictions, true classes (None: left out), times at which they were known; returns alarms.

        Raises ``ValueError`` for a reference without labels, for columns of other lengths and for labels without a time.
        """
        if not len(ids):
            return []
        same_length(len(ids), {"classes": classes, "time_ms": time_ms, "partition": partition})
        if not self.watch.outcomes:
            raise ValueError("expected labels in the reference to judge labels by, it has none: give Detector.learn labels and their times")
        given = texts_of(classes, self._label_names())
        known = given != None  # noqa: E711 (of each)
        times = milliseconds(time_ms)
        if np.isnan(times[known]).any():
            raise ValueError(
                f"expected a time in every label, got none in row {int(np.isnan(np.where(known, times, 0.0)).argmax())} of time_ms"
            )
        hashed = hash_ids(ids_of(np.asarray(ids)[known]), "ids")[0]
        texts = [clean_value(text, 1_000) for text in given[known].tolist()]
        codes = np.array([self._code(text) for text in texts], np.int64)
        wanted = None if self.reference.labels is None else self.reference.labels["positive"]
        positive = np.array([text == wanted for text in texts], np.bool_)
        times = times[known].astype(np.int64)
        log = np.zeros(len(texts), np.int64) if partition is None else np.asarray(partition, np.int64)[known]
        for number in sorted(set(log.tolist())):
            mine = log == number
            self.arrived.labelled(number, hashed[mine], times[mine], codes[mine], positive[mine])
        return self._advance()

    def finish(self) -> list[Alarm]:
        """Judge the panes that are still open, as if both logs had gone on."""
        last = max([pane for pane, _, _ in self.panes.open], default=0) + 1
        alarms = self._close_predictions(max(last, self.panes.closed or 0))
        return alarms + self._close_labels(max([pane for pane, _ in self.arrived.open], default=0) + 1)

    def rearm(self, stream: Stream) -> None:
        """Let a stream that has triggered trigger again. Raises ``KeyError`` for one that is not watched."""
        self.watch.rearm(stream)

    def _advance(self) -> list[Alarm]:
        horizon = horizon_pane(self.clock.newest_ms, self.partitions, self.pane_ms)
        if horizon is None:
            return []
        alarms = self._close_predictions(horizon)
        if self.watch.outcomes and all(partition in self.arrived.newest_ms for partition in self.label_partitions):
            newest = min(self.arrived.newest_ms[partition] for partition in self.label_partitions)
            alarms += self._close_labels(min(newest // LABEL_PANE_MS, horizon * self.pane_ms // LABEL_PANE_MS))
        return alarms

    def _close_predictions(self, horizon: int) -> list[Alarm]:
        alarms = []
        for pane, parts in self.panes.close(horizon):
            alarms += self.watch.counted(pane * self.pane_ms, (pane + 1) * self.pane_ms, parts)
        return alarms

    def _close_labels(self, horizon: int) -> list[Alarm]:
        alarms = []
        for pane, fine, counts in self.arrived.close(horizon):
            alarms += self.watch.labels((pane + 1) * LABEL_PANE_MS, fine, counts)
        return alarms

    def _remember(self, batch: Batch, rows: NDArray[np.intp]) -> None:
        distinct, of = np.unique(batch.segments[rows], axis=0, return_inverse=True)
        values = [tuple(batch.segment_values[place][code] for place, code in enumerate(row)) for row in distinct.tolist()]
        classes = np.full(len(rows), _NO_CLASS, np.int64)
        if self._has_class():
            known = [self._code(name) for name in self._class_names()]
            codes = batch.values[rows, self.reference.layout.names.index(PREDICTED_CLASS)]
            table = np.array([*known, _NO_CLASS], np.int64)
            classes = table[np.where(np.isnan(codes) | (codes < 0), len(known), codes).astype(np.intp)]
        columns = tuple(self.model.segments.columns)
        self.arrived.predicted(batch.ids[rows], batch.time_ms[rows], values, columns, of.reshape(-1), classes)

    def _label_names(self) -> set[str]:
        """Classes as the reference writes them."""
        labels = self.reference.labels
        confusion = labels and labels["confusion"]
        return {*self._class_names(), *(confusion["classes"] if confusion else ())} if self._has_class() else set()

    def _has_class(self) -> bool:
        return PREDICTED_CLASS in self.reference.layout.names

    def _class_names(self) -> tuple[str, ...]:
        """Predicted classes by code, as labels name them: those of a threshold have the names of the labels."""
        names = self.known[PREDICTED_CLASS]
        labels = self.reference.labels
        if self.model.predictions.predicted_class is not None or labels is None or labels["positive"] is None:
            return names
        classes = [name for name in labels["confusion"]["classes"] if name != "other"] if labels["confusion"] else []
        named = dict(zip(THRESHOLD_CLASSES, sorted(classes, key=lambda name: name == labels["positive"]), strict=False))
        return tuple(named.get(name, name) for name in names)

    def _code(self, text: str) -> int:
        return self.classes.setdefault(text, len(self.classes))
