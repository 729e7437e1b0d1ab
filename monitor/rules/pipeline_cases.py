"""Cases of the rules about the monitor itself."""

from __future__ import annotations

from monitor.config import Alerts
from monitor.rules.case import OTHER_TARGET, TARGET, Case, Firing, Moment, labelled, minutes, spoken, steady

_BUILT = "driftgauge_build_info"


def pipeline_cases(settings: Alerts) -> tuple[Case, ...]:
    """Cases of the alerts, in the order of the rules."""
    due = minutes(settings.pending_ms) + 1
    return (*_alive(), *_lag(settings, due), *_unreachable(due), *_lost(), *_commits(), *_rebuilding(due), *_left_out(due))


def _alive() -> tuple[Case, ...]:
    down = "Prometheus sees no driftgauge process. Drift alerts resolve by themselves now, which does not mean that the drift is over."
    return (
        Case(
            "DriftgaugeWatchdog",
            "Nothing at all happens. This alert never stays silent: its silence is what its receiver reports.",
            {},
            (Moment(0, (Firing({}, "Send this to a receiver that complains when it stops coming."),)),),
        ),
        Case(
            "DriftgaugeDown",
            "The only process ran out of memory and is not started again.",
            {labelled(_BUILT, TARGET, version="1"): "1x9 stale"},
            (Moment(9), Moment(15, (Firing({}, down),))),
        ),
        Case(
            "DriftgaugeDown",
            "A rolling update: one replica goes, two minutes later another comes under a new address.",
            {labelled(_BUILT, TARGET, version="1"): "1x9 stale", labelled(_BUILT, OTHER_TARGET, version="2"): "_x11 1x20"},
            tuple(Moment(minute) for minute in range(9, 30)),
        ),
    )


def _lag(settings: Alerts, due: int) -> tuple[Case, ...]:
    where = {"model": "flights", "topic": "t"}

    def waiting(target: dict[str, str], partition: str, messages: int) -> dict[str, str]:
        return {labelled("driftgauge_consumer_lag_messages", target, where, partition=partition): steady(messages, due)}

    half = settings.max_lag_records // 2
    total = 2 * half + 2
    return (
        Case(
            "DriftgaugeLag",
            "A burst that one process cannot take: each partition is below the limit, together they are above.",
            waiting(TARGET, "0", half + 1) | waiting(TARGET, "1", half + 1),
            (Moment(due, (Firing({"job": "driftgauge"} | where, f"flights, topic t: {total} messages are unread."),)),),
        ),
        Case(
            "DriftgaugeLag",
            "A partition moved to another replica and both still report it: the same messages, not twice as many.",
            waiting(TARGET, "0", half + 1) | waiting(OTHER_TARGET, "0", half + 1) if half else waiting(TARGET, "0", 0),
            (Moment(due),),
        ),
    )


def _unreachable(due: int) -> tuple[Case, ...]:
    unreachable = labelled("driftgauge_source_unreachable", TARGET)
    return (
        Case(
            "DriftgaugeUnreachable",
            "A network policy was changed: no broker answers any more.",
            {unreachable: f"0 {steady(1, due)}"},
            (Moment(due, (Firing(TARGET, "a:9464 reaches no broker; its log and its status page say why."),)),),
        ),
        Case(
            "DriftgaugeUnreachable",
            "The only broker is started anew.",
            {unreachable: f"1 {steady(0, due)}"},
            (Moment(due),),
        ),
    )


def _lost() -> tuple[Case, ...]:
    where = {"model": "flights", "topic": "t"}
    counter = labelled("driftgauge_offsets_lost_total", TARGET, where)
    return (
        Case(
            "DriftgaugeOffsetsLost",
            "The monitor stood still longer than the broker keeps the topic: 600 messages are gone.",
            {counter: "0x10 600x120"},
            (
                Moment(9),
                Moment(60, (Firing({"job": "driftgauge"} | where, "flights, topic t: 600 messages were lost in the last hour."),)),
            ),
        ),
        Case(
            "DriftgaugeOffsetsLost",
            "A restart brings back the counter of an old loss with the saved state: nothing was lost now.",
            {counter: "_x5 600x60"},
            (Moment(6), Moment(60)),
        ),
    )


def _commits() -> tuple[Case, ...]:
    failures = labelled("driftgauge_commit_failures_total", TARGET)
    last = labelled("driftgauge_last_commit_timestamp_seconds", TARGET)
    return (
        Case(
            "DriftgaugeCommitFailing",
            "The volume of the state is full: every commit fails from minute 5 on.",
            {failures: "0x5 1+1x30", last: "0+60x5 300x30"},
            (
                Moment(
                    20,
                    (
                        Firing(
                            TARGET,
                            f"a:9464: 5 commits failed in the last 5 minutes; the last that succeeded was {spoken(15 * 60)} ago.",
                        ),
                    ),
                ),
            ),
        ),
        Case(
            "DriftgaugeCommitFailing",
            "One commit ran into a slow disk, the next one went through.",
            {failures: "0x5 1x30", last: "0+60x35"},
            (Moment(7), Moment(12), Moment(20)),
        ),
    )


def _rebuilding(due: int) -> tuple[Case, ...]:
    since = labelled("driftgauge_rebuilt_since_timestamp_seconds", TARGET)
    return (
        Case(
            "DriftgaugeRebuilding",
            "The volume was lost; all state is being counted again from the log.",
            {since: steady(0, due)},
            (Moment(due, (Firing({"job": "driftgauge"}, f"Rebuilding for {spoken(due * 60)}."),)),),
        ),
        Case(
            "DriftgaugeRebuilding",
            "An ordinary restart: state is loaded, only the newest messages are read again.",
            {labelled("driftgauge_ready", TARGET): f"0x1 {steady(1, due)}", labelled(_BUILT, TARGET, version="1"): steady(1, due)},
            (Moment(due),),
        ),
    )


def _left_out(due: int) -> tuple[Case, ...]:
    left_out = labelled("driftgauge_series_left_out", TARGET)
    text = "1500 series are left out, the least drifted ones. Verdicts and counts of drifted signals are complete."
    return (
        Case(
            "DriftgaugeSeriesLeftOut",
            "A thousand segments of fifty features are more than the page may hold.",
            {left_out: steady(1_500, due)},
            (Moment(due, (Firing({"job": "driftgauge"}, text),)),),
        ),
        Case(
            "DriftgaugeSeriesLeftOut",
            "The page is exactly full.",
            {left_out: steady(0, due), labelled("driftgauge_series_exposed", TARGET): steady(100_000, due)},
            (Moment(due),),
        ),
    )
