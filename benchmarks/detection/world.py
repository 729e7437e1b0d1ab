"""Streams with known truth: features of five shapes in segments, what can go wrong with them, and what only looks like it.

Rows can be drawn as values, for anything that reads events, or as counts of cells from their exact shares, which makes 10^8 events cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from monitor.detect.rows import Events

Float64 = NDArray[np.float64]
DAY_MS = 86_400_000
START_MS = 1_700_006_400_000  # a Wednesday, 00:00 UTC
PER_DAY = 50_000

_LOGNORMAL_MEAN = float(np.exp(0.5))
_LOGNORMAL_SD = float(np.sqrt((np.e - 1) * np.e))


@dataclass(frozen=True)
class Shape:
    """A distribution with mean 0 and standard deviation 1."""

    name: str
    draw: Callable[[np.random.Generator, int], Float64]
    cdf: Callable[[Float64], Float64]


def _two_humps(x: Float64) -> Float64:
    y = x * np.sqrt(5.0)
    return np.asarray((stats.norm.cdf(y - 2) + stats.norm.cdf(y + 2)) / 2)


SHAPES = (
    Shape("normal", lambda r, n: r.normal(size=n), stats.norm.cdf),
    Shape(
        "lognormal",
        lambda r, n: (np.exp(r.normal(size=n)) - _LOGNORMAL_MEAN) / _LOGNORMAL_SD,
        lambda x: stats.lognorm.cdf(x * _LOGNORMAL_SD + _LOGNORMAL_MEAN, 1.0),
    ),
    Shape("t5", lambda r, n: r.standard_t(5, n) / np.sqrt(5 / 3), lambda x: stats.t.cdf(x * np.sqrt(5 / 3), 5)),
    Shape("bimodal", lambda r, n: (np.where(r.random(n) < 0.5, -2, 2) + r.normal(size=n)) / np.sqrt(5), _two_humps),
    Shape("gamma", lambda r, n: (r.gamma(2.0, 1.0, n) - 2) / np.sqrt(2), lambda x: stats.gamma.cdf(x * np.sqrt(2) + 2, 2.0)),
)

CATEGORIES = tuple("abcdefgh")
CATEGORY_SHARES = np.array([0.30, 0.20, 0.15, 0.12, 0.10, 0.07, 0.04, 0.02])
NEW = "new"


@dataclass(frozen=True)
class Drift:
    """What happens to one feature (or the errors): all at once at the change, or growing over ``over`` events."""

    kind: str  # shift, spread, tail, exchange, new, missing, error
    size: float
    feature: str = "x0"
    segment: int | None = None  # None: everywhere
    over: int = 0

    def grown(self, events: float) -> Drift:
        """The drift so many events after its start."""
        return self if not self.over else replace(self, size=self.size * min(events / self.over, 1.0), over=0)


@dataclass(frozen=True, eq=False)
class World:
    """``numeric`` features x0, x1, … of the five shapes in turn, ``categorical`` ones c0, …, a score, ``segments`` of unequal size."""

    numeric: int = 15
    categorical: int = 5
    segments: int = 20
    shapes: tuple[int, ...] = (0, 1, 2, 3, 4)
    missing: float = 0.01
    wrong: float = 0.05
    offset: float = 0.3  # standard deviation of the segments' means
    per_day: int = PER_DAY
    cycle: float = 0.0  # amplitude of a daily cycle of the means, in standard deviations, and of the traffic in parts
    seed: int = 0
    shares: Float64 = field(init=False)
    means: Float64 = field(init=False)  # [segments, numeric]
    tilts: Float64 = field(init=False)  # [segments, categorical, categories] shares

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        rest = np.linspace(1.0, 3.0, max(self.segments - 1, 0))
        shares = np.concatenate([[0.02], 0.98 * rest / rest.sum()]) if self.segments > 1 else np.ones(1)
        object.__setattr__(self, "shares", shares)
        object.__setattr__(self, "means", self.offset * rng.normal(size=(self.segments, self.numeric)))
        tilts = CATEGORY_SHARES * np.exp(self.offset * rng.normal(size=(self.segments, self.categorical, len(CATEGORIES))))
        object.__setattr__(self, "tilts", tilts / tilts.sum(axis=2, keepdims=True))

    def shape(self, feature: int) -> Shape:
        """Shape of a numeric feature."""
        return SHAPES[self.shapes[feature % len(self.shapes)]]

    # --- rows ---------------------------------------------------------------------------------------------------------------

    def times(self, n: int, start_ms: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """[n] times of a Poisson stream, with the daily cycle if there is one."""
        gaps = rng.exponential(DAY_MS / self.per_day, n)
        steady = start_ms + np.cumsum(gaps)
        if not self.cycle:
            return np.asarray(steady, np.int64)
        # Time runs slower when traffic is high: the inverse of t + a sin(2 pi t) / (2 pi), by a few fixed-point steps.
        amplitude = min(self.cycle, 0.7)
        t = steady.copy()
        for _ in range(30):
            t = steady - amplitude * DAY_MS / (2 * np.pi) * np.sin(2 * np.pi * t / DAY_MS)
        return np.maximum.accumulate(np.asarray(t, np.int64))

    def events(self, n: int, start_ms: int, rng: np.random.Generator, drift: Drift | None = None, **changes: Any) -> Events:
        """n rows from ``start_ms`` on. ``changes``: ``shares`` of the segments, ``session`` mean number of alike rows in a row."""
        shares = changes.get("shares", self.shares)
        times = self.times(n, start_ms, rng)
        segment = rng.choice(self.segments, n, p=shares)
        session = np.arange(n)
        if changes.get("session"):
            # A session: one user, one segment, the same features in all its rows, which come in a burst.
            size = float(changes["session"])
            starts = np.concatenate([[True], rng.random(n - 1) < 1.0 / size]) if n else np.zeros(0, bool)
            session = np.cumsum(starts) - 1
            segment = segment[np.flatnonzero(starts)][session]
            first = np.flatnonzero(starts)
            times = times[first][session] + (np.arange(n) - first[session]) * 2_000
        grown = np.arange(n, dtype=np.float64)
        phase = self.cycle * np.sin(2 * np.pi * (times % DAY_MS) / DAY_MS)
        features: dict[str, Any] = {}
        for j in range(self.numeric):
            x = self.shape(j).draw(rng, n)[session]
            if drift is not None and drift.feature == f"x{j}":
                x = _drifted(x, drift, grown, segment, rng)
            x = x + self.means[segment, j] + phase
            x[(rng.random(n) < self._missing(drift, f"x{j}", segment))[session]] = np.nan
            features[f"x{j}"] = x
        for j in range(self.categorical):
            p = self._category_shares(j, drift)
            below = np.cumsum(p, axis=1)[segment]
            code = (rng.random(n)[session][:, None] > below[:, :-1]).sum(axis=1)
            column = np.array([*CATEGORIES, NEW], object)[code]
            column[(rng.random(n) < self._missing(drift, f"c{j}", segment))[session]] = None
            features[f"c{j}"] = column
        shift = drift.size if drift is not None and drift.feature == "score" else 0.0
        score = 1.0 / (1.0 + np.exp(-(1.5 * rng.normal(size=n)[session] - 1.0 + shift)))
        names = np.array([f"s{s:02d}" for s in range(self.segments)], object)
        return Events(times, features, {"segment": names[segment]}, score, ids=np.arange(n))

    def _missing(self, drift: Drift | None, feature: str, segment: NDArray[np.intp]) -> Float64:
        if drift is None or drift.kind != "missing" or drift.feature != feature:
            return np.full(len(segment), self.missing)
        return np.where((drift.segment is None) | (segment == drift.segment), drift.size, self.missing)

    def _category_shares(self, j: int, drift: Drift | None) -> Float64:
        p = np.concatenate([self.tilts[:, j], np.zeros((self.segments, 1))], axis=1)
        if drift is None or drift.feature != f"c{j}":
            return p
        hit = [drift.segment] if drift.segment is not None else list(range(self.segments))
        if drift.kind == "new":
            p[hit] *= 1.0 - drift.size
            p[hit, -1] += drift.size
        elif drift.kind == "exchange":  # from the first to the sixth category
            moved = np.minimum(drift.size, 0.9 * p[hit, 0])
            p[hit, 0] -= moved
            p[hit, 5] += moved
        return p

    # --- shares of cells, exactly -------------------------------------------------------------------------------------------

    def cell_shares(self, layout: Any, drift: Drift | None = None, phase: float = 0.0) -> list[Float64]:
        """Per signal [segments, cells] exact shares, for ``phase`` added to every mean."""
        return [self.signal_shares(signal, drift, phase) for signal in layout.signals]

    def signal_shares(self, signal: Any, drift: Drift | None = None, phase: float = 0.0) -> Float64:
        """[segments, cells] of one signal."""
        mine = drift if drift is not None and drift.feature == signal.name else None
        if signal.name == "score":
            logits = np.log(np.array(signal.edges) / (1 - np.array(signal.edges)))
            below = stats.norm.cdf((logits + 1.0 - (mine.size if mine else 0.0)) / 1.5)[None].repeat(self.segments, axis=0)
            return np.concatenate([np.zeros((self.segments, 3)), _cells(below)], axis=1)
        if signal.name == "predicted_class":
            positive = 1 - stats.norm.cdf(1.0 / 1.5)
            found = np.zeros((self.segments, signal.cells))
            found[:, 3 + signal.categories.index("1")], found[:, 3 + signal.categories.index("0")] = positive, 1 - positive
            return found
        j = int(signal.name[1:])
        missing = np.full(self.segments, self.missing)
        if mine is not None and mine.kind == "missing":
            missing = np.where((mine.segment is None) | (np.arange(self.segments) == mine.segment), mine.size, missing)
        if signal.kind == "numeric":
            edges = np.array(signal.edges)[None] - self.means[:, j : j + 1] - phase
            values = _cells(_drifted_cdf(self.shape(j).cdf, edges, mine, self.segments))
        else:
            p = self._category_shares(j, mine)
            values = np.zeros((self.segments, signal.cells - 3))
            for place, cell in enumerate(signal.cells_of_categories((*CATEGORIES, NEW))):
                values[:, cell - 3] += p[:, place]
        faults = np.zeros((self.segments, 3))
        faults[:, 0] = missing
        return np.concatenate([faults, values * (1.0 - missing[:, None])], axis=1)


def _cells(below: Float64) -> Float64:
    ends = np.zeros((len(below), 1))
    return np.maximum(np.diff(np.concatenate([ends, below, ends + 1.0], axis=1), axis=1), 0.0)


def _drifted(x: Float64, drift: Drift, grown: Float64, segment: NDArray[np.intp], rng: np.random.Generator) -> Float64:
    size = drift.size * (np.minimum(grown / drift.over, 1.0) if drift.over else 1.0)
    changed = x
    if drift.kind == "shift":
        changed = x + size
    elif drift.kind == "spread":
        changed = x * size
    elif drift.kind == "tail":
        changed = np.where(rng.random(len(x)) < size, x + 4.0, x)
    return changed if drift.segment is None else np.where(segment == drift.segment, changed, x)


def _drifted_cdf(cdf: Callable[[Float64], Float64], edges: Float64, drift: Drift | None, segments: int) -> Float64:
    plain = cdf(edges)
    if drift is None or drift.kind == "missing":
        return plain
    if drift.kind == "shift":
        changed = cdf(edges - drift.size)
    elif drift.kind == "spread":
        changed = cdf(edges / drift.size)
    else:
        changed = (1 - drift.size) * plain + drift.size * cdf(edges - 4.0)
    if drift.segment is None:
        return changed
    return np.where(np.arange(segments)[:, None] == drift.segment, changed, plain)
