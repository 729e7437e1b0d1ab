"""What came of an attempt to start, in words that leave no doubt about what may have happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from monitor.hook.target.config import Retry
from monitor.hook.template import Fields


@dataclass(frozen=True, slots=True)
class Started:
    """The target has it."""

    reason: str  # accepted, already_there, found, exit_0, confirmed
    answer: str = ""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Nothing was started, for sure; it is worth another attempt."""

    reason: str
    answer: str = ""
    wait_ms: int = 0  # at least; 0: no wish


@dataclass(frozen=True, slots=True)
class Unsure:
    """It may have been started, or may still be."""

    reason: str
    answer: str = ""
    running: bool = False  # it is known to be under way: look again, however long it takes


@dataclass(frozen=True, slots=True)
class Failed:
    """No further attempt is worth while. ``may_have_started``: something ran, or may have; it counts for cooldown and daily maximum."""

    reason: str
    answer: str = ""
    may_have_started: bool = False


Outcome = Started | NotTaken | Unsure | Failed


@dataclass(frozen=True, slots=True)
class Rendered:
    """What is to be sent or run, without secrets, as it stands in the ledger; ``note`` says what had to be left out."""

    request: Mapping[str, Any]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """Which start it is: the same at each attempt. ``release`` counts how often an operator asked for it again."""

    trigger_id: str
    run_id: str
    release: int


class Target(Protocol):
    """Something that can be started. ``start`` and ``find`` return within the time that the configuration gives."""

    kind: str
    when_unsure: Literal["stop", "ask", "repeat"]
    retry: Retry

    def render(self, fields: Fields) -> Rendered:
        """What would be started; reads no secret and touches nothing."""

    def start(self, request: Mapping[str, Any], key: Key) -> Outcome:
        """One attempt."""

    def find(self, request: Mapping[str, Any], key: Key) -> Outcome:
        """After an attempt without a clear outcome: ``NotTaken`` when nothing is there. Only asked with ``when_unsure: ask``."""
