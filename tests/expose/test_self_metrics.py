from __future__ import annotations

from dataclasses import replace

import pytest

from monitor import events
from monitor.batch import RejectReason
from monitor.expose.catalogue import METRICS
from monitor.expose.label_names import KINDS, LABEL_OUTCOMES
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.snapshot import DrillView, Ledger, ModelView, PartitionProgress, Phase, Snapshot
from tests.expose.exposition import families, series
from tests.expose.sample import NOW_MS, running, starting

DRILLS = (DrillView("flights", "shift", True, False, 900, 40, 60_000),)


def only(page: bytes, name: str) -> float:
    values = list(series(page, name).values())
    assert len(values) == 1
    return values[0]


def test_every_family_is_declared_with_its_type_labels_and_help_and_all_declared_ones_are_there() -> None:
    found = families(SelfMetrics().render(replace(running(), rebuilding_since_ms=NOW_MS, drills=DRILLS, drilled_ms=NOW_MS)))
    declared = {name: metric for name, metric in METRICS.items() if metric.group not in ("drift", "performance", "canary")}
    assert set(found) == set(declared)
    for name, family in found.items():
        assert (family.type, family.documentation) == (declared[name].type, declared[name].help)
        assert family.samples, f"{name} has no series"
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(declared[name].labels), name
            if "kind" in sample.labels:
                assert sample.labels["kind"] in KINDS[name]


def test_totals_are_those_of_the_ledger_so_a_restart_does_not_reset_them() -> None:
    ledger = Ledger(
        messages=100, tombstones=1, rejected={RejectReason.NOT_JSON: 2}, rows_counted=90, rows_duplicate=4, rows_late={"late": 3}
    )
    assert ledger.unaccounted == 0
    snapshot = Snapshot(1, 0, "1", models=(ModelView("m", "t", ledger, controls=2),))
    for page in (SelfMetrics().render(snapshot), SelfMetrics().render(snapshot)):  # two processes
        assert only(page, "driftgauge_messages_total") == 100
        assert only(page, "driftgauge_rows_counted_total") == 90
        assert only(page, "driftgauge_messages_rejected_total") == 2
        assert only(page, "driftgauge_rows_late_total") == 3
        assert only(page, "driftgauge_controls_total") == 2


def test_what_became_of_labels_adds_up_to_the_messages_of_their_topic() -> None:
    page = SelfMetrics().render(running())
    parts = ("driftgauge_labels_total", "driftgauge_labels_waiting", "driftgauge_label_messages_rejected_total")
    found = sum(sum(series(page, name).values()) for name in parts) + only(page, "driftgauge_label_tombstones_total")
    assert only(page, "driftgauge_label_messages_total") == found
    assert {dict(labels)["outcome"] for labels in series(page, "driftgauge_labels_total")} == set(LABEL_OUTCOMES)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("predictions", "predictions_remembered_total"),
        ("labelled", "predictions_labelled_total"),
        ("expired", "predictions_expired_total"),
        ("evicted", "predictions_evicted_total"),
        ("pending", "predictions_pending"),
        ("restated", "labels_restated_total"),
        ("records", "labels_remembered"),
        ("records_evicted", "labels_evicted_total"),
        ("waiting", "labels_waiting"),
        ("combinations_folded", "label_segments_folded_rows_total"),
        ("idle_exclusions", "label_idle_exclusions_total"),
        ("tombstones", "label_tombstones_total"),
    ],
)
def test_each_number_about_labels_stands_under_its_own_name(field: str, name: str) -> None:
    base = running()
    labels = base.models[0].labels
    assert labels is not None
    model = replace(base.models[0], labels=replace(labels, **{field: 7_654_321}))  # type: ignore[arg-type]
    page = SelfMetrics().render(replace(base, models=(model,)))
    assert only(page, f"driftgauge_{name}") == 7_654_321


def test_partitions_of_labels_stand_beside_those_of_predictions_under_their_own_topic() -> None:
    page = SelfMetrics().render(running())
    for name in ("consumer_lag_messages", "partition_next_offset", "partition_newest_event_timestamp_seconds", "partition_idle"):
        topics = [dict(labels)["topic"] for labels in series(page, f"driftgauge_{name}")]
        assert (topics.count("flights.predictions"), topics.count("flights.labels")) == (4, 2), name
    assert {dict(labels)["topic"]: value for labels, value in series(page, "driftgauge_partitions").items()} == {
        "flights.predictions": 4,
        "flights.labels": 2,
    }
    assert len(series(page, "driftgauge_offsets_lost_total")) == 2


def test_a_model_without_labels_has_no_series_of_them() -> None:
    page = SelfMetrics().render(starting())
    assert [name for name in families(page) if "label" in name and series(page, name)] == []
    assert series(page, "driftgauge_predictions_pending") == {}


def test_a_row_that_nobody_counted_is_unaccounted_for() -> None:
    assert Ledger(messages=10, rows_counted=8, rows_duplicate=1).unaccounted == 1


def test_what_is_known_beforehand_is_zero_and_what_is_unknown_is_absent() -> None:
    page = SelfMetrics().render(starting())
    assert set(series(page, "driftgauge_messages_rejected_total").values()) == {0.0}
    assert len(series(page, "driftgauge_messages_rejected_total")) == len(RejectReason)
    assert only(page, "driftgauge_commit_failures_total") == 0
    assert only(page, "driftgauge_ready") == 0
    for name in ("watermark_timestamp_seconds", "last_evaluation_timestamp_seconds", "last_commit_timestamp_seconds", "partitions"):
        assert series(page, f"driftgauge_{name}") == {}


def test_the_lag_of_a_partition_that_left_is_gone() -> None:
    two = tuple(PartitionProgress(p, 10, lag_messages=5) for p in (0, 1))
    snapshot = Snapshot(1, 0, "1", Phase.RUNNING, (ModelView("m", "t", partitions=two, partitions_in_topic=2),))
    metrics = SelfMetrics()
    assert len(series(metrics.render(snapshot), "driftgauge_consumer_lag_messages")) == 2
    moved = replace(snapshot, models=(replace(snapshot.models[0], partitions=two[:1]),))
    after = metrics.render(moved)
    assert len(series(after, "driftgauge_consumer_lag_messages")) == 1
    assert only(after, "driftgauge_partitions_owned") == 1


@pytest.mark.parametrize(
    ("event", "name", "value"),
    [
        (events.CommitFailed("disk full"), "driftgauge_commit_failures_total", 1),
        (events.SourceReconnected("OSError"), "driftgauge_source_reconnects_total", 1),
        (events.DeadLettersDelivered("flights", 7), "driftgauge_dead_letters_total", 7),
        (events.DeadLettersFailed("flights", 3, "x"), "driftgauge_dead_letter_failures_total", 3),
    ],
)
def test_an_event_is_counted_once(event: events.Event, name: str, value: float) -> None:
    metrics = SelfMetrics()
    assert only(metrics.render(starting()), name) == 0
    metrics.observe(event)
    assert only(metrics.render(starting()), name) == value


def test_durations_become_histograms_in_seconds() -> None:
    metrics = SelfMetrics()
    metrics.observe(events.WindowsEvaluated("flights", 0, 0.2, 1, 10))
    metrics.observe(events.StateCommitted(1, 100, 0.02))
    found = families(metrics.render(starting()))
    evaluations = {(s.name, s.labels.get("le")): s.value for s in found["driftgauge_evaluation_duration_seconds"].samples}
    assert evaluations["driftgauge_evaluation_duration_seconds_bucket", "0.1"] == 0
    assert evaluations["driftgauge_evaluation_duration_seconds_bucket", "0.25"] == 1
    assert evaluations["driftgauge_evaluation_duration_seconds_sum", None] == pytest.approx(0.2)
    assert not any("_created" in sample.name for family in found.values() for sample in family.samples)


def test_a_hostile_version_reads_back_as_one_label_value() -> None:
    base = running()
    model = replace(base.models[0], versions=(replace(base.models[0].versions[0], version='v"} 1\nx\ud800'),))
    page = SelfMetrics().render(replace(base, models=(model,)))
    assert {dict(labels)["version"] for labels in series(page, "driftgauge_model_info")} == {'v"} 1\nx?'}
