"""Every metric that driftgauge exposes, declared once.

The exposition, docs/metrics.md, the alert rules and the dashboards are checked against this list. A name has the
prefix ``driftgauge_``, a base unit where there is one (``_seconds``, ``_bytes``, ``_ratio`` from 0 to 1), and
``_total`` if and only if it is a counter.

Seven groups. ``drift``: what is concluded about the models, rendered once per evaluation. ``detection``: what sequential
detectors say. ``performance``: what labels say. ``canary``: of two versions side by side. ``retraining``: what is decided.
``pipeline``: what the monitor did and how far it is. ``process``: the operating system's view of the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Type = Literal["gauge", "counter", "histogram"]
Group = Literal["drift", "detection", "performance", "canary", "retraining", "pipeline", "process"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of series."""

    name: str
    type: Type
    unit: str  # a base unit, or what is counted
    labels: tuple[str, ...]
    help: str
    group: Group


_VERSION = ("model", "version")
_WINDOW = (*_VERSION, "window")
_SEGMENT = (*_WINDOW, "segment")
_SIGNAL = (*_SEGMENT, "signal")
_PARTITION = ("model", "topic", "partition")
_RIVER = (*_VERSION, "segment", "signal", "detector")
_RAISED = (*_VERSION, "kind", "level")
_STREAM = (*_VERSION, "segment", "signal", "kind")
_DRILL = ("model", "drift")
_VIEW = (*_VERSION, "view")
_OUTCOME = (*_VIEW, "segment")
_METRIC = (*_OUTCOME, "metric", "class")
_LABELLING = (*_VERSION, "segment")
_MODE = (*_VERSION, "segment", "predicted", "error")
_TRIAL = ("model", "champion", "candidate")
_CANARY = (*_TRIAL, "segment")
_S = "seconds"


def _gauge(name: str, unit: str, labels: tuple[str, ...], help_text: str, group: Group = "pipeline") -> Metric:
    return Metric(f"driftgauge_{name}", "gauge", unit, labels, help_text, group)


def _drift(name: str, unit: str, labels: tuple[str, ...], help_text: str) -> Metric:
    return _gauge(name, unit, labels, help_text, "drift")


def _detected(name: str, unit: str, labels: tuple[str, ...], help_text: str) -> Metric:
    return _gauge(name, unit, labels, help_text, "detection")


def _decided(name: str, unit: str, labels: tuple[str, ...], help_text: str) -> Metric:
    return _gauge(f"retrain_{name}", unit, labels, help_text, "retraining")


def _outcome(name: str, unit: str, labels: tuple[str, ...], help_text: str) -> Metric:
    return _gauge(name, unit, labels, help_text, "performance")


def _canary(name: str, unit: str, labels: tuple[str, ...], help_text: str) -> Metric:
    return _gauge(f"canary_{name}", unit, labels, help_text, "canary")


def _counter(name: str, unit: str, labels: tuple[str, ...], help_text: str) -> Metric:
    return Metric(f"driftgauge_{name}_total", "counter", unit, labels, help_text, "pipeline")


def _histogram(name: str, labels: tuple[str, ...], help_text: str) -> Metric:
    return Metric(f"driftgauge_{name}_seconds", "histogram", _S, labels, help_text, "pipeline")


CATALOGUE: tuple[Metric, ...] = (
    # What is concluded. Small families first: they are never cut by the cap.
    _drift("segment_status", "segments", (*_WINDOW, "status"), "Segments by conclusion: drifted, stable, or why they cannot be judged."),
    _drift("signal_segments", "verdicts", (*_WINDOW, "status"), "Pairs of signal and segment by conclusion, like segments."),
    _drift("window_end_timestamp_seconds", _S, _WINDOW, "End of the judged window, in event time."),
    _drift("drift_threshold", "", ("model", "signal", "statistic"), "Smallest value of the statistic that counts as drift."),
    _drift("segment_share_threshold", "", ("model",), "Smallest difference of a segment's share of traffic that counts as drift."),
    _drift("window_rows", "rows", _SEGMENT, "Rows in the window."),
    _drift("signals_drifted", "signals", (*_SEGMENT, "kind"), "Signals with a drifted statistic. Absent where none can be judged."),
    _drift("segment_share_ratio", "ratio", _SEGMENT, "The segment's share of its grouping's traffic in the window."),
    _drift("segment_reference_share_ratio", "ratio", _SEGMENT, "The segment's share of its grouping's traffic in the reference."),
    _drift("segment_share_drifted", "boolean", _SEGMENT, "1 while the share of traffic has drifted, 0 while stable, else absent."),
    _drift("drift_statistic", "", (*_SIGNAL, "statistic"), "Distance of the window from the reference. Absent where undefined."),
    _drift("drift_since_timestamp_seconds", _S, _SIGNAL, "Event time since which the signal has drifted without a break."),
    _drift("unit_change_factor", "", _SIGNAL, "Values are probably in another unit: this many times the reference."),
    _drift("missing_ratio", "ratio", _SIGNAL, "Share of rows without a value."),
    _drift("invalid_ratio", "ratio", _SIGNAL, "Share of rows whose value has another type than declared or is not finite."),
    _drift("unseen_ratio", "ratio", _SIGNAL, "Share of rows with a category that the reference does not have."),
    _drift("out_of_range_ratio", "ratio", _SIGNAL, "Share of rows outside the declared range or categories."),
    Metric("driftgauge_river_drift_total", "counter", "alarms", _RIVER, "Alarms of the river detector.", "drift"),
    _drift("river_last_drift_timestamp_seconds", _S, _RIVER, "Event time of the river detector's last alarm."),
    _drift("series_exposed", "series", (), "Drift series on this page."),
    _drift("series_left_out", "series", (), "Drift series left out by the cap, the least drifted ones."),
    # What sequential detectors say, of versions with a reference. Absent where detection is switched off.
    _detected("alarms_standing", "alarms", _RAISED, "Alarms that stand: a trigger until it is re-armed, a warning while evidence lasts."),
    Metric("driftgauge_alarms_total", "counter", "alarms", _RAISED, "Alarms raised.", "detection"),
    _detected("alarm_start_timestamp_seconds", _S, (*_STREAM, "level"), "Estimated start of the drift; of the 50 gravest that stand."),
    _detected("alarm_effect", "", (*_STREAM, "level", "unit"), "Size of the drift when the alarm was raised; of the same alarms."),
    _detected("detection_evidence", "", _STREAM, "Evidence over the threshold: 1 triggers, 0.001 warns. The 50 streams with the most."),
    _detected("detection_streams", "streams", _VERSION, "Streams watched; 0 where nothing can be, /api/v1/alarms says why."),
    _detected("detection_streams_armed", "streams", _VERSION, "Streams that can trigger: with a threshold, and not triggered already."),
    _detected("detection_segments_left_out", "segments", _VERSION, "Segments not watched, as detection.max_streams is reached."),
    _detected("detection_threshold", "rows", _VERSION, "Threshold of the streams of `ALL`. Absent while the rate of rows is not known."),
    _detected("detection_threshold_frozen", "boolean", _VERSION, "1 once thresholds no longer follow the rate of rows, 0 before."),
    _detected("detection_end_timestamp_seconds", _S, _VERSION, "Event time up to which evidence was judged."),
    Metric("driftgauge_detection_labels_total", "counter", "labels", _VERSION, "Labels that were judged.", "detection"),
    # What is decided. Absent for a model without a policy.
    _decided("required", "boolean", ("model", "reason", "trigger_id"), "1 until acknowledged, superseded or expired; then absent."),
    _decided("phase", "boolean", (*_VERSION, "phase"), "1 for the phase that the version is in, 0 for the others."),
    _decided("conditions", "conditions", (*_VERSION, "reason", "kind"), "Conditions at segments that hold or cannot be judged."),
    _decided("withheld", "boolean", (*_VERSION, "gate"), "1 while this stands in the way of a trigger that is due."),
    _decided("hold", "boolean", ("model",), "1 while an operator holds triggers back."),
    _decided("last_trigger_timestamp_seconds", _S, ("model",), "Event time of the newest trigger. Absent before the first."),
    Metric("driftgauge_retrain_triggers_total", "counter", "triggers", ("model", "reason"), "Triggers.", "retraining"),
    # What fire drills came to. Absent before the first.
    _gauge("drill_caught", "boolean", _DRILL, "1 if the drift that was planted in the newest drill led to an alarm.", "retraining"),
    _gauge("drill_triggered", "boolean", _DRILL, "1 if it led to a trigger.", "retraining"),
    _gauge("drill_delay_events", "rows", _DRILL, "Predictions from the drift to its first alarm. Absent without one.", "retraining"),
    _gauge("drill_delay_seconds", _S, _DRILL, "Event time from the drift to its first alarm. Absent without one.", "retraining"),
    _gauge("drill_events", "rows", _DRILL, "Predictions of the traffic with the drift in it.", "retraining"),
    _gauge("drill_last_timestamp_seconds", _S, (), "Wall time at which the newest drill ended.", "retraining"),
    _counter("drill_failures", "drills", (), "Drills of this process that could not be completed."),
    # What labels say, in windows of their own.
    _outcome("performance_window_end_timestamp_seconds", _S, _VERSION, "End of the judged window, in label time."),
    _outcome("performance_status", "segments", (*_VIEW, "status"), "Segments by conclusion; `drifted`: worse than in the reference."),
    _outcome("performance_labelled_rows", "rows", _OUTCOME, "Labelled predictions in the window."),
    _outcome("performance_revision", "labels", _OUTCOME, "Labels in the window that others took the place of after they were reported."),
    _outcome("performance_worse", "boolean", _OUTCOME, "1 while a metric is worse than in the reference, 0 while none is, else absent."),
    _outcome("performance", "", _METRIC, "Value of the metric. Absent where undefined."),
    _outcome("performance_low", "", _METRIC, "Lower end of the 95 % interval."),
    _outcome("performance_high", "", _METRIC, "Upper end of the 95 % interval."),
    _outcome("performance_reference", "", _METRIC, "The same segment's value in the reference's validation."),
    _outcome("performance_loss", "", _METRIC, "How much worse than in the reference; only of metrics that are worse by more than chance."),
    _outcome("performance_rows", "rows", _METRIC, "Rows that the value rests on."),
    _outcome("label_rate_ratio", "ratio", (*_OUTCOME, "class"), "Share of the labels that are the class."),
    _outcome("label_rate_reference_ratio", "ratio", (*_OUTCOME, "class"), "Share of the reference's labels that are the class."),
    _outcome("label_rate_shifted", "boolean", _OUTCOME, "1 while the labels are others than the reference's, 0 while alike, else absent."),
    _outcome("label_coverage_ratio", "ratio", _LABELLING, "Share of the window's predictions that have a label."),
    _outcome("label_coverage_at_age_ratio", "ratio", (*_LABELLING, "age"), "Share of predictions labelled by that age, of `ALL`."),
    _outcome("label_coverage_relative_ratio", "ratio", _LABELLING, "Labels that came, by those that had come as soon the window before."),
    _outcome("labels_expected", "labels", _LABELLING, "Labels still to come for the window's predictions, if they come as they did."),
    _outcome("label_delay_seconds", _S, (*_LABELLING, "probability"), "Delay after the prediction of the labels that came in the window."),
    _outcome("label_selection_ratio", "ratio", _LABELLING, "Share of labelled predictions whose scores are not those of all predictions."),
    _outcome("label_selection_biased", "boolean", _LABELLING, "1 while that share is more than chance, 0 while not, else absent."),
    _outcome("label_coverage_uneven", "boolean", _LABELLING, "1 while the segment is labelled more or less than all traffic, else 0."),
    _outcome("estimated_accuracy_ratio", "ratio", _LABELLING, "Accuracy of the newest predictions, estimated before all labels are there."),
    _outcome("estimated_accuracy_low_ratio", "ratio", _LABELLING, "Lower end of its 95 % interval."),
    _outcome("estimated_accuracy_high_ratio", "ratio", _LABELLING, "Upper end of its 95 % interval."),
    _outcome("estimate_rectified", "boolean", _LABELLING, "1 while labels say clearly otherwise than the scores, else 0."),
    _outcome("estimate_absolute_error_ratio", "ratio", _LABELLING, "Mean absolute error of past estimates, by the labels that came."),
    _outcome("estimate_covered_ratio", "ratio", _LABELLING, "Share of past estimates whose interval held the truth."),
    _outcome("label_agreement", "", (*_VERSION, "statistic"), "Agreement of annotators beyond chance: 1 is perfect, 0 is chance."),
    _outcome("label_disagreement_ratio", "ratio", _LABELLING, "Share of predictions with several annotators on which they differ."),
    _outcome("label_flip_ratio", "ratio", _LABELLING, "Share of labels that were restated to another value."),
    _outcome("annotator_agreement_ratio", "ratio", (*_VERSION, "annotator"), "Share of an annotator's labels that are the consensus."),
    _outcome("labels_wanted", "labels", (*_LABELLING, "class"), "Labels of predictions of the class to collect for the wanted interval."),
    # Two versions side by side, by labels. Absent when none are, or one of them serves no more.
    _canary("verdict", "boolean", (*_TRIAL, "verdict"), "1 for the verdict on all traffic, 0 for the others."),
    _canary("start_timestamp_seconds", _S, _TRIAL, "Event time since which both versions serve."),
    _canary("confidence_ratio", "ratio", (*_TRIAL, "claim"), "Confidence in a claim on all traffic, good at any time one looks."),
    _canary("worse", "boolean", _CANARY, "1 while the candidate is worse by more than the margin, 0 while not, else absent."),
    _canary("difference", "", (*_CANARY, "metric"), "Candidate less champion on the same mix of traffic."),
    _canary("difference_low", "", (*_CANARY, "metric"), "Lower end of the interval, which holds at all times together."),
    _canary("difference_high", "", (*_CANARY, "metric"), "Upper end of the interval."),
    _canary("performance", "", (*_CANARY, "metric", "side"), "The metric of either version on the same mix of traffic."),
    _canary("compared_rows", "rows", (*_CANARY, "side"), "Labelled rows in strata where both versions have some."),
    # Identity.
    _gauge("build_info", "", ("version",), "Constant 1; the version of driftgauge."),
    _gauge("model_info", "", (*_VERSION, "reference", "dataset"), "Constant 1; reference of a model version."),
    _gauge("reference_rows", "rows", _VERSION, "Rows that the reference was made from."),
    # Conservation: messages = rows counted + duplicate + late + messages rejected + tombstones.
    _counter("messages", "messages", ("model", "topic"), "Messages read: rows counted, duplicate, late; rejected; tombstones."),
    _counter("messages_rejected", "messages", ("model", "reason"), "Messages that yield no row."),
    _counter("tombstones", "messages", ("model",), "Messages without a value."),
    _counter("rows_counted", "rows", ("model",), "Rows that entered the counts."),
    _counter("rows_duplicate", "rows", ("model",), "Rows dropped because their id had been seen."),
    _counter("rows_late", "rows", ("model", "reason"), "Rows not counted because they came too late."),
    _counter("offsets_lost", "messages", ("model", "topic"), "Offsets skipped because the log no longer had them."),
    _counter("idle_exclusions", "partitions", ("model",), "Times that a silent partition stopped holding the watermark up."),
    _counter("dead_letters", "messages", ("model",), "Rejected messages this process delivered to the dead-letter topic."),
    _counter("dead_letter_failures", "messages", ("model",), "Rejected messages this process could not deliver."),
    _counter("controls", "messages", ("model",), "Decisions of operators that were applied."),
    _counter("controls_refused", "messages", (), "Messages of the control topic that this process could not use."),
    # Progress.
    _gauge("watermark_timestamp_seconds", _S, ("model",), "Event time up to which panes are closed."),
    _gauge("last_evaluation_timestamp_seconds", _S, ("model",), "Wall time of the last evaluation."),
    _gauge("last_evaluation_event_timestamp_seconds", _S, ("model",), "Event time of the last evaluation."),
    _histogram("evaluation_duration", ("model",), "Duration of an evaluation, all windows and versions."),
    _gauge("partitions", "partitions", ("model", "topic"), "Partitions of the topic."),
    _gauge("partitions_owned", "partitions", ("model", "topic"), "Partitions that this process reads; verdicts are partial below all."),
    _gauge("consumer_lag_messages", "messages", _PARTITION, "Messages in the partition that have not been read."),
    _gauge("partition_next_offset", "offset", _PARTITION, "Offset that is read next."),
    _gauge("partition_newest_event_timestamp_seconds", _S, _PARTITION, "Newest event time in the partition."),
    _gauge("partition_idle", "boolean", _PARTITION, "1 while the partition is silent and does not hold the watermark up."),
    _gauge("partition_paused", "boolean", _PARTITION, "1 while not fetched: ahead of the others, or dead letters wait for their topic."),
    _gauge("source_unreachable", "boolean", (), "1 while no broker answers; the lag is not known then."),
    _counter("source_reconnects", "connections", (), "Connections to the broker made again by this process."),
    # Counts, segments and memory.
    _gauge("open_panes", "panes", ("model",), "Panes that still take rows, over all partitions and versions."),
    _gauge("counts_memory_bytes", "bytes", ("model", "kind"), "Memory of counts and of remembered ids."),
    _gauge("segments", "segments", ("model", "kind"), "Segments watched: those of the references, and new ones."),
    _gauge("segments_limit", "segments", ("model",), "Most segments that are watched."),
    _counter("segments_folded_rows", "rows", ("model",), "Rows folded into __other__ because there was no room for their segment."),
    _gauge("duplicates_remembered_ids", "ids", ("model",), "Ids remembered to recognise duplicates."),
    _counter("duplicates_evicted", "ids", ("model",), "Ids forgotten early because there was no room; their repeats count again."),
    # Labels: messages = labels by outcome + waiting + rejected + tombstones.
    _counter("label_messages", "messages", ("model", "topic"), "Messages read from the label topic."),
    _counter("label_messages_rejected", "messages", ("model", "reason"), "Messages of the label topic that yield no label."),
    _counter("label_tombstones", "messages", ("model",), "Messages of the label topic without a value."),
    _counter("labels", "labels", ("model", "outcome"), "Labels by what became of them."),
    _gauge("labels_waiting", "labels", ("model",), "Labels read whose turn has not come: their predictions may still be unread."),
    _gauge("labels_watermark_timestamp_seconds", _S, ("model",), "Label time up to which labels are joined."),
    _counter("label_idle_exclusions", "partitions", ("model",), "Times that a silent partition of the labels stopped holding them up."),
    _counter("predictions_remembered", "predictions", ("model",), "Predictions that were kept until their label comes."),
    _counter("predictions_labelled", "predictions", ("model",), "Predictions that got a label."),
    _counter("predictions_expired", "predictions", ("model",), "Predictions that got no label within the horizon."),
    _counter("predictions_evicted", "predictions", ("model",), "Predictions forgotten before the horizon because there was no room."),
    _gauge("predictions_pending", "predictions", ("model",), "Predictions kept now, labelled or not: a label may still be restated."),
    _counter("labels_restated", "labels", ("model",), "Labels of predictions that took the place of another one."),
    _gauge("labels_remembered", "labels", ("model",), "Labels kept now, against which later ones are told apart."),
    _counter("labels_evicted", "labels", ("model",), "Labels forgotten before the horizon because there was no room."),
    _counter("label_segments_folded_rows", "rows", ("model",), "Predictions whose segment values found no room; they count in __other__."),
    _gauge("label_store_bytes", "bytes", ("model", "kind"), "Size of what is kept of predictions and labels."),
    # What to look at by hand.
    _counter("review_items", "items", ("model", "kind", "reason"), "Predictions drawn for review, by the first of their reasons."),
    _gauge("failure_modes", "modes", ("model", "status"), "Failure modes of the backlog: open, assigned, fixed_by, closed or reopened."),
    _gauge(
        "failure_mode_impact", "", _MODE,
        "Cost of the failure mode in the window beyond what the reference had; the 50 of a model that cost most, without closed ones.",
    ),
    _gauge(
        "failure_mode_info", "", (*_MODE, "failure_mode", "status", "owner", "trend"),
        "Constant 1; what is known of the same modes. An operator's assignment starts another series.",
    ),
    # State.
    _histogram("commit_duration", (), "Duration of a commit of the state."),
    _gauge("last_commit_timestamp_seconds", _S, (), "Wall time of the last commit of the state."),
    _counter("commit_failures", "commits", (), "Commits of the state that failed in this process."),
    _gauge("rebuilt_since_timestamp_seconds", _S, (), "Wall time since which lost state is being rebuilt from the log; absent otherwise."),
    _gauge("ready", "boolean", (), "1 once partitions are assigned and the state is loaded."),
    _gauge("loop_turned_timestamp_seconds", _S, (), "Wall time at which the main loop last turned."),
    # The process; names and meanings are those of every Prometheus client.
    Metric("process_virtual_memory_bytes", "gauge", "bytes", (), "Virtual memory size in bytes.", "process"),
    Metric("process_resident_memory_bytes", "gauge", "bytes", (), "Resident memory size in bytes.", "process"),
    Metric("process_start_time_seconds", "gauge", _S, (), "Start time of the process since unix epoch in seconds.", "process"),
    Metric("process_cpu_seconds_total", "counter", _S, (), "Total user and system CPU time spent in seconds.", "process"),
    Metric("process_open_fds", "gauge", "files", (), "Number of open file descriptors.", "process"),
    Metric("process_max_fds", "gauge", "files", (), "Maximum number of open file descriptors.", "process"),
)  # fmt: skip
"""All families, in the order of the page."""

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in CATALOGUE})
"""The catalogue by name."""
