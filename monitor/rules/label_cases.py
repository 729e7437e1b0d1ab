"""Cases of the rules about labels: each alert once on an incident, once on something that only looks like it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from monitor.config import Alerts
from monitor.rules.case import TARGET, Case, Firing, Moment, labelled, minutes, percentage, spoken, steady
from monitor.rules.labels import WINDOW

_LABELS = 10_000  # a minute


def label_cases(model: str, topics: tuple[str, str], others: Mapping[str, str], settings: Alerts) -> tuple[Case, ...]:
    """Cases of the alerts; ``topics`` of predictions and labels; ``others``: label topic of other models, whose labels come."""
    due = minutes(settings.pending_ms) + 1
    return (
        *_behind(model, settings, due),
        *_silent(model, topics, others, settings, due),
        *(_coverage(model, settings, due) if settings.min_label_coverage else ()),
        *(_coverage_drop(model, settings, due) if settings.max_label_coverage_drop < 1 else ()),
        *_outcomes(
            model, "DriftgaugeLabelOrphans", "orphan", settings.max_orphan_ratio, "have an id that no prediction had", due,
            "A service that labels was given ids of another system.", "Some labels are of predictions from before the start.",
        ),
        *_outcomes(
            model, "DriftgaugeLabelsLate", "late_arrival", settings.max_late_label_ratio, "came too late", due,
            "A backlog of last month's labels is delivered at once.", "A few labels come late, as always.",
        ),
        *_rejected(model, settings),
        *_evicted(model),
    )  # fmt: skip


def _behind(model: str, settings: Alerts, due: int) -> tuple[Case, ...]:
    stale = settings.labels_stale_after_ms // 1_000

    def reached(predictions: int, labels: int) -> dict[str, str]:
        return {
            labelled("driftgauge_watermark_timestamp_seconds", TARGET, model=model): steady(predictions, due),
            labelled("driftgauge_labels_watermark_timestamp_seconds", TARGET, model=model): steady(labels, due),
        }

    said = f"{model}: labels are joined {spoken(stale + 60)} behind the predictions."
    return (
        Case(
            "DriftgaugeLabelsBehind",
            "One partition of the label topic is not read, and all others wait for it.",
            reached(1_700_000_000, 1_700_000_000 - stale - 60),
            (Moment(due, (Firing({"job": "driftgauge", "model": model}, said),)),),
        ),
        Case(
            "DriftgaugeLabelsBehind",
            "A replay of an old log, far behind the wall clock, with labels as far as predictions.",
            reached(1_000_000_000, 1_000_000_000 - min(stale, 60)),
            (Moment(due),),
        ),
    )


def _silent(model: str, topics: tuple[str, str], others: Mapping[str, str], settings: Alerts, due: int) -> tuple[Case, ...]:
    stale = settings.labels_stale_after_ms // 1_000
    name = "driftgauge_partition_newest_event_timestamp_seconds"

    def newest(topic: str, partition: str, at: int) -> dict[str, str]:
        return {labelled(name, TARGET, model=model, topic=topic, partition=partition): steady(at, due)}

    fine = {labelled(name, TARGET, model=other, topic=topic, partition="0"): steady(0, due) for other, topic in others.items()}
    predictions, label_topic = topics
    now, last = 1_700_000_000, 1_700_000_000 - stale - 60
    labels = {"job": "driftgauge", "model": model}
    up = {
        labelled("driftgauge_build_info", TARGET, version="1"): steady(1, due),
        labelled("process_start_time_seconds", TARGET): steady(-stale - 60, due),
    }
    return (
        Case(
            "DriftgaugeLabelsSilent",
            "Those who label went on holiday; predictions go on.",
            newest(predictions, "0", now) | newest(predictions, "1", now - stale) | newest(label_topic, "0", last) | fine | up,
            (Moment(due, (Firing(labels, f"{model}: no label for {spoken(stale + 60)}."),)),),
        ),
        Case(
            "DriftgaugeLabelsSilent",
            "The label topic's name is mistyped: there never was a label.",
            newest(predictions, "0", now) | fine | up,
            (Moment(due, (Firing(labels, f"{model}: no label for {spoken(stale + 60 + due * 60)}."),)),),
        ),
        Case(
            "DriftgaugeLabelsSilent",
            "One partition of the labels has been silent for long, another has not; all of it is last year's log.",
            newest(predictions, "0", now) | newest(label_topic, "0", last - stale) | newest(label_topic, "1", now) | fine | up,
            (Moment(due),),
        ),
    )


def _coverage(model: str, settings: Alerts, due: int) -> tuple[Case, ...]:
    where = {"model": model, "version": "7", "segment": "ALL"}
    series = labelled("driftgauge_label_coverage_ratio", TARGET, where)
    least = settings.min_label_coverage
    said = f"{model} 7: {percentage(least / 2)} of the window's predictions have a label."
    return (
        Case(
            "DriftgaugeLabelCoverage",
            "Ids in the label topic are cut off, so that hardly any label finds its prediction.",
            {series: steady(least / 2, due)},
            (Moment(due, (Firing({"job": "driftgauge"} | where, said),)),),
        ),
        Case(
            "DriftgaugeLabelCoverage",
            "One segment has no labels at all; of all traffic there are enough.",
            {
                series: steady((1 + least) / 2, due),
                labelled("driftgauge_label_coverage_ratio", TARGET, where | {"segment": "carrier=EV"}): steady(0, due),
            },
            (Moment(due),),
        ),
    )


def _coverage_drop(model: str, settings: Alerts, due: int) -> tuple[Case, ...]:
    where = {"model": model, "version": "7", "segment": "ALL"}
    name, least = "driftgauge_label_coverage_relative_ratio", 1 - settings.max_label_coverage_drop
    said = f"{model} 7: {percentage(least / 2)} of the labels have come that had at the same age the window before."
    covered = labelled("driftgauge_label_coverage_ratio", TARGET, where)
    return (
        Case(
            "DriftgaugeLabelCoverageFell",
            "One of two teams that label has stopped; still far more than the least coverage is labelled.",
            {labelled(name, TARGET, where): steady(least / 2, due), covered: steady(1 - (1 - settings.min_label_coverage) / 2, due)},
            (Moment(due, (Firing({"job": "driftgauge"} | where, said),)),),
        ),
        Case(
            "DriftgaugeLabelCoverageFell",
            "Traffic grew, so most predictions are too young for a label; one small segment gets fewer labels than before.",
            {
                labelled(name, TARGET, where): steady(1 - settings.max_label_coverage_drop / 2, due),
                labelled(name, TARGET, where | {"segment": "carrier=EV"}): steady(0, due),
                covered: steady((1 + settings.min_label_coverage) / 2, due),
            },
            (Moment(due),),
        ),
    )


def _outcomes(model: str, alert: str, outcome: str, limit: float, said: str, due: int, incident: str, look_alike: str) -> tuple[Case, ...]:
    length = due + 12

    def counted(bad: float, every: float = _LABELS) -> dict[str, str]:
        rates = {outcome: bad, "matched": every - bad, "revised": 0}
        return {
            labelled("driftgauge_labels_total", TARGET, model=model, outcome=name): f"0+{rate:.15g}x{length}"
            for name, rate in rates.items()
        }

    high, low = math.ceil((1 + limit) / 2 * _LABELS), math.floor(limit / 2 * _LABELS)
    text = f"{model}: {percentage(high / _LABELS)} of the labels of the last {WINDOW} {said}."
    return (
        Case(alert, incident, counted(high), (Moment(length, (Firing({"job": "driftgauge", "model": model}, text),)),)),
        Case(alert, look_alike, counted(low), (Moment(length),)),
        Case(
            alert,
            "Hardly any labels, and one of them is such a one: a large share of nearly nothing.",
            counted(1 / (2 * length), 1 / length),
            (Moment(length),),
        ),
    )


def _rejected(model: str, settings: Alerts) -> tuple[Case, ...]:
    length = minutes(settings.pending_ms) + 12

    def counted(read: float, rejected: float) -> dict[str, str]:
        return {
            labelled("driftgauge_label_messages_total", TARGET, model=model, topic="l"): f"0+{read:.15g}x{length}",
            labelled("driftgauge_label_messages_rejected_total", TARGET, model=model, reason="bad_label"): f"0+{rejected:.15g}x{length}",
        }

    bad, good = math.ceil((1 + settings.max_rejected_ratio) / 2 * _LABELS), math.floor(settings.max_rejected_ratio / 2 * _LABELS)
    text = (
        f"{model}: {percentage(bad / _LABELS)} of the label messages of the last 10 minutes were rejected. Reasons: bad_label ({bad * 10})"
    )
    return (
        Case(
            "DriftgaugeRejectedLabels",
            "Labels are written in words now, and the configuration knows 0 and 1 only.",
            counted(_LABELS, bad),
            (Moment(length, (Firing({"job": "driftgauge", "model": model}, text),)),),
        ),
        Case(
            "DriftgaugeRejectedLabels",
            "Many bad labels among very many.",
            counted(_LABELS, good),
            (Moment(length),),
        ),
    )


def _evicted(model: str) -> tuple[Case, ...]:
    evicted = labelled("driftgauge_predictions_evicted_total", TARGET, model=model)
    said = f"{model}: 600 predictions were forgotten in the last hour."
    return (
        Case(
            "DriftgaugePredictionsEvicted",
            "Traffic doubled, and what waits for labels no longer fits.",
            {evicted: "0x10 600x120"},
            (Moment(9), Moment(60, (Firing({"job": "driftgauge", "model": model}, said),))),
        ),
        Case(
            "DriftgaugePredictionsEvicted",
            "A restart brings back the counter of an old eviction with the saved state; others expire without a label, as they should.",
            {evicted: "_x5 600x60", labelled("driftgauge_predictions_expired_total", TARGET, model=model): "0+10x65"},
            (Moment(6), Moment(60)),
        ),
    )
