"""Rules about the monitor itself: that it runs, keeps up, saves its state and loses nothing."""

from __future__ import annotations

from monitor.config import Alerts
from monitor.rules.rule import ONE_PROCESS, Alert, query_template

_SLACK_MS = 2 * 60_000
"""A rolling update or two failed scrapes are no outage."""


def pipeline_alerts(settings: Alerts) -> tuple[Alert, ...]:
    """Alerts about one deployment, whatever models it watches."""
    return (
        Alert(
            "DriftgaugeWatchdog",
            "vector(1)",
            "none",
            "Always fires, to show that alerts are delivered.",
            "Send this to a receiver that complains when it stops coming.",
        ),
        Alert(
            "DriftgaugeDown",
            "absent(driftgauge_build_info)",
            "critical",
            "No driftgauge process is being scraped, so no model is watched.",
            "Prometheus sees no driftgauge process. Drift alerts resolve by themselves now, which does not mean that the drift is over.",
            _SLACK_MS,
        ),
        Alert(
            "DriftgaugeLag",
            # Each partition is read by one process; during a rebalance two may still report it.
            f"sum without (partition) (max without (instance, pod) (driftgauge_consumer_lag_messages)) > {settings.max_lag_records}",
            "warning",
            "Messages wait unread, so verdicts are about the past.",
            '{{ $labels.model }}, topic {{ $labels.topic }}: {{ $value | printf "%.0f" }} messages are unread.',
            settings.pending_ms,
        ),
        Alert(
            "DriftgaugeUnreachable",
            "driftgauge_source_unreachable > 0",
            "warning",
            "No broker can be reached, so nothing is read, and how much waits is not known.",
            "{{ $labels.instance }} reaches no broker; its log and its status page say why.",
            settings.pending_ms,
        ),
        Alert(
            "DriftgaugeOffsetsLost",
            "sum without (instance, pod) (increase(driftgauge_offsets_lost_total[1h])) > 0",
            "warning",
            "The broker deleted messages before they were read, so counts have a hole.",
            '{{ $labels.model }}, topic {{ $labels.topic }}: {{ $value | printf "%.0f" }} messages were lost in the last hour.',
        ),
        Alert(
            "DriftgaugeCommitFailing",
            "increase(driftgauge_commit_failures_total[5m]) > 0",
            "warning",
            "The state cannot be saved, so a restart would have to count a long stretch again.",
            '{{ $labels.instance }}: {{ $value | printf "%.0f" }} commits failed in the last 5 minutes; the last that succeeded was'
            + query_template(
                "time() - driftgauge_last_commit_timestamp_seconds{job=%q,instance=%q}",
                "$labels.job $labels.instance",
                " {{ .Value | humanizeDuration }} ago",
            )
            + ".",
            2 * _COMMIT_WINDOW_MS,
        ),
        Alert(
            "DriftgaugeRebuilding",
            f"time() - min {ONE_PROCESS} (driftgauge_rebuilt_since_timestamp_seconds)",
            "warning",
            "Lost state is being rebuilt from the log, so verdicts are incomplete until it has caught up.",
            "Rebuilding for {{ $value | humanizeDuration }}.",
            settings.pending_ms,
        ),
        Alert(
            "DriftgaugeSeriesLeftOut",
            f"max {ONE_PROCESS} (driftgauge_series_left_out) > 0",
            "info",
            "Not every statistic is exposed, because there are more than http.max_series.",
            "{{ $value }} series are left out, the least drifted ones. Verdicts and counts of drifted signals are complete.",
            settings.pending_ms,
        ),
    )


_COMMIT_WINDOW_MS = 5 * 60_000
"""One failure shows for the window of ``increase``; only failures that go on last twice as long."""
