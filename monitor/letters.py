"""What the main job writes to topics: messages that cannot be used, with the reason and where they came from, and items to review."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from monitor import events, label_events
from monitor.batch import Rejection
from monitor.errors import SinkError
from monitor.expose.review_json import item_json
from monitor.sink import Sink
from monitor.state import ModelState
from monitor.stream import Stream
from monitor.telemetry import Telemetry, reason_of

_FLUSH_MS = 5_000


@dataclass(eq=False)
class Letters:
    """Sends where a topic is configured, and counts."""

    telemetry: Telemetry
    sink: Sink
    unconfirmed: Counter[str] = field(default_factory=Counter)  # dead letters by model
    unconfirmed_items: Counter[str] = field(default_factory=Counter)  # items to review by model

    def reject(self, stream: Stream, rejections: Sequence[Rejection]) -> None:
        """Tell of messages that yielded no row, one event a reason, and send them."""
        name = stream.model.config.name
        for reason in sorted({rejection.reason for rejection in rejections}):
            alike = [rejection for rejection in rejections if rejection.reason == reason]
            example = f"{alike[0].topic}/{alike[0].partition}@{alike[0].offset}"
            self.telemetry.emit(events.MessagesRejected(name, reason.label, len(alike), example))
        topic = stream.dead_letter_topic
        if topic is None or not rejections:
            return
        self.unconfirmed[name] += len(rejections)
        for rejection in rejections:
            self.sink.send(topic, rejection.key, rejection.value, dead_letter_headers(rejection))

    def review(self, models: Iterable[ModelState]) -> None:
        """Send the items that were drawn since the last call, keyed by their id: one that comes twice has the same."""
        for model in models:
            queue = model.review
            if queue is None or not queue.outbox:
                continue
            items, queue.outbox = queue.outbox, []
            if queue.config.topic is None:
                continue
            self.unconfirmed_items[model.config.name] += len(items)
            for item in items:
                self.sink.send(queue.config.topic, item.id.encode(), msgspec.json.encode(item_json(item)))

    def deliver(self) -> None:
        """Return once everything sent is acknowledged. Raises ``SinkError``; then it is tried again by the next call."""
        try:
            self.sink.flush(_FLUSH_MS)
        except SinkError as error:
            for name, letters in self.unconfirmed.items():
                self.telemetry.emit(events.DeadLettersFailed(name, letters, reason_of(error)))
            for name, items in self.unconfirmed_items.items():
                self.telemetry.emit(label_events.ReviewItemsFailed(name, items, reason_of(error)))
            raise
        for name, letters in self.unconfirmed.items():
            self.telemetry.emit(events.DeadLettersDelivered(name, letters))
        for name, items in self.unconfirmed_items.items():
            self.telemetry.emit(label_events.ReviewItemsDelivered(name, items))
        self.unconfirmed.clear()
        self.unconfirmed_items.clear()

    def close(self) -> None:
        """Close the producer, if there is one."""
        self.sink.close()


def dead_letter_headers(rejection: Rejection) -> list[tuple[str, bytes]]:
    """Why and where from, for whoever reads the dead-letter topic."""
    texts = {
        "driftgauge-reason": rejection.reason.label,
        "driftgauge-detail": rejection.detail,
        "driftgauge-topic": rejection.topic,
        "driftgauge-partition": str(rejection.partition),
        "driftgauge-offset": str(rejection.offset),
    }
    return [(name, text.encode()) for name, text in texts.items()]
