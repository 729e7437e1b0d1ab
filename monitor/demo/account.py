"""The year at a glance, what river's detectors say, and what the monitor thinks of itself: lines for a person. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from monitor.demo.answers import Model, Status
from monitor.demo.findings import date
from monitor.demo.terminal import Ink, Style
from monitor.demo.year import Look, Period, Timeline, timelines, week_starts
from monitor.expose.page_findings import STATISTIC_NAMES
from monitor.expose.text import number, size

SHORT = "short"
MAX_TIMELINES = 20
_NAME_WIDTH = 21
_MARKS: Sequence[tuple[float, str, Style]] = (
    (10.0, "█", "red"), (5.0, "▆", "red"), (2.0, "▄", "yellow"), (1.0, "▂", "yellow"), (0.0, "·", "dim"),
)  # fmt: skip
"""Mark of so many times the threshold, or more."""


def year(looks: Sequence[Look], ink: Ink) -> list[str]:
    """When each signal was over its threshold: a line each, a mark a week."""
    found = timelines(looks, SHORT)
    title = ink("bold", "When it was over its threshold, all traffic")
    if not found:
        return ["", title, f"  nothing was, at any of the {len(looks)} evaluations looked at"]
    starts = week_starts(looks[0].at, looks[-1].at)
    lines = ["", title, ink("dim", f"  {'':{_NAME_WIDTH}} {months(starts)}  longest stretch      peak")]
    lines += [_timeline(each, ink) for each in found[:MAX_TIMELINES]]
    if left := found[MAX_TIMELINES:]:
        lines.append(f"  and {len(left)} more")
    key = "  ".join(f"{ink(style, mark)} {low:g} ×" for low, mark, style in reversed(_MARKS[:-1]))
    lines.append(f"  {'':{_NAME_WIDTH}} a mark a week: {key} the threshold and more")
    length = looks[-1].at - looks[0].at
    lines.append(f"  {'':{_NAME_WIDTH}} as seen at {len(looks)} of the evaluations of {length.days} days; ends may be a look late")
    return lines


def months(starts: Sequence[datetime]) -> str:
    """Names of months above the weeks in which they begin.

    >>> months([datetime(2013, 3, 1 + 7 * week) for week in range(4)] + [datetime(2013, 4, 1 + 7 * week) for week in range(4)])
    'Mar Apr '
    """
    text = ""
    for place, start in enumerate(starts):
        fresh = place == 0 or start.month != starts[place - 1].month
        if fresh and len(text) <= place and place + 3 <= len(starts):
            text = text.ljust(place) + f"{start:%b}"
    return text.ljust(len(starts))


def marks(weeks: Sequence[float], ink: Ink) -> str:
    """A mark for each week, the higher the further over the threshold.

    >>> marks([0.0, 1.5, 2.0, 7.0, 60.0], Ink(False))
    '·▂▄▆█'
    """
    runs = groupby(weeks, key=lambda times: next(each for each in _MARKS if times >= each[0]))
    return "".join(ink(style, mark * len(list(run))) for (_, mark, style), run in runs)


def _timeline(one: Timeline, ink: Ink) -> str:
    more = f" +{len(one.over) - 1}" if len(one.over) > 1 else ""
    times = f"{one.peak.times:.0f}" if one.peak.times >= 10 else f"{one.peak.times:.1f}"
    statistic = STATISTIC_NAMES.get(one.peak.statistic, one.peak.statistic)
    peak = f"{times} × on {date(one.peak.window_end)[5:]}, {statistic} {number(one.peak.value or 0.0)}"
    return f"  {ink('cyan', one.name.ljust(_NAME_WIDTH))} {marks(one.weeks, ink)}  {_period(one.longest)}{more:<4}  {peak}"


def _period(period: Period) -> str:
    return f"{period[0]:%m-%d} to {period[1]:%m-%d}"


def alarms(model: Model, ink: Ink) -> list[str]:
    """What the attached detectors of river said."""
    if not model.river:
        return []
    lines = ["", ink("bold", "Detectors of river")]
    for each in model.river:
        where = "all traffic" if each.segment == "ALL" else each.segment
        said = f"{each.alarms} alarm{'s' if each.alarms > 1 else ''}, last on {date(each.last_alarm)}" if each.alarms else "no alarm"
        lines.append(f"  {each.detector.rpartition('.')[2]} on the daily mean of {each.signal}, {where}: {said}")
    return lines


def itself(status: Status, sent: int, ink: Ink) -> list[str]:
    """What the monitor thinks of itself: where every row went, versions, progress, memory."""
    lines = ["", ink("bold", "What the monitor thinks of itself")]
    lines.append(_entry("health", f"{_condition(status, ink)}. {status.reason}"))
    for model in status.models:
        lines += [_entry(name, text) for name, text in _model_entries(model, sent, ink)]
    return lines


def _model_entries(model: Model, sent: int, ink: Ink) -> list[tuple[str, str]]:
    ledger, segments, memory = model.ledger, model.segments, model.memory_bytes
    late, rejected = sum(ledger.rows_late.values()), sum(ledger.rejected.values())
    versions = [f"{each.version}, {'with' if each.reference else 'WITHOUT'} a reference" for each in model.versions]
    return [
        ("rows", f"{ledger.messages:,} received of {sent:,} sent"),
        (
            "",
            f"= {ledger.rows_counted:,} counted + {ledger.rows_duplicate:,} duplicate + {late:,} late + {rejected:,} rejected"
            f" + {ledger.tombstones:,} tombstones: {ink('green', 'adds up') if balanced(model, sent) else ink('red', 'does NOT add up')}",
        ),
        *_label_entries(model, ink),
        ("losses", f"{ledger.offsets_lost:,} offsets, {ledger.ids_evicted:,} ids forgotten, {ledger.rows_folded:,} rows without a segment"),
        ("versions", "; ".join(versions)),
        ("segments", f"{segments.reference:,} of the reference, {segments.new:,} new, at most {segments.limit:,}"),
        (
            "event time",
            f"judged to {_minute(model.evaluated_event_time)}, watermark {_minute(model.watermark)},"
            f" {_behind(model.lag_messages)} messages behind",
        ),
        (
            "memory",
            f"{size(memory.open)} in {model.open_panes} open panes, {size(memory.closed)} in closed ones,"
            f" {size(memory.duplicates)} for {model.remembered_ids:,} ids",
        ),
    ]


def _label_entries(model: Model, ink: Ink) -> list[tuple[str, str]]:
    labels = model.labels
    if labels is None:
        return []
    ledger, predictions = labels.ledger, labels.predictions
    rejected, late = sum(ledger.rejected.values()), ledger.late + ledger.late_arrival
    sums = ink("green", "adds up") if ledger.unaccounted == 0 else ink("red", "does NOT add up")
    return [
        ("labels", f"{ledger.messages:,} received"),
        (
            "",
            f"= {ledger.matched:,} matched + {ledger.revised:,} revised + {ledger.vote:,} votes + {ledger.duplicate:,} duplicate"
            f" + {late:,} late + {ledger.orphan:,} orphan + {rejected:,} rejected + {ledger.waiting:,} waiting: {sums}",
        ),
        (
            "",
            f"{predictions.labelled:,} of {predictions.received:,} predictions labelled, {predictions.expired:,} never within the horizon,"
            f" {predictions.pending:,} kept for a label or its revision",
        ),
    ]


def _entry(name: str, text: str) -> str:
    return f"  {name:<11}{text}"


def _behind(lag: int | None) -> str:
    return "unknown" if lag is None else f"{lag:,}"


def balanced(model: Model, sent: int) -> bool:
    """Whether everything that was sent arrived, and every message that arrived is accounted for, by the monitor's word and by ours."""
    ledger = model.ledger
    used = ledger.rows_counted + ledger.rows_duplicate + sum(ledger.rows_late.values())
    used += sum(ledger.rejected.values()) + ledger.tombstones
    return sent == ledger.messages == used and ledger.unaccounted == 0


def _condition(status: Status, ink: Ink) -> str:
    return ink("green" if status.condition == "healthy" else "red", status.condition)


def _minute(time: str | None) -> str:
    return "–" if time is None else f"{time[:10]} {time[11:16]}"
