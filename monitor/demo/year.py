"""When each signal was over its threshold, from looks at the monitor's verdicts while the events streamed by. Pure.

    verdict seen at T, drifted since S        over during [S, T]
    the next look, at U > T                   over until U only if a verdict of then goes back so far

The monitor says exactly since when; that something ended is known only from the look after, so an end may lie up to one look
later, and what began and ended between two looks was not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.demo.answers import Verdict

Period = tuple[datetime, datetime]

_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Look:
    """The drifted verdicts of one evaluation: those of one segment, and those about shares of traffic."""

    at: datetime  # event time of the evaluation: the end of its windows
    drifted: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """One signal (or one segment's share) over the year."""

    name: str
    over: tuple[Period, ...]  # disjoint, in order
    peak: Verdict
    weeks: tuple[float, ...]  # how many times the threshold at most, by week since the first look; 0: not over

    @property
    def longest(self) -> Period:
        """The longest stretch over the threshold."""
        return max(self.over, key=lambda period: period[1] - period[0])


def name_of(verdict: Verdict) -> str:
    """The signal, or which segment's share."""
    return verdict.signal if verdict.signal is not None else f"share of {verdict.segment}"


def timelines(looks: Sequence[Look], window: str) -> list[Timeline]:
    """One timeline for each signal that was over its threshold in the window of that name; the highest peak first."""
    if not looks:
        return []
    seen: dict[str, list[tuple[datetime, Verdict]]] = {}
    for look in looks:
        for verdict in look.drifted:
            if verdict.window == window and verdict.since is not None:
                seen.setdefault(name_of(verdict), []).append((look.at, verdict))
    first, last = looks[0].at, looks[-1].at
    found = []
    for name, verdicts in seen.items():
        over = merge((datetime.fromisoformat(verdict.since or ""), at) for at, verdict in verdicts)
        peak = max((verdict for _, verdict in verdicts), key=lambda verdict: verdict.times)
        found.append(Timeline(name, over, peak, _weeks(verdicts, over, first, last)))
    return sorted(found, key=lambda timeline: (-timeline.peak.times, timeline.name))


def merge(periods: Iterable[Period]) -> tuple[Period, ...]:
    """The union of periods as disjoint ones in order.

    >>> day = lambda number: datetime(2013, 3, number)
    >>> [(a.day, b.day) for a, b in merge([(day(5), day(6)), (day(1), day(2)), (day(1), day(3)), (day(3), day(4))])]
    [(1, 4), (5, 6)]
    """
    merged: list[Period] = []
    for start, end in sorted(periods):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def week_starts(first: datetime, last: datetime) -> list[datetime]:
    """Where the weeks begin that are drawn."""
    return [first + _WEEK * number for number in range((last - first) // _WEEK + 1)]


def _weeks(verdicts: Sequence[tuple[datetime, Verdict]], over: Sequence[Period], first: datetime, last: datetime) -> tuple[float, ...]:
    weeks = []
    for start in week_starts(first, last):
        highest = max((verdict.times for at, verdict in verdicts if start <= at < start + _WEEK), default=0.0)
        # Over, by what a later look said, though nobody looked in that week: by how much is not known, at least the threshold.
        unseen = any(a < start + _WEEK and start <= b for a, b in over)
        weeks.append(highest or float(unseen))
    return tuple(weeks)
