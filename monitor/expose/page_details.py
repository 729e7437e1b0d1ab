"""The status page for one segment, one signal, or one of both."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.evaluate.verdict import Status, Verdicts
from monitor.evaluate.worst import worst_bins
from monitor.expose.findings import shares
from monitor.expose.markup import Html, el, join, table
from monitor.expose.page_findings import STATISTIC_NAMES, link, pair_cells, size_of, window_name
from monitor.expose.page_performance import performance_of
from monitor.expose.pairs import Comparison, Pair, worst_pairs
from monitor.expose.snapshot import ModelView, Snapshot
from monitor.expose.svg import histogram
from monitor.expose.text import clock, count, percent, points

MAX_PAIRS = 60
WORST_BINS = 10


def drill_down(snapshot: Snapshot, model: ModelView, segment: str | None, signal: str | None) -> Html:
    """What is known about the chosen segment and signal; drifted or not."""
    verdicts = [one for one in snapshot.verdicts if one.model == model.name]
    pairs, total = worst_pairs(verdicts, MAX_PAIRS, segment=segment, signal=signal)
    title = " in ".join(part for part in (signal, segment) if part is not None)
    crumbs = [el("a", "Overview", href="/"), " / "]
    if segment is not None and signal is not None:
        crumbs += [link(model, signal, signal=signal), " / ", link(model, segment, segment=segment)]
    else:
        crumbs.append(el("span", title))
    head = join(el("p", *crumbs, class_="crumbs"), el("h1", title, el("small", model.name)))
    labelled = performance_of(snapshot, model, segment) if segment is not None and signal is None else None
    if not pairs and labelled is not None:
        return join(head, labelled)
    if not pairs:
        return join(head, el("div", el("b", "Nothing known"), "No verdict has this segment and signal.", class_="card empty"))
    if segment is not None and signal is not None:
        return join(head, [_comparison(one) for pair in pairs for one in pair.windows])
    return join(head, labelled, _pairs(model, pairs, total, len({one.version for one in verdicts}) > 1, by_signal=segment is not None))


def _pairs(model: ModelView, pairs: Sequence[Pair], total: int, versions: bool, *, by_signal: bool) -> Html:
    rows = []
    for pair in pairs:
        cells = pair_cells(model, pair, versions)
        if by_signal:
            cells[0] = link(model, pair.signal, segment=pair.segment, signal=pair.signal)
        rows.append(cells)
    head = ("Signal" if by_signal else "Segment", "Size against threshold", "Since", "Now against reference", "Window")
    caption = f"Worst first, {count(len(rows))} of {count(total)}." if total > len(rows) else f"Worst first, all {count(total)}."
    return join(el("h2", "Signals" if by_signal else "Segments"), table(head, rows, caption=caption))


def _comparison(one: Comparison) -> Html:
    verdicts = one.verdicts
    both = shares(verdicts, one.segment, one.signal)
    window = verdicts.window
    title = el(
        "h2",
        f"Window {window_name(verdicts)}",
        el("small", f"{clock(window.start_ms)} to {clock(window.end_ms)}, version {verdicts.version}"),
    )
    n_now, n_reference = (int(n[one.segment, one.signal]) for n in (verdicts.n_now, verdicts.n_reference))
    against = f"{count(n_reference)} in the reference" if verdicts.reference else "no reference"
    drawing = el(
        "div",
        histogram(both, large=True),
        el("p", f"{count(n_now)} values now (bars), {against} (line). Bins side by side, not to scale.", class_="small soft"),
        class_="card",
    )
    bins = [
        (shift.label, percent(shift.reference_share), percent(shift.share), points(shift.share - shift.reference_share))
        for shift in worst_bins(verdicts, one.segment, one.signal, WORST_BINS)
    ]
    moved = (
        table(("Value", "Reference", "Now", "Change"), bins, numeric=(1, 2, 3), caption="What moved most, as shares of the values.")
        if bins
        else None
    )
    return join(title, drawing, el("div", _statistics(verdicts, one.segment, one.signal), moved, class_="two below"))


def _statistics(verdicts: Verdicts, s: int, f: int) -> Html:
    rows = []
    for k, name in enumerate(verdicts.statistics):
        status = Status(int(verdicts.status[s, f, k]))
        if status == Status.NOT_APPLICABLE:
            continue
        tone = {Status.DRIFTED: "badge bad", Status.STABLE: "badge good"}.get(status, "badge")
        since = int(verdicts.since_ms[s, f, k])
        rows.append((
            STATISTIC_NAMES.get(name, name),
            size_of(name, float(verdicts.value[s, f, k])),
            size_of(name, float(verdicts.threshold[f, k])).lstrip("+"),
            size_of(name, float(verdicts.noise[s, f, k])).lstrip("+"),
            el("span", status.label.replace("_", " "), class_=tone),
            el("span", clock(since) if since >= 0 else "–", class_="nowrap"),
        ))  # fmt: skip
    head = ("Statistic", "Value", "Threshold", "Noise", "", "Since")
    return table(head, rows, numeric=(1, 2, 3), caption="Drifted: above the threshold and above what noise alone reaches.")
