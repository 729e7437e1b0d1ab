"""What statistics permits: the delay of a detector that knows both distributions exactly and watches only the stream that changes.

``first_order`` is log c over the Kullback-Leibler divergence, in events of the whole stream (Lorden, 1971): what any detector with
that mean time to a false alarm needs in the limit of large c. ``oracle`` is the median delay, simulated, of the Shiryaev-Roberts
procedure at the same threshold with the true likelihood ratio, which no detector beats by more than a vanishing amount (Pollak, 1985).
It knows what ours has to find out: the reference, the direction, the size and the segment.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.detection.arrange import lags
from benchmarks.detection.delay import WARM_LABELS
from benchmarks.detection.scenario import LABEL_LAG_EVENTS, LABEL_LAG_SPREAD, SOONER, WRONG_BEFORE, Scenario, world_of
from benchmarks.detection.world import _LOGNORMAL_MEAN, _LOGNORMAL_SD, DAY_MS, SHAPES, Drift, World
from monitor.detect import budget

Float64 = NDArray[np.float64]
Row = dict[str, Any]

EVENTS, KINDS, SEGMENTS = 1e8, 46, 20  # 20 features, score and class, each values and faults; error and label rate
RUNS, WARM = 200, 1_000
_DRAWS = 400_000


def threshold(share: float | None) -> float:
    """Of a stream of the whole traffic, or of a segment with a ``share`` of it."""
    events = EVENTS * np.array([1.0, share or 1.0, 1.0 - (share or 0.0), *np.zeros(SEGMENTS - 2)])
    whole = np.arange(SEGMENTS + 1) == 0
    return float(budget.thresholds(events, whole, KINDS, 1.0)[0 if share is None else 1])


def measure(scenario: Scenario) -> list[Row]:
    """The bounds of every variant."""
    rows = []
    for number in range(len(scenario.features)):
        variant, drift = scenario.variant(number)
        rng = np.random.default_rng([7, number])
        first, median = _bounds(scenario, number, drift, rng)
        rows.append({"part": "bound", "scenario": scenario.name, "variant": variant, "first_order": first, "oracle": median})
    return rows


def _bounds(scenario: Scenario, number: int, drift: Drift, rng: np.random.Generator) -> tuple[float, float | None]:
    if scenario.outcome:
        return _labels(drift, rng)
    if drift.kind in ("exchange", "new"):
        return _categories(drift, world_of(1), rng)
    if drift.kind == "missing":
        return _rate(0.01, drift.size, rng)
    share = None if drift.segment is None else float(world_of(1).shares[drift.segment])
    c = threshold(share)
    draw = SHAPES[number].draw
    if drift.over:
        sizes = np.linspace(0.0, 0.4, 9)
        divergence = [_divergence(number, Drift("shift", size), rng) for size in sizes.tolist()]
        at = np.arange(1, drift.over)
        gained = np.cumsum(np.interp(drift.size * at / drift.over, sizes, divergence))
        return float(np.searchsorted(gained, np.log(c))), None

    def after(n: int) -> Float64:
        x = draw(rng, n)
        if drift.kind == "tail":
            return np.where(rng.random(n) < drift.size, x + 4.0, x)
        return x * drift.size if drift.kind == "spread" else x + drift.size

    median = _simulated(lambda n: _ratio(number, drift, draw(rng, n)), lambda n: _ratio(number, drift, after(n)), c)
    return np.log(c) / _divergence(number, drift, rng) / (share or 1.0), median / (share or 1.0)


def _density(number: int, x: Float64) -> Float64:
    name = SHAPES[number].name
    if name == "normal":
        return np.asarray(stats.norm.pdf(x))
    if name == "lognormal":
        return np.asarray(stats.lognorm.pdf(x * _LOGNORMAL_SD + _LOGNORMAL_MEAN, 1.0) * _LOGNORMAL_SD)
    if name == "t5":
        return np.asarray(stats.t.pdf(x * np.sqrt(5 / 3), 5) * np.sqrt(5 / 3))
    if name == "bimodal":
        y = x * np.sqrt(5.0)
        return np.asarray((stats.norm.pdf(y - 2) + stats.norm.pdf(y + 2)) / 2 * np.sqrt(5.0))
    return np.asarray(stats.gamma.pdf(x * np.sqrt(2) + 2, 2.0) * np.sqrt(2))


def _ratio(number: int, drift: Drift, x: Float64) -> Float64:
    """[n] likelihood ratio of the values after the change."""
    before = _density(number, x)
    if drift.kind == "shift":
        now = _density(number, x - drift.size)
    elif drift.kind == "spread":
        now = _density(number, x / drift.size) / drift.size
    else:
        now = (1 - drift.size) * before + drift.size * _density(number, x - 4.0)
    return np.asarray(now / np.maximum(before, 1e-300))


def _divergence(number: int, drift: Drift, rng: np.random.Generator) -> float:
    x = SHAPES[number].draw(rng, _DRAWS)
    if drift.kind == "shift":
        x = x + drift.size
    elif drift.kind == "spread":
        x = x * drift.size
    else:
        x = np.where(rng.random(_DRAWS) < drift.size, x + 4.0, x)
    return float(np.log(np.maximum(_ratio(number, drift, x), 1e-300)).mean()) if drift.size else 0.0


def _simulated(before: Any, after: Any, c: float, most: int = 40_000) -> float:
    """Median delay of R <- (R + 1) ratio over ``RUNS`` runs."""
    r = np.zeros(RUNS)
    for ratio in before(RUNS * WARM).reshape(WARM, RUNS):
        r = np.minimum((r + 1.0) * ratio, c / 2.0)
    delays = np.full(RUNS, most)
    for start in range(0, most, 250):
        for place, ratio in enumerate(after(RUNS * 250).reshape(250, RUNS)):
            r = np.minimum((r + 1.0) * np.minimum(ratio, 1e100), 1e200)
            hit = (r >= c) & (delays == most)
            delays[hit] = start + place + 1
        if (delays < most).sum() > RUNS * 0.6:
            break
    return float(np.median(delays))


def _rate(p: float, q: float, rng: np.random.Generator) -> tuple[float, float]:
    c = threshold(None)
    factor = np.array([(1 - q) / (1 - p), q / p])
    median = _simulated(lambda n: factor[(rng.random(n) < p).astype(int)], lambda n: factor[(rng.random(n) < q).astype(int)], c)
    return np.log(c) / (q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))), median


def _categories(drift: Drift, world: World, rng: np.random.Generator) -> tuple[float, float]:
    j, c = int(drift.feature[1:]), threshold(None)
    p, q = world._category_shares(j, None), world._category_shares(j, drift)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(q > 0, q / np.maximum(p, 1e-300), 0.0)
        divergence = float((world.shares[:, None] * np.where(q > 0, q * np.log(np.maximum(ratio, 1e-300)), 0.0)).sum())

    def drawn(shares: Float64, n: int) -> Float64:
        segment = rng.choice(world.segments, n, p=world.shares)
        cell = (rng.random(n)[:, None] > np.cumsum(shares, axis=1)[segment, :-1]).sum(axis=1)
        return np.asarray(ratio[segment, cell])

    return np.log(c) / divergence, _simulated(lambda n: drawn(p, n), lambda n: drawn(q, n), c)


def _labels(drift: Drift, rng: np.random.Generator) -> tuple[float, float]:
    """The same over predictions of which the labels come late: a start collects those of predictions since, whenever they come."""
    p, q, c, world = WRONG_BEFORE, drift.size, threshold(None), world_of(1)
    gains = np.log(np.array([(1 - q) / (1 - p), q / p]))
    needed = np.log(c) / (q * gains[1] + (1 - q) * gains[0])
    n, step, delays = 60_000, 250, []
    per_event = DAY_MS / world.per_day
    lag = lags(n, np.zeros(n, np.bool_), world, rng) / per_event
    came = np.cumsum((np.sort(lag)[:, None] <= np.arange(0, n, step)[None]).mean(axis=0)) * step
    first = float(np.searchsorted(came, needed) * step)
    for _ in range(60):
        at = np.arange(-WARM_LABELS, n)
        wrong = rng.random(len(at)) < np.where(at < 0, p, q)
        known = at + lags(len(at), wrong, world, rng) / per_event
        gain = _gain(known - at, wrong, p, q)
        for now in range(step, n, step):
            seen = np.where(known <= now, gain, 0.0)[: WARM_LABELS + now]
            since = np.cumsum(seen[::-1])
            if np.logaddexp.reduce(since) >= np.log(c):
                delays.append(now)
                break
    return first, float(np.median(delays))


def _gain(lag: Float64, wrong: NDArray[np.bool_], p: float, q: float) -> Float64:
    """Log likelihood ratio of an outcome given its lag in events: soon labels are wrong more often under either rate."""
    z = np.log(np.maximum(lag, 1e-9) / LABEL_LAG_EVENTS) / LABEL_LAG_SPREAD
    sooner = np.exp((z**2 - (z - np.log(SOONER) / LABEL_LAG_SPREAD) ** 2) / 2.0)  # density of a wrong one's lag over a right one's
    before, now = (rate * sooner / (rate * sooner + 1.0 - rate) for rate in (p, q))
    return np.asarray(np.log(np.where(wrong, now / before, (1.0 - now) / (1.0 - before))))
