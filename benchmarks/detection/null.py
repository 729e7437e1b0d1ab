"""False alarms: streams in which nothing that matters happens, over many references.

What is linear in counts is drawn as counts of quarters of an hour from the exact shares, so that 10^8 events cost minutes; deliveries
go through the detector row by row; labels are drawn one by one and counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.detection.arrange import LATENESS_MS, PRODUCTION_MS, arranged, detector_of, lags
from benchmarks.detection.scenario import SETTINGS, WRONG_BEFORE
from benchmarks.detection.world import DAY_MS, World
from monitor.detect import budget
from monitor.detect.alarm import Alarm
from monitor.detect.outcomes import FINE_MS, lag_edges
from monitor.detect.season import quarter_of
from monitor.detect.watch import Watch
from monitor.profile.layout import Layout

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Row = dict[str, Any]

PANE_MS, LONG_PANE_MS = 900_000, 3_600_000  # long ones where neither the hour nor what comes together matters
PARTS = {"cycle": 0.4, "sooner": 0.2, "delivery": 0.01}  # of the events of the others: these cost more
CYCLE, SESSION, IRRELEVANT = 0.4, 8.0, 0.03


@dataclass
class Tally:
    """Alarms, and the highest evidence that any stream reached, as log10 of M over its threshold."""

    watch: Watch
    events: int = 0
    alarms: list[Alarm] = field(default_factory=list)
    highest: float = -np.inf
    stream: str = ""

    def see(self, events: int, alarms: list[Alarm]) -> None:
        self.events += events
        self.alarms += alarms
        limits = self.watch.thresholds()
        assert limits is not None
        for number, m in self.watch.evidence():
            part = m / limits[:, None]
            row, place = np.unravel_index(int(part.argmax()), part.shape)
            highest = float(np.log10(max(part[row, place], 1e-30)))
            if highest > self.highest:
                found = self.watch.stream(number, int(row), int(place))
                self.highest, self.stream = highest, f"{found.segment} {found.signal} {found.kind}"

    def row(self, name: str, seed: int) -> Row:
        triggers = [
            f"{a.stream.segment} {a.stream.signal} {a.stream.kind} {a.direction.what} {a.direction.size:g}"
            for a in self.alarms
            if a.level == "trigger"
        ]
        warnings = sum(alarm.level == "warning" for alarm in self.alarms)
        return {
            "part": "null", "null": name, "seed": seed, "events": self.events, "triggers": triggers, "warnings": warnings,
            "highest": round(self.highest, 2), "stream": self.stream,
        }  # fmt: skip


def measure(name: str, seed: int, events: int) -> Row:
    """One reference and so many events after it."""
    events = int(events * PARTS.get(name, 1.0))
    if name == "delivery":
        return _delivery(seed, events)
    if name == "sooner":
        return _sooner(seed, events)
    world, _, reference = arranged(seed, CYCLE if name == "cycle" else 0.0, SESSION if name == "sessions" else None)
    watch = Watch.of(reference, SETTINGS)
    rng = np.random.default_rng([seed, 2])
    order = [int(leaf.split("=s")[1]) for leaf in watch.bank.leaves.leaves]
    draw = _sessions if name == "sessions" else _rows
    pane_ms = PANE_MS if name in ("sessions", "cycle") else LONG_PANE_MS
    shares = world.shares[::-1] if name == "shares" else world.shares
    tally = Tally(watch)
    shift = IRRELEVANT if name == "irrelevant" else 0.0
    for start_ms, n, counts in draw(world, reference.layout, shares, order, shift, pane_ms, rng):
        quarter = int(quarter_of(np.array([start_ms]), watch.bank.hours)[0])
        tally.see(n, watch.counted(start_ms, start_ms + pane_ms, [(quarter, counts)]))
        if tally.events >= events:
            break
    return tally.row(name, seed)


Panes = Iterator[tuple[int, int, Int64]]


def _rows(world: World, layout: Layout, shares: Float64, order: list[int], shift: float, pane_ms: int, rng: np.random.Generator) -> Panes:
    """Panes of independent rows: start, rows, counts [leaves, cells]."""
    spans = [layout.span(place) for place in range(len(layout.signals))]
    held: dict[int, Float64] = {}
    start_ms = PRODUCTION_MS
    while True:
        quarter = start_ms % DAY_MS // pane_ms
        day = (quarter + 0.5) * pane_ms / DAY_MS * 2 * np.pi
        if quarter not in held:
            phase = world.cycle * np.sin(day) + shift
            held[quarter] = np.concatenate([p[order] for p in world.cell_shares(layout, phase=phase)], axis=1)
        expected = world.per_day * pane_ms / DAY_MS * (1.0 + world.cycle * np.cos(day))
        n = int(rng.poisson(expected))
        by_leaf = rng.multinomial(n, shares[order])
        p = held[quarter]
        parts = [rng.multinomial(by_leaf, p[:, span] / p[:, span].sum(axis=1, keepdims=True)) for span in spans]
        yield start_ms, n, np.concatenate(parts, axis=1)
        start_ms += pane_ms


def _sessions(
    world: World, layout: Layout, shares: Float64, order: list[int], shift: float, pane_ms: int, rng: np.random.Generator
) -> Panes:
    """The same where rows come in sessions of one user: the rows of a session are alike, their number is geometric."""
    del shift
    below = [np.cumsum(p[order], axis=1) for p in world.cell_shares(layout)]
    start_ms = PRODUCTION_MS
    while True:
        sessions = int(rng.poisson(world.per_day * pane_ms / DAY_MS / SESSION))
        size = rng.geometric(1.0 / SESSION, sessions)
        leaf = rng.choice(len(order), sessions, p=shares[order])
        counts = np.zeros((len(order), layout.cells), np.int64)
        for place, cdf in enumerate(below):
            cell = (rng.random(sessions)[:, None] > cdf[leaf, :-1]).sum(axis=1)
            np.add.at(counts, (leaf, layout.span(place).start + cell), size)
        yield start_ms, int(size.sum()), counts
        start_ms += pane_ms


def _delivery(seed: int, events: int) -> Row:
    """Rows through the detector, each batch four times, late rows between the others."""
    world, model, reference = arranged(seed, CYCLE)
    detector = detector_of(model, reference)
    rng = np.random.default_rng([seed, 3])
    tally, at_once, start_ms, first = Tally(detector.watch), 10_000, PRODUCTION_MS, 0
    held = None
    while tally.events < events:
        part = world.events(at_once, start_ms, rng)
        start_ms, ids = int(part.time_ms[-1]), np.arange(first, first + at_once)
        first += at_once
        late = rng.random(at_once) < 1 / 3
        arrival = np.asarray(part.time_ms) + np.where(late, rng.integers(0, LATENESS_MS, at_once), 0)
        columns = (part.time_ms, *part.features.values(), part.segments["segment"], part.score, ids, arrival)
        held = columns if held is None else tuple(np.concatenate([a, b]) for a, b in zip(held, columns, strict=True))
        due = np.flatnonzero(held[-1] < start_ms)
        due = due[np.argsort(held[-1][due], kind="stable")]
        time_ms, *features, segment, score, ids, _ = (column[due] for column in held)
        held = tuple(column[held[-1] >= start_ms] for column in held)
        arrived = type(part)(time_ms, dict(zip(part.features, features, strict=True)), {"segment": segment}, score, None, ids)
        for start in range(0, len(due), 500):
            alarms = [alarm for _ in range(4) for alarm in detector.predictions(arrived.rows(slice(start, start + 500)))]
            tally.see(min(500, len(due) - start), alarms)
    return tally.row("delivery", seed) | {"ledger": detector.ledger}


def _sooner(seed: int, events: int) -> Row:
    """Outcomes alone: predictions by segment, and labels that come the sooner where the prediction was wrong."""
    world, _, reference = arranged(seed)
    watch = Watch.of(reference, SETTINGS)
    rng = np.random.default_rng([seed, 4])
    assert reference.labels is not None
    edges, leaves = lag_edges(reference.labels), watch.bank.leaves
    order = [int(leaf.split("=s")[1]) for leaf in leaves.leaves]
    predicted = float(1 - stats.norm.cdf(1.0 / 1.5))  # part of the predictions that are positive
    per_pane, tally, start_ms = world.per_day * PANE_MS / DAY_MS, Tally(watch), PRODUCTION_MS
    held = np.zeros((0, 5), np.int64)  # time of the label, of the prediction, leaf, wrong, positive
    while tally.events < events:
        n = int(rng.poisson(per_pane))
        times, leaf = np.sort(rng.integers(start_ms, start_ms + PANE_MS, n)), rng.choice(len(order), n, p=world.shares[order])
        wrong = rng.random(n) < WRONG_BEFORE
        known = times + lags(n, wrong, world, rng)
        positive = wrong ^ (rng.random(n) < predicted)
        held = np.concatenate([held, np.stack([known, times, leaf, wrong, positive], axis=1)])
        for fine in np.unique(times // FINE_MS).tolist():
            made = np.bincount(leaf[times // FINE_MS == fine], minlength=len(order)) @ leaves.belongs()
            watch.waiting[fine] = watch.waiting.get(fine, 0.0) + made
        start_ms += PANE_MS
        due, held = held[held[:, 0] < start_ms], held[held[:, 0] >= start_ms]
        if not len(due):
            continue
        fine_buckets, bucket = np.unique(due[:, 1] // FINE_MS, return_inverse=True)
        slot = np.searchsorted(edges, due[:, 0] - due[:, 1], side="right")
        counts = np.zeros((3, len(fine_buckets), len(order), len(edges) + 1), np.int64)
        for place, weight in enumerate((np.ones(len(due), np.int64), due[:, 3], due[:, 4])):
            np.add.at(counts[place], (bucket.reshape(-1), due[:, 2], slot), weight)
        tally.see(n, watch.labels(start_ms, fine_buckets, counts))
    return tally.row("sooner", seed)


def promised_warnings(events: int) -> float:
    """Expected warnings at most, in so many events, by the budget."""
    allowed = SETTINGS.false_alarms
    return events / (allowed.per_ms / DAY_MS * 50_000) * allowed.at_most / budget.WARNING
