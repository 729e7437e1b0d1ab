"""What the canary test may say, and why it says no more."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.canary.comparison import CanaryVerdict
from monitor.canary.trial import CanaryResult

CLAIMS = ("worse", "not_worse", "better")
SIDES = ("champion", "candidate")


def canary_verdict(result: CanaryResult | None) -> tuple[CanaryVerdict, str]:
    """The verdict on all traffic, and in a few words what it rests on or waits for."""
    if result is None:
        return CanaryVerdict.INSUFFICIENT_DATA, "no label has been joined yet"
    if result.champion is None:
        return CanaryVerdict.INSUFFICIENT_DATA, "no two versions have made predictions"
    comparison = result.comparison
    if comparison is None:
        return CanaryVerdict.INSUFFICIENT_DATA, f"versions {result.champion} and {result.candidate} have not served at the same time yet"
    verdict = CanaryVerdict(int(comparison.verdict[comparison.whole]))
    rows = [int(n) for n in comparison.compared[comparison.whole]]
    if verdict is CanaryVerdict.INSUFFICIENT_DATA:
        return verdict, f"{rows[0]} and {rows[1]} labelled rows can be compared, {result.settings.min_rows} of each are needed"
    if result.partial:
        return CanaryVerdict.UNDECIDED, "this process does not read every partition"
    over = "" if result.serving else "; the trial is over, one of them serves no more"
    again = "" if result.number == 1 else f"; trial {result.number} of these two, and each needs more than the one before"
    if again and verdict is CanaryVerdict.UNDECIDED:
        again += ": a longer labels.window lets one last longer"
    return verdict, f"{rows[0]} and {rows[1]} labelled rows compared{over}{again}"


def worst_first(result: CanaryResult) -> Sequence[int]:
    """Places of the segments but ALL: those that are worse first, then by how sure that is."""
    found = result.comparison
    if found is None:
        return ()
    others = [place for place in range(len(found.segments)) if place != found.whole]
    return sorted(others, key=lambda place: (found.verdict[place] != CanaryVerdict.WORSE, -found.worse[place], found.segments[place]))
