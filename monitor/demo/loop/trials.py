"""The monitor's own comparison of the new version with the one it replaced, which answers the same flights aside for a while."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from monitor.demo.loop.questions import get
from monitor.demo.terminal import Ink, Style

_TONES: dict[str, Style] = {"better": "green", "not_worse": "green", "worse": "red", "undecided": "yellow", "insufficient_data": "yellow"}
_SAID = {"better": "better", "not_worse": "not worse", "worse": "WORSE", "undecided": "not decided", "insufficient_data": "too few labels"}


class Side(msgspec.Struct, frozen=True):
    """One of the two versions in the trial."""

    compared_rows: int
    value: float | None = None


class Difference(msgspec.Struct, frozen=True):
    """Candidate less champion over all traffic, with the interval that holds at all times together."""

    champion: Side
    candidate: Side
    difference: float | None = None
    low: float | None = None
    high: float | None = None


class Trial(msgspec.Struct, frozen=True):
    """What the canary test says."""

    champion: str | None
    candidate: str | None
    verdict: str
    reason: str
    margin: float | None = None
    all: Difference | None = None


class _Trials(msgspec.Struct, frozen=True):
    canaries: tuple[Trial, ...]


def trial(monitor: str) -> Trial:
    """The canary test of the monitor at that address. Raises ``OSError`` while nobody answers."""
    [found] = msgspec.json.decode(get(f"{monitor}/api/v1/canary?limit=0"), type=_Trials).canaries
    return found


def side_by_side(found: Sequence[Trial], days: int, ink: Ink) -> list[str]:
    """A trial a line: cost a flight of both, the difference, and whether that is enough to say so."""
    if not found:
        return []
    lines = [
        "",
        ink(
            "bold", f"Side by side for {days} days: the monitor's canary test, in which the replaced version answers the same flights aside"
        ),
    ]
    lines.append(ink("dim", f"  {'':<10}{'verdict':<16}{'cost a flight':<18}{'difference':<28}flights compared"))
    return [*lines, *(_line(each, ink) for each in found)]


def _line(each: Trial, ink: Ink) -> str:
    verdict = ink(_TONES.get(each.verdict, "yellow"), _SAID.get(each.verdict, each.verdict).ljust(16))
    start = f"  {f'{each.champion} → {each.candidate}':<10}{verdict}"
    found = each.all
    if found is None or found.champion.value is None or found.candidate.value is None:
        return f"{start}{each.reason}"
    cost = f"{found.champion.value:.3f} → {found.candidate.value:.3f}"
    interval = "" if found.low is None or found.high is None else f" [{found.low:+.3f}, {found.high:+.3f}]"
    difference = "–" if found.difference is None else f"{found.difference:+.3f}{interval}"
    return f"{start}{cost:<18}{difference:<28}{found.candidate.compared_rows:,}"
