"""Findings as lines for a person: pure functions from what the API answered to text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from monitor.demo.answers import BinShift, Model, Verdict
from monitor.demo.terminal import Ink
from monitor.expose.page_findings import STATISTIC_NAMES
from monitor.expose.text import number, percent, points
from monitor.segment import ALL

MAX_FINDINGS = 12
MAX_FAULTS = 8
MAX_SHARES = 5
ANSWERS = ("score", "predicted_class")
"""Signals that the model made; the others were given to it."""

_NAME_WIDTH = 21
_INDENT = " " * (_NAME_WIDTH + 3)
_RANGE = re.compile(r"(-?[\d.]+(?:e[+-]?\d+)?) to (-?[\d.]+(?:e[+-]?\d+)?)")
_RATE_OF = {"missing_rate": "missing", "invalid_rate": "invalid", "unseen_rate": "never seen before", "out_of_range_rate": "out of range"}


def date(time: str | None) -> str:
    """The day of an ISO time; a dash for none.

    >>> date("2013-12-10T00:00:00.000Z"), date(None)
    ('2013-12-10', '–')
    """
    return "–" if time is None else time[:10]


def against(model: Model) -> list[str]:
    """Which reference the verdicts compare with."""
    lines = []
    for each in model.versions:
        if each.reference is None:
            lines.append(f"  version {each.version} has no reference")
        else:
            rows = "–" if each.reference_rows is None else f"{each.reference_rows:,}"
            lines.append(
                f"  compared with {rows} flights of {date(each.reference_start)} to {date(each.reference_end)}"
                f" (model {model.name} version {each.version}, reference {each.reference[:12]})"
            )
    return lines


def drifts(drifted: Sequence[Verdict], ink: Ink) -> list[str]:
    """What the model was given and what it answered: a group for each signal whose distribution moved, furthest first."""
    groups = by_signal(verdict for verdict in drifted if verdict.signal is not None and verdict.statistic not in _RATE_OF)
    lines = ["", ink("bold", f"What had drifted by {date(drifted[0].window_end)}" if groups else "Nothing had drifted")]
    given = [group for group in groups if group[0].signal not in ANSWERS]
    answered = [group for group in groups if group[0].signal in ANSWERS]
    for group in given[:MAX_FINDINGS]:
        lines += _drift(group, ink)
    if left := given[MAX_FINDINGS:]:
        lines.append(f"  and {len(left)} more: {', '.join(str(group[0].signal) for group in left)}")
    lines += ["", ink("bold", "What the model answers")]
    for group in answered:
        lines += _drift(group, ink)
    return lines if answered else [*lines, "  score and predicted class are as they were in the reference, in every segment"]


def by_signal(verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    """Verdicts of each signal, the furthest first; the groups by their furthest over all traffic, or in any segment."""
    groups: dict[str | None, list[Verdict]] = {}
    for verdict in sorted(verdicts, key=lambda verdict: -verdict.times):
        groups.setdefault(verdict.signal, []).append(verdict)
    return sorted(groups.values(), key=lambda group: (leading(group).segment != ALL, -leading(group).times))


def leading(group: Sequence[Verdict]) -> Verdict:
    """The furthest over all traffic, or else in any segment: what the whole traffic does, segments may only repeat."""
    return next((verdict for verdict in group if verdict.segment == ALL), group[0])


def _drift(group: Sequence[Verdict], ink: Ink) -> list[str]:
    one = leading(group)
    since = min((verdict.since for verdict in group if verdict.since and _same_place(verdict, one)), default=None)
    size = ink("red" if one.times >= 5 else "yellow", f"{_name(one)} {number(one.value or 0.0)}")
    lines = [
        f"  {ink('cyan', str(one.signal).ljust(_NAME_WIDTH))} {size}, {one.times:.1f} × the threshold of {one.threshold:g}"
        f" (noise {number(_or_nan(one.noise_floor))}), since {date(since)}"
    ]
    if one.worst_bins:
        lines.append(f"{_INDENT}{moved(one.worst_bins)}")
    lines.append(ink("dim", f"{_INDENT}{one.n_now:,} values of the last {_length(one)} against {one.n_reference or 0:,}{_unit(one)}"))
    return [*lines, ink("dim", f"{_INDENT}{_where(group)}")]


def _same_place(one: Verdict, other: Verdict) -> bool:
    return (one.segment, one.window) == (other.segment, other.window)


def moved(bins: Sequence[BinShift]) -> str:
    """The bin that moved most, in words, and the one that moved most the other way, or else the second.

    >>> moved([BinShift("29.9203 to 31.0711", 0.057, 0.0), BinShift("9 to 10", 0.04, 0.0), BinShift("21.8648 to 23.0156", 0.058, 0.222)])
    'fewer 29.9 to 31.1 (5.7 % → 0 %), more 21.9 to 23.0 (5.8 % → 22.2 %)'
    """
    shown = list(bins[:1])
    shown += [each for each in bins[1:] if (each.share > each.reference_share) != (bins[0].share > bins[0].reference_share)][:1]
    return ", ".join(
        f"{'more' if each.share > each.reference_share else 'fewer'} {bin_name(each.bin)}"
        f" ({percent(each.reference_share)} → {percent(each.share)})"
        for each in (shown if len(shown) > 1 else bins[:2])
    )


def bin_name(label: str) -> str:
    """A bin for people: its ends with as few decimals as keep them within a twentieth of its width.

    >>> bin_name("1004.5 to 1008.2"), bin_name("0.0474259 to 0.054459"), bin_name("64.4 to 130"), bin_name("9E"), bin_name("unseen")
    ('1004.5 to 1008.2', '0.0474 to 0.0545', '64 to 130', '9E', 'never seen before')
    """
    if label == "unseen":
        return "never seen before"
    ends = _RANGE.fullmatch(label)
    if ends is None:
        return label
    low, high = float(ends[1]), float(ends[2])
    for decimals in range(7):
        texts = [f"{end:.{decimals}f}" for end in (low, high)]
        if all(abs(float(text) - end) < 0.05 * (high - low) for text, end in zip(texts, (low, high), strict=True)):
            return " to ".join(texts)
    return label


def _where(group: Sequence[Verdict]) -> str:
    segments = {verdict.segment for verdict in group} - {ALL}
    everywhere = any(verdict.segment == ALL for verdict in group)
    if not segments:
        return "all traffic, no segment by itself"
    worst = next(verdict for verdict in group if verdict.segment != ALL)
    return (
        f"{'all traffic and' if everywhere else 'only'} {len(segments)} segment{'s' if len(segments) > 1 else ''},"
        f" furthest in {worst.segment} ({_name(worst)} {number(worst.value or 0.0)}, since {date(worst.since)})"
    )


def _name(verdict: Verdict) -> str:
    return STATISTIC_NAMES.get(verdict.statistic, verdict.statistic)


def _length(verdict: Verdict) -> str:
    length = datetime.fromisoformat(verdict.window_end) - datetime.fromisoformat(verdict.window_start)
    return f"{length.days} days" if length.days > 1 else f"{length.total_seconds() / 3600:g} h"


def _unit(verdict: Verdict) -> str:
    if verdict.unit_factor is None:
        return ""
    return f"; probably another unit: × {verdict.unit_factor:.6g}{f' {verdict.unit_offset:+.6g}' if verdict.unit_offset else ''}"


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def faults(drifted: Sequence[Verdict], ink: Ink) -> list[str]:
    """Data quality: values that are missing, invalid, unseen or out of range more or less often, and changes of unit."""
    lines = ["", ink("bold", "Data quality")]
    groups: dict[tuple[str | None, str], list[Verdict]] = {}
    for verdict in drifted:
        if verdict.statistic in _RATE_OF:
            groups.setdefault((verdict.signal, verdict.statistic), []).append(verdict)
    ordered = sorted(groups.values(), key=lambda group: (leading(group).segment != ALL, -leading(group).times))
    for group in ordered[:MAX_FAULTS]:
        one = leading(group)
        change = ", ".join(f"{percent(each.reference_share)} → {percent(each.share)}" for each in one.worst_bins[:1])
        segments = len({verdict.segment for verdict in group} - {ALL})
        where = f"{'all traffic' if one.segment == ALL else one.segment}, {segments} segment{'' if segments == 1 else 's'}"
        lines.append(
            f"  {ink('cyan', str(one.signal).ljust(_NAME_WIDTH))} {_RATE_OF[one.statistic]} {change}"
            f" ({ink('yellow', points(one.value or 0.0))})"
            f" in {_length(one)}, since {date(one.since)} ({where})"
        )
    if left := ordered[MAX_FAULTS:]:
        lines.append(f"  and {len(left)} more")
    if not ordered:
        lines.append("  nothing is missing, invalid, unseen or out of range more often than in the reference")
    units = {(verdict.signal, verdict.segment) for verdict in drifted if verdict.unit_factor is not None}
    lines.append(f"  probable changes of unit: {len(units) or 'none'}")
    return lines


def shares(verdicts: Sequence[Verdict], ink: Ink) -> list[str]:
    """Representativeness: segments whose share of traffic drifted, or the largest moves when none did."""
    lines = ["", ink("bold", "Shares of traffic")]
    judged = sorted((verdict for verdict in verdicts if verdict.value is not None), key=lambda verdict: -abs(verdict.value or 0.0))
    drifted = [verdict for verdict in judged if verdict.status == "drifted"]
    if not judged:
        return [*lines, "  no segment has enough rows yet"]
    if not drifted:
        lines.append(f"  no segment's share moved by more than {points(judged[0].threshold).lstrip('+')}; the largest moves:")
    shown: dict[str, Verdict] = {}
    for verdict in drifted or judged:
        shown.setdefault(verdict.segment, verdict)
    for verdict in list(shown.values())[:MAX_SHARES]:
        since = f", since {date(verdict.since)}" if verdict.since else ""
        change = f"{percent(_or_nan(verdict.reference_share))} → {percent(_or_nan(verdict.share))}"
        lines.append(
            f"  {ink('cyan', verdict.segment.ljust(_NAME_WIDTH))} {change} ({points(verdict.value or 0.0)}) in {_length(verdict)}{since}"
        )
    if drifted and len(shown) > MAX_SHARES:
        lines.append(f"  and {len(shown) - MAX_SHARES} more")
    return lines
