"""Transitions: what changed in one step of a policy, for the log, the trigger topic and the pipeline."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from monitor.decide.control import Control
from monitor.decide.gate import Withheld
from monitor.decide.state import Trigger


class Change(StrEnum):
    """What happened."""

    PENDING = "pending"
    CLEARED = "cleared"
    WITHHELD = "withheld"
    REQUIRED = "required"
    ACKNOWLEDGED = "acknowledged"
    SUPERSEDED = "superseded"
    CONTROL_APPLIED = "control_applied"
    CONTROL_REFUSED = "control_refused"


class Transition(Struct, frozen=True):
    """One change of one model."""

    change: Change
    model: str
    event_ms: int | None  # of the evaluation, or of the one before a control
    version: str | None = None
    trigger: Trigger | None = None
    withheld: tuple[Withheld, ...] = ()
    control: Control | None = None
    detail: str = ""
