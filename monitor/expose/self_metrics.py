"""The monitor's own metrics, by prometheus-client: built anew from the newest snapshot at each scrape.

Totals come from the ledger, which is part of the saved state, so they survive a restart and always agree with the
counts. What only this process knows (durations, failures, reconnects) is counted from its events. No gauge is ever
set, so none can be stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitor import events
from monitor.decision_events import ControlRefused, DrillFailed
from monitor.expose.alarm_metrics import alarm_rows
from monitor.expose.catalogue import METRICS
from monitor.expose.drill_metrics import drill_families
from monitor.expose.family import Row
from monitor.expose.family import family as _family
from monitor.expose.family import seconds as _seconds
from monitor.expose.health import is_ready
from monitor.expose.label_metrics import label_families, review_families
from monitor.expose.retraining_metrics import retraining_rows
from monitor.expose.snapshot import ModelView, Snapshot

BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends of the duration histograms."""

_Live = TypeVar("_Live", Counter, Histogram)


class SelfMetrics:
    """Counts events, and renders everything that is not drift."""

    def __init__(self) -> None:
        self._evaluations = _live(Histogram, "driftgauge_evaluation_duration_seconds", buckets=BUCKETS_SECONDS)
        self._commits = _live(Histogram, "driftgauge_commit_duration_seconds", buckets=BUCKETS_SECONDS)
        self._commit_failures = _live(Counter, "driftgauge_commit_failures_total")
        self._reconnects = _live(Counter, "driftgauge_source_reconnects_total")
        self._dead_letters = _live(Counter, "driftgauge_dead_letters_total")
        self._dead_letter_failures = _live(Counter, "driftgauge_dead_letter_failures_total")
        self._controls_refused = _live(Counter, "driftgauge_controls_refused_total")
        self._drill_failures = _live(Counter, "driftgauge_drill_failures_total")
        self._process = ProcessCollector(registry=None)

    def observe(self, event: events.Event) -> None:
        """Count an event; those that no metric is about are ignored."""
        match event:
            case events.WindowsEvaluated():
                self._evaluations.labels(event.model).observe(event.duration_seconds)
            case events.StateCommitted():
                self._commits.observe(event.duration_seconds)
            case events.CommitFailed():
                self._commit_failures.inc()
            case events.SourceReconnected():
                self._reconnects.inc()
            case events.DeadLettersDelivered():
                self._dead_letters.labels(event.model).inc(event.messages)
            case events.DeadLettersFailed():
                self._dead_letter_failures.labels(event.model).inc(event.messages)
            case ControlRefused():
                self._controls_refused.inc()
            case DrillFailed():
                self._drill_failures.inc()

    def render(self, snapshot: Snapshot) -> bytes:
        """Text of exposition format 0.0.4."""
        for model in snapshot.models:  # a series of a known model exists before its first event
            for metric in (self._evaluations, self._dead_letters, self._dead_letter_failures):
                metric.labels(model.name)
        process = (self._commits, self._commit_failures, self._reconnects, self._controls_refused, self._drill_failures)
        live = (self._evaluations, *process, self._dead_letters, self._dead_letter_failures)
        registry = CollectorRegistry()
        registry.register(_Families([*families(snapshot), *_without_created(live), *self._process.collect()]))
        return generate_latest(registry)


class _Families(Collector):
    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = list(found)

    def collect(self) -> Iterable[Metric]:
        return self._found


def _live(kind: Callable[..., _Live], name: str, **options: object) -> _Live:
    metric = METRICS[name]
    return kind(name.removesuffix("_total"), metric.help, metric.labels, registry=None, **options)


def _without_created(live: Sequence[Collector]) -> Iterator[Metric]:
    for collector in live:
        for metric in collector.collect():
            # One further gauge per series that nobody reads.
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


def families(snapshot: Snapshot) -> Iterator[Metric]:
    """Everything that the snapshot says about the pipeline."""
    models = snapshot.models
    yield _family("driftgauge_build_info", [((snapshot.program_version,), 1)])
    yield _family("driftgauge_model_info", _model_info(models))
    yield _family(
        "driftgauge_reference_rows",
        [((m.name, v.version), v.reference.rows) for m in models for v in m.versions if v.reference is not None],
    )
    yield from _ledgers(models)
    yield from _progress(snapshot)
    yield from _partitions(models)
    yield from _sizes(models)
    yield from label_families(models)
    yield from review_families(snapshot)
    for name, rows in alarm_rows(models):
        yield _family(f"driftgauge_{name}", rows)
    for name, rows in retraining_rows(models):
        yield _family(f"driftgauge_retrain_{name}", rows)
    yield from drill_families(snapshot.drills, snapshot.drilled_ms)
    yield _family("driftgauge_controls_total", [((m.name,), m.controls) for m in models])


def _model_info(models: Sequence[ModelView]) -> list[Row]:
    rows: list[Row] = []
    for model in models:
        for each in model.versions:
            fingerprint = each.reference.fingerprint[:12] if each.reference else "none"
            dataset = (each.reference.dataset_version if each.reference else None) or "unknown"
            rows.append(((model.name, each.version, fingerprint, dataset), 1))
    return rows


def _ledgers(models: Sequence[ModelView]) -> Iterator[Metric]:
    ledgers = [(model, model.ledger) for model in models]
    yield _family("driftgauge_messages_total", [((m.name, m.topic), x.messages) for m, x in ledgers])
    rejected: list[Row] = [((m.name, reason.label), count) for m, x in ledgers for reason, count in x.rejected.items()]
    yield _family("driftgauge_messages_rejected_total", rejected)
    yield _family("driftgauge_tombstones_total", [((m.name,), x.tombstones) for m, x in ledgers])
    yield _family("driftgauge_rows_counted_total", [((m.name,), x.rows_counted) for m, x in ledgers])
    yield _family("driftgauge_rows_duplicate_total", [((m.name,), x.rows_duplicate) for m, x in ledgers])
    late: list[Row] = [((m.name, reason), count) for m, x in ledgers for reason, count in x.rows_late.items()]
    yield _family("driftgauge_rows_late_total", late)
    lost: list[Row] = [((m.name, m.topic), x.offsets_lost) for m, x in ledgers]
    lost += [((m.name, m.labels.topic), m.labels.offsets_lost) for m in models if m.labels is not None]
    yield _family("driftgauge_offsets_lost_total", lost)
    yield _family("driftgauge_idle_exclusions_total", [((m.name,), x.idle_exclusions) for m, x in ledgers])
    yield _family("driftgauge_segments_folded_rows_total", [((m.name,), x.rows_folded) for m, x in ledgers])
    yield _family("driftgauge_duplicates_evicted_total", [((m.name,), x.ids_evicted) for m, x in ledgers])


def _progress(snapshot: Snapshot) -> Iterator[Metric]:
    models = snapshot.models
    yield _family("driftgauge_watermark_timestamp_seconds", [((m.name,), _seconds(m.watermark_ms)) for m in models])
    yield _family("driftgauge_last_evaluation_timestamp_seconds", [((m.name,), _seconds(m.evaluated_ms)) for m in models])
    yield _family("driftgauge_last_evaluation_event_timestamp_seconds", [((m.name,), _seconds(m.evaluated_event_ms)) for m in models])
    yield _family("driftgauge_last_commit_timestamp_seconds", [((), _seconds(snapshot.committed_ms))])
    yield _family("driftgauge_source_unreachable", [((), bool(snapshot.unreachable))])
    yield _family("driftgauge_rebuilt_since_timestamp_seconds", [((), _seconds(snapshot.rebuilding_since_ms))])
    yield _family("driftgauge_ready", [((), is_ready(snapshot))])
    yield _family("driftgauge_loop_turned_timestamp_seconds", [((), _seconds(snapshot.taken_ms))])


def _partitions(models: Sequence[ModelView]) -> Iterator[Metric]:
    """Of both topics of a model."""
    topics = [(m.name, reading) for m in models for reading in m.topics]
    known = [(name, reading) for name, reading in topics if reading.partitions_in_topic]
    yield _family("driftgauge_partitions", [((name, r.topic), r.partitions_in_topic) for name, r in known])
    yield _family("driftgauge_partitions_owned", [((name, r.topic), len(r.partitions)) for name, r in known])
    each = [((name, r.topic, p.partition), p) for name, r in topics for p in r.partitions]
    yield _family("driftgauge_consumer_lag_messages", [(labels, p.lag_messages) for labels, p in each])
    yield _family("driftgauge_partition_next_offset", [(labels, p.next_offset) for labels, p in each])
    yield _family("driftgauge_partition_newest_event_timestamp_seconds", [(labels, _seconds(p.newest_event_ms)) for labels, p in each])
    yield _family("driftgauge_partition_idle", [(labels, p.idle) for labels, p in each])
    yield _family("driftgauge_partition_paused", [(labels, p.paused) for labels, p in each])


def _sizes(models: Sequence[ModelView]) -> Iterator[Metric]:
    yield _family("driftgauge_open_panes", [((m.name,), m.open_panes) for m in models])
    memory: list[Row] = []
    segments: list[Row] = []
    for m in models:
        memory += [((m.name, "open"), m.memory.open), ((m.name, "closed"), m.memory.closed), ((m.name, "duplicates"), m.memory.duplicates)]
        segments += [((m.name, "reference"), m.segments_reference), ((m.name, "new"), m.segments_new)]
    yield _family("driftgauge_counts_memory_bytes", memory)
    yield _family("driftgauge_segments", segments)
    yield _family("driftgauge_segments_limit", [((m.name,), m.segments_limit) for m in models])
    yield _family("driftgauge_duplicates_remembered_ids", [((m.name,), m.remembered_ids) for m in models])
