"""Where labels went and what waits for them, as metrics: built anew from the newest snapshot at each scrape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import Metric

from monitor.expose.family import Row, family, seconds
from monitor.expose.review_json import ranked_backlog
from monitor.expose.snapshot import ModelView, Snapshot
from monitor.performance.backlog import ModeStatus
from monitor.review.item import Kind, Reason

_MODES = 50  # series of failure modes for each model


def review_families(snapshot: Snapshot) -> Iterator[Metric]:
    """What was drawn for review, and the failure modes: those that cost most."""
    drawn = [(model.name, model.review_items) for model in snapshot.models if model.review_items is not None]
    items: list[Row] = [
        ((name, kind.value, reason.label), counts.get((kind, reason), 0))
        for name, counts in drawn
        for reason in Reason
        for kind in [Kind.AUDIT if reason is Reason.AUDIT_SAMPLE else Kind.EDGE]
    ]
    yield family("driftgauge_review_items_total", items)
    modes = [(evaluated.model, ranked_backlog(evaluated)) for evaluated in snapshot.labels]
    counted: list[Row] = [
        ((name, status.value), sum(state.status is status for state, _ in ranked)) for name, ranked in modes for status in ModeStatus
    ]
    yield family("driftgauge_failure_modes", counted)
    shown = [
        (name, state, mode)
        for name, ranked in modes
        for state, mode in ranked[:_MODES]
        if mode is not None and state.status is not ModeStatus.CLOSED
    ]
    impacts: list[Row] = [((name, state.version, *state.key), mode.impact) for name, state, mode in shown]
    yield family("driftgauge_failure_mode_impact", impacts)
    known: list[Row] = [
        ((name, state.version, *state.key, state.id, state.status.value, state.owner or "", mode.trend.label), 1)
        for name, state, mode in shown
    ]
    yield family("driftgauge_failure_mode_info", known)


def label_families(models: Sequence[ModelView]) -> Iterator[Metric]:
    """Of the models that have labels; how far their partitions are read is told beside that of predictions."""
    read = [(model.name, model.labels) for model in models if model.labels is not None]
    yield family("driftgauge_label_messages_total", [((name, view.topic), view.messages) for name, view in read])
    rejected: list[Row] = [((name, reason.label), count) for name, view in read for reason, count in view.rejected.items()]
    yield family("driftgauge_label_messages_rejected_total", rejected)
    yield family("driftgauge_label_tombstones_total", [((name,), view.tombstones) for name, view in read])
    outcomes: list[Row] = [((name, outcome), count) for name, view in read for outcome, count in view.outcomes.items()]
    yield family("driftgauge_labels_total", outcomes)
    yield family("driftgauge_labels_waiting", [((name,), view.waiting) for name, view in read])
    yield family("driftgauge_labels_watermark_timestamp_seconds", [((name,), seconds(view.watermark_ms)) for name, view in read])
    yield family("driftgauge_label_idle_exclusions_total", [((name,), view.idle_exclusions) for name, view in read])
    yield family("driftgauge_predictions_remembered_total", [((name,), view.predictions) for name, view in read])
    yield family("driftgauge_predictions_labelled_total", [((name,), view.labelled) for name, view in read])
    yield family("driftgauge_predictions_expired_total", [((name,), view.expired) for name, view in read])
    yield family("driftgauge_predictions_evicted_total", [((name,), view.evicted) for name, view in read])
    yield family("driftgauge_predictions_pending", [((name,), view.pending) for name, view in read])
    yield family("driftgauge_labels_restated_total", [((name,), view.restated) for name, view in read])
    yield family("driftgauge_labels_remembered", [((name,), view.records) for name, view in read])
    yield family("driftgauge_labels_evicted_total", [((name,), view.records_evicted) for name, view in read])
    yield family("driftgauge_label_segments_folded_rows_total", [((name,), view.combinations_folded) for name, view in read])
    store: list[Row] = []
    for name, view in read:
        store += [((name, "disk"), view.disk_bytes), ((name, "memory"), view.memory_bytes)]
    yield family("driftgauge_label_store_bytes", store)
