"""Rules for dashboards, after those of Grafana's dashboard-linter, on the syntax tree of each query.

``lint`` answers with sentences; an empty list is a good dashboard.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import promql_parser

from tests.deploy import promql

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WITH_UNIT = frozenset({"stat", "timeseries", "heatmap", "state-timeline", "table"})
UNITS = frozenset({"none", "short", "s", "bytes", "percentunit", "cps", "dateTimeFromNow", "dateTimeAsIso"})
"""Units of Grafana that the dashboards use; one that is not here is probably mistyped."""
RATES = frozenset({"rate", "irate", "increase"})


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every panel that shows something, those inside collapsed rows among them."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Panel title and query."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield panel["title"], target


def lint(dashboard: dict[str, Any]) -> list[str]:
    """What is wrong with a dashboard."""
    return [*_frame(dashboard), *_variables(dashboard), *_places(dashboard), *_panels(dashboard), *_queries(dashboard)]


def _frame(dashboard: dict[str, Any]) -> Iterator[str]:
    if dashboard["editable"]:
        yield "is editable, though it comes from a file"
    if dashboard["id"] is not None:
        yield "has an id; only the uid is stable"
    if not dashboard.get("description"):
        yield "has no description"
    if "__inputs" in dashboard or "${DS_" in str(dashboard):
        yield "uses placeholders of the import dialog, which provisioning does not replace"


def _variables(dashboard: dict[str, Any]) -> Iterator[str]:
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    if variables.get("datasource", {}).get("type") != "datasource":
        yield "has no variable of the type datasource"
    for name in ("job", "instance"):
        if not variables.get(name, {}).get("multi") or variables[name].get("allValue") != ".+":
            yield f"variable {name}: expected several values and .+ for all"
    for name, variable in variables.items():
        if not variable.get("label"):
            yield f"variable {name} has no label"
        if variable["type"] == "query":
            if variable["refresh"] != 2:
                yield f"variable {name} is not renewed when the time range changes"
            selector = variable["query"]["query"].removeprefix("label_values(").rpartition(",")[0]
            yield from (f"variable {name}: {mistake}" for mistake in promql.mistakes(selector))


def _places(dashboard: dict[str, Any]) -> Iterator[str]:
    placed = [(panel.get("title"), panel["gridPos"]) for panel in dashboard["panels"]]
    for (one, a), (other, b) in combinations(placed, 2):
        if a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]:
            yield f"{one!r} lies over {other!r}"
    yield from (f"{title!r} is wider than the grid" for title, place in placed if place["x"] + place["w"] > 24)
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(set(ids)) != len(ids):
        yield "has an id twice"


def _panels(dashboard: dict[str, Any]) -> Iterator[str]:
    titles = [panel["title"] for panel in panels(dashboard)]
    yield from (f"has the title {title!r} twice" for title in set(titles) if titles.count(title) > 1)
    for panel in panels(dashboard):
        title = panel["title"]
        if not title:
            yield "has a panel without a title"
        if len(panel.get("description", "")) < 20:
            yield f"{title!r} has no description"
        if panel["datasource"] != DATASOURCE or any(target["datasource"] != DATASOURCE for target in panel["targets"]):
            yield f"{title!r} does not use the data source variable"
        if not panel["targets"]:
            yield f"{title!r} has no query"
        if len({target["refId"] for target in panel["targets"]}) != len(panel["targets"]):
            yield f"{title!r} has a refId twice"
        yield from _units(panel)


def _units(panel: dict[str, Any]) -> Iterator[str]:
    config = panel["fieldConfig"]
    units = [config["defaults"].get("unit")]
    units += [prop["value"] for override in config["overrides"] for prop in override["properties"] if prop["id"] == "unit"]
    yield from (f"{panel['title']!r} has the unit {unit!r}" for unit in units if unit not in UNITS)


def _queries(dashboard: dict[str, Any]) -> Iterator[str]:
    known = {variable["name"] for variable in dashboard["templating"]["list"]} | {"__rate_interval", "__url_time_range"}
    for title, target in queries(dashboard):
        expression = target["expr"]
        try:
            tree = promql.parse(expression)
        except ValueError as error:
            yield f"{title!r} is not PromQL: {error}"
            continue
        yield from (f"{title!r}: {mistake}" for mistake in promql.mistakes(expression))
        yield from (f"{title!r}: unknown variable ${name}" for name in _named_variables(expression) if name not in known)
        for selector in promql.selectors(expression):
            matched = promql.matchers(selector)
            for label in ("job", "instance"):
                if matched.get(label) != f"${label}":
                    yield f"{title!r}: {selector.name} is not limited to the chosen {label}"
        yield from (f"{title!r}: {mistake}" for mistake in _rates(tree, expression))
        if "vector(" in expression:
            yield f"{title!r} hides an empty answer behind vector()"


def _named_variables(expression: str) -> list[str]:
    return [part.split('"')[0].split("]")[0].split(",")[0] for part in expression.split("$")[1:]]


def _rates(tree: Any, expression: str) -> Iterator[str]:
    rated: set[str] = set()
    for node in promql.walk(tree):
        if isinstance(node, promql_parser.Call) and node.func.name in RATES:
            rated |= {inner.name for inner in promql.walk(node) if isinstance(inner, promql_parser.VectorSelector)}
            if node.func.name != "increase" and "[$__rate_interval]" not in expression:
                yield f"{node.func.name} over a fixed interval"
    for selector in promql.selectors(expression):
        metric = promql.family(selector.name)
        counts = metric is not None and metric.type in ("counter", "histogram")
        if counts and selector.name not in rated:
            yield f"{selector.name} counts up for ever and is not inside rate or increase"
        if not counts and selector.name in rated:
            yield f"{selector.name} is a gauge inside rate or increase"
