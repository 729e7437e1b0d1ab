"""The part of the status page about the canary test: which version is better, how sure that is, and where it is worse."""

from __future__ import annotations

from urllib.parse import urlencode

from monitor.canary.comparison import CanaryVerdict, Comparison
from monitor.canary.trial import CanaryResult
from monitor.expose.canary_findings import canary_verdict, worst_first
from monitor.expose.markup import Html, el, table
from monitor.expose.snapshot import ModelView, Snapshot
from monitor.expose.text import clock, count, number, percent, points

MAX_SEGMENTS = 12

_TONES = {
    CanaryVerdict.INSUFFICIENT_DATA: "calm",
    CanaryVerdict.UNDECIDED: "calm",
    CanaryVerdict.NOT_WORSE: "good",
    CanaryVerdict.BETTER: "good",
    CanaryVerdict.WORSE: "bad",
}


def canary(snapshot: Snapshot, model: ModelView) -> Html | None:
    """The section; None for a model without a canary test."""
    if not model.canary:
        return None
    result = next((each.canary for each in snapshot.labels if each.model == model.name), None)
    verdict, reason = canary_verdict(result)
    link = el("a", "as JSON", href=f"/api/v1/canary?{urlencode({'model': model.name})}")
    head = el("h2", "Canary", el("small", link), id="canary")
    if result is None or result.comparison is None:
        return el("section", head, el("p", _badge(verdict), f" {reason[:1].upper()}{reason[1:]}."))
    versions = f" Candidate {result.candidate} against champion {result.champion} since {clock(result.since_ms)}: {reason}."
    return el("section", head, el("p", _badge(verdict), versions), _sure(result, result.comparison), _segments(result, result.comparison))


def _badge(verdict: CanaryVerdict) -> Html:
    return el("span", verdict.label.replace("_", " "), class_=f"badge {_TONES[verdict]}")


def _sure(result: CanaryResult, found: Comparison) -> Html:
    settings = result.settings
    place, margin = found.whole, _difference(found, settings.margin).lstrip("+")
    claims = (
        (f"worse by more than {margin}", found.worse),
        (f"not worse by {margin}", found.not_worse),
        ("better", found.better),
    )
    said = ", ".join(f"{claim} {percent(float(confidence[place]))}" for claim, confidence in claims)
    intervals = f"The {percent(settings.confidence)} intervals hold at all times together."
    return el("p", f"Confidence, at any time one looks: {said}. {intervals}", class_="soft")


def _segments(result: CanaryResult, found: Comparison) -> Html:
    order = list(worst_first(result))
    rows = [_row(found, place) for place in (found.whole, *order[:MAX_SEGMENTS])]
    more = len(order) - MAX_SEGMENTS
    head = ("Segment", "Verdict", "Champion", "Candidate", "Difference", "Interval", "Labelled rows compared")
    caption = "Champion and candidate on the same mix of traffic: same segments, same hours."
    caption += f" {count(more)} more segments are not shown." if more > 0 else ""
    return table(head, rows, numeric=(2, 3, 4, 5, 6), caption=caption)


def _row(found: Comparison, place: int) -> tuple[str | Html, ...]:
    compared = found.compared[place]
    return (
        el("span", found.segments[place], class_="key"),
        _badge(CanaryVerdict(int(found.verdict[place]))),
        _value(found, float(found.value[place, 0])),
        _value(found, float(found.value[place, 1])),
        _difference(found, float(found.difference[place])),
        f"{_difference(found, float(found.low[place]))} to {_difference(found, float(found.high[place]))}",
        f"{count(int(compared[0]))} + {count(int(compared[1]))}",
    )


def _value(found: Comparison, value: float) -> str:
    return percent(value) if found.metric == "accuracy" else number(value)


def _difference(found: Comparison, value: float) -> str:
    return points(value) if found.metric == "accuracy" else number(value)
