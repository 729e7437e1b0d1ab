"""Other detectors on the same streams: river's, and the population stability index of a window.

Each watches the values of every feature in every segment and in all of them, as ours does; a rate is watched as the bits it is the mean
of. Numbers are standardised by the reference. *as it comes* has the library's defaults; *strict* has settings at which the method's own
formula promises about one false alarm in 10^8, or, for Page-Hinkley, which promises nothing, twenty times its threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import drift as river

from benchmarks.detection.arrange import PRODUCTION_MS, labelled
from benchmarks.detection.null import CYCLE, SESSION
from benchmarks.detection.scenario import REFERENCE_ROWS, SCENARIOS, WRONG_BEFORE, Scenario, world_of
from benchmarks.detection.world import CATEGORIES, NEW, START_MS, Drift, World
from monitor.detect.rows import Events

Float64 = NDArray[np.float64]
Row = dict[str, Any]

MOST_SEEDS = 2
HOUR, DAY = 2_083, 50_000  # events
LEAST_ROWS = 200  # of a segment, for its window to be judged
WATCHED = ("x0", "x1", "x2", "x3", "x4", "c0")  # of the 20 features; false alarms are scaled up to all of them
FEATURES = 20
NULL_EVENTS = {"KSWIN": 10_000}  # others: 200,000

DETECTORS: dict[str, Callable[[], Any] | int] = {
    "ADWIN": river.ADWIN,
    "ADWIN, strict": lambda: river.ADWIN(delta=1e-8),
    "Page-Hinkley": river.PageHinkley,
    "Page-Hinkley, strict": lambda: river.PageHinkley(threshold=1_000.0),
    "KSWIN": lambda: river.KSWIN(seed=1),
    "KSWIN, strict": lambda: river.KSWIN(alpha=1e-8, seed=1),
    "PSI > 0.2 by hour": HOUR,
    "PSI > 0.2 by day": DAY,
}
STREAMS = ("nothing", "cycle", "sessions", *(scenario.name for scenario in SCENARIOS))


def measure(detector: str, stream: str, seed: int) -> Row:
    """One reference: false alarms per million events of a null, or the delays of a scenario's variants (None: not within the run)."""
    row: Row = {"part": "peer", "detector": detector, "stream": stream, "seed": seed}
    made = DETECTORS[detector]
    world = world_of(seed, CYCLE if stream == "cycle" else 0.0)
    rng = np.random.default_rng([seed, 5])
    session = SESSION if stream == "sessions" else None
    reference = world.events(REFERENCE_ROWS, START_MS, rng, session=session)
    scenario = next((one for one in SCENARIOS if one.name == stream), None)
    if scenario is None:
        n = NULL_EVENTS.get(detector.split(",", maxsplit=1)[0], 200_000)
        events = world.events(n, PRODUCTION_MS, rng, session=session)
        if isinstance(made, int):
            alarms = sum(len(list(_psi(made, _column(reference, f), reference, _column(events, f), events))) for f in WATCHED)
        else:
            alarms = sum(len(list(_river(made, _standard(reference, events, f), _segments(events)))) for f in WATCHED)
        return row | {"events": n, "alarms": alarms, "per_million": alarms / n * 1e6 * FEATURES / len(WATCHED)}
    delays = [_delay(made, scenario, scenario.variant(number)[1], world, reference, rng) for number in range(len(scenario.features))]
    return row | {"delays": delays}


def _column(events: Events, feature: str) -> Float64:
    """A feature as numbers: a category by its place, missing as NaN."""
    values = np.asarray(events.features[feature])
    if values.dtype.kind == "f":
        return values
    place = {name: float(number) for number, name in enumerate((*CATEGORIES, NEW))}
    return np.array([np.nan if value is None else place[value] for value in values.tolist()])


def _segments(events: Events) -> NDArray[np.intp]:
    return np.array([int(name[1:]) for name in np.asarray(events.segments["segment"]).tolist()], np.intp)


def _standard(reference: Events, events: Events, feature: str) -> Float64:
    x = _column(reference, feature)
    return np.asarray((_column(events, feature) - np.nanmean(x)) / np.nanstd(x))


def _river(made: Callable[[], Any], values: Float64, segment: NDArray[np.intp]) -> Iterator[int]:
    """Rows at which the detector of everything, or that of the row's segment, alarms."""
    whole, parts = made(), [made() for _ in range(int(segment.max()) + 1)]
    for place, (value, own) in enumerate(zip(values.tolist(), segment.tolist(), strict=True)):
        if value != value:
            continue
        for one in (whole, parts[own]):
            one.update(value)
            if one.drift_detected:
                yield place


def _psi(window: int, usual: Float64, reference: Events, values: Float64, events: Events) -> Iterator[int]:
    """Rows that end a window in which the index of everything or of a segment is above 0.2."""
    categorical = len(np.unique(usual[~np.isnan(usual)])) <= len(CATEGORIES) + 1
    edges = np.arange(len(CATEGORIES) + 1) + 0.5 if categorical else np.nanquantile(usual, np.arange(0.1, 1.0, 0.1))

    def shares(x: Float64, segment: NDArray[np.intp]) -> tuple[Float64, Float64]:
        cell = np.where(np.isnan(x), len(edges) + 1, np.searchsorted(edges, x))
        counts = np.zeros((21, len(edges) + 2))
        np.add.at(counts, (segment + 1, cell), 1.0)
        counts[0] = counts[1:].sum(axis=0)
        rows = counts.sum(axis=1, keepdims=True)
        return np.maximum(counts / np.maximum(rows, 1.0), 1e-4), rows[:, 0]

    p, _ = shares(usual, _segments(reference))
    segment = _segments(events)
    for end in range(window, len(values) + 1, window):
        q, rows = shares(values[end - window : end], segment[end - window : end])
        index = ((q - p) * np.log(q / p)).sum(axis=1)
        for _ in range(int(((index > 0.2) & (rows >= LEAST_ROWS)).sum())):
            yield end


def _delay(
    made: Callable[[], Any] | int, scenario: Scenario, drift: Drift, world: World, reference: Events, rng: np.random.Generator
) -> int | None:
    """Events from the change to the first alarm."""
    psi = isinstance(made, int)
    fast = psi or not isinstance(made(), river.KSWIN)  # type: ignore[operator]
    warm = int(rng.integers(1, made)) if isinstance(made, int) else 5_000  # a window is somewhere when the change comes
    most = max(scenario.most, 3 * made) if isinstance(made, int) else min(scenario.most, 20_000 if fast else 3_000)
    if scenario.outcome:
        return None if psi else _error_delay(made, scenario, drift, world, rng)  # type: ignore[arg-type]
    before = world.events(warm, PRODUCTION_MS, rng)
    after = world.events(most, int(before.time_ms[-1]), rng, drift)
    segment = np.concatenate([_segments(before), _segments(after)])
    if isinstance(made, int):
        values = np.concatenate([_column(before, drift.feature), _column(after, drift.feature)])
        both = Events(np.zeros(len(values), np.int64), {}, {"segment": np.array([f"s{s:02d}" for s in segment], object)})
        found = (end - warm for end in _psi(made, _column(reference, drift.feature), reference, values, both) if end > warm)
        return next(found, None)
    if drift.kind == "missing":
        values = np.isnan(np.concatenate([_column(before, drift.feature), _column(after, drift.feature)])).astype(float)
    else:
        values = np.concatenate([_standard(reference, part, drift.feature) for part in (before, after)])
    return next((place + 1 - warm for place in _river(made, values, segment) if place >= warm), None)


def _error_delay(made: Callable[[], Any], scenario: Scenario, drift: Drift, world: World, rng: np.random.Generator) -> int | None:
    """Errors in the order in which labels come; the delay is in predictions made since the change."""
    warm, most = 30_000, scenario.most
    events = world.events(warm + most, PRODUCTION_MS, rng)
    rate = np.where(np.arange(warm + most) < warm, WRONG_BEFORE, drift.size)
    classes, known = labelled(events, rate, world, rng)
    wrong = (classes == "1") != (np.asarray(events.score) >= 0.5)
    order = np.argsort(known, kind="stable")
    arrived = np.searchsorted(np.asarray(events.time_ms), known[order])
    past = arrived < warm + most
    segment = _segments(events)[order]
    found = _river(made, wrong[order][past].astype(float), segment[past])
    return next((int(arrived[place]) - warm for place in found if arrived[place] >= warm), None)
