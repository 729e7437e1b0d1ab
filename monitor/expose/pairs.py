"""What the status page shows: pairs of signal and segment, each with its windows, worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.evaluate.verdict import Status, Verdicts
from monitor.expose.findings import Float64, conclude, urgencies
from monitor.segment import ALL

Key = tuple[str, str, str]
"""Version, segment and signal."""


@dataclass(frozen=True, eq=False, slots=True)
class Comparison:
    """One signal of one segment in one window; ``leading`` is the statistic that is furthest beyond its threshold."""

    verdicts: Verdicts
    segment: int
    signal: int
    leading: int
    urgency: float

    @property
    def status(self) -> Status:
        """What the statistics come to."""
        return Status(int(conclude(self.verdicts.status[self.segment, self.signal], axis=0)))

    @property
    def value(self) -> float:
        """Value of the leading statistic."""
        return float(self.verdicts.value[self.segment, self.signal, self.leading])

    @property
    def threshold(self) -> float:
        """Threshold of the leading statistic."""
        return float(self.verdicts.threshold[self.signal, self.leading])

    @property
    def ratio(self) -> float:
        """Value over threshold; NaN where undefined."""
        return abs(self.value) / self.threshold if self.threshold > 0 else float("nan")

    @property
    def statistic(self) -> str:
        """Name of the leading statistic."""
        return self.verdicts.statistics[self.leading]

    @property
    def drifted(self) -> int:
        """How many statistics are drifted."""
        return int((self.verdicts.status[self.segment, self.signal] == Status.DRIFTED).sum())

    @property
    def judged(self) -> int:
        """How many statistics were judged."""
        status = self.verdicts.status[self.segment, self.signal]
        return int(((status == Status.DRIFTED) | (status == Status.STABLE)).sum())

    @property
    def since_ms(self) -> int | None:
        """Event time since which any statistic has been drifted; None when none is."""
        since = self.verdicts.since_ms[self.segment, self.signal]
        known = since[(self.verdicts.status[self.segment, self.signal] == Status.DRIFTED) & (since >= 0)]
        return int(known.min()) if len(known) else None


@dataclass(frozen=True, eq=False, slots=True)
class Pair:
    """One signal of one segment of one model version, in all its windows."""

    version: str
    segment: str
    signal: str
    windows: tuple[Comparison, ...]  # as configured: short, long

    @property
    def worst(self) -> Comparison:
        """The window that is furthest beyond its threshold."""
        return max(self.windows, key=lambda comparison: comparison.urgency)


@dataclass(frozen=True, eq=False, slots=True)
class SignalPairs:
    """The drifted pairs of one signal: its worst, and how many there are."""

    signal: str
    pairs: tuple[Pair, ...]
    total: int


def worst_by_signal(verdicts: Sequence[Verdicts], most: int) -> list[SignalPairs]:
    """Each signal that drifted anywhere in one model, the worst first, with at most ``most`` of its pairs.

    What the whole traffic does comes first: the segments may only repeat it.
    """
    all_urgent = [urgencies(one) for one in verdicts]
    found: dict[str, dict[Key, float]] = {}
    for one, urgent in zip(verdicts, all_urgent, strict=True):
        best = urgent.max(axis=2, initial=0.0)
        for key, place in drifted_keys(one):
            of_signal = found.setdefault(key[2], {})
            of_signal[key] = max(of_signal.get(key, 0.0), float(best.flat[place]))
    groups = []
    for signal, urgent_pairs in sorted(found.items(), key=lambda item: (-max(item[1].values()), item[0])):
        keys = sorted(urgent_pairs, key=lambda key: (key[1] != ALL, -urgent_pairs[key], key))[:most]
        groups.append(SignalPairs(signal, tuple(_pair(key, verdicts, all_urgent) for key in keys), len(urgent_pairs)))
    return groups


def worst_pairs(
    verdicts: Sequence[Verdicts], limit: int, *, segment: str | None = None, signal: str | None = None
) -> tuple[list[Pair], int]:
    """At most ``limit`` pairs of one model, drifted or not, worst first, and how many there are. ``segment`` and ``signal`` choose one."""
    all_urgent = [urgencies(one) for one in verdicts]
    found: dict[Key, float] = {}
    everything: set[Key] = set()
    for one, urgent in zip(verdicts, all_urgent, strict=True):
        best = urgent.max(axis=2, initial=0.0)
        wanted = np.ones(best.shape, bool)
        wanted &= np.array([segment in (None, name) for name in one.segments], bool)[:, None]
        wanted &= np.array([signal in (None, name) for name in one.signals], bool)[None, :]
        places = np.flatnonzero(wanted)
        everything |= {_key(one, place) for place in places.tolist()}
        order = np.argsort(-best.ravel()[places], kind="stable")[:limit]
        for place in places[order].tolist():
            key = _key(one, place)
            found[key] = max(found.get(key, 0.0), float(best.ravel()[place]))
    keys = sorted(found, key=lambda key: (-found[key], key))[:limit]
    return [_pair(key, verdicts, all_urgent) for key in keys], len(everything)


def drifted_keys(one: Verdicts) -> Iterator[tuple[Key, int]]:
    """Each pair with a statistic that drifted in one window, and its place in [segments, signals]."""
    return ((_key(one, place), place) for place in np.flatnonzero(one.drifted().any(axis=2)).tolist())


def _key(one: Verdicts, place: int) -> Key:
    s, f = divmod(place, len(one.signals))
    return one.version, one.segments[s], one.signals[f]


def _pair(key: Key, verdicts: Sequence[Verdicts], all_urgent: Sequence[Float64]) -> Pair:
    version, segment, signal = key
    windows = []
    for one, urgent in zip(verdicts, all_urgent, strict=True):
        s = one.table.index.get(segment)
        if one.version == version and s is not None and signal in one.signals:
            f = one.signals.index(signal)
            k = int(urgent[s, f].argmax())
            windows.append(Comparison(one, s, f, k, float(urgent[s, f, k])))
    return Pair(version, segment, signal, tuple(windows))
