"""Which partitions are read here, where each begins, and which are silent or too far ahead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from monitor import events, label_events
from monitor.headway import Headway
from monitor.pipeline import Step
from monitor.source.base import Assignment, Gap, Lag, Source, TopicPartition
from monitor.state import ModelState
from monitor.stream import Stream
from monitor.telemetry import Telemetry

ReadOut = Callable[[frozenset[TopicPartition]], frozenset[TopicPartition]]
"""See ``Source.read_out``."""


@dataclass(eq=False)
class Partitions:
    """The source's assignment listener, and what follows from silence and haste. Times are wall time in milliseconds."""

    streams: Mapping[str, Stream]  # by topic
    telemetry: Telemetry
    clock_ms: Callable[[], int]
    save: Callable[[], None]  # commits the state
    await_ms: int = 0  # how long, at least, a partition that another member has is waited for: that member may be dead
    latest: bool = False  # whether the source begins partitions of which nothing is saved at their end
    owned: set[TopicPartition] = field(default_factory=set)
    active_ms: dict[TopicPartition, int] = field(default_factory=dict)  # last message, or when it came or was resumed
    paused: set[TopicPartition] = field(default_factory=set)
    held: bool = False  # whether nothing is read, as what is to be delivered first is not taken
    away_ms: dict[TopicPartition, int] = field(default_factory=dict)  # since when another member has it, while this one has some

    def __post_init__(self) -> None:
        self.headway = Headway(self.clock_ms())
        # Of a topic that was read as a whole, a partition of which nothing is saved was added since: all that it has came since.
        saved = {topic: stream.reading for topic, stream in self.streams.items() if self.latest}
        self.whole = {topic for topic, reading in saved.items() if reading.offsets and reading.complete}

    def assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Partitions came: they begin where the state ends."""
        self.owned |= partitions
        self.active_ms.update(dict.fromkeys(partitions, self.clock_ms()))
        for topic, numbers in _by_topic(partitions).items():
            self.streams[topic].clock.hear_anew(frozenset(numbers))
            self.telemetry.emit(events.PartitionsAssigned(topic, numbers))
        offsets = {(topic, p): self.streams[topic].reading.offsets.get(p, 0 if topic in self.whole else None) for topic, p in partitions}
        return {partition: offset for partition, offset in offsets.items() if offset is not None}

    def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions are about to move: save everything, with the offsets reached."""
        self.save()
        self._gone(partitions)
        for topic, numbers in _by_topic(partitions).items():
            self.telemetry.emit(events.PartitionsRevoked(topic, numbers))

    def lost(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions belong to another already. Counts and offsets here still agree with each other; nothing is written for them."""
        self._gone(partitions)
        for topic, numbers in _by_topic(partitions).items():
            self.telemetry.emit(events.PartitionsLost(topic, numbers))

    def gap(self, gap: Gap) -> None:
        """The log does not have the saved offset."""
        self.streams[gap.topic].reading.offsets_lost += max(0, gap.lost)
        self.telemetry.emit(events.OffsetsLost(gap.topic, gap.partition, gap.wanted, gap.resumed))

    def _gone(self, partitions: frozenset[TopicPartition]) -> None:
        self.owned -= partitions
        self.paused -= partitions

    def own(self, source: Source) -> list[tuple[ModelState, Step]]:
        """What tells the models which partitions they see, where that changed. Like any step it can close panes, and come to a decision."""
        assignment, steps, now_ms = source.assignment(), [], self.clock_ms()
        every = {(topic, p) for topic, count in assignment.partitions.items() for p in range(count)} if self.owned else set()
        self.away_ms = {partition: min(self.away_ms.get(partition, now_ms), now_ms) for partition in every - self.owned}
        for topic, stream in self.streams.items():
            owned = self._owned(topic)
            complete = len(owned) == assignment.partitions.get(topic, -1)
            if owned != stream.clock.owned or complete != stream.reading.complete:
                awaited = frozenset(p for t, p in self.away_ms if t == topic and self._awaited(stream, p, now_ms))
                steps.append((stream.model, stream.owned(owned, complete, awaited)))
        if steps:
            self._tell_of_labels(assignment)
        return steps

    def begin(self, began: Mapping[TopicPartition, int]) -> bool:
        """Keep where partitions began of which nothing was read yet. Returns whether there is anything new to save."""
        fresh = [(t, p) for t, p in began.keys() & self.owned if p not in self.streams[t].reading.offsets]
        for topic, partition in fresh:
            self.streams[topic].reading.offsets[partition] = began[topic, partition]
        return bool(fresh)

    def _owned(self, topic: str) -> frozenset[int]:
        return frozenset(p for t, p in self.owned if t == topic)

    def _awaited(self, stream: Stream, partition: int, now_ms: int) -> bool:
        """Whether a partition that is not read here may still come: who has it may be dead, and not known to be by the group."""
        since_ms = self.away_ms.get((stream.topic, partition))
        return since_ms is not None and now_ms - since_ms < max(stream.idle_after_ms, self.await_ms)

    def _tell_of_labels(self, assignment: Assignment) -> None:
        """Say whether labels meet their predictions here: one process has to read all of both."""
        for topic, stream in self.streams.items():
            if stream.labels is None or not self.owned:
                continue
            model, predictions = stream.model, stream.model.config.predictions.topic
            here, of = len(self._owned(predictions)), assignment.partitions.get(predictions, 0)
            labels_here, of_labels = len(self._owned(topic)), assignment.partitions.get(topic, 0)
            if here < of or labels_here < of_labels:
                self.telemetry.emit(label_events.LabelsSeparated(model.config.name, here, of, labels_here, of_labels))
            else:
                self.telemetry.emit(label_events.LabelsJoined(model.config.name, of, of_labels, of == of_labels))

    def say_headway(self, lag: Lag, read: int) -> None:
        """Tell, now and then, how far reading has come where it is behind."""
        for event in self.headway.turn(self.streams, self.owned, lag, read, self.clock_ms()):
            self.telemetry.emit(event)

    def heard_from(self, partition: TopicPartition, now_ms: int) -> None:
        """A message came."""
        self.active_ms[partition] = now_ms

    def all_read(self, lag: Lag) -> bool:
        """Whether nothing is left in any partition that is owned, and at least one is; not known before each has been asked."""
        return bool(self.owned) and self.owned == lag.keys() and not any(lag.values())

    def silent(self, lag: Lag, now_ms: int, read_out: ReadOut) -> list[tuple[ModelState, Step]]:
        """Partitions to leave out of the horizon: read to their end and silent for long, counted from now where the clock was set back.

        ``read_out`` asks the log whether that is so; where it is not, or the log does not answer, silence begins anew: what was
        out of reach may have a backlog. Left out are, too, those that another member has had for long: that one is alive.
        """
        self.active_ms = {partition: min(active, now_ms) for partition, active in self.active_ms.items()}
        elsewhere = [
            (stream.model, stream.idle(p))
            for stream in self.streams.values()
            for p in sorted(stream.clock.awaited)
            if not self._awaited(stream, p, now_ms)
        ]
        quiet = frozenset(
            (topic, p)
            for topic, p in self.owned - self.paused
            if p not in self.streams[topic].clock.idle
            and lag.get((topic, p)) == 0
            and now_ms - self.active_ms[topic, p] >= self.streams[topic].idle_after_ms
        )
        silent = read_out(quiet) & self.owned if quiet else quiet
        self.active_ms.update(dict.fromkeys(quiet - silent, now_ms))
        return elsewhere + [(self.streams[topic].model, self.streams[topic].idle(p)) for topic, p in sorted(silent)]

    def hold_back(self, source: Source, now_ms: int, *, undelivered: int = 0) -> None:
        """Pause partitions that run ahead of the slowest, so that open panes stay within their bounds; resume the rest.

        All, while there are messages ``undelivered`` that have to go before any is read that might send more.
        """
        if bool(undelivered) != self.held:
            self.held = not self.held
            self.telemetry.emit(events.ReadingPaused(undelivered) if self.held else events.ReadingResumed())
        ahead = {(topic, p) for topic, stream in self.streams.items() for p in stream.ahead()}
        held = set(self.owned) if self.held else ahead & self.owned
        if held - self.paused:
            source.pause(held - self.paused)
        resumed = self.paused - held
        if resumed:
            source.resume(resumed)
            self.active_ms.update(dict.fromkeys(resumed, now_ms))
        self.paused = held


def due(since_ms: int, now_ms: int, every_ms: int) -> bool:
    """Whether an interval of wall time is over. It is, too, when the clock was set back: nothing must wait until it has caught up.

    >>> due(5_000, 5_999, 1_000), due(5_000, 6_000, 1_000), due(5_000, 4_000, 1_000)
    (False, True, True)
    """
    return not 0 <= now_ms - since_ms < every_ms


def _by_topic(partitions: frozenset[TopicPartition]) -> dict[str, tuple[int, ...]]:
    topics = sorted({topic for topic, _ in partitions})
    return {topic: tuple(sorted(p for t, p in partitions if t == topic)) for topic in topics}
