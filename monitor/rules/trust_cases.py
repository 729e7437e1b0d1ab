"""Cases of the rules about whether verdicts can be relied on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from monitor.config import Alerts
from monitor.rules.case import OTHER_TARGET, TARGET, Case, Firing, Moment, RecordCase, labelled, minutes, percentage, spoken, steady
from monitor.rules.trust import BLIND, REJECTED, settled_ms

_SEGMENTS = 200


def trust_record_cases(model: str) -> tuple[RecordCase, ...]:
    """Cases of the recording rules."""
    window = {"model": model, "version": "7", "window": "short"}
    name = {"model": model}
    return (
        RecordCase(
            BLIND,
            "30 of 40 segments have too few rows; the statuses add up to all segments.",
            {
                labelled("driftgauge_segment_status", TARGET, window, status=status): steady(number, 5)
                for status, number in {"drifted": 4, "stable": 6, "insufficient_data": 30}.items()
            },
            5,
            {labelled(BLIND, window, job="driftgauge"): 0.75},
        ),
        RecordCase(
            REJECTED,
            "Two replicas read 600 messages a minute each from two topics' worth of partitions; 6 of them a minute are rejected by one.",
            {
                labelled("driftgauge_messages_total", TARGET, name, topic="flights"): "0+600x20",
                labelled("driftgauge_messages_total", OTHER_TARGET, name, topic="flights"): "0+600x20",
                labelled("driftgauge_messages_rejected_total", TARGET, name, reason="bad_json"): "0+4x20",
                labelled("driftgauge_messages_rejected_total", TARGET, name, reason="no_id"): "0+2x20",
                labelled("driftgauge_messages_rejected_total", OTHER_TARGET, name, reason="no_id"): "0x20",
            },
            20,
            {labelled(REJECTED, name, job="driftgauge"): 0.005},
        ),
    )


def trust_cases(model: str, others: Sequence[str], settings: Alerts) -> tuple[Case, ...]:
    """Cases of the alerts; ``others`` are the models that the same process watches, and all is well with them."""
    return (
        *_stalled(model, others, settings),
        *_status(model, settings),
        *(_blind(model, settings) if settings.blind_ratio < 1 else ()),
        *_rejected(model, settings),
    )


def _stalled(model: str, others: Sequence[str], settings: Alerts) -> tuple[Case, ...]:
    stale = settings.stale_after_ms // 1_000
    due = 5 + minutes(settings.stale_after_ms) + 3
    evaluated = labelled("driftgauge_last_evaluation_timestamp_seconds", TARGET, model=model)
    built = labelled("driftgauge_build_info", TARGET, version="1")
    started = labelled("process_start_time_seconds", TARGET)
    healthy = {labelled("driftgauge_last_evaluation_timestamp_seconds", TARGET, model=other): f"0+60x{due + 5}" for other in others}
    labels = {"job": "driftgauge", "model": model}
    return (
        Case(
            "DriftgaugeStalled",
            "Evaluated every minute for five minutes, then the producers fell silent.",
            {evaluated: f"0+60x5 {steady(300, due)}", built: steady(1, due + 5), started: steady(0, due + 5)} | healthy,
            (Moment(4), Moment(due, (Firing(labels, f"{model}: no evaluation for {spoken(due * 60 - 300)}."),))),
        ),
        Case(
            "DriftgaugeStalled",
            "The topic's name is mistyped: the process runs and never had anything to evaluate.",
            {built: steady(1, due), started: steady(0, due)} | healthy,
            (
                Moment(stale // 60),
                Moment(due, (Firing(labels, f"{model}: no evaluation for {spoken(due * 60)}."),)),
            ),
        ),
        Case(
            "DriftgaugeStalled",
            "A replay of last year's log: event time is far in the past, but evaluations happen now. Another replica only stands by.",
            {
                evaluated: f"0+60x{due}",
                labelled("driftgauge_last_evaluation_event_timestamp_seconds", TARGET, model=model): f"-31536000+60x{due}",
                built: steady(1, due),
                started: steady(0, due),
                labelled("driftgauge_build_info", OTHER_TARGET, version="1"): steady(1, due),
                labelled("process_start_time_seconds", OTHER_TARGET): steady(0, due),
            }
            | healthy,
            (Moment(due),),
        ),
    )


def _status(model: str, settings: Alerts) -> tuple[Case, ...]:
    due = minutes(settings.pending_ms) + 1
    window = {"model": model, "version": "8", "window": "long"}

    def counted(**numbers: int) -> dict[str, str]:
        return {
            labelled("driftgauge_segment_status", TARGET, window, status=status): steady(number, due) for status, number in numbers.items()
        }

    labels = {"job": "driftgauge"} | window
    return (
        Case(
            "DriftgaugeNoReference",
            "Version 8 was deployed without its reference.",
            counted(no_reference=12, stable=0),
            (Moment(due, (Firing(labels, f"{model} 8, long window: 12 segments cannot be judged for want of a reference."),)),),
        ),
        Case(
            "DriftgaugeNoReference",
            "A country that the reference has few rows of: insufficient data, not a missing reference.",
            counted(no_reference=0, insufficient_data=1, stable=11),
            (Moment(due),),
        ),
        Case(
            "DriftgaugePartialView",
            "A second replica joined the group and took half of the partitions.",
            counted(partial=12, stable=0),
            (Moment(due, (Firing(labels, f"{model} 8, long window: the verdicts about 12 segments are partial."),)),),
        ),
        Case(
            "DriftgaugePartialView",
            "A second replica stands by without partitions; the first one judges everything.",
            counted(partial=0, stable=12)
            | {
                labelled("driftgauge_partitions", OTHER_TARGET, model=model, topic="t"): steady(4, due),
                labelled("driftgauge_partitions_owned", OTHER_TARGET, model=model, topic="t"): steady(0, due),
            },
            (Moment(due),),
        ),
    )


def _blind(model: str, settings: Alerts) -> tuple[Case, ...]:
    due = minutes(settled_ms(settings)) + 1
    window = {"model": model, "version": "7", "window": "short"}
    few = math.floor(settings.blind_ratio * _SEGMENTS)

    def counted(blind: int) -> dict[str, str]:
        return {
            labelled("driftgauge_segment_status", TARGET, window, status="insufficient_data"): steady(blind, due),
            labelled("driftgauge_segment_status", TARGET, window, status="stable"): steady(_SEGMENTS - blind, due),
        }

    share = percentage((few + 1) / _SEGMENTS)
    return (
        Case(
            "DriftgaugeBlindSegments",
            "A grouping by customer makes a segment of almost every row.",
            counted(few + 1),
            (
                Moment(
                    due,
                    (Firing({"job": "driftgauge"} | window, f"{model} 7, short window: {share} of the segments have too few rows."),),
                ),
            ),
        ),
        Case(
            "DriftgaugeBlindSegments",
            "Many small segments, though not more than is accepted.",
            counted(few),
            (Moment(due),),
        ),
    )


def _rejected(model: str, settings: Alerts) -> tuple[Case, ...]:
    due = minutes(settings.pending_ms) + 12
    messages = 10_000

    def counted(read: float, rejected: float) -> dict[str, str]:
        return {
            labelled("driftgauge_messages_total", TARGET, model=model, topic="t"): f"0+{read:.15g}x{due}",
            labelled("driftgauge_messages_rejected_total", TARGET, model=model, reason="bad_json"): f"0+{rejected:.15g}x{due}",
            labelled("driftgauge_messages_rejected_total", TARGET, model=model, reason="too_long"): f"0x{due}",
        }

    bad = math.ceil((1 + settings.max_rejected_ratio) / 2 * messages)
    good = math.floor(settings.max_rejected_ratio / 2 * messages)
    return (
        Case(
            "DriftgaugeRejectedRows",
            "A producer switched to another format without telling anybody.",
            counted(messages, bad),
            (
                Moment(
                    due,
                    (
                        Firing(
                            {"job": "driftgauge", "model": model},
                            f"{model}: {percentage(bad / messages)} of the messages of the last 10 minutes were rejected."
                            f" Reasons: bad_json ({bad * 10})",
                        ),
                    ),
                ),
            ),
        ),
        Case(
            "DriftgaugeRejectedRows",
            "A busy topic with many bad messages, which are still a small share.",
            counted(messages, good),
            (Moment(due),),
        ),
        Case(
            "DriftgaugeRejectedRows",
            "A quiet topic: every other message is bad, but there are only two in three minutes.",
            counted(1, 0.5),
            (Moment(due),),
        ),
    )
