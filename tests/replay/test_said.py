"""A line for each signal: what it says of when."""

from __future__ import annotations

from monitor.replay.episode import Episode
from monitor.replay.said import _together

HOUR_MS = 3_600_000
START_MS = 1_793_066_400_000  # 2026-10-27 02:00 UTC


def episode(segment: str, hours: int, value: float) -> Episode:
    return Episode(("window", "1", "short", segment, "brightness"), START_MS + hours * HOUR_MS, "psi", value, 0.1)


def test_the_worst_is_not_said_to_have_been_when_the_first_was() -> None:
    [line] = _together([episode("device=ios", 0, 0.11), episode("device=android", 130, 1.25), episode("device=android", 150, 0.4)])
    assert line.startswith(
        "2026-10-27 02:00  brightness of 2 segments, worst device=android psi 1.25 against 0.100 from 2026-11-01 12:00 ("
    )
    assert line.endswith(", 3 times")
    [line] = _together([episode("device=ios", 0, 0.5), episode("device=android", 1, 0.2)])
    assert "from" not in line
