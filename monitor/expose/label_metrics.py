"""Where labels went and what waits for them, as metrics: built anew from the newest snapshot at each scrape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import Metric

from monitor.expose.family import Row, family, seconds
from monitor.expose.snapshot import ModelView


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
