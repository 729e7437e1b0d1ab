"""Data quality: values that are missing, of another type, unseen or out of range, and probable changes of unit."""

from __future__ import annotations

from monitor.dashboards.board import MODEL, Dashboard, dashboard
from monitor.dashboards.drift import SEGMENT, SIGNAL, VERSION
from monitor.dashboards.overview import WINDOW
from monitor.dashboards.panel import ORANGE, Panel, dashed, lines, over_time, pick, row, states, steps, table

_WINDOW = 'model=~"$model",version=~"$version",window=~"$window"'
_SEGMENT = f'{_WINDOW},segment=~"$segment"'
_SIGNAL = f'{_SEGMENT},signal=~"$signal"'


def quality() -> Dashboard:
    """The dashboard."""
    changed = pick("driftgauge_signals_drifted", _SEGMENT, kind="quality")
    return dashboard(
        "quality",
        "data quality",
        "Values that are missing, of another type, never seen before or out of range; and inputs whose unit seems to have changed.",
        [MODEL, VERSION, WINDOW, SEGMENT, SIGNAL],
        [
            row("What changed"),
            states(
                "Signals with changed quality",
                "Number of signals of which more or fewer values are missing or unusable than in the reference.",
                over_time(f"max by (version, segment) ({changed})", "{{version}} {{segment}}"),
                "none",
                steps((1, ORANGE)),
                (24, 7),
            ),
            row("Segment $segment", repeat="segment"),
            _share("Missing", "missing", "Rows without a value."),
            _share("Invalid", "invalid", "Rows whose value has another type than declared, or is not finite."),
            _share("Unseen", "unseen", "Rows with a category that the reference does not have."),
            _share("Out of range", "out_of_range", "Rows outside the declared range or categories."),
            row("Unit"),
            table(
                "Probable changes of unit",
                "Inputs whose location or scale jumped by a round factor, such as 60 or 1000. Empty while there is none.",
                {
                    "Factor": (
                        "none",
                        f"max by (model, version, window, segment, signal) ({pick('driftgauge_unit_change_factor', _SIGNAL)})",
                    )
                },
                "Factor",
            ),
        ],
    )


def _share(title: str, name: str, what: str) -> Panel:
    ratio = pick(f"driftgauge_{name}_ratio", _SIGNAL)
    change = pick("driftgauge_drift_statistic", _SIGNAL, statistic=f"{name}_rate")
    return lines(
        title,
        f"{what} Share of the rows; dashed: the difference from the reference, which is what is judged.",
        [over_time(f"max by (signal) ({ratio})", "{{signal}}"), over_time(f"max by (signal) ({change})", "{{signal}} difference")],
        "percentunit",
        overrides=[dashed("B")],
    )
