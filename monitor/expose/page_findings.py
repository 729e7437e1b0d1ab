"""The part of the status page that says what drifted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from urllib.parse import urlencode

import numpy as np

from monitor.evaluate.verdict import Status, Verdicts
from monitor.expose.findings import RATE_NAMES, conclude, is_quality, share_distance, shares, sizes
from monitor.expose.markup import Html, el, join, table
from monitor.expose.pairs import Comparison, Pair, SignalPairs, worst_by_signal
from monitor.expose.snapshot import ModelView
from monitor.expose.svg import against_threshold, histogram, parts
from monitor.expose.text import clock, count, number, percent, points, span

MAX_SIGNALS = 16
MAX_SEGMENTS = 3  # of each signal
MAX_SHARES = 10

STATISTIC_NAMES = {
    "psi": "PSI",
    "jensen_shannon": "Jensen–Shannon",
    "ks": "KS",
    "wasserstein": "Wasserstein",
    "hellinger": "Hellinger",
    "chi_square": "Cramér’s V",
    "missing_rate": "missing",
    "invalid_rate": "invalid",
    "unseen_rate": "unseen categories",
    "out_of_range_rate": "out of range",
}
"""Statistics as people call them."""


def link(model: ModelView, text: str, *, segment: str | None = None, signal: str | None = None) -> Html:
    """A link to the details of a segment, a signal, or both."""
    query = {"model": model.name, "segment": segment, "signal": signal}
    given = {name: value.encode("utf-8", "replace") for name, value in query.items() if value is not None}
    return el("a", text, href=f"/?{urlencode(given)}")


def window_name(one: Verdicts) -> str:
    """``short, 1 h``."""
    return f"{one.window.name}, {span(one.window.end_ms - one.window.start_ms)}"


def findings(model: ModelView, verdicts: Sequence[Verdicts]) -> Html:
    """What drifted, a group of rows per signal: its worst segments, how much, since when, and the shape of it."""
    groups = worst_by_signal(verdicts, MAX_SEGMENTS)
    total = sum(group.total for group in groups)
    title = el("h2", "What drifted", el("small", f"{count(total)} pairs of signal and segment" if total else None), id="drift")
    if not groups:
        return join(title, _nothing(verdicts))
    head = el(
        "tr",
        [
            el("th", name, scope="col")
            for name in ("Signal", "Segment", "Size against threshold", "Since", "Now against reference", "Window")
        ],
    )
    versions = len({one.version for one in verdicts}) > 1
    bodies = [_signal_rows(model, group, versions) for group in groups[:MAX_SIGNALS]]
    shown = sum(len(group.pairs) for group in groups[:MAX_SIGNALS])
    query = urlencode({"model": model.name, "status": "drifted"})
    rest = el(
        "p", f"The worst {count(shown)} are shown. ", el("a", "All drifted verdicts", href=f"/api/v1/verdicts?{query}"), class_="more"
    )
    legend = el(
        "p",
        "Bars: now. Line: the reference. Bins side by side, not to scale; red: missing, invalid, unseen or out of range.",
        class_="more",
    )
    return join(title, el("div", el("table", el("thead", head), *bodies), rest if shown < total else None, legend, class_="scroll"))


def _signal_rows(model: ModelView, group: SignalPairs, versions: bool) -> Html:
    signal, more = group.signal, group.total - len(group.pairs)
    note = link(model, f"{more} more segment{'s' if more > 1 else ''}", signal=signal) if more else None
    aside = el("div", note, class_="small light") if note else None
    first = el("th", link(model, signal, signal=signal), aside, scope="row", rowspan=len(group.pairs))
    rows = [
        el("tr", first if i == 0 else None, [el("td", cell) for cell in pair_cells(model, pair, versions)])
        for i, pair in enumerate(group.pairs)
    ]
    return el("tbody", rows)


def pair_cells(model: ModelView, pair: Pair, versions: bool) -> list[Html]:
    """Cells of a row about one pair, without its signal."""
    worst = pair.worst
    where = join(
        link(model, pair.segment, segment=pair.segment, signal=pair.signal),
        el("div", f"version {pair.version}", class_="small soft") if versions else None,
    )
    return [
        el("span", where, class_="key"),
        size_against_threshold(worst),
        _since(worst),
        histogram(shares(worst.verdicts, worst.segment, worst.signal)),
        _remarks(pair),
    ]


def size_of(statistic: str, value: float) -> str:
    """A value for people: a difference of rates in percentage points."""
    return points(value) if is_quality(statistic) else number(value)


def size_against_threshold(comparison: Comparison) -> Html:
    """The leading statistic: a bar, its name and value, and how many times the threshold."""
    name = STATISTIC_NAMES.get(comparison.statistic, comparison.statistic)
    value = size_of(comparison.statistic, comparison.value)
    times = f"{comparison.ratio:.1f} × threshold" if np.isfinite(comparison.ratio) else comparison.status.label.replace("_", " ")
    drifted = comparison.status == Status.DRIFTED
    bar = against_threshold(comparison.ratio, drifted=drifted)
    sub = f"{times} · {comparison.drifted} of {comparison.judged} statistics" if drifted else times
    return join(el("div", bar, el("b", f"{name} {value}"), class_="nowrap"), el("div", sub, class_="small soft nowrap"))


def _since(comparison: Comparison) -> Html:
    if comparison.since_ms is None:
        return el("span", "–", class_="soft")
    lasted_ms = comparison.verdicts.window.end_ms - comparison.since_ms
    lasted = f"for {span(lasted_ms)}" if lasted_ms > 0 else "first seen now"
    return join(el("div", clock(comparison.since_ms), class_="nowrap"), el("div", lasted, class_="small soft nowrap"))


def _remarks(pair: Pair) -> Html:
    worst = pair.worst
    unit = _unit(worst)
    windows = [one for one in pair.windows if one.status == Status.DRIFTED]
    badges = [_window_badge(one.verdicts) for one in windows] or [el("span", worst.status.label.replace("_", " "), class_="badge")]
    size, _ = sizes(worst.verdicts, worst.segment, worst.signal, worst.statistic)
    of_rate = worst.statistic in RATE_NAMES
    return join(
        el("div", unit, *badges, class_="badges"), el("div", f"{count(size)} {'rows' if of_rate else 'values'}", class_="small soft nowrap")
    )


def _unit(one: Comparison) -> Html | None:
    factor = float(one.verdicts.unit_factor[one.segment, one.signal])
    if not np.isfinite(factor):
        return None
    offset = 0.0 if one.verdicts.unit_offset is None else float(one.verdicts.unit_offset[one.segment, one.signal])
    text = f"unit × {factor:.6g}{f' {offset:+.6g}' if offset else ''}?"
    return el("span", text, class_="badge warn", title="Probable change of unit: now = factor × reference + offset")


def _window_badge(one: Verdicts) -> Html:
    return el("span", span(one.window.end_ms - one.window.start_ms), class_="badge", title=f"{one.window.name} window")


def _nothing(verdicts: Sequence[Verdicts]) -> Html:
    judged = sum(int(np.isin(conclude(one.status, axis=2), (Status.STABLE, Status.DRIFTED)).sum()) for one in verdicts)
    if not verdicts:
        head, text = "Nothing judged yet", "Verdicts appear when the first window of event time is full."
    elif judged:
        head, text = "No drift", f"{count(judged)} comparisons of a signal with its reference, none beyond its threshold and its noise."
    elif any((one.status == Status.PARTIAL).any() for one in verdicts):
        head, text = "Partial view", "This process does not read all partitions, so it judges nothing."
    elif all((one.status == Status.NO_REFERENCE).all() for one in verdicts):
        head, text = "No reference", "There is no reference for the model versions that occur in the events."
    else:
        head, text = "Not enough data", "No segment has the rows yet that a judgement needs. That is not the same as no drift."
    return el("div", el("b", head), text, class_="card empty")


def share_findings(model: ModelView, verdicts: Sequence[Verdicts]) -> Html | None:
    """Segments whose share of traffic drifted, largest change first; the window of the largest change is shown."""
    found: dict[str, list[tuple[float, Verdicts, int]]] = {}
    for one in verdicts:
        distance = share_distance(one)
        for s in np.flatnonzero(one.share.status == Status.DRIFTED).tolist():
            found.setdefault(one.segments[s], []).append((abs(float(distance[s])), one, s))
    if not found:
        return None
    rows = []
    for segment, windows in sorted(found.items(), key=lambda item: -max(each[0] for each in item[1]))[:MAX_SHARES]:
        _, one, s = max(windows, key=lambda each: each[0])
        since = int(one.share.since_ms[s])
        rows.append((
            link(model, segment, segment=segment),
            percent(float(one.share.reference_share[s])),
            percent(float(one.share.share[s])),
            points(float(share_distance(one)[s])),
            clock(since) if since >= 0 else "–",
            el("div", [_window_badge(each) for _, each, _ in windows], class_="badges"),
        ))  # fmt: skip
    head = ("Segment", "Share in the reference", "Share now", "Change", "Since", "Window")
    return join(el("h2", "Traffic that shifted"), table(head, rows, numeric=(1, 2, 3)))


def conclusions(verdicts: Sequence[Verdicts]) -> Html | None:
    """How many pairs were judged, and why the others were not, a bar per window."""
    blocks = []
    versions = len({one.version for one in verdicts}) > 1
    for name, group in groupby(verdicts, key=lambda one: (one.version, one.window.name)):
        one = next(iter(group))
        counts = np.bincount(conclude(one.status, axis=2).ravel(), minlength=len(Status))
        total = max(int(counts.sum()), 1)
        present = [status for status in Status if counts[status]]
        items = [
            el("li", _dot(f"k-{status.label}"), el("b", count(int(counts[status]))), f" {status.label.replace('_', ' ')}")
            for status in present
        ]
        title = f"{window_name(one)}, to {clock(one.window.end_ms)}{f', version {name[0]}' if versions else ''}"
        bar = parts([(status.label, f"k-{status.label}", int(counts[status]) / total) for status in present], f"Conclusions, {title}")
        blocks.append(el("div", el("p", title, class_="small soft"), bar, el("ul", items, class_="legend")))
    if not blocks:
        return None
    return join(
        el("h2", "Conclusions", el("small", "pairs of signal and segment")), el("div", el("div", blocks, class_="two"), class_="card")
    )


def _dot(kind: str) -> Html:
    return el("svg", el("rect", width=9, height=9, rx=2, class_=kind), class_="dot", viewBox="0 0 9 9", aria_hidden="true")
