"""What is to be found, how soon it is wanted, and under which conditions all of it is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.detection.world import SHAPES, Drift, World
from monitor.config.detection import Detection, FalseAlarms
from monitor.detect.alarm import Stream

REFERENCE_ROWS = 200_000
SETTINGS = Detection(false_alarms=FalseAlarms(per="2000d"))
"""One false trigger in 10^8 events, at 50,000 events a day: everything else is as it comes."""

MISSING_BEFORE, WRONG_BEFORE = 0.01, 0.05
LABEL_LAG_EVENTS, LABEL_LAG_SPREAD = 10_000, 0.8  # median and logarithmic spread of the label delay
SOONER = 0.5  # lag of a wrong prediction's label, relative to that of a right one's


@dataclass(frozen=True)
class Scenario:
    """A change of which the truth is known, in five variants, and the median delay that is wanted.

    ``outcome``: the change is one of the error rate, seen through labels that come late.
    """

    name: str
    title: str
    drift: Drift
    wanted: int
    most: int  # events after the change at which a run ends
    features: Sequence[str] = tuple(f"x{place}" for place in range(len(SHAPES)))
    outcome: bool = False

    def variant(self, number: int) -> tuple[str, Drift]:
        """Name and drift of one of the variants."""
        feature = self.features[number]
        named = SHAPES[number].name if feature == f"x{number}" and self.drift.kind != "missing" else feature
        return named, replace(self.drift, feature=feature)

    def stream(self, drift: Drift) -> Stream:
        """The stream that has to be named first, but for its segment."""
        if self.outcome:
            return Stream("ALL", "error", "error")
        segment = "ALL" if drift.segment is None else f"segment=s{drift.segment:02d}"
        return Stream(segment, drift.feature, "missing" if drift.kind == "missing" else "values")


_CATEGORICAL = tuple(f"c{place}" for place in range(5))

SCENARIOS = (
    Scenario("shift-0.25", "mean shift by 0.25 sd", Drift("shift", 0.25), 750, 10_000),
    Scenario("shift-0.5", "mean shift by 0.5 sd", Drift("shift", 0.5), 250, 5_000),
    Scenario("shift-1", "mean shift by 1 sd", Drift("shift", 1.0), 100, 2_000),
    Scenario("spread", "spread × 1.5", Drift("spread", 1.5), 150, 3_000),
    Scenario("tail", "2 % of the values 4 sd further out", Drift("tail", 0.02), 1_250, 20_000),
    Scenario("exchange", "8 % of the mass from one category to another", Drift("exchange", 0.08), 400, 5_000, _CATEGORICAL),
    Scenario("new", "a new category at 2 %", Drift("new", 0.02), 400, 5_000, _CATEGORICAL),
    Scenario("missing-3", "missing 1 → 3 %", Drift("missing", 0.03), 1_500, 15_000),
    Scenario("missing-10", "missing 1 → 10 %", Drift("missing", 0.10), 150, 3_000),
    Scenario("growing", "mean growing by 1 sd over 50,000 events", Drift("shift", 1.0, over=50_000), 7_500, 30_000),
    Scenario("segment", "0.5 sd in one segment with 2 % of the traffic", Drift("shift", 0.5, segment=0), 6_000, 40_000),
    Scenario("error-7", "error rate 5 → 7 %", Drift("error", 0.07), 18_000, 80_000, ("error",), outcome=True),
    Scenario("error-10", "error rate 5 → 10 %", Drift("error", 0.10), 9_000, 40_000, ("error",), outcome=True),
)

NULLS = {
    "nothing": "nothing happens",
    "cycle": "daily cycle of the means (± 0.4 sd) and of the traffic (± 40 %)",
    "sessions": "sessions of eight alike rows",
    "shares": "the segments' shares of the traffic turned round",
    "irrelevant": "a real shift of all numeric features by 0.03 sd",
    "delivery": "every batch delivered four times, a third of the rows up to two hours late, under the daily cycle",
    "sooner": "wrong predictions labelled twice as soon as right ones",
}


def world_of(seed: int, cycle: float = 0.0) -> World:
    """20 features in 20 segments, a score, and the class that follows from it."""
    return World(seed=seed, cycle=cycle)
