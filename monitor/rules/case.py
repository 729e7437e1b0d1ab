"""Cases for promtool: an incident as series, and what an alert must say about it, or that it must stay silent."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from monitor.config import Alerts
from monitor.rules.rule import Alert

MINUTE_MS = 60_000
TARGET = {"job": "driftgauge", "instance": "a:9464"}
OTHER_TARGET = {"job": "driftgauge", "instance": "b:9464"}


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that must fire: the labels of its series, its value as text, and its description word for word."""

    labels: dict[str, str]
    description: str


@dataclass(frozen=True, slots=True)
class Moment:
    """What must be firing after so many minutes; nothing when empty."""

    minute: int
    firing: tuple[Firing, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """An incident, or one that only looks like it."""

    alert: str
    incident: str
    series: dict[str, str] = field(default_factory=dict)  # series to values, one a minute, in promtool's notation
    moments: tuple[Moment, ...] = ()

    def as_tree(self, alert: Alert, settings: Alerts) -> dict[str, Any]:
        """The case as promtool reads it."""
        kind = "fires" if any(moment.firing for moment in self.moments) else "stays silent"
        return {
            "name": f"{self.alert} {kind}",
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in self.series.items()],
            "alert_rule_test": [_moment(alert, moment, settings) for moment in self.moments],
        }


@dataclass(frozen=True, slots=True)
class RecordCase:
    """What a recording rule must yield for given series."""

    record: str
    incident: str
    series: dict[str, str]
    minute: int
    samples: dict[str, float]

    def as_tree(self) -> dict[str, Any]:
        """The case as promtool reads it."""
        return {
            "name": self.record,
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in self.series.items()],
            "promql_expr_test": [
                {
                    "expr": self.record,
                    "eval_time": f"{self.minute}m",
                    "exp_samples": [{"labels": labels, "value": value} for labels, value in self.samples.items()],
                }
            ],
        }


def _moment(alert: Alert, moment: Moment, settings: Alerts) -> dict[str, Any]:
    expected = [
        {
            "exp_labels": alert.all_labels(settings) | firing.labels,
            "exp_annotations": alert.annotations(settings) | {"description": firing.description},
        }
        for firing in moment.firing
    ]
    return {"eval_time": f"{moment.minute}m", "alertname": alert.name, "exp_alerts": expected}


def labelled(name: str, *labels: dict[str, str], **more: str) -> str:
    """A series of the scraped target; label values are escaped.

    >>> labelled("up", {"job": "x"}, path='a"b')
    'up{job="x",path="a\\\\"b"}'
    """
    merged: dict[str, str] = {}
    for part in (*labels, more):
        merged |= part
    escaped = {key: value.replace("\\", "\\\\").replace('"', '\\"') for key, value in merged.items()}
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in escaped.items()) + "}"


def steady(value: float, minutes: int) -> str:
    """The same value at minute 0 and for so many minutes more.

    >>> steady(2, 10)
    '2x10'
    """
    return f"{value:.15g}x{minutes}"


def minutes(milliseconds: int) -> int:
    """Whole minutes, rounded up."""
    return math.ceil(milliseconds / MINUTE_MS)


def spoken(seconds: int) -> str:
    """A duration as Prometheus' ``humanizeDuration`` writes it.

    >>> spoken(59), spoken(1980), spoken(90_061)
    ('59s', '33m 0s', '1d 1h 1m 1s')
    """
    units = [("d", seconds // 86_400), ("h", seconds // 3_600 % 24), ("m", seconds // 60 % 60), ("s", seconds % 60)]
    first = next((place for place, (_, number) in enumerate(units) if number), 3)
    return " ".join(f"{number}{unit}" for unit, number in units[first:])


def percentage(ratio: float) -> str:
    """A ratio as Prometheus' ``humanizePercentage`` writes it.

    >>> percentage(0.505)
    '50.5%'
    """
    return f"{ratio * 100:.4g}%"
