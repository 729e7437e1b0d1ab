"""Snapshot: the one record from which metrics, API, health and status page are rendered.

The main job publishes a new one whenever its loop turns, at least every few seconds; the parts that did not change are
shared between snapshots. Nothing in a snapshot is changed after it was published, arrays included. Times are
milliseconds since 1970-01-01 UTC; ``..._event_ms`` and watermarks are event time, the others wall time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from monitor.batch import RejectReason
from monitor.evaluate.verdict import Verdicts
from monitor.expose.decided import RetrainingView
from monitor.expose.watched import WatchView
from monitor.labels import LabelsEvaluated
from monitor.reference.reference import Reference
from monitor.review.item import Item, Kind, Reason


class Phase(StrEnum):
    """Where the process is in its life."""

    STARTING = "starting"  # partitions are not assigned or the state is not loaded
    RUNNING = "running"
    FINISHED = "finished"  # a file source was read to its end; what was found is still served
    STOPPING = "stopping"  # told to stop; saves its state


def no_rejections() -> dict[RejectReason, int]:
    """Zero for each reason: series that are known beforehand are exposed from the start."""
    return dict.fromkeys(RejectReason, 0)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where the messages of one model went, since its state began; part of the state, so it survives restarts."""

    messages: int = 0
    tombstones: int = 0
    rejected: Mapping[RejectReason, int] = field(default_factory=no_rejections)
    rows_counted: int = 0
    rows_duplicate: int = 0
    rows_late: Mapping[str, int] = field(default_factory=dict)  # by a bounded reason, such as ``lateness`` and ``closed``
    rows_folded: int = 0  # of those counted: their segment had no room and became __other__
    ids_evicted: int = 0  # forgotten before the horizon of duplicates
    offsets_lost: int = 0  # never read: the log no longer had them
    idle_exclusions: int = 0  # how often a silent partition stopped holding the watermark up

    @property
    def rejected_messages(self) -> int:
        """Rejected messages, all reasons."""
        return sum(self.rejected.values())

    @property
    def late_rows(self) -> int:
        """Late rows, all reasons."""
        return sum(self.rows_late.values())

    @property
    def unaccounted(self) -> int:
        """Messages of which nobody knows where they went: zero, or there is a bug (formats of one row per message)."""
        used = self.rows_counted + self.rows_duplicate + self.late_rows
        return self.messages - used - self.rejected_messages - self.tombstones


@dataclass(frozen=True, slots=True)
class VersionView:
    """A model version that occurs in the events, or of which there is a reference."""

    version: str
    reference: Reference | None = None  # None: its verdicts are NO_REFERENCE


@dataclass(frozen=True, slots=True)
class RiverAlarms:
    """What one river detector has said about one signal of one segment."""

    version: str
    segment: str
    signal: str
    detector: str  # dotted name
    alarms: int
    last_alarm_event_ms: int | None = None


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """How far the reading of one partition of a model's topic is. Owned partitions only."""

    partition: int
    next_offset: int
    lag_messages: int | None = None  # None: not known yet
    newest_event_ms: int | None = None  # None: nothing read yet
    idle: bool = False  # silent for so long that it no longer holds the watermark up
    paused: bool = False  # not fetched: too far ahead of the others, or dead letters wait for their topic


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes held by one model."""

    open: int = 0  # panes that take rows
    closed: int = 0  # panes kept for windows
    duplicates: int = 0  # remembered ids


@dataclass(frozen=True, slots=True)
class LabelsView:
    """Where the labels of one model went, and how far their reading is."""

    topic: str
    messages: int = 0
    tombstones: int = 0
    rejected: Mapping[RejectReason, int] = field(default_factory=no_rejections)
    outcomes: Mapping[str, int] = field(default_factory=dict)  # matched, revised, vote, duplicate, late, late_arrival, orphan
    waiting: int = 0  # read, and not applied yet
    partitions: tuple[PartitionProgress, ...] = ()
    partitions_in_topic: int = 0  # 0: not known yet
    watermark_ms: int | None = None  # labels that arrived before it are applied
    predictions: int = 0  # that entered the store to wait for labels
    labelled: int = 0  # of these, got one
    expired: int = 0  # got none within the horizon
    evicted: int = 0  # forgotten before the horizon, for want of room
    restated: int = 0  # labels of predictions that were restated
    pending: int = 0  # predictions in the store
    records: int = 0  # labels in the store
    records_evicted: int = 0
    disk_bytes: int = 0
    memory_bytes: int = 0
    combinations_folded: int = 0  # rows whose combination of segment values found no room
    offsets_lost: int = 0
    idle_exclusions: int = 0

    @property
    def unaccounted(self) -> int:
        """Messages of which nobody knows where they went: zero, or there is a bug."""
        return self.messages - self.tombstones - sum(self.rejected.values()) - sum(self.outcomes.values()) - self.waiting


@dataclass(frozen=True, slots=True)
class ModelView:
    """Everything about one model except its verdicts."""

    name: str
    topic: str
    ledger: Ledger = field(default_factory=Ledger)
    versions: tuple[VersionView, ...] = ()
    partitions: tuple[PartitionProgress, ...] = ()
    partitions_in_topic: int = 0  # 0: not known yet
    watermark_ms: int | None = None  # None: no pane could be closed yet
    evaluated_ms: int | None = None  # wall time of the last evaluation
    evaluated_event_ms: int | None = None  # the event time that it was made for
    open_panes: int = 0
    segments_reference: int = 0
    segments_new: int = 0
    segments_limit: int = 0
    remembered_ids: int = 0
    memory: Memory = field(default_factory=Memory)
    river: tuple[RiverAlarms, ...] = ()
    labels: LabelsView | None = None  # None: the model has no labels
    review: tuple[Item, ...] = ()  # newest items to look at by hand, oldest first
    review_items: Mapping[tuple[Kind, Reason], int] | None = None  # drawn so far; None: none are to be drawn
    controls: int = 0  # operators' decisions that were applied
    retraining: RetrainingView | None = None  # None: no policy is configured
    canary: bool = False  # whether a canary test is configured
    detection: tuple[WatchView, ...] = ()  # streams of each version with a reference; empty: detection is switched off

    @property
    def complete(self) -> bool:
        """Whether this process sees every partition of the topic."""
        return 0 < self.partitions_in_topic == len(self.partitions)

    @property
    def topics(self) -> tuple[ModelView | LabelsView, ...]:
        """How far the reading of each of the model's topics is."""
        return (self,) if self.labels is None else (self, self.labels)

    @property
    def lag_messages(self) -> int | None:
        """Unread messages over the owned partitions; None when that of any is not known."""
        lags = [partition.lag_messages for partition in self.partitions]
        return None if not lags or None in lags else sum(lag for lag in lags if lag is not None)


@dataclass(frozen=True, slots=True)
class DrillView:
    """What came of a planted drift in the newest fire drill."""

    model: str
    drift: str
    caught: bool
    triggered: bool
    events: int  # predictions of the traffic with the drift in it
    delay_events: int | None = None  # predictions from the drift to its first alarm; None: there was none
    delay_ms: int | None = None  # event time, likewise


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the process at one turn of its loop.

    ``verdicts`` holds the newest verdicts of each model, version and window. Pass on the same tuple until the next
    evaluation: the drift metrics are rendered once for each tuple.
    """

    taken_ms: int  # wall time; also the sign of life that /healthz looks at
    started_ms: int
    program_version: str
    phase: Phase = Phase.STARTING
    models: tuple[ModelView, ...] = ()
    verdicts: tuple[Verdicts, ...] = ()
    labels: tuple[LabelsEvaluated, ...] = ()  # the newest of each model that has labels
    committed_ms: int | None = None
    unsaved: str | None = None  # why the last commit failed; None when it did not
    unreachable: str = ""  # why no broker can be reached; "" while one can
    rebuilding_since_ms: int | None = None  # lost state is being rebuilt from the log; None when caught up
    drills: tuple[DrillView, ...] = ()  # of the newest fire drill
    drilled_ms: int | None = None  # wall time at which it ended
    notices: tuple[str, ...] = ()  # what an operator must know, such as an older epoch that had to be used

    def model(self, name: str) -> ModelView | None:
        """The model of that name."""
        return next((model for model in self.models if model.name == name), None)
