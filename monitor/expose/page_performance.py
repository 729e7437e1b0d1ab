"""The part of the status page about performance: how good the predictions were, by labels, and where they are worse."""

from __future__ import annotations

from urllib.parse import urlencode

import numpy as np

from monitor.evaluate.verdict import Status
from monitor.expose.markup import Html, el, join, table
from monitor.expose.outcome_findings import RATES, is_worse, metric_urgencies
from monitor.expose.page_findings import link
from monitor.expose.page_quality import estimate
from monitor.expose.snapshot import ModelView, Snapshot
from monitor.expose.svg import parts
from monitor.expose.svg_outcome import interval_bar
from monitor.expose.text import clock, count, number, percent, span
from monitor.label_verdicts import LabelVerdicts
from monitor.performance.failure_modes import Mode
from monitor.performance.metric import METRICS
from monitor.performance.verdict import Performance
from monitor.segment import ALL

MAX_METRICS = 14
MAX_SEGMENTS = 10
MAX_MODES = 8
MAX_PANES = 6

NAMES = {
    "accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy", "precision": "Precision", "recall": "Recall", "f1": "F1",
    "roc_auc": "AUC", "macro_roc_auc": "Macro AUC", "average_precision": "Average precision", "log_loss": "Log loss",
    "brier": "Brier score",
    "ece": "Calibration error", "expected_cost": "Expected cost", "label_rate": "Label rate", "mae": "Mean absolute error",
    "rmse": "Root mean squared error", "bias": "Bias", "r2": "R²", "error_quantile": "Error, quantile",
    "absolute_error_quantile": "Absolute error, quantile", "label_mean": "Mean label", "kpi_mean": "Mean KPI", "kpi_sum": "Sum of KPI",
}  # fmt: skip
"""Metrics as people call them."""

_TONES = {Status.DRIFTED: "badge bad", Status.STABLE: "badge good"}


def metric_name(metric: str, of: str) -> str:
    """``Recall of 1``.

    >>> metric_name("recall", "1"), metric_name("brier", ""), metric_name("error_quantile", "0.5")
    ('Recall of 1', 'Brier score', 'Error, quantile 0.5')
    """
    name = NAMES.get(metric, metric)
    return name if not of else f"{name} {of}" if metric.endswith("quantile") else f"{name} of {of}"


def performance(snapshot: Snapshot, model: ModelView) -> Html | None:
    """The section; None for a model without labels."""
    if model.labels is None:
        return None
    found = next((each for each in snapshot.labels if each.model == model.name), None)
    query = urlencode({"model": model.name})
    head = el("h2", "Performance", el("small", el("a", "as JSON", href=f"/api/v1/performance?{query}")), id="performance")
    if found is None or not found.verdicts:
        empty = el("div", el("b", "Nothing judged yet"), "Performance appears when labels have been joined.", class_="card empty")
        return el("section", head, empty)
    several = len(found.verdicts) > 1
    return el("section", head, [_version(model, one, several) for one in found.verdicts])


def _version(model: ModelView, one: LabelVerdicts, several: bool) -> Html:
    view, window = one.by_prediction, one.window
    place = view.segments.index(ALL)
    title = f"Predictions of {span(window.end_ms - window.start_ms)} to {clock(window.end_ms)}"
    coverage = (
        f"{count(int(view.labelled[place]))} of {count(int(view.predictions[place]))} labelled, {percent(float(view.coverage[place]))}"
    )
    status = Status(int(view.status[place]))
    lead = el(
        "p",
        el("span", said(status), class_=_TONES.get(status, "badge")),
        f" {f'Version {one.version}. ' if several else ''}{title}: {coverage}.",
    )
    return join(
        lead,
        estimate(one),
        _restated(one, place),
        metrics_table(view, one.by_label, place),
        el("div", _segments(model, view), _modes(model, one), class_="stack"),
    )


def performance_of(snapshot: Snapshot, model: ModelView, segment: str) -> Html | None:
    """Metrics of one segment, of each version; None where no label says anything of it."""
    found = next((each for each in snapshot.labels if each.model == model.name), None)
    known = [one for one in found.verdicts if segment in one.by_prediction.segments] if found is not None else []
    parts_ = []
    for one in known:
        g = one.by_prediction.segments.index(segment)
        labelled, predictions = int(one.by_prediction.labelled[g]), int(one.by_prediction.predictions[g])
        title = el("h2", "Performance", el("small", f"version {one.version}, {count(labelled)} of {count(predictions)} labelled"))
        parts_.append(join(title, _restated(one, g), metrics_table(one.by_prediction, one.by_label, g)))
    return join(parts_) if parts_ else None


def said(status: Status) -> str:
    """A conclusion about performance in words."""
    return {Status.DRIFTED: "worse than validated", Status.STABLE: "as validated"}.get(status, status.label.replace("_", " "))


def _shown_metrics(view: Performance, g: int) -> list[int]:
    """Columns that people look at: known ones, per class only the positive one of two, else the most urgent."""
    binary = len(view.counts.layout.classes) == 2
    known = [m for m in range(len(view.metrics)) if np.isfinite(view.value[g, m])]
    if binary:
        known = [m for m in known if not METRICS[view.metrics[m]].per_class or view.classes[m] == view.counts.layout.classes[1]]
    urgent = metric_urgencies(view)[g]
    plain = [m for m in known if not METRICS[view.metrics[m]].per_class or binary]
    rest = sorted((m for m in known if m not in set(plain)), key=lambda m: (-urgent[m], m))
    return sorted([*plain, *rest][:MAX_METRICS])


def metrics_table(view: Performance, by_label: Performance, g: int) -> Html:
    """Metrics of one segment with interval, reference and n; beside them the same by time of the label."""
    worse = is_worse(view)[g]
    other = by_label.segments.index(view.segments[g])
    rows = []
    for m in _shown_metrics(view, g):
        name, of = view.metrics[m], view.classes[m]
        status = Status(int(view.metric_status[g, m]))
        told = said(status) if name not in RATES or status != Status.DRIFTED else "other than validated"
        value, low, high, reference = (float(part[g, m]) for part in (view.value, view.low, view.high, view.reference))
        rows.append((
            el("span", metric_name(name, of), title=METRICS[name].meaning),
            el(
                "span",
                el("b", number(value)),
                el("div", f"{number(low)} to {number(high)}", class_="small soft"),
                _first_value(view, g, m),
                class_="nowrap",
            ),
            interval_bar(value, low, high, reference, worse=bool(worse[m])),
            number(reference),
            count(int(view.n[g, m])),
            number(float(by_label.value[other, by_label.column(name, of)])),
            el("span", told, class_=_TONES.get(status, "badge")),
        ))  # fmt: skip
    head = ("Metric", "Now", "Against validation", "Validation", "Rows", "By label time", "")
    caption = "By time of the prediction, 95 % intervals. Bars have each their own scale; the line across is the validation's value."
    return table(head, rows, numeric=(1, 3, 4, 5), caption=caption)


def _first_value(view: Performance, g: int, m: int) -> Html | None:
    """What the metric would be had every label kept its first value, where that is another number."""
    found = view.restatement
    if found is None or found.first_value is None or not found.revision[g]:
        return None
    first = number(float(found.first_value[g, m]))
    return el("div", f"{first} before revisions", class_="small soft") if first != number(float(view.value[g, m])) else None


def _restated(one: LabelVerdicts, g: int) -> Html | None:
    """How often revised labels changed what had been reported of a segment, and of which predictions; None where none did."""
    found = one.by_prediction.restatement
    if found is None or not found.revision[g]:
        return None
    lead = f"Revision {count(int(found.revision[g]))}: so many labels of the window were replaced after they had been reported, "
    panes = [pane for pane in one.restated_panes if pane.revision[g]]
    rows = [
        (f"{clock(pane.start_ms)} to {clock(pane.end_ms)}", count(int(pane.revision[g])), clock(int(pane.last_ms[g])))
        for pane in reversed(panes[-MAX_PANES:])
    ]
    more = f"{count(len(panes) - len(rows))} older ones were restated too." if len(panes) > len(rows) else None
    return el(
        "details",
        el("summary", f"{lead}the last one {clock(int(found.last_ms[g]))}."),
        table(("Predictions of", "Revision", "Last restated"), rows, numeric=(1,), caption=more),
    )


def _segments(model: ModelView, view: Performance) -> Html:
    """Worst segments first, and how many were judged."""
    counts = np.bincount(view.status, minlength=len(Status))
    present = [status for status in Status if counts[status]]
    total = max(int(counts.sum()), 1)
    bar = parts([(said(status), f"k-{status.label}", int(counts[status]) / total) for status in present], "Conclusions about segments")
    items = [el("li", _dot(f"k-{status.label}"), el("b", count(int(counts[status]))), f" {said(status)}") for status in present]
    title = el("h3", "Segments", el("small", f"{count(len(view.segments))} with predictions"))
    conclusions = el("div", bar, el("ul", items, class_="legend"), class_="card")
    worst = np.flatnonzero(view.status == Status.DRIFTED)
    if not len(worst):
        return join(title, conclusions)
    worse, urgent = is_worse(view), metric_urgencies(view)
    lead = np.where(worse, urgent, -1.0)
    order = worst[np.lexsort((-view.labelled[worst], -lead[worst].max(axis=1)))][:MAX_SEGMENTS]
    rows = []
    for g in order.tolist():
        m = int(lead[g].argmax())
        value, low, high, reference = (float(part[g, m]) for part in (view.value, view.low, view.high, view.reference))
        others = int(worse[g].sum()) - 1
        rows.append((
            el("span", link(model, view.segments[g], segment=view.segments[g]), class_="key"),
            join(metric_name(view.metrics[m], view.classes[m]), el("div", f"and {others} more", class_="small soft") if others else None),
            number(value),
            interval_bar(value, low, high, reference, worse=True),
            number(reference),
            join(count(int(view.labelled[g])), el("div", percent(float(view.coverage[g])), class_="small soft")),
        ))  # fmt: skip
    head = ("Worst segments", "Most changed", "Now", "Against validation", "Validation", "Labelled")
    more = len(worst) - len(rows)
    return join(
        title, conclusions, table(head, rows, numeric=(2, 4, 5), caption=f"{count(more)} more are worse too." if more > 0 else None)
    )


def _modes(model: ModelView, one: LabelVerdicts) -> Html | None:
    """What the model gets wrong in which segment, costliest first."""
    ranked = one.modes.ranked(MAX_MODES)
    if not ranked:
        return None
    head = ("Failure mode", "Kind", "Share", "Validation", "Excess cost", "Rows", "")
    rows = [_mode(model, mode) for mode in ranked]
    return join(el("h3", "Failure modes", el("small", "costliest first")), table(head, rows, numeric=(2, 3, 4, 5)))


def _mode(model: ModelView, mode: Mode) -> tuple[Html | str, ...]:
    segment, predicted, kind = mode.key
    trend = mode.trend.label
    return (
        el("span", link(model, segment, segment=segment), class_="key"),
        join(kind.replace("_", " "), el("div", f"predicted {predicted}", class_="small soft") if predicted else None),
        percent(mode.rate),
        percent(mode.reference_rate),
        number(mode.impact),
        f"{count(mode.rows)} of {count(mode.labelled)}",
        el("span", trend, class_="badge bad" if trend == "rising" else "badge") if trend != "unknown" else "",
    )


def _dot(kind: str) -> Html:
    return el("svg", el("rect", width=9, height=9, rx=2, class_=kind), class_="dot", viewBox="0 0 9 9", aria_hidden="true")
