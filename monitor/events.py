"""What the monitor reports about itself: a noun and a past-tense verb, as frozen records.

An event is emitted once per batch, window or commit, never per row. A field holds a number, a short text or a tuple of
these: no configuration, no payload and no foreign error text, and so no secret.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. Its fields are what the line says."""

    level: ClassVar[int] = logging.INFO


@dataclass(frozen=True, slots=True)
class ServerStarted(Event):
    """The HTTP server listens."""

    address: str
    authentication: str  # none, bearer, basic or both


@dataclass(frozen=True, slots=True)
class CredentialsFailed(Event):
    """A configured secret of the HTTP server cannot be read; every protected request is refused."""

    level: ClassVar[int] = logging.ERROR
    reason: str


@dataclass(frozen=True, slots=True)
class RequestFailed(Event):
    """Answering an HTTP request raised; a bug."""

    level: ClassVar[int] = logging.ERROR
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReferenceLoaded(Event):
    """A reference file was read and its fingerprint checked."""

    model: str
    version: str
    fingerprint: str
    rows: int


@dataclass(frozen=True, slots=True)
class PartitionsAssigned(Event):
    """Partitions came to this process."""

    topic: str
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PartitionsRevoked(Event):
    """Partitions are about to move; their state was saved."""

    topic: str
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PartitionsLost(Event):
    """Partitions went to another process before their state could be saved here."""

    level: ClassVar[int] = logging.WARNING
    topic: str
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OffsetsLost(Event):
    """The log no longer has the saved offset, or does not have it yet."""

    level: ClassVar[int] = logging.WARNING
    topic: str
    partition: int
    wanted: int
    resumed: int


@dataclass(frozen=True, slots=True)
class SourceReconnected(Event):
    """A connection to the broker was lost and made again."""

    level: ClassVar[int] = logging.WARNING
    reason: str


@dataclass(frozen=True, slots=True)
class SourceFailed(Event):
    """Reading failed in a way that does not heal by itself."""

    level: ClassVar[int] = logging.ERROR
    reason: str


@dataclass(frozen=True, slots=True)
class PartitionsShared(Event):
    """Reading ended while other members of the group own partitions: what they hold was not read here."""

    level: ClassVar[int] = logging.WARNING
    partitions: int


@dataclass(frozen=True, slots=True)
class SourceFinished(Event):
    """Everything was read, and nothing more is awaited."""

    messages: int  # of predictions and of labels


@dataclass(frozen=True, slots=True)
class MessagesRejected(Event):
    """Messages of one batch that yield no row."""

    level: ClassVar[int] = logging.WARNING
    model: str
    reason: str
    messages: int
    example: str  # topic, partition and offset of the first


@dataclass(frozen=True, slots=True)
class DeadLettersDelivered(Event):
    """Rejected messages are in the dead-letter topic."""

    level: ClassVar[int] = logging.DEBUG
    model: str
    messages: int


@dataclass(frozen=True, slots=True)
class DeadLettersFailed(Event):
    """Rejected messages could not be delivered to the dead-letter topic."""

    level: ClassVar[int] = logging.ERROR
    model: str
    messages: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReadingPaused(Event):
    """So many messages wait for their topic to take them that nothing more is read until it does."""

    level: ClassVar[int] = logging.ERROR
    messages: int


@dataclass(frozen=True, slots=True)
class ReadingResumed(Event):
    """They were taken, and reading goes on."""


@dataclass(frozen=True, slots=True)
class IdsEvicted(Event):
    """Ids were forgotten before their horizon; their repeats would count again."""

    level: ClassVar[int] = logging.WARNING
    model: str
    ids: int


@dataclass(frozen=True, slots=True)
class SegmentsFolded(Event):
    """Rows whose segment had no room went to ``__other__``."""

    level: ClassVar[int] = logging.WARNING
    model: str
    rows: int


@dataclass(frozen=True, slots=True)
class WindowsEvaluated(Event):
    """All windows and versions of one model were compared with their references."""

    level: ClassVar[int] = logging.DEBUG  # history has one for each pane
    model: str
    event_time_ms: int
    duration_seconds: float
    drifted_signals: int  # over all segments
    judged_signals: int


@dataclass(frozen=True, slots=True)
class StateLoaded(Event):
    """The saved state was read."""

    epoch: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StateChanged(Event):
    """The saved state goes on, in part otherwise than before, since a reference or the configuration is another one."""

    level: ClassVar[int] = logging.WARNING
    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class StateDiscarded(Event):
    """A saved epoch cannot be used; an older one, or a rebuild from the log, takes its place."""

    level: ClassVar[int] = logging.ERROR
    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class RebuildStarted(Event):
    """The state is lost and is being rebuilt from the log."""

    level: ClassVar[int] = logging.WARNING
    reason: str


@dataclass(frozen=True, slots=True)
class RebuildFinished(Event):
    """The rebuilt state has caught up."""

    duration_seconds: float


@dataclass(frozen=True, slots=True)
class StateCommitted(Event):
    """State and offsets were saved together."""

    level: ClassVar[int] = logging.DEBUG
    epoch: int
    bytes: int
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class CommitFailed(Event):
    """State and offsets could not be saved; tried again at the next commit."""

    level: ClassVar[int] = logging.ERROR
    reason: str
