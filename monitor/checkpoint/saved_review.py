"""A review queue as bytes, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from monitor.review.item import Item, Kind, Reason
from monitor.review.queue import ReviewQueue
from monitor.review.sample import Candidate

Samples = list[tuple[int, str, str, int, int, list[Candidate]]]


class _Saved(msgspec.Struct, array_like=True):
    drawn_by: str  # what samples depend on: those drawn by other settings do not go on
    samples: dict[str, Samples]
    drawn: list[tuple[int, int]]
    recent: list[Item]
    counts: list[tuple[Kind, int, int]]
    worst: dict[str, list[str]]


def save_review(queue: ReviewQueue) -> bytes:
    """Everything but what is in the outbox: that is delivered before the commit."""
    return msgspec.msgpack.encode(
        _Saved(
            _settings(queue),
            {name: sampler.packed() for name, sampler in queue.samplers.items()},
            list(queue.drawn.items()),
            list(queue.recent),
            [(kind, int(reason), items) for (kind, reason), items in queue.counts.items()],
            {version: sorted(segments) for version, segments in queue.worst.items()},
        )
    )


def load_review(queue: ReviewQueue, blobs: Mapping[str, bytes], name: str) -> None:
    """Bring a new queue to where ``save_review`` was; one without a saved state stays new. Raises ``ValueError`` for other bytes."""
    if name not in blobs:
        return
    saved = msgspec.msgpack.decode(blobs[name], type=_Saved)
    if saved.drawn_by == _settings(queue):
        for of, sampler in queue.samplers.items():
            sampler.restore(saved.samples.get(of, []))
    queue.drawn = dict(saved.drawn)
    queue.recent.extend(saved.recent)
    queue.counts = Counter({(kind, Reason(reason)): items for kind, reason, items in saved.counts})
    queue.worst = {version: frozenset(segments) for version, segments in saved.worst.items()}


def _settings(queue: ReviewQueue) -> str:
    config = queue.config
    return str([config.per_hour, config.audit_per_day, config.seed, config.margin, config.confidence, list(queue.grouping)])
