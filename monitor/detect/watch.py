"""All streams of a model version and what has come of them: evidence panes in, alarms out.

A stream that has triggered is *latched*: its evidence goes on being gathered and shown, but it does not trigger again until it is re-armed
by name, or the reference changes. Nothing is reset in secret.

    armed ──M >= c──▶ triggered ──rearm(stream)──▶ armed, evidence from zero
      new model version, another reference, accepted drift (a reference of the rows since): another Watch, from zero
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.config.detection import Detection
from monitor.config.model import PREDICTED_CLASS, SCORE
from monitor.detect import budget
from monitor.detect.alarm import Alarm, Level, Stream
from monitor.detect.bank import Bank, bank_of, thresholds
from monitor.detect.effect import Expected, of_kind, outcome_effect
from monitor.detect.evidence import PANE_MS, EvidencePanes, levels_of
from monitor.detect.history import History
from monitor.detect.leaves import kinds_of
from monitor.detect.outcomes import FINE_MS, Outcome, joined, outcomes_of
from monitor.detect.rate import Rate, rate_of
from monitor.profile.grouping import Base
from monitor.profile.layout import FAULT_CELLS
from monitor.reference.reference import Reference

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Flags = NDArray[np.bool_]

_EVENTS_ASSUMED = 1e8  # in a period, where neither the reference nor anything else says: only sampling errors depend on it
_FALLEN = 0.1  # of the warning level: below, a warning may come again

MAX_MEASURED = 50
"""Alarms of one pane whose start and effect are measured, which takes milliseconds each; others have no effect, and the pane as start."""

MAX_ALSO = 50
"""Streams that an alarm names beside its own, those with the most evidence."""

MAX_WAITING = 4_096
"""Fine buckets of predictions that no label has come after, which are four weeks: labels may stay away for good."""


class _Crossing(NamedTuple):
    """A stream whose evidence has crossed a level: group or outcome, segment, signal, M and the level."""

    level: Level
    number: int
    row: int
    place: int
    m: float
    limit: float


@dataclass(eq=False)
class Watch:
    """The streams of one reference, their levels and their latches."""

    bank: Bank
    outcomes: tuple[Outcome, ...]
    settings: Detection
    rate: Rate
    history: History
    expected: Expected
    warned: list[Flags] = field(init=False)  # per group [S, F], then per outcome [S, 1]
    triggered: list[Flags] = field(init=False)
    pane_ms: int = PANE_MS  # width of evidence panes
    waiting: dict[int, Float64] = field(default_factory=dict)  # fine bucket -> [S] predictions that no outcome knows of yet

    def __post_init__(self) -> None:
        shapes = [group.sampling.shape[:2] for group in self.bank.groups] + [(len(self.bank.leaves.streams), 1)] * len(self.outcomes)
        self.warned, self.triggered = ([np.zeros(shape, np.bool_) for shape in shapes] for _ in range(2))

    @staticmethod
    def of(reference: Reference, settings: Detection) -> Watch:
        """Every stream, before the first event."""
        rate = rate_of(reference)
        period = settings.false_alarms.per_ms
        events = _EVENTS_ASSUMED if rate.reference_rate is None else rate.reference_rate * period
        log_threshold = float(
            np.log(
                budget.thresholds(np.array([events, events]), np.array([True, False]), kinds_of(reference), settings.false_alarms.at_most)[
                    0
                ]
            )
        )
        bank = bank_of(reference, settings, log_threshold)
        outcomes = outcomes_of(reference, bank.leaves, settings, log_threshold, _outcome_clustering(bank))
        history = History(len(bank.leaves.leaves), reference.layout.cells)
        return Watch(bank, outcomes, settings, rate, history, Expected.of(reference, bank.leaves))

    @property
    def kinds(self) -> int:
        """Streams of each segment."""
        return sum(len(group.signals) for group in self.bank.groups) + len(self.outcomes)

    def open_panes(self, bases: Sequence[Base], pane_ms: int) -> EvidencePanes:
        """Evidence panes before the first row, of which ``counted`` takes the closed ones. Raises ``ValueError`` as ``levels_of`` does."""
        self.pane_ms, bank = pane_ms, self.bank
        return EvidencePanes(bank.reference.layout, len(bank.leaves.leaves), levels_of(bank.leaves, bases), bank.hours, pane_ms)

    def thresholds(self, as_of_ms: int | None = None) -> Float64 | None:
        """[S] thresholds of now, or as of an event time; None while nothing is known of how many events there are."""
        rate = self.rate.per_ms if as_of_ms is None else self.rate.as_of(as_of_ms)
        allowed = self.settings.false_alarms
        return None if rate is None else thresholds(self.bank, rate * allowed.per_ms, allowed.at_most, self.kinds)

    def counted(self, start_ms: int, end_ms: int, parts: Sequence[tuple[int, Int64]]) -> list[Alarm]:
        """Take an evidence pane [start, end): quarters of an hour and the counts [leaves, layout cells] of their rows.

        Panes come in the order of their times.
        """
        first = self.bank.reference.layout.span(0)
        rows = np.sum([counts[:, first].sum(axis=1) for _, counts in parts], axis=0)
        by_stream = self.bank.leaves.summed(rows).astype(np.float64)
        if not by_stream.any():
            return []
        self.rate.see(start_ms, end_ms, int(by_stream[0]))
        if self.outcomes:
            fine = start_ms // FINE_MS
            self.waiting[fine] = self.waiting.get(fine, 0.0) + by_stream
            if len(self.waiting) > MAX_WAITING:
                self.waiting = joined(self.waiting)
        self.history.add(start_ms, end_ms, parts)
        found: list[tuple[int, NDArray[np.intp], Float64]] = list(self.bank.update(end_ms, parts))
        return self._alarms(end_ms, found)

    def labels(self, end_ms: int, fine: Int64, counts: Int64) -> list[Alarm]:
        """Take the labels of a pane that ends at ``end_ms``; every pane of predictions up to there must have been taken.

        ``fine`` [B] the predictions' times in units of ``outcomes.FINE_MS``, distinct and rising; ``counts`` [3, B, leaves, slots] labels,
        wrong ones, positive ones by lag slot.
        """
        newest = (end_ms - 1) // FINE_MS
        # Only buckets of which every pane has ended by then, however far predictions are ahead.
        for ready in sorted(n for n in self.waiting if n < newest and n * FINE_MS + max(FINE_MS, self.pane_ms) <= end_ms):
            predictions = self.waiting.pop(ready)
            for outcome in self.outcomes:
                outcome.begin(ready, predictions)
        every = np.arange(len(self.bank.leaves.streams))
        n = counts[0].astype(np.float64)
        found = []
        for place, outcome in enumerate(self.outcomes):
            yes = counts[1 if outcome.kind == "error" else 2].astype(np.float64)
            found.append((len(self.bank.groups) + place, every, outcome.update(fine, n, yes, newest)[:, None]))
        return self._alarms(end_ms, found)

    def rearm(self, stream: Stream) -> None:
        """Let a stream trigger again, its evidence from zero. Raises ``KeyError`` for one that is not watched."""
        number, row, place = self.place_of(stream)
        if number < len(self.bank.groups):
            self.bank.groups[number].forget(row, place)
        else:
            self.outcomes[number - len(self.bank.groups)].forget(row)
        self.warned[number][row, place] = self.triggered[number][row, place] = False

    def latched(self) -> list[Stream]:
        """Streams that have triggered and were not re-armed."""
        return [
            self.stream(number, row, place) for number, flags in enumerate(self.triggered) for row, place in np.argwhere(flags).tolist()
        ]

    def stream(self, number: int, row: int, place: int) -> Stream:
        """Name of a stream: of group (or, behind them, outcome) ``number``, segment ``row``, signal ``place``."""
        segment = self.bank.leaves.streams[row]
        if number >= len(self.bank.groups):
            kind = self.outcomes[number - len(self.bank.groups)].kind
            return Stream(segment, kind, kind)
        group = self.bank.groups[number]
        return Stream(segment, self.bank.reference.layout.names[group.signals[place]], group.kind)

    def evidence(self) -> Iterator[tuple[int, Float64]]:
        """Per group and outcome its number and M [S, F] of now."""
        for number, group in enumerate(self.bank.groups):
            yield number, group.now()
        for place, outcome in enumerate(self.outcomes):
            yield len(self.bank.groups) + place, outcome.now()[:, None]

    def strength(self, number: int, row: int, place: int) -> float:
        """M of one stream, by its place."""
        if number >= len(self.bank.groups):
            return float(self.outcomes[number - len(self.bank.groups)].now()[row])
        group = self.bank.groups[number]
        return float(group.evidence[row, place] @ group.weights[place])

    def place_of(self, stream: Stream) -> tuple[int, int, int]:
        """Where a stream is: group or outcome, segment, signal. Raises ``KeyError`` for one that is not watched."""
        row, column = self._rows.get(stream.segment), self._columns.get((stream.signal, stream.kind))
        if row is None or column is None:
            raise KeyError(f"expected a stream that is watched, got {stream.kind} of {stream.signal} in {stream.segment}")
        return column[0], row, column[1]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {segment: row for row, segment in enumerate(self.bank.leaves.streams)}

    @cached_property
    def _columns(self) -> dict[tuple[str, str], tuple[int, int]]:
        places = [(number, place) for number, flags in enumerate(self.triggered) for place in range(flags.shape[1])]
        streams = [self.stream(number, 0, place) for number, place in places]
        return {(stream.signal, stream.kind): place for stream, place in zip(streams, places, strict=True)}

    def _alarms(self, end_ms: int, found: Sequence[tuple[int, NDArray[np.intp], Float64]]) -> list[Alarm]:
        limits = self.thresholds(end_ms)
        if limits is None:
            return []
        crossings: list[_Crossing] = []
        also: tuple[Stream, ...] | None = None
        for number, streams, m in found:
            limit = limits[streams][:, None]
            warned, triggered = self.warned[number][streams], self.triggered[number][streams]
            trigger = (m >= limit) & ~triggered
            warn = (m >= limit * budget.WARNING) & ~warned & ~trigger & ~triggered
            self.warned[number][streams] = (warned | warn | trigger) & (m >= limit * (budget.WARNING * _FALLEN))
            self.triggered[number][streams] = triggered | trigger
            if not (trigger.any() or warn.any()):
                continue
            if trigger.any() and also is None:
                also = self._outstanding(limits, number >= len(self.bank.groups))
            levels: tuple[tuple[Level, Flags, float], ...] = (("trigger", trigger, 1.0), ("warning", warn, budget.WARNING))
            crossings += [
                _Crossing(level, number, int(streams[a]), place, float(m[a, place]), float(limits[streams[a]]) * part)
                for level, crossed, part in levels
                for a, place in np.argwhere(crossed).tolist()
            ]
        # When everything drifts at once, to measure each would hold up all the rest: the whole traffic first, then the strongest.
        order = sorted(range(len(crossings)), key=lambda i: (crossings[i].row > 0, -crossings[i].m / crossings[i].limit, i))
        measured = {*order[:MAX_MEASURED]}
        return [self._alarm(each, end_ms, also or (), measured=i in measured) for i, each in enumerate(crossings)]

    def _outstanding(self, limits: Float64, outcomes: bool) -> tuple[Stream, ...]:
        """The largest set of k streams that each have k times less evidence than its threshold or more (e-d-BH, on the evidence of now).

        Of outcomes, or of everything else: how far the one is ahead of the other depends on which log was read faster.
        """
        parts = [(number, m / limits[:, None]) for number, m in self.evidence() if outcomes == (number >= len(self.bank.groups))]
        values = np.concatenate([part.ravel() for _, part in parts])
        ordered = -np.sort(-values)
        enough = np.flatnonzero(ordered * np.arange(1, len(ordered) + 1) >= 1.0)
        if not len(enough):
            return ()
        least = ordered[min(enough[-1], MAX_ALSO)]
        found = (self.stream(number, row, place) for number, part in parts for row, place in np.argwhere(part >= least).tolist())
        return tuple(itertools.islice(found, MAX_ALSO + 1))

    def _alarm(self, crossing: _Crossing, end_ms: int, also: tuple[Stream, ...], *, measured: bool) -> Alarm:
        level, number, row, place, m, limit = crossing
        stream = self.stream(number, row, place)
        others = tuple(other for other in also if other != stream)[:MAX_ALSO]
        if number >= len(self.bank.groups):
            outcome = self.outcomes[number - len(self.bank.groups)]
            direction, fine = outcome.leading(row)
            rows = float(outcome.rows[outcome.leaves.members[row]].sum())
            effect = outcome_effect(outcome.since(row, fine), rows, outcome.phi)
            return Alarm(stream, level, end_ms, int(fine * FINE_MS), direction, effect, m, limit, also=others)
        group, signal = self.bank.groups[number], self.bank.groups[number].signals[place]
        leading = group.leading(row, place)
        direction = group.directions[place][leading]
        if not measured:
            return Alarm(stream, level, end_ms, end_ms - self.pane_ms, direction, None, m, limit, also=others)
        members, span = self.bank.leaves.members[row], self.bank.reference.layout.span(signal)
        first = span.start if group.kind == "missing" else span.start + FAULT_CELLS
        past = [
            (block, (leaf, quarter, of_kind(group.kind, cell), counts))
            for block, (leaf, quarter, cell, counts) in self.history.of(members, first, span.stop)
        ]
        # The most likely start is that from which on the leading direction has gained most.
        gained = np.cumsum(group.gains(row, place, leading, [rows for _, rows in past])[::-1])[::-1]
        began = int(gained.argmax())
        since = tuple(np.concatenate([rows[column] for _, rows in past[began:]]) for column in range(4))
        phi = float(group.phi[row, place, leading])
        cycle = group.cycles.get(place)
        size, worst = self.expected.measured(members, signal, group.kind, since, phi, cycle, direction.what)  # type: ignore[arg-type]
        return Alarm(stream, level, end_ms, past[began][0].start_ms, direction, size, m, limit, worst, others)


def _outcome_clustering(bank: Bank) -> float:
    """Clustering of outcomes is not measured: that of the predicted class, or of the score, stands for it."""
    names = bank.reference.layout.names
    for wanted in (PREDICTED_CLASS, SCORE):
        for group in bank.groups:
            for place, signal in enumerate(group.signals):
                if group.kind == "values" and names[signal] == wanted:
                    return float(group.phi[:, place].max())
    return 1.0
