"""What is normal and looks least like it: no trigger."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from monitor.config.detection import Detection, FalseAlarms
from monitor.detect.detector import Detector
from monitor.detect.rows import Events
from tests.detect.make import triggers

DAY_MS, START = 86_400_000, 1_700_006_400_000
SETTINGS = Detection(false_alarms=FalseAlarms(per="2000d"))


def rows(first: int, time_ms: np.ndarray, random: np.random.Generator, correlation: float = 0.0) -> Events:
    """Features of which each value remembers the one before it, whatever row it was in."""
    n = len(time_ms)
    steps = random.normal(0.0, np.sqrt(1.0 - correlation**2), (4, n))
    x = lfilter([1.0], [1.0, -correlation], steps, axis=1)
    x[1] = np.exp(x[1])
    features = {f"x{place}": column for place, column in enumerate(x)}
    segments = {"shop": random.choice(["u", "v", "w"], n, p=[0.5, 0.4, 0.1])}
    return Events(time_ms, features, segments, random.random(n), ids=np.arange(first, first + n))


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_features_that_remember_their_past_as_in_the_reference_and_traffic_that_changes_tenfold(correlation: float) -> None:
    random = np.random.default_rng(5)
    n, m = 20_000, 12_000
    gap = DAY_MS / 100_000
    reference = rows(0, START + np.cumsum(random.exponential(gap, n)).astype(np.int64), random, correlation)
    found = Detector.learn(reference, threshold=0.5, settings=SETTINGS)
    pace = np.where(np.arange(m) // 3_000 % 2 == 1, gap / 10, gap)
    after = rows(n, START + 3 * DAY_MS + np.cumsum(random.exponential(pace)).astype(np.int64), random, correlation)
    assert not triggers(found.predictions(after) + found.finish())
    assert found.ledger["counted"] == m


@pytest.mark.parametrize("n", [300, 3_000])
def test_a_reference_of_a_few_thousand_rows(n: int) -> None:
    for seed in range(2):
        random = np.random.default_rng([6, seed])
        found = Detector.learn(rows(0, START + np.arange(n) * DAY_MS // 200_000, random), threshold=0.5, settings=SETTINGS)
        after = rows(n, START + 3 * DAY_MS + np.arange(8_000) * DAY_MS // 200_000, random)
        assert not triggers(found.predictions(after) + found.finish())
