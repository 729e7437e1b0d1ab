"""What is normal and looks least like it: no trigger."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from monitor.config.detection import Detection, FalseAlarms
from monitor.detect.alarm import Alarm
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


def test_labels_however_cut_repeated_revised_or_of_nobody_give_the_same_alarms() -> None:
    random = np.random.default_rng(7)

    def labelled(first: int, start: int, wrong: float | np.ndarray) -> tuple[Events, np.ndarray, np.ndarray]:
        n = 12_000
        events = rows(first, start + np.arange(n) * 500, random)
        truth = (np.asarray(events.score) >= 0.5).astype(int) ^ (random.random(n) < wrong)
        return events, truth, np.asarray(events.time_ms) + np.exp(random.normal(np.log(450_000), 0.7, n)).astype(np.int64)

    learnt = Detector.learn(*labelled(0, START, 0.05), threshold=0.5)
    events, truth, known = labelled(12_000, START + 2 * DAY_MS, np.where(np.arange(12_000) < 4_000, 0.05, 0.25))
    order = np.argsort(known, kind="stable")
    ids, truth, known = np.asarray(events.ids)[order], truth[order], known[order]

    def alarms(cut: int, label_cut: int, noise: bool) -> list[Alarm]:
        found, raised, done = Detector.of(learnt.reference, learnt.model), [], 0
        for start in range(0, len(events), cut):
            part = events.rows(slice(start, start + cut))
            raised += found.predictions(part)
            now = int(np.searchsorted(known, part.time_ms[-1]))
            while done < now:
                chosen = slice(done, min(done + label_cut, now))
                raised += found.labels(ids[chosen], truth[chosen], known[chosen])
                if noise:
                    raised += found.labels(ids[chosen], 1 - truth[chosen], known[chosen])
                    raised += found.labels(ids[chosen] + 10**9, truth[chosen], known[chosen])
                done = chosen.stop
        return raised + found.finish()

    expected = alarms(3_000, 5_000, False)
    first = triggers(expected)[0]
    assert (first.stream.segment, first.stream.kind) == ("ALL", "error")
    assert first.effect is not None and first.effect.low > 0.0
    assert alarms(1_501, 701, True) == expected
