"""Run every query of a dashboard on a real Prometheus, as Grafana would, and say which answers are empty."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.deploy import promql
from tests.deploy.dashboard_lint import queries
from tests.prometheus import get_json


@dataclass(frozen=True, slots=True)
class EmptyQuery:
    """A query, or a variable, without an answer."""

    panel: str
    expression: str


def execute_dashboard(
    base_url: str,
    dashboard: Mapping[str, Any],
    *,
    may_be_absent: Collection[str] = (),
    choices: Mapping[str, Sequence[str]] | None = None,
    rate_interval: str = "5m",  # two scrapes are in it, however slow the machine
) -> list[EmptyQuery]:
    """Queries whose answer has no finite sample; invalid ones raise ``ValueError`` with Prometheus's reason.

    Variables take the dashboard's own presets, unless ``choices`` has values for them. ``may_be_absent`` names metrics
    that exist only after an incident, such as a change of unit: queries on them must be valid, but may be empty.
    """
    empty: list[EmptyQuery] = []
    values: dict[str, str] = {"__rate_interval": rate_interval}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "datasource":
            continue
        name = variable["name"]
        found = label_values(base_url, fill(variable["query"]["query"], values))
        if not found:
            empty.append(EmptyQuery(f"variable {name}", fill(variable["query"]["query"], values)))
        values[name] = chosen(variable, found, (choices or {}).get(name))
    for panel, target in queries(dict(dashboard)):
        expression = fill(target["expr"], values)
        if not answer(base_url, expression, instant=target["instant"]):
            named = {selector.name for selector in promql.selectors(target["expr"])}
            if not named & set(may_be_absent):
                empty.append(EmptyQuery(panel, expression))
    for annotation in dashboard["annotations"]["list"]:
        answer(base_url, fill(annotation["expr"], values), instant=False)
    return empty


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables replaced, longest names first, since ``$model_x`` begins with ``$model``."""
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(f"${name}", values[name])
    return text


def chosen(variable: Mapping[str, Any], found: Sequence[str], wanted: Sequence[str] | None) -> str:
    """What stands for a variable in a query."""
    current = variable["current"].get("value", [])
    picked = list(wanted) if wanted is not None else [current] if isinstance(current, str) else list(current)
    if picked == ["$__all"]:
        return str(variable["allValue"])
    picked = [value for value in picked if value in found] or list(found[:1]) or ["nothing"]
    escaped = [escape(value) if variable["multi"] else value for value in picked]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def escape(value: str) -> str:
    """A value of a variable of several as Grafana's Prometheus data source puts it into a pattern inside quotes.

    >>> escape("device=a.b(c)")
    'device=a\\\\\\\\.b\\\\\\\\(c\\\\\\\\)'
    """
    return re.sub(r"[$^*{}\[\]'+?.()|]", lambda match: "\\\\" + match[0], value.replace("\\", "\\\\\\\\").replace('"', '\\"'))


def label_values(base_url: str, query: str) -> list[str]:
    """Answer of ``label_values(selector, label)``."""
    selector, _, label = query.removeprefix("label_values(").removesuffix(")").rpartition(",")
    return list(get_json(f"{base_url}/api/v1/label/{label.strip()}/values", **{"match[]": selector})["data"])


def answer(base_url: str, expression: str, *, instant: bool) -> bool:
    """Whether any sample of the answer is a finite number."""
    now = time.time()
    if instant:
        data = get_json(f"{base_url}/api/v1/query", query=expression, time=str(now))["data"]
        samples = [series["value"] for series in data["result"]]
    else:
        data = get_json(f"{base_url}/api/v1/query_range", query=expression, start=str(now - 300), end=str(now), step="15")["data"]
        samples = [sample for series in data["result"] for sample in series["values"]]
    return any(math.isfinite(float(value)) for _, value in samples)
