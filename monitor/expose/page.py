"""The status page, rendered on the server: is the monitor well, how far behind, what drifted, where, since when, how much.

HTML without scripts or outside assets. Pure: a snapshot, a query and the time to bytes.
"""

from __future__ import annotations

from monitor.expose.health import Condition, health
from monitor.expose.markup import Html, el, join
from monitor.expose.page_alarms import alarms
from monitor.expose.page_canary import canary
from monitor.expose.page_details import drill_down
from monitor.expose.page_findings import conclusions, findings, share_findings
from monitor.expose.page_labels import labels
from monitor.expose.page_performance import performance
from monitor.expose.page_retraining import retraining
from monitor.expose.page_tables import ledger, partitions, references, segments, tiles
from monitor.expose.pairs import drifted_keys
from monitor.expose.query import BadParameterError, Query, check_names, one_of, whole
from monitor.expose.snapshot import ModelView, Snapshot
from monitor.expose.style import STYLE
from monitor.expose.text import clock, span

_TONES = {
    Condition.STUCK: "bad",
    Condition.STOPPING: "warn",
    Condition.STARTING: "calm",
    Condition.UNREACHABLE: "bad",
    Condition.UNSAVED: "bad",
    Condition.REBUILDING: "warn",
    Condition.PARTIAL: "warn",
    Condition.FINISHED: "calm",
    Condition.HEALTHY: "good",
}

_MARK = Html(
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path class="arc" d="M3 17a9 9 0 0 1 18 0"/>'
    '<path class="swing" d="M14.3 8.3A9 9 0 0 1 21 17"/><line class="needle" x1="12" y1="17" x2="16.5" y2="10.5"/></svg>'
)


def status_page(snapshot: Snapshot, query: Query, now_ms: int) -> bytes:
    """The page; ``model``, ``segment`` and ``signal`` lead into the details, ``refresh`` reloads it every so many seconds.

    Raises ``BadParameterError``.
    """
    check_names(query, ("model", "segment", "signal", "refresh"))
    for name in ("model", "segment", "signal"):
        if len(query.get(name, ())) > 1:
            raise BadParameterError(name, "one value", ", ".join(query[name]))
    refresh = whole(query, "refresh", 0, 0, 86_400)
    chosen = one_of(query, "model", [model.name for model in snapshot.models])
    models = [model for model in snapshot.models if chosen is None or model.name in chosen]
    segment, signal = (query[name][0] if name in query else None for name in ("segment", "signal"))
    if segment is None and signal is None:
        content = join(_state(snapshot, now_ms), [_model(snapshot, model, now_ms, alone=len(snapshot.models) == 1) for model in models])
    else:
        content = join([drill_down(snapshot, model, segment, signal) for model in models])
    return _document(snapshot, content, refresh, now_ms)


def _document(snapshot: Snapshot, content: Html, refresh: int, now_ms: int) -> bytes:
    drifted = len({(one.model, key) for one in snapshot.verdicts for key, _ in drifted_keys(one)})
    condition = health(snapshot, now_ms).condition
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", http_equiv="refresh", content=max(refresh, 5)) if refresh else None,
        el("title", f"{f'{drifted} drifted' if drifted else condition} · driftgauge"),
        el("style", Html(STYLE)),
    )
    navigation = el(
        "nav",
        el("a", "Metrics", href="/metrics"),
        el("a", "Verdicts as JSON", href="/api/v1/verdicts"),
        el("a", "Status as JSON", href="/api/v1/status"),
        aria_label="Other views",
    )
    brand = el("a", _MARK, "driftgauge", href="/", class_="brand")
    top = el("header", el("div", brand, navigation, class_="wrap"), class_="top")
    body = el(
        "body",
        el("a", "Skip to the content", href="#content", class_="skip"),
        top,
        el("main", content, _footer(snapshot, refresh), id="content", class_="wrap"),
    )
    return b"<!doctype html>\n" + el("html", head, body, lang="en").encode("utf-8", "replace") + b"\n"


def _state(snapshot: Snapshot, now_ms: int) -> Html:
    found = health(snapshot, now_ms)
    behind = f"Up for {span(now_ms - snapshot.started_ms)}"
    saved = "" if snapshot.committed_ms is None else f", state saved {span(now_ms - snapshot.committed_ms)} ago"
    state = el(
        "div",
        el("span", str(found.condition).capitalize(), class_=f"badge {_TONES[found.condition]}"),
        el("span", found.reason),
        el("span", f"{behind}{saved}.", class_="soft"),
        class_="state",
        role="status",
    )
    return join(state, [el("p", notice, class_="notice") for notice in snapshot.notices])


def _model(snapshot: Snapshot, model: ModelView, now_ms: int, *, alone: bool) -> Html:
    verdicts = [one for one in snapshot.verdicts if one.model == model.name]
    return el(
        "section",
        el("h1", model.name if alone else el("a", model.name, href=f"/?{_model_query(model)}"), el("small", f"topic {model.topic}")),
        tiles(model, verdicts, now_ms),
        retraining(model, now_ms),
        alarms(model),
        canary(snapshot, model),
        performance(snapshot, model),
        findings(model, verdicts),
        share_findings(model, verdicts),
        conclusions(verdicts),
        segments(model, verdicts),
        el("div", ledger(model), references(model), class_="two"),
        partitions(model),
        labels(snapshot, model),
    )


def _model_query(model: ModelView) -> str:
    from urllib.parse import urlencode

    return urlencode({"model": model.name})


def _footer(snapshot: Snapshot, refresh: int) -> Html:
    reload = el("a", "Stop reloading", href="/") if refresh else el("a", "Reload every 30 s", href="/?refresh=30")
    return el("footer", f"driftgauge {snapshot.program_version} · as of {clock(snapshot.taken_ms)} UTC · all times are UTC · ", reload)
