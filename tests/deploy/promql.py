"""What a PromQL expression names, read from its syntax tree and checked against the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import promql_parser

from monitor.expose.catalogue import METRICS, Metric
from monitor.hook.metrics import FAMILIES

TARGET_LABELS = frozenset({"job", "instance", "pod"})
"""Labels that Prometheus gives a target; every series has or may have them."""


def parse(expression: str) -> Any:
    """The syntax tree. Grafana's variables stand only in strings and ranges."""
    return promql_parser.parse(expression.replace("$__rate_interval", "1m"))


def walk(node: Any) -> Iterator[Any]:
    """The node and all below it."""
    yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        child = getattr(node, name, None)
        if child is not None:
            yield from walk(child)
    for child in getattr(node, "args", None) or []:
        yield from walk(child)


def selectors(expression: str) -> list[Any]:
    """Every vector selector."""
    return [node for node in walk(parse(expression)) if isinstance(node, promql_parser.VectorSelector)]


def matchers(selector: Any) -> dict[str, str]:
    """Label to the value or pattern it is matched with."""
    return {matcher.name: matcher.value for matcher in selector.matchers.matchers}


HOOK: dict[str, Metric] = {
    name: Metric(name, each.type, "", (each.label,) if each.label else (), each.help, "process")
    for name, each in ((f"driftgauge_hook_{each.name}", each) for each in FAMILIES.values())
}
"""Metrics of the hook, which is a process of its own and has a list of its own."""


def family(series: str) -> Metric | None:
    """The catalogue's metric of a series name; a histogram's series have names of their own."""
    if series in METRICS:
        return METRICS[series] if METRICS[series].type != "histogram" else None
    if series in HOOK:
        return HOOK[series]
    name, _, suffix = series.rpartition("_")
    metric = METRICS.get(name)
    return metric if metric is not None and metric.type == "histogram" and suffix in ("bucket", "sum", "count") else None


def series_labels(series: str) -> frozenset[str]:
    """Labels that a series of that name may have. Raises ``KeyError`` when the catalogue does not have it."""
    metric = family(series)
    if metric is None:
        raise KeyError(series)
    return frozenset(metric.labels) | TARGET_LABELS | ({"le"} if series.endswith("_bucket") else set())


def grouped_labels(expression: str) -> set[str]:
    """Labels named in by, without, on, ignoring, group_left and group_right."""
    found: set[str] = set()
    for node in walk(parse(expression)):
        modifier = getattr(node, "modifier", None)
        if modifier is None:
            continue
        if isinstance(node, promql_parser.AggregateExpr):
            found |= set(modifier.labels)
        else:
            found |= set(modifier.matching.labels if modifier.matching else ()) | set(modifier.group_labels or ())
    return found


def mistakes(expression: str, records: dict[str, frozenset[str]] | None = None) -> list[str]:
    """What an expression names that the catalogue does not have. ``records`` are recorded series and their labels."""
    known = records or {}
    found: list[str] = []
    labels: set[str] = set()
    for selector in selectors(expression):
        try:
            allowed = known[selector.name] if selector.name in known else series_labels(selector.name)
        except KeyError:
            found.append(f"unknown metric {selector.name}")
            continue
        labels |= allowed
        found += [f"{selector.name} has no label {name}" for name in matchers(selector) if name not in allowed]
    return found + [f"no metric of the expression has the label {name}" for name in sorted(grouped_labels(expression) - labels)]
