"""Retraining: which conditions hold, what stands in their way, what was triggered; and what fire drills came to."""

from __future__ import annotations

from monitor.dashboards.board import MODEL, Dashboard, dashboard
from monitor.dashboards.drift import VERSION
from monitor.dashboards.panel import BLUE, GREEN, ORANGE, RED, Panel, lines, over_time, pick, row, stat, states, steps, table

_MODEL = 'model=~"$model"'
_VERSION = 'model=~"$model",version=~"$version"'
_DRILL = "{{model}} {{drift}}"


def retraining() -> Dashboard:
    """The dashboard."""
    return dashboard(
        "retraining",
        "retraining",
        "Which conditions of the policy hold, what stands in their way, what was triggered, and what fire drills came to.",
        [MODEL, VERSION],
        [*_state(), row("Policy"), *_policy(), row("Fire drills"), *_drills()],
    )


def _state() -> list[Panel]:
    newest = f"max by (model) ({pick('driftgauge_retrain_last_trigger_timestamp_seconds', _MODEL)})"
    judged = f"max by (model) ({pick('driftgauge_last_evaluation_event_timestamp_seconds', _MODEL)})"
    return [
        stat(
            "Models to retrain",
            "Models with a trigger that is neither acknowledged nor superseded nor expired. None shows as no answer.",
            f"count(max by (model) ({pick('driftgauge_retrain_required', _MODEL)}))",
            "none",
            steps((1, RED), base=BLUE),
            6,
        ),
        stat(
            "Since the newest trigger",
            "Event time from the newest trigger to the newest evaluation. None before the first trigger.",
            f"min({judged} - {newest})",
            "s",
            steps(base=BLUE),
            6,
        ),
        stat(
            "Held by operators",
            "Models of which an operator holds triggers back.",
            f"sum(max by (model) ({pick('driftgauge_retrain_hold', _MODEL)}))",
            "none",
            steps((1, ORANGE)),
            6,
        ),
        stat(
            "Drifts missed in the newest drill",
            "Drifts that were planted in the newest fire drill and led to no alarm.",
            f"sum(1 - max by (model, drift) ({pick('driftgauge_drill_caught', _MODEL)}))",
            "none",
            steps((1, RED)),
            6,
        ),
    ]


def _policy() -> list[Panel]:
    return [
        table(
            "Triggers that wait",
            "1 until acknowledged, superseded or expired. The id goes to driftgauge control ack and names the evidence.",
            {"Required": ("none", f"max by (model, reason, trigger_id) ({pick('driftgauge_retrain_required', _MODEL)})")},
            "Required",
            (12, 8),
        ),
        states(
            "Phase",
            "The phase that each version is in: from quiet over pending, withheld and required to how it ended.",
            over_time(
                f"max by (model, version, phase) ({pick('driftgauge_retrain_phase', _VERSION)}) == 1", "{{model}} {{version}} {{phase}}"
            ),
            "none",
            steps((1, BLUE)),
            (12, 8),
        ),
        lines(
            "Conditions",
            "Conditions at segments: beyond the limit but not for long enough (pending), holding (active), or not to be judged (unknown).",
            [
                over_time(
                    f"max by (model, version, reason, kind) ({pick('driftgauge_retrain_conditions', _VERSION)}) > 0",
                    "{{model}} {{version}} {{reason}} {{kind}}",
                )
            ],
            "none",
        ),
        states(
            "What stands in the way",
            "1 while a gate withholds a trigger that is due: cooldown, budget, quiet hours, too few fresh labels, a hold, and so on.",
            over_time(f"max by (model, version, gate) ({pick('driftgauge_retrain_withheld', _VERSION)})", "{{model}} {{version}} {{gate}}"),
            "none",
            steps((1, ORANGE)),
            (12, 8),
        ),
        lines(
            "Triggers",
            "Triggers by reason, in the last 24 hours of wall time.",
            [
                over_time(
                    f"sum by (model, reason) (increase({pick('driftgauge_retrain_triggers_total', _MODEL)}[24h]))", "{{model}} {{reason}}"
                )
            ],
            "none",
        ),
        states(
            "Holds",
            "1 while an operator holds triggers of the model back.",
            over_time(f"max by (model) ({pick('driftgauge_retrain_hold', _MODEL)})", "{{model}}"),
            "none",
            steps((1, ORANGE)),
            (12, 8),
        ),
    ]


def _of_drill(name: str) -> str:
    return f"max by (model, drift) ({pick(f'driftgauge_drill_{name}', _MODEL)})"


def _drills() -> list[Panel]:
    return [
        table(
            "Newest drill",
            "Of each planted drift: was there an alarm, did it lead to a trigger, and how long did the alarm take. No delay: missed.",
            {
                "Caught": ("none", _of_drill("caught")),
                "Triggered": ("none", _of_drill("triggered")),
                "Predictions to the alarm": ("short", _of_drill("delay_events")),
                "Event time to the alarm": ("s", _of_drill("delay_seconds")),
                "Predictions of the drill": ("short", _of_drill("events")),
            },
            "Predictions to the alarm",
            (16, 8),
        ),
        stat(
            "Since the newest drill",
            "Wall time since the newest fire drill ended.",
            f"time() - max({pick('driftgauge_drill_last_timestamp_seconds')})",
            "s",
            steps((700_000, ORANGE)),
            4,
        ),
        stat(
            "Drills that failed",
            "Drills that could not be completed, in the last 24 hours.",
            f"sum(increase({pick('driftgauge_drill_failures_total')}[24h]))",
            "none",
            steps((1, ORANGE)),
            4,
        ),
        states(
            "Caught",
            "1 where the planted drift led to an alarm in the drill that was newest then.",
            over_time(_of_drill("caught"), _DRILL),
            "none",
            steps((1, GREEN), base=RED),
            (12, 8),
        ),
        lines(
            "Delay by drill",
            "Predictions from the planted drift to its first alarm, of the drill that was newest then.",
            [over_time(_of_drill("delay_events"), _DRILL)],
            "short",
        ),
    ]
