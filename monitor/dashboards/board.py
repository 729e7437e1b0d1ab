"""A dashboard around its panels: variables, links, annotations, identifiers and places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitor.dashboards.panel import SOURCE, Panel

Dashboard = dict[str, Any]

SCHEMA_VERSION = 42
WIDTH = 24  # columns of Grafana's grid


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard: the values of a label of a selector."""

    name: str
    title: str
    selector: str
    multi: bool = True
    preset: str | None = None  # chosen first; all values when absent

    def as_tree(self) -> dict[str, Any]:
        """The variable as Grafana reads it."""
        first = "$__all" if self.preset is None else self.preset
        shown = "All" if self.preset is None else self.preset
        current: dict[str, Any] = {"text": [shown], "value": [first]} if self.multi else {"text": shown, "value": first}
        tree = {
            "type": "query",
            "name": self.name,
            "label": self.title,
            "datasource": SOURCE,
            "query": {"query": f"label_values({self.selector}, {self.name})", "refId": self.name, "qryType": 1},
            "refresh": 2,  # when the time range changes
            "sort": 1,
            "multi": self.multi,
            "includeAll": self.multi,
            "current": current,
        }
        # Beyond 100 segments a list of all would be too long for an address; .+ matches them as well.
        return tree | ({"allValue": ".+"} if self.multi else {})


MODEL = Variable("model", "Model", 'driftgauge_model_info{job=~"$job",instance=~"$instance"}')


def dashboard(
    name: str, title: str, description: str, variables: Sequence[Variable], panels: Sequence[Panel], builds: str = "driftgauge_build_info"
) -> Dashboard:
    """The dashboard; panels flow from left to right in their order, rows start a new line.

    ``builds``: the metric that every process has whose jobs and instances can be chosen.
    """
    chosen = (Variable("job", "Job", builds), Variable("instance", "Instance", f'{builds}{{job=~"$job"}}'))
    return {
        "id": None,
        "uid": f"driftgauge-{name}",
        "title": f"driftgauge / {title}",
        "description": description,
        "tags": ["driftgauge"],
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "utc",
        "refresh": "1m",
        "templating": {"list": [_DATASOURCE, *(variable.as_tree() for variable in (*chosen, *variables))]},
        "annotations": {"list": [_ALERTS]},
        "links": [_OTHERS],
        "panels": _placed(panels),
    }


def _placed(panels: Sequence[Panel]) -> list[Panel]:
    placed: list[Panel] = []
    x = y = height = 0
    for number, panel in enumerate(panels, start=1):
        size = panel["gridPos"]
        if panel["type"] == "row" or x + size["w"] > WIDTH:
            x, y, height = 0, y + height, 0
        placed.append(panel | {"id": number, "gridPos": {"x": x, "y": y, **size}})
        x, height = x + size["w"], max(height, size["h"])
        if panel["type"] == "row":
            x, y, height = 0, y + height, 0
    return placed


_DATASOURCE = {
    "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "hide": 0,
    "current": {"text": "default", "value": "default"},
}  # fmt: skip

_ALERTS = {
    "name": "Alerts",
    "datasource": SOURCE,
    "enable": True,
    "hide": False,
    "iconColor": "orange",
    "expr": 'ALERTS{alertname=~"Driftgauge.+",alertname!="DriftgaugeWatchdog",alertstate="firing"}',
    "titleFormat": "{{alertname}}",
    "textFormat": "{{model}} {{version}} {{segment}} {{window}}",
    "tagKeys": "severity",
    "step": "60s",
}

_OTHERS = {
    "type": "dashboards", "title": "driftgauge", "tags": ["driftgauge"], "icon": "external link", "tooltip": "", "url": "",
    "asDropdown": False, "includeVars": True, "keepTime": True, "targetBlank": False,
}  # fmt: skip
