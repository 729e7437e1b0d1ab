"""Whether the monitor itself is well: pure, from a snapshot and the time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from monitor.expose.snapshot import Phase, Snapshot

LOOP_LIMIT_MS = 60_000
"""A main loop that has not turned for this long is stuck. A turn with its evaluation and commit takes seconds."""


class Condition(StrEnum):
    """The state of the monitor in one word, from bad to good."""

    STUCK = "stuck"
    STOPPING = "stopping"
    STARTING = "starting"
    UNREACHABLE = "unreachable"
    UNSAVED = "unsaved"
    REBUILDING = "rebuilding"
    PARTIAL = "partial"
    FINISHED = "finished"
    HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class Health:
    """The monitor's condition, and a sentence that says why."""

    condition: Condition
    reason: str


def is_alive(snapshot: Snapshot, now_ms: int) -> bool:
    """Whether the main loop turns. Does not depend on the broker."""
    return now_ms - snapshot.taken_ms < LOOP_LIMIT_MS or snapshot.phase == Phase.FINISHED


def is_ready(snapshot: Snapshot) -> bool:
    """Whether partitions are assigned and the state is loaded."""
    return snapshot.phase in (Phase.RUNNING, Phase.FINISHED)


def health(snapshot: Snapshot, now_ms: int) -> Health:
    """The worst that is true."""
    if not is_alive(snapshot, now_ms):
        found = Health(
            Condition.STUCK, f"The main loop last turned {(now_ms - snapshot.taken_ms) // 1000} s ago; nothing below is current."
        )
    elif snapshot.phase == Phase.STOPPING:
        found = Health(Condition.STOPPING, "Asked to stop; saving its state.")
    elif snapshot.phase == Phase.STARTING:
        found = Health(Condition.STARTING, "Waiting for partitions and loading the state.")
    elif snapshot.unreachable:
        found = Health(Condition.UNREACHABLE, f"No broker can be reached: {snapshot.unreachable}. How far behind this is, is not known.")
    elif snapshot.unsaved is not None:
        found = Health(Condition.UNSAVED, f"The state cannot be saved: {snapshot.unsaved}.")
    elif snapshot.rebuilding_since_ms is not None:
        found = Health(Condition.REBUILDING, "Saved state was lost; counts are being rebuilt from the log.")
    elif snapshot.phase == Phase.FINISHED:
        found = Health(Condition.FINISHED, "The input was read to its end.")
    else:
        found = _completeness(snapshot)
    return found


def _completeness(snapshot: Snapshot) -> Health:
    topics = {each.topic: each for model in snapshot.models for each in model.topics}
    gone = [topic for topic, each in topics.items() if each.partitions_in_topic == 0]
    if gone:
        return Health(Condition.PARTIAL, f"Topics that are not there: {', '.join(gone)}. What is written to them is read once they are.")
    partial = [
        f"{topic} ({len(each.partitions)} of {each.partitions_in_topic} partitions)"
        for topic, each in topics.items()
        if len(each.partitions) != each.partitions_in_topic
    ]
    if partial:
        return Health(Condition.PARTIAL, f"Not all partitions are read here: {', '.join(partial)}. Verdicts are partial.")
    return Health(Condition.HEALTHY, "Reading all partitions.")
