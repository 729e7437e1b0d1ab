"""What a policy remembers about one model, as frozen records that are saved as JSON."""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import Struct, field

from monitor.decide.control import Accept, Ack, Hold, Rebaseline
from monitor.decide.evidence import Evidence
from monitor.decide.gate import Withheld
from monitor.decide.reading import Reason, Unknown
from monitor.decide.watch import Watch

MAX_TRIGGERS = 100
MAX_ACCEPTED = 1_000
MAX_WATCHES = 10_000
MAX_REMEMBERED = 1_000
"""Bound of each list of ids and versions: the oldest are forgotten."""


class Phase(StrEnum):
    """Where a model version, or a trigger, is."""

    QUIET = "quiet"
    PENDING = "pending"  # a condition holds, not for long enough
    WITHHELD = "withheld"  # it holds for long enough, and something stands in the way
    REQUIRED = "required"
    ACKNOWLEDGED = "acknowledged"
    SUPERSEDED = "superseded"  # a new version was seen, or a newer trigger takes its place
    EXPIRED = "expired"  # nobody answered in time (wall time): only ever shown, never part of the state


class Trigger(Struct, frozen=True):
    """One request for retraining."""

    id: str
    model: str
    version: str
    reason: Reason
    event_ms: int
    onset_ms: int
    evidence: Evidence
    phase: Phase = Phase.REQUIRED
    ack: Ack | None = None
    ended_by: str | None = None  # the version or the trigger that superseded it


class VersionPolicy(Struct, frozen=True):
    """One model version."""

    event_ms: int  # of the last decision
    as_of: dict[Reason, int] = field(default_factory=dict)  # event time of what was known about each reason
    phase: Phase = Phase.QUIET
    withheld: tuple[Withheld, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    watches: tuple[Watch, ...] = ()


class Accepted(Struct, frozen=True):
    """An acceptance, and whether the drift that it is about is over."""

    control: Accept
    reasons: tuple[Reason, ...] = ()  # of the conditions it has kept from counting
    clear: int = 0  # evaluations that found all of it clear, without a break
    clear_since_ms: int | None = None


class Baseline(Struct, frozen=True):
    """Drift that began before ``event_ms`` does not count."""

    control: Rebaseline
    event_ms: int


class PolicyState(Struct, frozen=True):
    """One model."""

    event_ms: int | None = None  # of the last decision about any version
    versions: dict[str, VersionPolicy] = field(default_factory=dict)
    first_seen_ms: dict[str, int] = field(default_factory=dict)  # event time at which a version had enough rows
    triggers: tuple[Trigger, ...] = ()  # oldest first
    triggered: dict[str, int] = field(default_factory=dict)  # how many, by reason, ever
    hold: Hold | None = None
    accepted: tuple[Accepted, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    acks: tuple[Ack, ...] = ()  # also of triggers that are not known yet: after a loss, controls may be read first
    applied: tuple[str, ...] = ()  # ids of the newest controls
    controls: int = 0  # how many were applied, ever


_DECODER = msgspec.json.Decoder(PolicyState)


def pack_policy(state: PolicyState) -> bytes:
    """The state as JSON, for the checkpoint."""
    return msgspec.json.encode(state)


def unpack_policy(data: bytes) -> PolicyState:
    """The state of ``pack_policy``. Raises ``ValueError`` for anything else."""
    return _DECODER.decode(data)
