"""Whether a trigger may start a pipeline now: a pure decision from what the ledger knows and the wall time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from monitor.config.types import format_duration
from monitor.hook.config import Policy

DAY_MS = 86_400_000


class Skipped(StrEnum):
    """Why a trigger starts nothing."""

    COOLDOWN = "cooldown"
    DAILY_MAXIMUM = "daily_maximum"


@dataclass(frozen=True, slots=True)
class Starts:
    """Starts that happened, that are under way, or that may have happened. Wall time in milliseconds.

    What surely started nothing is not among them: a target that was down must not hold the next trigger back.
    """

    last_of_model_ms: int | None
    of_all_models_ms: Sequence[int]  # at least those of the last 24 hours


@dataclass(frozen=True, slots=True)
class Skip:
    """The trigger starts nothing; ``detail`` is a sentence for the audit log."""

    reason: Skipped
    detail: str


def skip_reason(policy: Policy, starts: Starts, now_ms: int) -> Skip | None:
    """Why a trigger is skipped, or None when it may start.

    A cooldown counts from the start before it, of the same model. The daily maximum is over any 24 hours, not over a calendar
    day: two days' worth cannot happen around midnight, and no zone or daylight saving matters. A start that lies in the
    future (a clock that was set back) holds like one of this moment, until the clock has passed it.
    """
    last = starts.last_of_model_ms
    if last is not None and now_ms - last < policy.cooldown_ms:
        left = format_duration(_seconds_up(last + policy.cooldown_ms - now_ms))
        return Skip(Skipped.COOLDOWN, f"the model was last started less than {format_duration(policy.cooldown_ms)} ago; {left} are left")
    recent = sum(now_ms - start < DAY_MS for start in starts.of_all_models_ms)
    if recent >= policy.daily_maximum:
        return Skip(Skipped.DAILY_MAXIMUM, f"{recent} starts in the last 24 hours, and at most {policy.daily_maximum} are allowed")
    return None


def _seconds_up(milliseconds: int) -> int:
    return -(-milliseconds // 1_000) * 1_000
