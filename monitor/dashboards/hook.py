"""The hook: what it was told, what it started, what failed or waits."""

from __future__ import annotations

from monitor.dashboards.board import Dashboard, dashboard
from monitor.dashboards.panel import BLUE, ORANGE, RED, Panel, lines, over_time, pick, row, stat, steps


def hook() -> Dashboard:
    """The dashboard; its jobs are those of hooks, which are processes of their own."""
    return dashboard(
        "hook",
        "hook",
        "What the hook was told by Alertmanager, what it started, and what failed or waits.",
        [],
        [*_state(), row("Triggers"), *_triggers(), row("Notifications"), *_notifications()],
        builds="driftgauge_hook_build_info",
    )


def _in_a_day(name: str) -> str:
    return f"sum(increase({pick(f'driftgauge_hook_{name}')}[24h]))"


def _by(name: str, label: str = "") -> str:
    by = f"instance, {label}" if label else "instance"
    return f"sum by ({by}) (increase({pick(f'driftgauge_hook_{name}')}[$__rate_interval]))"


def _state() -> list[Panel]:
    return [
        stat(
            "Started in 24 hours",
            "Triggers whose start the target has, in the last 24 hours.",
            _in_a_day("triggers_started_total"),
            "short",
            steps(base=BLUE),
            6,
        ),
        stat(
            "Failed in 24 hours",
            "Triggers that could not be started in the last 24 hours; somebody has to look.",
            _in_a_day("triggers_failed_total"),
            "short",
            steps((1, RED)),
            6,
        ),
        stat(
            "Triggers that wait",
            "Triggers that are neither started nor failed nor skipped.",
            f"sum({pick('driftgauge_hook_triggers_pending')})",
            "none",
            steps((1, ORANGE)),
            4,
        ),
        stat(
            "Longest wait",
            "How long the trigger that waits longest has been waiting. No answer while none waits.",
            f"max(time() - {pick('driftgauge_hook_oldest_pending_timestamp_seconds')})",
            "s",
            steps((3_600, ORANGE), (86_400, RED)),
            4,
        ),
        stat(
            "Since the last start",
            "Wall time since something was last started. No answer before the first start.",
            f"min(time() - {pick('driftgauge_hook_last_start_timestamp_seconds')})",
            "s",
            steps(base=BLUE),
            4,
        ),
    ]


def _triggers() -> list[Panel]:
    return [
        lines(
            "What became of triggers",
            "Triggers that came for the first time, were started, failed, were skipped by policy, or let through by an operator.",
            [
                over_time(_by("triggers_received_total"), "received"),
                over_time(_by("triggers_started_total", "reason"), "started: {{reason}}"),
                over_time(_by("triggers_failed_total", "reason"), "failed: {{reason}}"),
                over_time(_by("triggers_skipped_total", "reason"), "skipped: {{reason}}"),
                over_time(_by("triggers_released_total"), "let through"),
            ],
            "none",
        ),
        lines(
            "Attempts and evidence",
            "Attempts that came to nothing and are made again; starts with evidence of the monitor and without.",
            [
                over_time(_by("attempts_failed_total", "reason"), "again: {{reason}}"),
                over_time(_by("evidence_total", "evidence"), "evidence {{evidence}}"),
            ],
            "none",
        ),
    ]


def _notifications() -> list[Panel]:
    return [
        lines(
            "Taken and repeated",
            "Notifications that were understood, deliveries of triggers that were known already, and alerts that Alertmanager left out.",
            [
                over_time(_by("notifications_total"), "notifications"),
                over_time(_by("triggers_deduplicated_total"), "known triggers"),
                over_time(_by("alerts_truncated_total"), "left out"),
            ],
            "none",
        ),
        lines(
            "Refused and ignored",
            "Requests that were not answered 2xx, and alerts that are no trigger, with why.",
            [
                over_time(_by("notifications_refused_total", "reason"), "refused: {{reason}}"),
                over_time(_by("alerts_ignored_total", "reason"), "ignored: {{reason}}"),
            ],
            "none",
        ),
    ]
