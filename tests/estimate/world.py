"""A binary model in production with known truth: validation rows, a stream of predictions, and labels that come late.

Ten segments of traffic; the model's score is an overconfident function of what it knows, and segments are miscalibrated a little from the
beginning. From event ``onset`` on one thing changes: the scenario. 50,000 events are a day; labels come after a lognormal delay with a
median of 10,000 events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from monitor.estimate.estimator import Estimator

SEGMENTS = 10
EVENT_MS = 1_728  # 50,000 events a day


@dataclass(frozen=True)
class Scenario:
    """What changes, and by how much."""

    name: str
    moved: float = 0.0  # inputs: mean of what the model knows, in standard deviations
    weaker: float = 0.0  # concept: how much less the truth follows what the model knows
    mixed: bool = False  # traffic: shares of segments
    stretched: float = 1.0  # scores: factor of their log odds
    lifted: float = 0.0  # scores: added to their log odds
    segments_off: float = 0.0  # concept of three segments: added to the log odds of the truth
    wrong_sooner: float = 1.0  # delay of right predictions / delay of wrong ones; from the first event on
    delivered: int = 0  # labels that are there are delivered every so many events; 0: at once


NO_DRIFT = Scenario("no drift")
COVARIATE = Scenario("covariate shift", moved=0.5)
CONCEPT = Scenario("concept shift, 3 points", weaker=0.188)
LARGE_CONCEPT = Scenario("concept shift, 7 points", weaker=0.377)
BOTH = Scenario("covariate and concept shift", moved=0.5, weaker=0.188)
MIX = Scenario("mix shift", mixed=True)
MISCALIBRATION = Scenario("miscalibration", stretched=1.5, lifted=0.4)
CORRELATED = Scenario("correlated delay", wrong_sooner=2.5)
CORRELATED_CONCEPT = Scenario("correlated delay, concept shift", wrong_sooner=2.5, weaker=0.188)
SEGMENTS_OFF = Scenario("per-segment miscalibration", segments_off=1.2)
HOURLY = Scenario("correlated delay, hourly deliveries", wrong_sooner=2.5, delivered=2_000)
NIGHTLY = Scenario("nightly deliveries", delivered=50_000)
NIGHTLY_CORRELATED = Scenario("correlated delay, nightly deliveries", wrong_sooner=2.5, delivered=50_000)
SCENARIOS = (
    NO_DRIFT, COVARIATE, CONCEPT, LARGE_CONCEPT, BOTH, MIX, MISCALIBRATION, CORRELATED, CORRELATED_CONCEPT, SEGMENTS_OFF,
    HOURLY, NIGHTLY, NIGHTLY_CORRELATED,
)  # fmt: skip


def expit(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@dataclass(frozen=True)
class World:
    """Validation rows, and a stream of n predictions; arrival in events. ``probability`` of being wrong is the truth behind ``wrong``."""

    validation: dict[str, np.ndarray]
    segment: np.ndarray
    score: np.ndarray
    predicted: np.ndarray
    label: np.ndarray
    probability: np.ndarray
    arrival: np.ndarray

    @property
    def wrong(self) -> np.ndarray:
        return self.predicted != self.label

    def estimator(self, lag_ms: np.ndarray | None = None) -> Estimator:
        v = self.validation
        return Estimator(v["score"], v["segment"], labels=v["label"], predicted=v["predicted"], lag_ms=lag_ms)

    def play(self, stops: list[int], batch: int = 10_000, lag_ms: np.ndarray | None = None) -> Iterator[tuple[int, Estimator]]:
        """The estimator after each of the ``stops``, fed in batches with what has come by then; ``lag_ms`` of the validation rows."""
        estimator = self.estimator(lag_ms)
        order = np.argsort(self.arrival, kind="stable")
        arrivals = self.arrival[order]
        done, labelled = 0, 0
        for stop in sorted({*range(batch, max(stops), batch), *stops}):
            new = np.arange(done, stop)
            estimator.predictions(new, new * EVENT_MS, self.segment[new], self.score[new], self.predicted[new])
            until = int(np.searchsorted(arrivals, stop))
            come = order[labelled:until]
            estimator.labels(come, (self.arrival[come] * EVENT_MS).astype(np.int64), self.label[come])
            done, labelled = stop, until
            if stop in stops:
                yield stop, estimator


def draw(scenario: Scenario, rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    """Segment, score, predicted class and probability of the positive class of ``n`` events."""
    share = np.linspace(0.2, 1.8, SEGMENTS) ** 2 if scenario.mixed else np.ones(SEGMENTS)
    segment = rng.choice(SEGMENTS, n, p=share / share.sum())
    place = np.linspace(-1, 1, SEGMENTS)[segment]
    known = rng.normal(scenario.moved + 0.3 * place, 1.0)
    odds = 2.6 * known - 1.0
    score = expit(scenario.stretched * odds + scenario.lifted)
    truth = (2.4 * known - 0.9 + 0.2 * place) * (1 - scenario.weaker)
    truth = truth + scenario.segments_off * (segment < 3)
    return segment, score, (score >= 0.5).astype(np.int64), expit(truth)


def world(scenario: Scenario, seed: int, n: int = 180_000, onset: int = 80_000, validation: int = 100_000) -> World:
    """One world; equal arguments give equal worlds."""
    rng = np.random.default_rng([seed, *scenario.name.encode()])
    before = replace(NO_DRIFT, wrong_sooner=scenario.wrong_sooner)
    segment, score, predicted, p = draw(before, rng, validation)
    label = (rng.random(validation) < p).astype(np.int64)
    rows = {"segment": segment, "score": score, "predicted": predicted, "label": label}
    parts = [draw(before, rng, onset), draw(scenario, rng, n - onset)]
    segment, score, predicted, p = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    label = (rng.random(n) < p).astype(np.int64)
    median = np.where(predicted != label, 10_000 / scenario.wrong_sooner, 10_000.0)
    arrival = np.arange(n) + median * np.exp(rng.normal(0, 1, n))
    if scenario.delivered:
        arrival = np.ceil(arrival / scenario.delivered) * scenario.delivered
    return World(rows, segment, score, predicted, label, np.where(predicted == 1, 1 - p, p), arrival)
