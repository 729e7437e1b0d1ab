"""One simulated stream of ``benchmarks/estimate.py``: what is estimated of it, how far off that is, and how far off it must be at least."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from tests.estimate.world import (
    BOTH,
    CONCEPT,
    CORRELATED_CONCEPT,
    LARGE_CONCEPT,
    MISCALIBRATION,
    SEGMENTS_OFF,
    Scenario,
    World,
    world,
)  # fmt: skip

EVENTS, ONSET = 180_000, 80_000
STEADY = (40_000, 60_000, 80_000, 100_000)  # events since the onset
HARD = (1_000, 2_000, 5_000, 8_000, 10_000, 15_000, 20_000, 30_000)
WINDOWS = (10_000, 50_000)
CHANGES_ERRORS = (CONCEPT, LARGE_CONCEPT, BOTH, MISCALIBRATION, CORRELATED_CONCEPT, SEGMENTS_OFF)
HARD_SCENARIOS = (CONCEPT, LARGE_CONCEPT, CORRELATED_CONCEPT, SEGMENTS_OFF)


def bound(stream: World, scenario: Scenario, now: int, window: int) -> float:
    """Least mean absolute error that can be expected of an estimate of the newest ``window`` predictions, in points."""
    recent = slice(now - window, now)
    told = now - now % scenario.delivered if scenario.delivered else now
    p, waited = stream.probability[recent], np.maximum(told - np.arange(now - window, now), 1e-9)
    come = stream.arrival[recent] <= now
    # Of those without label: a wrong one that is labelled sooner would have come.
    ahead = [0.5 * np.vectorize(math.erfc)(np.log(waited * factor / 10_000) / math.sqrt(2)) for factor in (scenario.wrong_sooner, 1.0)]
    left = p * ahead[0] / (p * ahead[0] + (1 - p) * ahead[1])
    chance = float((left * (1 - left))[~come].sum())
    changed = scenario in CHANGES_ERRORS
    first = ONSET if changed else 0
    labelled = np.flatnonzero(stream.arrival[:now] <= now)
    q = stream.probability[labelled[labelled >= first]]
    information = float((q * (1 - q)).sum())
    if not changed:
        information += float((stream.probability[:ONSET] * (1 - stream.probability[:ONSET])).mean() * len(stream.validation["label"]))
    steady = math.sqrt(2 / math.pi * (chance + chance**2 / max(information, 1e-9))) / window
    if not changed or now - ONSET > max(HARD):
        return 100 * steady
    # Before the change the same predictions would have been wrong less often, by the gap of the steady state.
    since = np.arange(now - window, now) >= ONSET
    gap_logit = math.log(_odds(stream.probability[ONSET:].mean()) / _odds(stream.probability[:ONSET].mean()))
    gap = float((p * (1 - p))[since & ~come].sum()) * abs(gap_logit) / window
    confused = gap * NormalDist().cdf(-abs(gap_logit) * math.sqrt(information) / 2)
    at_hand = math.sqrt(2 / math.pi * chance) / window  # before enough labels came, their level is no news
    return 100 * max(confused, min(steady, math.hypot(at_hand, gap)))


def _odds(p: float) -> float:
    return p / (1 - p)


def judged(stream: World, scenario: Scenario, stops: list[int], windows: tuple[int, ...]) -> list[dict[str, float]]:
    """One record for each stop and window."""
    records = []
    for now, estimator in stream.play(stops):
        for window in windows:
            found = estimator.estimate(estimator.newest(window))
            truth = 1 - stream.wrong[now - window : now].mean()
            records.append(
                {
                    "since": now - ONSET, "window": window, "truth": 100 * truth, "labelled": found.labelled / found.n,
                    "since_onset": int((stream.arrival[ONSET:now] <= now).sum()),
                    "error": 100 * (found.value - truth), "covered": float(found.low <= truth <= found.high),
                    "half_width": 50 * (found.high - found.low),
                    "alone": 100 * (found.table_value - truth), "alone_covered": float(found.table_low <= truth <= found.table_high),
                    "bound": bound(stream, scenario, now, window),
                }
            )  # fmt: skip
    return records


def measure_seed(scenario: Scenario, seed: int) -> list[dict[str, float]]:
    """Records of one world; ``hard`` tells those of the moments right after the change."""
    stream = world(scenario, seed, EVENTS, ONSET)
    records = [{"hard": 0, **record} for record in judged(stream, scenario, [ONSET + since for since in STEADY], WINDOWS)]
    if scenario in HARD_SCENARIOS:
        records += [{"hard": 1, **record} for record in judged(stream, scenario, [ONSET + since for since in HARD], WINDOWS[:1])]
    return records
