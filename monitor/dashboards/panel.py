"""Panels of a Grafana dashboard as plain dictionaries, in the words of its classic JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Panel = dict[str, Any]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
"""The variable of each dashboard; file provisioning does not replace the placeholders of the import dialog."""

GREEN, ORANGE, RED, BLUE = "green", "orange", "red", "blue"


def pick(metric: str, *matchers: str, **labels: str) -> str:
    """A selector of the chosen jobs and instances, with more matchers, and labels of fixed values.

    >>> pick("driftgauge_ready", kind="new")
    'driftgauge_ready{job=~"$job",instance=~"$instance",kind="new"}'
    """
    fixed = (f'{label}="{value}"' for label, value in labels.items())
    return metric + "{" + ",".join(['job=~"$job"', 'instance=~"$instance"', *matchers, *fixed]) + "}"


def steps(*above: tuple[float, str], base: str = GREEN) -> dict[str, Any]:
    """Colours by value: ``base``, and another from each value on."""
    first: list[dict[str, Any]] = [{"color": base, "value": None}]
    return {"mode": "absolute", "steps": first + [{"color": color, "value": value} for value, color in above]}


def over_time(expression: str, legend: str = "") -> dict[str, Any]:
    """A range query."""
    return {"expr": expression, "legendFormat": legend, "range": True, "instant": False, "editorMode": "code"}


def at_end(expression: str, legend: str = "") -> dict[str, Any]:
    """An instant query at the end of the chosen time."""
    return {"expr": expression, "legendFormat": legend, "range": False, "instant": True, "editorMode": "code"}


def as_table(expression: str) -> dict[str, Any]:
    """An instant query whose labels become columns."""
    return at_end(expression) | {"format": "table"}


def as_heatmap(expression: str) -> dict[str, Any]:
    """A range query over the buckets of a histogram."""
    return over_time(expression, "{{le}}") | {"format": "heatmap"}


def _panel(kind: str, title: str, description: str, targets: Sequence[dict[str, Any]], size: tuple[int, int]) -> Panel:
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "targets": [target | {"refId": chr(ord("A") + place), "datasource": SOURCE} for place, target in enumerate(targets)],
        "gridPos": {"w": size[0], "h": size[1]},
    }


def stat(title: str, description: str, expression: str, unit: str, colors: dict[str, Any], width: int = 4) -> Panel:
    """One number, coloured by value."""
    defaults = {"unit": unit, "thresholds": colors, "color": {"mode": "thresholds"}}
    options = {
        "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "textMode": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }  # fmt: skip
    panel = _panel("stat", title, description, [at_end(expression)], (width, 4))
    return panel | {"fieldConfig": {"defaults": defaults, "overrides": []}, "options": options}


def lines(
    title: str,
    description: str,
    targets: Sequence[dict[str, Any]],
    unit: str,
    size: tuple[int, int] = (12, 8),
    stacked: bool = False,
    overrides: Sequence[Mapping[str, Any]] = (),
) -> Panel:
    """Lines over time."""
    custom = {
        "drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stacked else 0, "showPoints": "auto", "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }  # fmt: skip
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    defaults = {"unit": unit, "custom": custom, "color": {"mode": "palette-classic"}}
    panel = _panel("timeseries", title, description, targets, size)
    return panel | {"fieldConfig": {"defaults": defaults, "overrides": list(overrides)}, "options": options}


def dashed(ref_id: str, color: str = ORANGE) -> dict[str, Any]:
    """Override: the series of one query as dashed lines, as thresholds are drawn."""
    return {
        "matcher": {"id": "byFrameRefID", "options": ref_id},
        "properties": [
            {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}},
            {"id": "color", "value": {"mode": "fixed", "fixedColor": color}},
        ],
    }


def with_interval(of: Callable[[str], str], named: str) -> list[dict[str, Any]]:
    """Targets A, B and C: a value and the ends of its interval. ``of``: the expression for a metric's ending, such as ``_low``."""
    return [over_time(of(ending), f"{named} {ending[1:]}".rstrip()) for ending in ("", "_low", "_high")]


INTERVAL = (dashed("B", "text"), dashed("C", "text"))
"""Overrides for the ends of ``with_interval``."""


def states(title: str, description: str, target: dict[str, Any], unit: str, colors: dict[str, Any], size: tuple[int, int]) -> Panel:
    """A band per series, coloured by value over time."""
    defaults = {"unit": unit, "thresholds": colors, "color": {"mode": "thresholds"}, "custom": {"fillOpacity": 80, "lineWidth": 0}}
    options = {
        "alignValue": "left", "mergeValues": True, "rowHeight": 0.9, "showValue": "auto",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }  # fmt: skip
    panel = _panel("state-timeline", title, description, [target], size)
    return panel | {"fieldConfig": {"defaults": defaults, "overrides": []}, "options": options}


def heatmap(title: str, description: str, expression: str, unit: str) -> Panel:
    """Buckets of a histogram over time."""
    options = {
        "calculate": False, "cellGap": 1, "color": {"mode": "scheme", "scheme": "Oranges", "exponent": 0.5, "steps": 64, "reverse": False},
        "yAxis": {"unit": unit, "axisPlacement": "left"}, "rowsFrame": {"layout": "auto"}, "showValue": "never",
        "legend": {"show": True}, "tooltip": {"mode": "single", "yHistogram": False},
    }  # fmt: skip
    panel = _panel("heatmap", title, description, [as_heatmap(expression)], (12, 8))
    return panel | {"fieldConfig": {"defaults": {"unit": unit}, "overrides": []}, "options": options}


def table(
    title: str,
    description: str,
    columns: Mapping[str, tuple[str, str]],
    sort_by: str,
    size: tuple[int, int] = (24, 9),
    links: Mapping[str, str] | None = None,
) -> Panel:
    """A table: column to its unit and the instant query of its values; rows are joined by their labels.

    ``links`` maps a column, or a label, to an address.
    """
    targets = [as_table(expression) for _, expression in columns.values()]
    names = {f"Value #{chr(ord('A') + place)}" if len(columns) > 1 else "Value": name for place, name in enumerate(columns)}
    overrides: list[dict[str, Any]] = [
        {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]} for name, (unit, _) in columns.items()
    ]
    overrides += [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "links", "value": [{"title": "Details", "url": url, "targetBlank": False}]}],
        }
        for name, url in (links or {}).items()
    ]
    panel = _panel("table", title, description, targets, size)
    return panel | {
        "fieldConfig": {"defaults": {"unit": "none"}, "overrides": overrides},
        "options": {"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": sort_by, "desc": True}]},
        "transformations": [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": names, "indexByName": {}}},
        ],
    }


def row(title: str, repeat: str | None = None) -> Panel:
    """A heading over the panels that follow; repeated for each value of a variable."""
    heading: Panel = {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}
    return heading | ({"repeat": repeat} if repeat else {})
