"""What the log names of many alarms."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.changes import alarm_events
from monitor.sequential.said import Alarmed
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
