"""Every label of the metrics, explained once: the catalogue names them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LABELS: Mapping[str, str] = MappingProxyType({
    "model": "Name of the model in the configuration.",
    "version": "Version of the model, from its events. In driftgauge_build_info: version of driftgauge.",
    "window": "`short` or `long`, as configured under windows.",
    "segment": "Key of the segment, such as `country=FR,device=ios`; `ALL` is the whole traffic.",
    "signal": "A feature's name, `score` or `predicted_class`; of alarms also `error` or `label`.",
    "statistic": "Statistic of the verdict, such as `psi`.",
    "kind": "What is counted apart; see the metric.",
    "level": "`warning`, or `trigger`, of which false ones are budgeted for.",
    "unit": "`sd`: the mean moved, in deviations of the reference; `spread`: they grew, 0.5 is by a half; `share`: a share changed.",
    "status": "`stable`, `drifted`, `insufficient_data`, `partial`, `no_reference` or `not_applicable`; of a failure mode: see the metric.",
    "annotator": "Name of the annotator.",
    "view": "`prediction_time`: restated as labels come; `label_time`; `audit`: labels of the audit sample, by label time.",
    "metric": "Metric of performance, such as `recall`.",
    "class": "Class that the metric is about, or the probability of a quantile; empty for metrics of neither.",
    "champion": "Version in charge.",
    "candidate": "Version on trial.",
    "side": "`champion` or `candidate`.",
    "claim": "`worse`: by more than the margin; `not_worse`: not by it; `better`: by anything.",
    "verdict": "`insufficient_data`, `undecided`, `not_worse`, `better` or `worse`.",
    "probability": "Probability of the quantile: `0.5` is the median.",
    "age": "Age of the predictions, such as `1d`.",
    "outcome": "`matched`, `revised`, `vote`, `duplicate`, `late`, `late_arrival` or `orphan`; see the outcomes.",
    "reason": "Why: a row or message was not counted, retraining is required, or an item was drawn; a bounded set.",
    "predicted": "Class that was predicted; empty for none of the classes, or a regression.",
    "error": "`false_positive` or `false_negative`; the true class of a multiclass model; `over` or `under` of a regression.",
    "failure_mode": "Id of the failure mode, as `driftgauge control assign` takes it (`--failure-mode`).",
    "owner": "Who took the failure mode on; empty for nobody.",
    "trend": "`rising`, `steady` or `falling` against the window before; `unknown` without one.",
    "trigger_id": "Id of the trigger; the same wherever the same log is read.",
    "phase": "`quiet`, `pending`, `withheld`, `required`, `acknowledged`, `superseded` or `expired`.",
    "gate": "What can stand between a condition that holds and a trigger, such as `cooldown` or `label_quality`.",
    "topic": "Kafka topic.",
    "partition": "Number of the partition.",
    "detector": "Name of the river detector, such as `river.drift.ADWIN`.",
    "drift": "Name of the planted drift, under `drill.drifts`.",
    "reference": "First 12 digits of the reference's SHA-256 fingerprint, or `none`.",
    "dataset": "Version of the data set that the reference was made from, or `unknown`.",
})  # fmt: skip
"""What each label means."""

_OF_SIGNAL = {
    "values": "Values that are there, of a feature, the score or the predicted class.",
    "missing": "Missing, invalid or not finite values.",
    "error": "Wrong answers among the labelled ones; its signal is `error`.",
    "label": "Positive labels; its signal is `label`.",
}

KINDS: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "driftgauge_signals_drifted": {
        "distribution": "Distance of a feature's distribution.",
        "prediction": "Distance of the distribution of the score or of the predicted class; no feature can have their names.",
        "quality": "Share of missing, invalid, unseen or out-of-range values, of features and predictions.",
    },
    **{
        f"driftgauge_{name}": _OF_SIGNAL
        for name in ("alarms_standing", "alarms_total", "alarm_start_timestamp_seconds", "alarm_effect", "detection_evidence")
    },
    "driftgauge_retrain_conditions": {
        "pending": "Beyond its limit, not for long enough.",
        "active": "Held for long enough, and not clear since.",
        "unknown": "Cannot be judged; never triggers.",
    },
    "driftgauge_counts_memory_bytes": {
        "open": "Panes that still take rows.",
        "closed": "Panes kept for windows.",
        "duplicates": "Remembered ids.",
    },
    "driftgauge_review_items_total": {
        "edge": "Edge cases: errors are over-represented.",
        "audit": "The audit sample: uniform within a segment and day.",
    },
    "driftgauge_label_store_bytes": {
        "disk": "Files of predictions and labels.",
        "memory": "Predictions and labels not yet in files, and what finds those that are.",
    },
    "driftgauge_segments": {
        "reference": "Segments that a reference knows.",
        "new": "Segments first seen in production.",
    },
})  # fmt: skip
"""Values of the label ``kind`` per metric, and what each means."""

LABEL_OUTCOMES: Mapping[str, str] = MappingProxyType({
    "matched": "First label of a prediction.",
    "revised": "Another value or version by an annotator known for this prediction.",
    "vote": "First label by a further annotator.",
    "duplicate": "The same label once more.",
    "late": "Later than the horizon after its prediction.",
    "late_arrival": "Behind its own partition's newest label by more than the lateness.",
    "orphan": "No prediction of its id is known that it may reach.",
})  # fmt: skip
"""Values of the label ``outcome``, and what each means."""
