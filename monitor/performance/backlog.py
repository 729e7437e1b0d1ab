"""The failure-mode backlog: what is known of each mode over time, moved by evidence and by what operators decide.

    open ──assign──▶ assigned ──plan_fix──▶ fixed_by a version ──evidence──▶ closed ──evidence──▶ reopened ──▶ as open

Evidence opens a mode when its rate lies above the reference's (or above 0, without one) beyond what chance makes of any of all modes
(``Mode.certain``): thousands are looked at, every pane. It closes it

    by another version   whose interval lies wholly below that of the version the mode was last seen in
    by the same version  whose interval lies wholly below the one at its opening, and no longer above the reference

and reopens it when the interval of any version but the one that was replaced lies wholly above the one at which it was closed, and above
the reference. So a word that something is
fixed closes nothing; and too little data moves nothing. Everything is a pure function of states, evidence and event time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from monitor.performance.failure_modes import FailureModes, Key, Mode, mode_id

SAMPLE_IDS = 5


class ModeStatus(Enum):
    """Where a mode stands."""

    OPEN = "open"
    ASSIGNED = "assigned"
    FIXED_BY = "fixed_by"  # a version is to fix it, ``fix_version``; evidence is awaited
    CLOSED = "closed"
    REOPENED = "reopened"


@dataclass(frozen=True)
class ModeState:
    """One mode of the backlog."""

    key: Key
    status: ModeStatus
    first_seen_ms: int  # event time
    changed_ms: int  # event time of the last change of status
    version: str  # in which it was last seen above the reference
    opened: tuple[float, float]  # interval of its rate when it was opened or reopened
    seen: tuple[float, float]  # and when it was last seen in ``version``
    owner: str | None = None
    fix_version: str | None = None
    closed: tuple[float, float] | None = None  # interval at which it was closed
    closed_by: str | None = None  # version whose evidence closed it
    sample_ids: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """See ``failure_modes.mode_id``."""
        return mode_id(self.key)


Backlog = Mapping[str, ModeState]
"""Mode id to state."""


def assign(state: ModeState, owner: str, now_ms: int) -> ModeState:
    """An operator takes the mode on; a closed one stays closed."""
    if state.status in (ModeStatus.OPEN, ModeStatus.REOPENED):
        return replace(state, owner=owner, status=ModeStatus.ASSIGNED, changed_ms=now_ms)
    return replace(state, owner=owner)


def plan_fix(state: ModeState, version: str, now_ms: int) -> ModeState:
    """A version is to fix the mode. Raises ``ValueError`` when it is closed: nothing is left to fix."""
    if state.status is ModeStatus.CLOSED:
        raise ValueError(f"expected an open failure mode, got {state.id}, which evidence has closed")
    return replace(state, fix_version=version, status=ModeStatus.FIXED_BY, changed_ms=now_ms)


def advance(backlog: Backlog, modes: FailureModes, version: str, now_ms: int, *, min_labelled: int, limit: int) -> dict[str, ModeState]:
    """The backlog after the evidence of a window of ``version``.

    New modes are opened from those that cost most; at most ``limit`` modes are kept, of which those closed longest ago go first.
    """
    after = dict(backlog)
    for id_, state in backlog.items():
        mode = modes.mode(state.key)
        if mode is not None and mode.labelled >= min_labelled:
            after[id_] = _moved(state, mode, version, now_ms)
    for mode in modes.ranked(limit):
        if mode.id not in after and mode.labelled >= min_labelled and mode.certain:
            interval = (mode.low, mode.high)
            after[mode.id] = ModeState(mode.key, ModeStatus.OPEN, now_ms, now_ms, version, interval, interval)
    if len(after) <= limit:
        return after
    kept = sorted(after.values(), key=lambda state: (state.status is ModeStatus.CLOSED, -state.changed_ms, state.id))[:limit]
    return {state.id: state for state in kept}


def _moved(state: ModeState, mode: Mode, version: str, now_ms: int) -> ModeState:
    interval, above = (mode.low, mode.high), mode.excess_low > 0
    if state.status is ModeStatus.CLOSED:
        # The version that failed may still serve beside the one that does not: that it fails is known.
        known = version == state.version != state.closed_by
        if not known and state.closed is not None and mode.low > state.closed[1] and mode.certain:
            return replace(
                state, status=ModeStatus.REOPENED, changed_ms=now_ms, version=version, opened=interval, seen=interval, fix_version=None,
                closed=None, closed_by=None, sample_ids=(),  # those of before it was closed show nothing of it now
            )  # fmt: skip
        return state
    lower = mode.high < state.seen[0] if version != state.version else mode.high < state.opened[0] and not above
    if lower:
        return replace(state, status=ModeStatus.CLOSED, changed_ms=now_ms, closed=interval, closed_by=version)
    # Evidence of the version it was seen in is kept fresh; another version becomes that one only once it shows the failure too.
    if above and (version == state.version or state.fix_version is None):
        return replace(state, version=version, seen=interval)
    return state


def with_samples(state: ModeState, ids: Iterable[str]) -> ModeState:
    """Some ids of the mode's rows: those whose hash is least, so that the order in which they came means nothing."""
    every = set(state.sample_ids) | set(ids)
    return replace(state, sample_ids=tuple(sorted(every, key=_rank)[:SAMPLE_IDS]))


def without_samples(state: ModeState, ids: Iterable[str]) -> ModeState:
    """The ids taken out whose label was restated."""
    gone = set(ids)
    return replace(state, sample_ids=tuple(id_ for id_ in state.sample_ids if id_ not in gone))


def _rank(id_: str) -> bytes:
    return hashlib.sha256(id_.encode(errors="surrogatepass")).digest()
