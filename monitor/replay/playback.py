"""Plays history through the flow that runs live, and shows whoever observes what came of each step.

    source ─▶ decode ─▶ (plant) ─▶ advance ─▶ observe

Nothing is delivered, committed to the cluster or served. The state is in memory and, for what waits for labels, in a folder that is
thrown away. Wall time plays no part: a partition that was read to its end stops holding the others up once they have got past its end
by all that it could still have held up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monitor.batch import Batch, Labels
from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.clock import EventClock
from monitor.config import Config
from monitor.control_topic import ControlTopic
from monitor.decode import Decoder, LabelDecoder, needs, needs_ids
from monitor.errors import SourceError
from monitor.labels import LabelsEvaluated
from monitor.partitions import Partitions
from monitor.pipeline import Outcome, Step, advance, in_turns
from monitor.reference.reference import Reference
from monitor.source.base import Needs, Source
from monitor.state import ModelState, new_model_state
from monitor.stream import Stream, streams_of
from monitor.telemetry import Telemetry

_POLL_MS = 200
_COMMIT_MESSAGES = 500_000
"""Messages between commits to the folder that is thrown away: they bound what waits for labels in memory."""

Rows = Batch | Labels


def as_read(_model: ModelState, rows: Rows) -> Rows:
    """Rows as they were read: nothing is planted."""
    return rows


@dataclass(eq=False)
class Observer:
    """What is told of a playback as it goes on."""

    read: Callable[[ModelState, Rows], None]  # rows that are about to be counted
    happened: Callable[[ModelState, Sequence[Outcome]], None]  # what a step led to
    judged: Callable[[LabelsEvaluated], None]  # every evaluation of labels, in order; ``happened`` has the newest of a step alone
    progress: Callable[[int, int, int], None] = lambda _done, _size, _left: None  # messages and bytes of the turn, messages still unread


@dataclass(eq=False)
class Playback:
    """One pass over history. ``folder`` is empty, or a copy of a saved state to go on from; it is written to and belongs to the pass."""

    config: Config
    references: Mapping[str, Sequence[Reference]]
    folder: Path
    telemetry: Telemetry
    until_ms: int | None = None  # event time at which to stop
    plant: Callable[[ModelState, Rows], Rows] = as_read
    notes: list[str] = field(default_factory=list)
    resumed: bool = False  # whether it goes on from a saved state
    models: list[ModelState] = field(default_factory=list)

    def run(self, open_source: Callable[[Sequence[str], Needs], Source], controls: Config | None, observer: Observer) -> None:
        """Play to the end, or to ``until_ms``. ``controls``: the configuration whose control topic is read. Raises ``DriftgaugeError``."""
        made = {model.name: new_model_state(model, self.references.get(model.name, ()), self.folder) for model in self.config.models}
        checkpoint = Checkpoint(Store(self.folder, 2), made)
        try:
            resumed = checkpoint.resume()
            self.notes += resumed.notices
            self.resumed = resumed.epoch > 0
            self.models = list(checkpoint.models.values())
            self._streams = streams_of(self.models)
            self._take_controls(controls)
            source = open_source(list(self._streams), self._needs())
            self._partitions = Partitions(self._streams, self.telemetry, lambda: 0, lambda: None)
            try:
                source.start(self._partitions)
                self._play(source, checkpoint, observer)
            finally:
                source.close()
        finally:
            checkpoint.store.close()

    def _needs(self) -> Needs:
        each = [needs(model) for model in self.config.models]
        return Needs(keys=any(need.keys for need in each), headers=any(need.headers for need in each))

    def _take_controls(self, config: Config | None) -> None:
        """Read what operators decided; each decision waits for its time."""
        if config is None:
            return
        topic = ControlTopic(config, self.telemetry)
        try:
            for model, step in topic.start(self.models, threading.Event(), _Ticks()):
                advance(model, step)
            if topic.unread:
                raise SourceError("the control topic could not be read to its end; check the brokers, or leave it out with --controls none")
        finally:
            topic.close()

    def _play(self, source: Source, checkpoint: Checkpoint, observer: Observer) -> None:
        decoders = {topic: _decoder(stream, with_ids=self.plant is not as_read) for topic, stream in self._streams.items()}
        since_commit = 0
        while True:
            raws = source.poll(_POLL_MS)
            for model, step in self._partitions.own(source):
                _take(model, step, observer)
            for topic, stream in self._streams.items():
                mine = [raw for raw in raws if raw.topic == topic]
                if mine:
                    rows: Rows = decoders[topic].decode(mine)[0]
                    rows = self.plant(stream.model, rows)
                    observer.read(stream.model, rows)
                    _take(stream.model, rows, observer)
            lag, ended = source.lag(), source.finished()
            done = {at for at, left in lag.items() if not left}
            # What is not ended may be paused, and wait for what is: then that has held it up for long enough.
            stuck = not raws and not ended and self._partitions.owned - done <= self._partitions.paused
            for stream, partition in self._past(done, everything=ended, stuck=stuck):
                _take(stream.model, stream.idle(partition), observer)
            size = sum(len(value) + 1 for raw in raws for value in raw.values if value is not None)
            observer.progress(sum(map(len, raws)), size, sum(lag.values()))
            if ended or self._reached(done):
                return
            self._partitions.hold_back(source, 0)
            since_commit += sum(map(len, raws))
            if since_commit >= _COMMIT_MESSAGES:
                since_commit = 0
                checkpoint.commit({})

    def _past(self, ended: set[tuple[str, int]], *, everything: bool, stuck: bool) -> list[tuple[Stream, int]]:
        """Partitions without another message that no longer hold the others up."""
        found = []
        for _, stream in sorted(self._streams.items()):
            mates = self._mates(stream)
            # A model whose topics have all ended waits for no other model's.
            over_all = everything or all((each.topic, p) in ended for each in mates for p in each.clock.owned)
            frontier = _frontier(mates, ended, everything=over_all)
            for partition in sorted(stream.clock.owned - stream.clock.idle):
                newest = stream.clock.newest_ms.get(partition)
                over = (stream.topic, partition) in ended
                if over and (stuck or newest is None or (frontier is not None and newest + _holds_ms(stream) <= frontier)):
                    found.append((stream, partition))
        return found

    def _mates(self, stream: Stream) -> list[Stream]:
        return [each for each in self._streams.values() if each.model is stream.model]

    def _reached(self, ended: set[tuple[str, int]]) -> bool:
        """Whether everything up to ``until_ms`` was decided about, of models that go on."""
        if self.until_ms is None:
            return False
        going_on = {s.model.config.name for s in self._streams.values() if not {(s.topic, p) for p in s.clock.owned} <= ended}
        return all(_is_past(model, self.until_ms) for model in self.models if model.config.name in going_on)


def _holds_ms(stream: Stream) -> int:
    """How far others must have got past the end of a partition until nothing that it said can still wait for its turn."""
    windows, labels = stream.model.config.windows, stream.model.config.labels
    most = stream.idle_after_ms + windows.lateness_ms + windows.pane_ms
    return most if labels is None else most + labels.early_allowance_ms + labels.pane_ms


def _frontier(streams: Sequence[Stream], ended: set[tuple[str, int]], *, everything: bool) -> int | None:
    """Event time that all partitions which go on have reached; once nothing goes on, the newest of all. None: not known yet."""
    if everything:
        return max((newest for stream in streams for newest in stream.clock.newest_ms.values()), default=None)
    newest = [
        stream.clock.newest_ms.get(partition)
        for stream in streams
        for partition in stream.clock.owned
        if (stream.topic, partition) not in ended
    ]
    known = [each for each in newest if each is not None]
    return min(known) if known and len(known) == len(newest) else None


def _take(model: ModelState, step: Step, observer: Observer) -> None:
    for outcomes in in_turns(model, step, observer.judged):
        observer.happened(model, outcomes)


def _is_past(model: ModelState, until_ms: int) -> bool:
    """Whether both sides are there, or have ended before: of those nothing more will come, however long another topic goes on."""

    def reached(clock: EventClock, pane: int | None) -> bool:
        over = clock.owned and clock.owned <= clock.idle
        return bool(over) or (pane is not None and pane * model.clock.pane_ms >= until_ms)

    labels = model.labels
    return reached(model.clock, model.clock.closed_panes) and (labels is None or reached(labels.clock, labels.applied_pane))


def _decoder(stream: Stream, *, with_ids: bool) -> Decoder | LabelDecoder:
    model = stream.model
    if stream.labels is not None:
        return LabelDecoder(model.config)
    return Decoder(model.config, model.vocabulary, with_ids=with_ids or needs_ids(model.config))


@dataclass(eq=False)
class _Ticks:
    """Time for whoever waits: each look is some of it, about as much as the wait between looks."""

    now_ms: int = 0

    def __call__(self) -> int:
        self.now_ms += 50
        return self.now_ms
