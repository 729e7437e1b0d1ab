"""The parts of the status page about the monitor itself: progress, segments, ledger, references, partitions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.evaluate.verdict import Status, Verdicts
from monitor.expose.findings import conclude, segment_rows, urgencies
from monitor.expose.markup import Html, el, join, table
from monitor.expose.page_findings import link, window_name
from monitor.expose.snapshot import LabelsView, ModelView
from monitor.expose.svg import parts
from monitor.expose.text import clock, count, percent, size, span

MAX_ROWS = 15


def tiles(model: ModelView, verdicts: Sequence[Verdicts], now_ms: int) -> Html:
    """The four numbers to look at first."""
    drifted = {(one.segments[s], one.signals[f]) for one in verdicts for s, f in np.argwhere(one.drifted().any(axis=2)).tolist()}
    signals, segments_hit = len({signal for _, signal in drifted}), len({segment for segment, _ in drifted})
    found = (f"{signals} signal{'' if signals == 1 else 's'}", f"in {segments_hit} segment{'' if segments_hit == 1 else 's'}")
    lag = model.lag_messages
    newest = max((p.newest_event_ms for p in model.partitions if p.newest_event_ms is not None), default=None)
    reached = "no event seen yet" if newest is None else f"newest event {clock(newest)}"
    ledger_ = model.ledger
    bad = ledger_.rejected_messages / ledger_.messages if ledger_.messages else 0.0
    return el(
        "dl",
        _tile("Drifted", *(found if drifted else _none_found(verdicts))),
        _tile("Behind", "–" if lag is None else f"{count(lag)} messages", reached),
        _tile(
            "Last evaluation",
            "–" if model.evaluated_ms is None else f"{span(now_ms - model.evaluated_ms)} ago",
            f"panes closed to {clock(model.watermark_ms)}" if model.watermark_ms is not None else "no pane closed yet",
        ),
        _tile("Rows counted", count(ledger_.rows_counted), f"of {count(ledger_.messages)} messages, {percent(bad)} rejected"),
        class_="tiles",
    )


def _none_found(verdicts: Sequence[Verdicts]) -> tuple[str, str]:
    if not verdicts:
        return "–", "nothing judged yet"
    judged = any((one.status == Status.STABLE).any() for one in verdicts)
    return ("none", "in any segment") if judged else ("–", "nothing could be judged")


def _tile(name: str, value: str, sub: str) -> Html:
    return el("div", el("dt", name), el("dd", value), el("dd", sub, class_="sub"), class_="tile")


def segments(model: ModelView, verdicts: Sequence[Verdicts]) -> Html | None:
    """Segments, worst first: rows, share of traffic, drifted signals. The window shown is the longest one."""
    if not verdicts:
        return None
    one = max(verdicts, key=lambda each: (each.window.end_ms - each.window.start_ms, segment_rows(each).sum()))
    by_signal = conclude(one.status, axis=2)
    n = segment_rows(one)
    worst = urgencies(one).max(axis=(1, 2), initial=0.0)
    order = np.lexsort((-n, -np.floor(worst)))[:MAX_ROWS]
    rows = []
    for s in order.tolist():
        status = Status(int(conclude(by_signal[s], axis=0)))
        hit = int((by_signal[s] == Status.DRIFTED).sum())
        tone = {Status.DRIFTED: "badge bad", Status.STABLE: "badge good"}.get(status, "badge")
        rows.append((
            el("span", link(model, one.segments[s], segment=one.segments[s]), class_="key"),
            count(int(n[s])),
            percent(float(one.share.share[s])),
            percent(float(one.share.reference_share[s])) if one.share.status[s] != Status.NO_REFERENCE else "–",
            f"{hit} of {len(one.signals)}",
            el("span", status.label.replace("_", " "), class_=tone),
        ))  # fmt: skip
    head = ("Segment", "Rows", "Share now", "Share in the reference", "Drifted signals", "")
    more = len(one.segments) - len(rows)
    note = f"{window_name(one)}, version {one.version}. Shares are within the segment's grouping."
    left = f" {count(more)} more segments are not shown." if more > 0 else ""
    folded = f" {count(model.ledger.rows_folded)} rows were folded into __other__." if model.ledger.rows_folded else ""
    title = el("h2", "Segments", el("small", f"{count(len(one.segments))} watched"))
    return join(title, table(head, rows, numeric=(1, 2, 3, 4), caption=f"{note}{left}{folded}"))


def ledger(model: ModelView) -> Html:
    """Where every message went."""
    of = model.ledger
    entries = [
        ("counted", "counted", of.rows_counted, ""),
        ("duplicate", "dropped as duplicate", of.rows_duplicate, ""),
        ("late", "too late", of.late_rows, _reasons(of.rows_late)),
        ("rejected", "rejected", of.rejected_messages, _reasons({reason.label: n for reason, n in of.rejected.items()})),
        ("tombstones", "without a value", of.tombstones, ""),
    ]
    extra = [
        f"{count(of.offsets_lost)} offsets were gone from the log before they could be read. " if of.offsets_lost else "",
        f"{count(of.ids_evicted)} ids were forgotten before their time. " if of.ids_evicted else "",
    ]
    return account(entries, of.messages, of.unaccounted, "Rows", below=el("p", *extra, class_="small soft"))


def account(
    entries: Sequence[tuple[str, str, int, str]],
    messages: int,
    unaccounted: int,
    title: str,
    *,
    level: str = "h2",
    below: Html | None = None,
) -> Html:
    """Where messages went: kind (a class), name, how many and why of each entry; the title says whether they are all of them."""
    total = max(messages, 1)
    bar = parts([(name, f"k-{key}", n / total) for key, name, n, _ in entries], "Where the messages went")
    rows: list[tuple[Html | str, ...]] = [
        (join(_square(f"k-{key}"), name, el("div", why, class_="small soft") if why else None), count(n), percent(n / total))
        for key, name, n, why in entries
    ]
    rows.append((el("b", "received"), el("b", count(messages)), ""))
    adds_up = None
    if messages and unaccounted == 0:
        adds_up = el("span", "adds up", class_="badge good")
    elif messages:
        adds_up = el("span", f"{count(unaccounted)} unaccounted for", class_="badge bad")
    return el("section", el(level, f"{title} ", adds_up), el("div", bar, table(("Messages", "", ""), rows, numeric=(1, 2)), below))


def _reasons(counts: object) -> str:
    assert hasattr(counts, "items")
    present = sorted(((n, reason) for reason, n in counts.items() if n), reverse=True)
    return ", ".join(f"{reason.replace('_', ' ')} {count(n)}" for n, reason in present)


def _square(kind: str) -> Html:
    return el("svg", el("rect", width=9, height=9, rx=2, class_=kind), class_="dot", viewBox="0 0 9 9", aria_hidden="true")


def references(model: ModelView) -> Html:
    """What is compared with, per model version; and memory."""
    rows: list[tuple[Html | str, Html | str]] = []
    for each in model.versions:
        reference = each.reference
        rows.append((el("b", "version"), el("b", each.version if reference else f"{each.version}: no reference")))
        if reference is not None:
            rows.append(("fingerprint", el("span", reference.fingerprint[:16], class_="mono", title=reference.fingerprint)))
            rows.append(("data", f"{reference.dataset_version or 'unnamed data set'}, {count(reference.rows)} rows"))
            if reference.start_ms is not None and reference.end_ms is not None:
                rows.append(("period", f"{clock(reference.start_ms)} to {clock(reference.end_ms)}"))
            if reference.pipeline_version:
                rows.append(("feature pipeline", reference.pipeline_version))
    memory = model.memory
    rows.append((el("b", "memory"), size(memory.open + memory.closed + memory.duplicates)))
    rows.append(("counts", f"{size(memory.open)} open in {count(model.open_panes)} panes, {size(memory.closed)} closed"))
    rows.append(("remembered ids", f"{count(model.remembered_ids)}, {size(memory.duplicates)}"))
    used = model.segments_reference + model.segments_new
    rows.append(("segments", f"{count(used)} of at most {count(model.segments_limit)}, {count(model.segments_new)} not in a reference"))
    return el("section", el("h2", "Reference and memory"), table(("", ""), rows))


def partitions(model: ModelView | LabelsView, title: str = "Partitions") -> Html | None:
    """How far the reading is, the partitions with the largest lag first."""
    if not model.partitions:
        return None
    order = sorted(model.partitions, key=lambda p: (-(p.lag_messages or 0), p.partition))
    rows = []
    for p in order[:MAX_ROWS]:
        state = "paused" if p.paused else "idle" if p.idle else "reading"
        tone = {"paused": "badge warn", "idle": "badge"}.get(state, "badge good")
        lag = "–" if p.lag_messages is None else count(p.lag_messages)
        rows.append((str(p.partition), count(p.next_offset), lag, clock(p.newest_event_ms), el("span", state, class_=tone)))
    owned = f"{len(model.partitions)} of {model.partitions_in_topic} read here"
    hidden = len(order) - len(rows)
    caption = f"{hidden} more partitions are not shown." if hidden > 0 else None
    head = ("Partition", "Next offset", "Lag", "Newest event", "")
    return join(el("h2", title, el("small", owned)), table(head, rows, numeric=(0, 1, 2), caption=caption))
