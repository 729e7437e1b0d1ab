"""The topics of a model as they are read: its predictions, and its labels where it has any."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monitor.clock import EventClock
from monitor.decode import Decoder, LabelDecoder, needs, needs_ids
from monitor.join.join import arrived_pane
from monitor.join.state import LabelState
from monitor.labels import LabelsIdle, LabelsOwned
from monitor.pipeline import Idle, Owned, Step
from monitor.source.base import Needs
from monitor.state import ModelState, open_bytes


@dataclass(frozen=True, eq=False)
class Stream:
    """One topic. Offsets, clock and what was left out belong to the model's state, or to that of its labels."""

    topic: str
    model: ModelState
    labels: LabelState | None = None  # None: the topic of the predictions

    @property
    def reading(self) -> ModelState | LabelState:
        """The state that goes with the topic's offsets."""
        return self.model if self.labels is None else self.labels

    @property
    def clock(self) -> EventClock:
        """Event time of its partitions."""
        return self.reading.clock

    def decoder(self) -> Decoder | LabelDecoder:
        """A decoder of its messages. Making one takes a while."""
        config = self.model.config
        return Decoder(config, self.model.vocabulary, with_ids=needs_ids(config)) if self.labels is None else LabelDecoder(config)

    @property
    def idle_after_ms(self) -> int:
        """Wall time of silence after which a partition no longer holds the others up."""
        return self.model.config.windows.idle_after_ms if self.labels is None else self.labels.config.idle_after_ms

    @property
    def dead_letter_topic(self) -> str | None:
        """Where its messages that cannot be used go."""
        return self.model.config.predictions.dead_letter_topic if self.labels is None else self.labels.config.dead_letter_topic

    def idle(self, partition: int) -> Step:
        """The step that says so."""
        return Idle(partition) if self.labels is None else LabelsIdle(partition)

    def owned(self, partitions: frozenset[int], complete: bool, awaited: frozenset[int]) -> Step:
        """The step that says which partitions are read here, and which are waited for."""
        step = Owned if self.labels is None else LabelsOwned
        return step(partitions, complete, awaited)

    def ahead(self) -> set[int]:
        """Partitions to pause, so that what waits for the slowest stays within its bounds."""
        windows = self.model.config.windows
        if self.labels is None:
            full = open_bytes(self.model) > windows.max_open_mb << 20
            return self.clock.ahead(1 if full else windows.max_open_panes)
        if self.labels.inbox.rows <= self.labels.config.max_inbox_rows:
            return set()
        reached = arrived_pane(self.clock)
        applied = self.labels.inbox.first_pane() if self.labels.applied_pane is None else self.labels.applied_pane
        if reached is not None and applied is not None and applied < reached:
            return set(self.clock.owned)  # what waits waits for predictions
        active = (self.clock.owned - self.clock.idle) & self.clock.newest_ms.keys()
        return {p for p in active if reached is None or self.clock.newest_ms[p] // self.clock.pane_ms > reached}


def streams_of(models: Iterable[ModelState]) -> dict[str, Stream]:
    """All topics, by name."""
    streams = {}
    for model in models:
        streams[model.config.predictions.topic] = Stream(model.config.predictions.topic, model)
        if model.labels is not None:
            streams[model.labels.config.topic] = Stream(model.labels.config.topic, model, model.labels)
    return streams


def needs_of(streams: Iterable[Stream]) -> Needs:
    """What beside the values is read of all messages. A dead letter keeps its key."""
    each = [(needs(stream.model.config), stream.dead_letter_topic is not None) for stream in streams]
    return Needs(keys=any(need.keys or letters for need, letters in each), headers=any(need.headers for need, _ in each))
