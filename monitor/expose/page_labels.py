"""The part of the status page about labels: where they went, how late they come, how many are out, which to collect next."""

from __future__ import annotations

from urllib.parse import urlencode

import numpy as np

from monitor.config import format_duration
from monitor.evaluate.verdict import Status
from monitor.expose.markup import Html, el, join, table
from monitor.expose.outcome_findings import delay_quantiles
from monitor.expose.page_findings import link
from monitor.expose.page_quality import quality
from monitor.expose.page_tables import account, partitions
from monitor.expose.reliability import reliability_chart, reliability_of
from monitor.expose.snapshot import LabelsView, ModelView, Snapshot
from monitor.expose.svg_outcome import bar_chart
from monitor.expose.text import clock, count, percent, size, span
from monitor.label_verdicts import LabelVerdicts
from monitor.performance.delay import AGES_MS
from monitor.segment import ALL

MAX_WANTED = 8
MAX_SHORT = 5

_KINDS = {
    "matched": ("counted", "first labels of a prediction"),
    "revised": ("counted", "revised"),
    "vote": ("counted", "of further annotators"),
    "duplicate": ("duplicate", "repeated"),
    "late": ("late", "beyond the horizon"),
    "late_arrival": ("late", "behind their partition"),
    "orphan": ("rejected", "of no prediction"),
}


def labels(snapshot: Snapshot, model: ModelView) -> Html | None:
    """The section; None for a model without labels."""
    view = model.labels
    if view is None:
        return None
    found = next((each for each in snapshot.labels if each.model == model.name), None)
    verdicts = () if found is None else found.verdicts
    several = len(verdicts) > 1
    query = urlencode({"model": model.name})
    head = el("h2", "Labels", el("small", f"topic {view.topic}, ", el("a", "as JSON", href=f"/api/v1/labels?{query}")), id="labels")
    return el(
        "section",
        head,
        el("div", _ledger(view), _kept(view), class_="two"),
        [join(_came(model, one, several), quality(one)) for one in verdicts],
        partitions(view, "Partitions of labels"),
    )


def _ledger(view: LabelsView) -> Html:
    rejected = sum(view.rejected.values())
    why = ", ".join(f"{reason.label.replace('_', ' ')} {count(n)}" for reason, n in view.rejected.items() if n)
    entries = [(*_KINDS.get(outcome, ("counted", outcome)), n, "") for outcome, n in view.outcomes.items()]
    entries += [("partial", "waiting", view.waiting, "their predictions may not have been read yet")]
    entries += [("rejected", "rejected", rejected, why), ("tombstones", "tombstones", view.tombstones, "")]
    return account(entries, view.messages, view.unaccounted, "What became of them", level="h3")


def _kept(view: LabelsView) -> Html:
    lags = [partition.lag_messages for partition in view.partitions]
    lag = "–" if not lags or None in lags else f"{count(sum(lag or 0 for lag in lags))} messages"
    rows = [
        ("joined up to", clock(view.watermark_ms)),
        ("unread", lag),
        ("predictions remembered", count(view.predictions)),
        ("of these labelled", count(view.labelled)),
        ("of these expired without a label", count(view.expired)),
        ("predictions kept now", count(view.pending)),
        ("labels kept now", count(view.records)),
        ("restated", count(view.restated)),
        ("size", f"{size(view.disk_bytes)} on disk, {size(view.memory_bytes)} in memory"),
    ]
    if view.evicted or view.records_evicted:
        gone = f"{count(view.evicted)} predictions, {count(view.records_evicted)} labels"
        rows.append(("forgotten for want of room", gone))
    if view.combinations_folded:
        rows.append(("folded into __other__", count(view.combinations_folded)))
    return el("section", el("h3", "Predictions that wait"), table(("", ""), rows, numeric=(1,)))


def _came(model: ModelView, one: LabelVerdicts, several: bool) -> Html:
    place = one.by_prediction.segments.index(ALL)
    suffix = f", version {one.version}" if several else ""
    return el(
        "div",
        el("section", el("h3", f"How late{suffix}"), _delays(one, place), _coverage(one, place), _reliability(one, place, suffix)),
        el("section", el("h3", f"What to collect next{suffix}"), _selection(one, place), _wanted(model, one), _shortages(model, one)),
        class_="two",
    )


def _delays(one: LabelVerdicts, place: int) -> Html:
    found = {probability: delay.value[place] for probability, delay in delay_quantiles(one).items()}
    if not any(np.isfinite(delay) for delay in found.values()):
        return el("p", "No label came in the window.", class_="soft")
    told = ", ".join(f"{p:.0%} within {span(int(delay))}" for p, delay in found.items() if np.isfinite(delay))
    return el("p", f"Of the labels that came: {told}.")


def _coverage(one: LabelVerdicts, place: int) -> Html | None:
    coverage = one.coverage
    if coverage is None:
        return None
    shares = coverage.share.value[place]
    bars = [(format_duration(age), float(share)) for age, share in zip(AGES_MS.tolist(), shares, strict=True) if age and np.isfinite(share)]
    if not bars:
        return None
    expected = float(coverage.expected[place])
    still = f", {count(round(expected))} labels expected" if np.isfinite(expected) else ""
    relative = float(coverage.relative[place])
    before = f" {percent(relative)} of the labels have come that had at the same age the window before." if np.isfinite(relative) else ""
    caption = f"Share of predictions labelled, by their age. {count(int(coverage.pending[place]))} still out{still}.{before}"
    return el(
        "div",
        bar_chart(bars, f"Coverage by age: {percent(bars[-1][1])} after {bars[-1][0]}"),
        el("p", caption, class_="small soft"),
        class_="card",
    )


def _reliability(one: LabelVerdicts, place: int, suffix: str) -> Html | None:
    found = reliability_of(one, place)
    if found is None or not found.bins:
        return None
    caption = "How often each score came true, with its interval. On the dashed line a score is the probability that it says."
    chart = el("div", reliability_chart(found), el("p", caption, class_="small soft"), class_="card")
    return join(el("h3", f"Is a score what it says{suffix}"), chart)


def _selection(one: LabelVerdicts, place: int) -> Html | None:
    like = one.representativeness
    if like.status[place] != Status.DRIFTED:
        return None
    return el(
        "p",
        f"Labelled predictions are not like all: {percent(float(like.distance[place]))} of them would have to have other scores, "
        f"chance makes at most {percent(float(like.noise[place]))}.",
        class_="notice",
    )


def _wanted(model: ModelView, one: LabelVerdicts) -> Html:
    found = one.wanted
    if found is None:
        return el("p", "Errors of a regression ask for labels of no class in particular.", class_="soft")
    ranked = found.ranked()
    if not ranked:
        return el("p", "Every class of every segment is known as well as wanted.", class_="soft")
    rows = [(el("span", link(model, key, segment=key), class_="key"), of, count(n)) for key, of, n in ranked[:MAX_WANTED]]
    more = len(ranked) - len(rows)
    caption = f"For intervals of precision no wider than {percent(found.width)}.{f' {count(more)} more are wanted.' if more else ''}"
    return table(("Segment", "Predicted class", "Labels wanted"), rows, numeric=(2,), caption=caption)


def _shortages(model: ModelView, one: LabelVerdicts) -> Html | None:
    if not one.shortages:
        return None
    rows = [
        (
            el("span", link(model, each.segment, segment=each.segment), class_="key"),
            each.of or "all",
            percent(each.share),
            percent(each.reference_share),
            count(each.missing),
        )
        for each in one.shortages[:MAX_SHORT]
    ]
    head = ("Fewer labels than in the reference", "Class", "Share", "Reference", "Missing")
    return el("div", table(head, rows, numeric=(2, 3, 4)), class_="below")
