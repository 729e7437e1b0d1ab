"""The detectors of one model version, as the flow feeds them: rows go to evidence panes, closed panes and labels to the streams."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from monitor.config.detection import Detection
from monitor.decide.facts import Alarm as Fact
from monitor.detect.alarm import Alarm, Stream
from monitor.detect.arrived import outcome_counts
from monitor.detect.evidence import EvidencePanes, horizon_pane, pane_width
from monitor.detect.leaves import LEAST_ROWS, leaves_of
from monitor.detect.outcomes import lag_edges
from monitor.detect.watch import Watch
from monitor.outcome.combination import Combinations
from monitor.profile.grouping import Base
from monitor.profile.leaves import Leaves, Numbers
from monitor.profile.table import CountTable
from monitor.reference.reference import Reference
from monitor.segment import parse_key
from monitor.sequential.said import Said

Int64 = NDArray[np.int64]

FIRST_ROWS = "the first rows of the version"


class NotWatchedError(ValueError):
    """A version has no streams; says why."""


@dataclass(eq=False)
class Sequential:
    """Streams, the evidence panes before them, and the alarms after them."""

    watch: Watch
    panes: EvidencePanes
    settle_ms: int  # event time between looks at what stands
    because: str  # why evidence begins where it begins
    started_ms: int | None = None  # event time of the first evidence
    ended_ms: int | None = None  # end of the newest evidence pane that was judged
    labelled: int = 0  # labels that were judged
    inputs: Said = field(default_factory=Said)
    outcomes: Said = field(default_factory=Said)

    def __post_init__(self) -> None:
        labels = self.watch.bank.reference.labels
        self._lag_edges = np.zeros(0, np.int64) if labels is None else lag_edges(labels)
        self._leaf = np.zeros((0, len(self.watch.bank.leaves.levels)), np.int64)  # [combinations, levels]

    @property
    def reference(self) -> Reference:
        """What is compared with."""
        return self.watch.bank.reference

    def add(
        self, cells: NDArray[np.uint8], met: Sequence[Leaves], leaves: Sequence[Numbers], partition: Int64, time_ms: Int64, newest_ms: Int64
    ) -> None:
        """Rows that were counted, in log order: ``cells`` [signals, n], and [n] each their leaves as ``met`` numbers them [bases][n]."""
        self.panes.add(cells, [level.of(met, leaves) for level in self.panes.levels], partition, time_ms, newest_ms)

    def close(self, newest_ms: dict[int, int], partitions: Iterable[int]) -> list[Alarm]:
        """Judge the panes that all these partitions are past."""
        horizon = horizon_pane(newest_ms, partitions, self.panes.pane_ms)
        if horizon is None or (self.panes.closed is not None and horizon <= self.panes.closed):
            return []
        alarms = []
        for pane, parts in self.panes.close(horizon):
            start_ms, end_ms = pane * self.panes.pane_ms, (pane + 1) * self.panes.pane_ms
            said = self.watch.counted(start_ms, end_ms, parts)
            alarms += said
            self.inputs.take(said)
            due = self.ended_ms is None or end_ms // self.settle_ms > self.ended_ms // self.settle_ms
            if due:
                self._settle(self.inputs, end_ms)
            if due or said:
                self.inputs.note(end_ms)
            self.started_ms = start_ms if self.started_ms is None else self.started_ms
            self.ended_ms = end_ms
        return alarms

    def label(
        self,
        end_ms: int,
        combinations: Combinations,
        combination: Int64,
        prediction_ms: Int64,
        label_ms: Int64,
        outcomes: NDArray[np.bool_],
    ) -> list[Alarm]:
        """The first labels of n predictions, which arrived in a pane that ends at ``end_ms``: [n] each, ``outcomes`` [3, n] labelled,
        wrong, positive.
        """
        if not self.watch.outcomes or not len(combination):
            return []
        new = combinations.values[len(self._leaf) :]
        if new:
            held = [self.watch.bank.leaves.holding(dict(zip(combinations.columns, values, strict=True))) for values in new]
            self._leaf = np.concatenate([self._leaf, np.array(held, np.int64).reshape(len(held), -1)])
        leaves = len(self.watch.bank.leaves.leaves)
        alarms = []
        for fine, counts in outcome_counts(self._leaf[combination], leaves, self._lag_edges, prediction_ms, label_ms, outcomes):
            alarms += self.watch.labels(end_ms, fine, counts)
        self.labelled += len(combination)
        self.outcomes.take(alarms)
        return alarms

    def known_of_inputs(self, event_ms: int) -> tuple[Fact, ...] | None:
        """What the streams of inputs and scores had said by an event time; None while they have no threshold."""
        return None if self.watch.rate.as_of(event_ms) is None else self.inputs.known(event_ms)

    def known_of_outcomes(self, event_ms: int) -> tuple[Fact, ...] | None:
        """What those of errors and labels have said, with labels judged up to an event time; None when there are none."""
        if not self.watch.outcomes or self.watch.rate.as_of(event_ms) is None:
            return None
        self._settle(self.outcomes, event_ms)
        self.outcomes.note(event_ms)
        return self.outcomes.known(event_ms)

    def start_anew(self, signal: str | None, segment: str | None) -> int:
        """Let the streams of a signal and a segment (None: all) begin from zero; returns how many."""
        watch = self.watch
        groups = len(watch.triggered)
        found = [
            watch.stream(number, row, place)
            for number in range(groups)
            for row in range(watch.triggered[number].shape[0])
            for place in range(watch.triggered[number].shape[1])
        ]
        chosen = {stream for stream in found if signal in (None, stream.signal) and segment in (None, stream.segment)}
        for stream in chosen:
            watch.rearm(stream)
        for said in (self.inputs, self.outcomes):
            said.forget(chosen.__contains__)
        return len(chosen)

    def _settle(self, said: Said, end_ms: int) -> None:
        if not said.standing:
            return
        places = {stream: self.watch.place_of(stream) for stream in said.standing}

        def warned(stream: Stream) -> bool:
            number, row, place = places[stream]
            return bool(self.watch.warned[number][row, place])

        said.settle(end_ms, lambda stream: self.watch.strength(*places[stream]), warned)


def sequential_of(
    reference: Reference, settings: Detection, bases: Sequence[Base], told: Collection[str], settle_ms: int, because: str
) -> Sequential:
    """The detectors of a reference before the first row; ``told`` are the outcomes ("wrong", "positive") that labels will tell.

    Raises ``NotWatchedError`` where there is nothing to watch.
    """
    if not settings.enabled:
        raise NotWatchedError("detection is switched off")
    reference = comparable(reference, {grouping.columns for base in bases for grouping in base.groupings}, told)
    leaves = leaves_of(reference, settings.max_streams)
    if not leaves.streams:
        raise NotWatchedError(f"the reference has fewer than {LEAST_ROWS} rows")
    watch = Watch.of(reference, settings)
    pane_ms = pane_width(watch.rate.reference_rate, len(leaves.streams) * watch.kinds)
    return Sequential(watch, watch.open_panes(bases, pane_ms), settle_ms, because)


def comparable(reference: Reference, counted: Collection[tuple[str, ...]], told: Collection[str]) -> Reference:
    """The reference without what production has nothing of: segments of groupings that are not counted, outcomes that are not told."""
    return _with_outcomes(_with_groupings(reference, counted), told)


def _with_groupings(reference: Reference, counted: Collection[tuple[str, ...]]) -> Reference:
    """The reference without segments that get no rows: the configuration has fewer groupings."""
    table = reference.table
    kept = [row for row, key in enumerate(table.segments) if parse_key(key)[0] in counted]
    if len(kept) == len(table.segments):
        return reference
    small = CountTable(table.layout, tuple(table.segments[row] for row in kept), table.counts[kept], table.tails[kept])
    return replace(reference, table=small, groupings=tuple(grouping for grouping in reference.groupings if grouping in counted))


def _with_outcomes(reference: Reference, told: Collection[str]) -> Reference:
    """The reference without labels that nothing in production could be compared with."""
    if reference.labels is None or not told:
        return replace(reference, labels=None)
    errors = reference.labels["errors"]
    kept = {**errors, **{row: errors[row] if row in told else None for row in ("wrong", "positive")}}
    return replace(reference, labels={**reference.labels, "errors": kept})
