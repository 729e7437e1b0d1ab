"""What the log says of drift that begins and ends, and names of many alarms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.changes import alarm_events, drift_changes
from monitor.drift_events import DriftBegan, DriftEnded
from monitor.profile.layout import Layout
from monitor.sequential.said import Alarmed
from tests.evaluate.make import WINDOW, count, judge, numeric, quantile_edges, reference_of
from tests.expose.watching import alarm


@pytest.mark.parametrize(
    ("raised", "named"),
    [
        ({("ALL", "score"): 9.0, ("ALL", "income"): 7.0, ("s=1", "income"): 8.0}, ("ALL", "income")),
        ({("ALL", "score"): 9.0, ("s=1", "income"): 8.0}, ("ALL", "score")),
        ({("ALL", "age"): 5.0, ("ALL", "income"): 7.0, ("ALL", "predicted_class"): 9.0}, ("ALL", "income")),
        ({("ALL", "age"): 5.0, ("s=1", "income"): 7.0}, ("s=1", "income")),
    ],
)
def test_an_input_is_named_rather_than_the_score_that_follows_it(raised: dict[tuple[str, str], float], named: tuple[str, str]) -> None:
    alarms = [
        replace(alarm("trigger", segment, signal, "values", None), evidence=evidence, threshold=1.0)
        for (segment, signal), evidence in raised.items()
    ]
    [event] = alarm_events(Alarmed("m", "1", tuple(alarms)))
    assert (event.segment, event.signal, event.streams) == (*named, len(raised))  # type: ignore[attr-defined]


def test_a_drift_that_begins_and_one_that_ends_are_said_with_their_event_time() -> None:
    rng = np.random.default_rng(0)
    sample = rng.normal(0, 1, 20_000)
    layout = Layout((numeric("age", quantile_edges(sample)), numeric("income", quantile_edges(sample))))
    samples = {"age": sample, "income": sample}
    reference = reference_of(count(layout, {"ALL": samples}), samples=samples)
    calm, moved = (
        judge(count(layout, {"ALL": {"age": rng.normal(age, 1, 4_000), "income": rng.normal(3 * age, 1, 4_000)}}), reference)
        for age in (0.0, 0.5)
    )
    [began] = drift_changes([calm], [moved])
    assert isinstance(began, DriftBegan)
    assert (began.window, began.event_time_ms, began.signals) == ("short", WINDOW.end_ms, 2)
    assert (began.segment, began.signal) == ("ALL", "income")  # moved three times as far
    assert began.value > began.threshold
    assert list(drift_changes([moved], [calm])) == [DriftEnded("m", "1", "short", WINDOW.end_ms, 2)]
    assert list(drift_changes([moved], [moved])) == []
