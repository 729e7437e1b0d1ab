"""Watches: how long a condition has held at one segment.

With ``evaluations: 2, of: 3`` (o beyond the limit, . between the levels, c clear, blank unknown):

    votes   c  o  c  c  c  o  o  o  .  .  c  o  c
    state   -  p  p  p  -  p  A  A  A  A  A  A  -        p: pending, A: active
                           └ onset, once active  └ two of three clear

Unknown evaluations are no votes: they neither add to a condition nor end it.
"""

from __future__ import annotations

from msgspec import Struct

from monitor.config.retraining import Persistence
from monitor.decide.reading import Reading, Vote


class Cast(Struct, frozen=True):
    """One vote."""

    event_ms: int
    vote: Vote
    since_ms: int  # where what it rests on begins


class Watch(Struct, frozen=True):
    """A condition at one segment that holds, or is about to."""

    latest: Reading  # the newest that is known
    event_ms: int  # of the newest
    votes: tuple[Cast, ...]  # oldest first: those that still count
    active: bool = False
    onset_ms: int | None = None  # event time of the first vote beyond the limit in this episode
    since_ms: int | None = None  # where what that vote rests on begins: data from then on is of the new kind

    @property
    def began_ms(self) -> int:
        """Onset of the episode; while pending, of the oldest vote beyond the limit."""
        return self.onset_ms if self.onset_ms is not None else next(cast.event_ms for cast in self.votes if cast.vote == Vote.OVER)


def vote(watch: Watch | None, reading: Reading, event_ms: int, persistence: Persistence) -> Watch | None:
    """The watch after one more reading; None when there is nothing to watch any more."""
    cast = Cast(event_ms, reading.vote, event_ms if reading.since_ms is None else min(reading.since_ms, event_ms))
    votes = (*(watch.votes if watch else ()), cast)
    active, onset_ms, since_ms = (watch.active, watch.onset_ms, watch.since_ms) if watch else (False, None, None)
    if not active:
        votes = _pending(votes, persistence)
        over = [each for each in votes if each.vote == Vote.OVER]
        if not over:
            return None
        if reading.vote == Vote.OVER and _held(over, event_ms, persistence):
            active, onset_ms, since_ms, votes = True, over[0].event_ms, over[0].since_ms, ()
    else:
        votes = _clearing(votes, persistence)
        if _held([each for each in votes if each.vote == Vote.CLEAR], event_ms, persistence):
            return None
    return Watch(reading, event_ms, votes, active, onset_ms, since_ms)


def _pending(votes: tuple[Cast, ...], persistence: Persistence) -> tuple[Cast, ...]:
    """The votes that count towards the condition."""
    if persistence.lasting_ms is None:
        return votes[-persistence.window :]
    if votes[-1].vote == Vote.CLEAR:
        return ()
    return votes[:1] if votes[0].vote == Vote.OVER else votes[-1:]  # the run began with its first vote


def _clearing(votes: tuple[Cast, ...], persistence: Persistence) -> tuple[Cast, ...]:
    """The votes that count towards its end."""
    if persistence.lasting_ms is None:
        return votes[-persistence.window :]
    return () if votes[-1].vote != Vote.CLEAR else votes[:1]


def _held(casts: list[Cast], event_ms: int, persistence: Persistence) -> bool:
    """Whether these votes are enough."""
    if persistence.lasting_ms is None:
        return len(casts) >= (persistence.evaluations or 1)
    return bool(casts) and event_ms - casts[0].event_ms >= persistence.lasting_ms
