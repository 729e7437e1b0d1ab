"""Pipeline: what the monitor read, dropped and saved, and what it costs."""

from __future__ import annotations

from monitor.dashboards.board import MODEL, Dashboard, dashboard
from monitor.dashboards.panel import BLUE, GREEN, ORANGE, RED, Panel, dashed, heatmap, lines, over_time, pick, row, stat, steps

_MODEL = 'model=~"$model"'


def pipeline() -> Dashboard:
    """The dashboard."""
    return dashboard(
        "pipeline",
        "pipeline",
        "What the monitor read, counted, dropped and saved, and what it costs.",
        [MODEL],
        [*_state(), row("Messages and rows"), *_flow(), row("Progress"), *_progress(), row("Memory, segments and state"), *_cost()],
    )


def _rate(metric: str, by: str, *matchers: str) -> str:
    return f"sum by ({by}) (rate({pick(metric, *matchers)}[$__rate_interval]))"


def _state() -> list[Panel]:
    return [
        stat(
            "Ready processes",
            "Processes whose partitions are assigned and whose state is loaded.",
            f"sum({pick('driftgauge_ready')})",
            "none",
            steps((1, GREEN), base=RED),
        ),
        stat(
            "Partitions without a reader",
            "Partitions that no process reads. The alert DriftgaugePartialView tells of verdicts that rest on a part of the partitions.",
            f"sum(max by (model, topic) ({pick('driftgauge_partitions', _MODEL)})"
            f" - sum by (model, topic) ({pick('driftgauge_partitions_owned', _MODEL)}))",
            "none",
            steps((1, ORANGE)),
        ),
        stat(
            "Since the last commit",
            "Wall time since the state was last saved.",
            f"time() - max({pick('driftgauge_last_commit_timestamp_seconds')})",
            "s",
            steps((300, ORANGE), (900, RED)),
        ),
        stat(
            "Lost messages",
            "Messages that the broker deleted before they were read, in the last 24 hours.",
            f"sum(increase({pick('driftgauge_offsets_lost_total', _MODEL)}[24h]))",
            "short",
            steps((1, RED)),
        ),
        stat(
            "Series left out",
            "Drift series over the cap http.max_series, the least drifted ones.",
            f"sum({pick('driftgauge_series_left_out')})",
            "short",
            steps((1, ORANGE)),
        ),
        stat(
            "Since the loop turned",
            "Wall time since the main loop last turned; it turns at least every few seconds.",
            f"time() - min({pick('driftgauge_loop_turned_timestamp_seconds')})",
            "s",
            steps((60, ORANGE), (300, RED), base=BLUE),
        ),
    ]


def _flow() -> list[Panel]:
    return [
        lines(
            "Messages read",
            "Messages read from each topic.",
            [over_time(_rate("driftgauge_messages_total", "model, topic", _MODEL), "{{model}} {{topic}}")],
            "cps",
        ),
        lines(
            "Where rows went",
            "Rows counted, dropped as repeats, and come too late; tombstones; messages rejected. Together they are all messages read.",
            [
                over_time(_rate("driftgauge_rows_counted_total", "model", _MODEL), "{{model}} counted"),
                over_time(_rate("driftgauge_rows_duplicate_total", "model", _MODEL), "{{model}} repeated"),
                over_time(_rate("driftgauge_rows_late_total", "model, reason", _MODEL), "{{model}} late: {{reason}}"),
                over_time(_rate("driftgauge_tombstones_total", "model", _MODEL), "{{model}} tombstones"),
                over_time(_rate("driftgauge_messages_rejected_total", "model", _MODEL), "{{model}} rejected"),
            ],
            "cps",
            stacked=True,
        ),
        lines(
            "Rejected by reason",
            "Messages that yield no row, and why.",
            [over_time(_rate("driftgauge_messages_rejected_total", "model, reason", _MODEL), "{{model}} {{reason}}")],
            "cps",
        ),
        lines(
            "Operators and the broker",
            "Decisions of operators that were applied, messages of theirs that could not be used, connections made again, and processes"
            " that reach no broker.",
            [
                over_time(f"sum by (model) (increase({pick('driftgauge_controls_total', _MODEL)}[$__rate_interval]))", "{{model}} applied"),
                over_time(
                    f"sum by (instance) (increase({pick('driftgauge_controls_refused_total')}[$__rate_interval]))", "{{instance}} refused"
                ),
                over_time(
                    f"sum by (instance) (increase({pick('driftgauge_source_reconnects_total')}[$__rate_interval]))",
                    "{{instance}} connections made again",
                ),
                over_time(f"max by (instance) ({pick('driftgauge_source_unreachable')})", "{{instance}} reaches no broker"),
            ],
            "none",
        ),
        lines(
            "Dead letters",
            "Rejected messages delivered to the dead-letter topic, and those that could not be.",
            [
                over_time(_rate("driftgauge_dead_letters_total", "model", _MODEL), "{{model}} delivered"),
                over_time(_rate("driftgauge_dead_letter_failures_total", "model", _MODEL), "{{model}} failed"),
            ],
            "cps",
        ),
    ]


def _progress() -> list[Panel]:
    return [
        lines(
            "Unread messages by partition",
            "Messages in each partition that have not been read.",
            [
                over_time(
                    f"max by (topic, partition) ({pick('driftgauge_consumer_lag_messages', _MODEL)})",
                    "{{topic}} {{partition}}",
                )
            ],
            "short",
        ),
        lines(
            "Age of event time",
            "Wall time minus the watermark, and minus the event time of the last evaluation. Large while history is replayed.",
            [
                over_time(f"time() - max by (model) ({pick('driftgauge_watermark_timestamp_seconds', _MODEL)})", "{{model}} watermark"),
                over_time(
                    f"time() - max by (model) ({pick('driftgauge_last_evaluation_event_timestamp_seconds', _MODEL)})",
                    "{{model}} last evaluation",
                ),
            ],
            "s",
        ),
        heatmap(
            "Duration of evaluations",
            "How long it takes to compare all windows with their references.",
            f"sum by (le) (increase({pick('driftgauge_evaluation_duration_seconds_bucket', _MODEL)}[$__rate_interval]))",
            "s",
        ),
        lines(
            "Partitions that wait",
            "Partitions that are silent, and partitions that are not fetched: ahead of the others, or dead letters wait for their topic.",
            [
                over_time(f"sum by (model, topic) ({pick('driftgauge_partition_idle', _MODEL)})", "{{model}} {{topic}} silent"),
                over_time(f"sum by (model, topic) ({pick('driftgauge_partition_paused', _MODEL)})", "{{model}} {{topic}} ahead"),
            ],
            "none",
        ),
    ]


def _cost() -> list[Panel]:
    return [
        lines(
            "Open panes",
            "Panes that still take rows, over all partitions and versions: many where event times of partitions lie far apart.",
            [over_time(f"max by (model) ({pick('driftgauge_open_panes', _MODEL)})", "{{model}}")],
            "none",
        ),
        lines(
            "Memory",
            "Resident memory of the process, and what counts and remembered ids take of it.",
            [
                over_time(f"max by (instance) ({pick('process_resident_memory_bytes')})", "{{instance}} resident"),
                over_time(
                    f"max by (instance, model, kind) ({pick('driftgauge_counts_memory_bytes', _MODEL)})", "{{instance}} {{model}} {{kind}}"
                ),
            ],
            "bytes",
        ),
        lines(
            "Processor",
            "Processor seconds per second.",
            [over_time(f"sum by (instance) (rate({pick('process_cpu_seconds_total')}[$__rate_interval]))", "{{instance}}")],
            "none",
        ),
        lines(
            "Segments",
            "Segments watched, of the references and new ones; dashed: how many there may be. Rows beyond go to __other__.",
            [
                over_time(f"max by (model, kind) ({pick('driftgauge_segments', _MODEL)})", "{{model}} {{kind}}"),
                over_time(f"max by (model) ({pick('driftgauge_segments_limit', _MODEL)})", "{{model}} limit"),
            ],
            "none",
            overrides=[dashed("B")],
        ),
        lines(
            "Rows folded into __other__",
            "Rows whose segment had no room.",
            [over_time(_rate("driftgauge_segments_folded_rows_total", "model", _MODEL), "{{model}}")],
            "cps",
        ),
        lines(
            "Remembered ids",
            "Ids by which repeats are recognised, and how many were forgotten early for want of room.",
            [
                over_time(f"max by (model) ({pick('driftgauge_duplicates_remembered_ids', _MODEL)})", "{{model}} remembered"),
                over_time(
                    f"sum by (model) (increase({pick('driftgauge_duplicates_evicted_total', _MODEL)}[$__rate_interval]))",
                    "{{model}} forgotten early",
                ),
            ],
            "short",
        ),
        lines(
            "Commits",
            "Mean duration of a commit of the state, and failures.",
            [
                over_time(
                    f"sum by (instance) (rate({pick('driftgauge_commit_duration_seconds_sum')}[$__rate_interval]))"
                    f" / clamp_min(sum by (instance) (rate({pick('driftgauge_commit_duration_seconds_count')}[$__rate_interval])), 1e-9)",
                    "{{instance}} seconds",
                ),
                over_time(
                    f"sum by (instance) (increase({pick('driftgauge_commit_failures_total')}[$__rate_interval]))", "{{instance}} failures"
                ),
            ],
            "none",
        ),
    ]
