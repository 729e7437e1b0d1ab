"""The shape of a rule. Everything stays inside what Prometheus 2.42 reads: no group labels, no query offset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from monitor.config import Alerts, format_duration

Severity = Literal["critical", "warning", "info", "none"]
"""critical wakes somebody, warning makes a ticket, info is for the dashboard, none is a heartbeat."""

ONE_PROCESS = "without (instance, pod)"
"""Replicas, and restarts under another address, must not make another alert."""


def series(name: str, **labels: str) -> str:
    """A selector.

    >>> series("driftgauge_segment_status", model="flights", status="partial")
    'driftgauge_segment_status{model="flights",status="partial"}'
    """
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in labels.items()) + "}"


def query_template(query: str, values: str, shown: str) -> str:
    """Template of an annotation: run a query and show each of its series.

    Label values are untrusted, so ``query`` takes them as ``%q``, in the order of ``values``.
    """
    return f"{{{{ range printf `{query}` {values} | query }}}}{shown}{{{{ end }}}}"


@dataclass(frozen=True, slots=True)
class Record:
    """A recording rule, named level:metric:operations."""

    name: str
    expression: str

    labels: Mapping[str, str] = field(default_factory=dict)

    def as_tree(self, _: Alerts) -> dict[str, Any]:
        """The rule as Prometheus reads it."""
        return {"record": self.name, "expr": self.expression, "labels": dict(self.labels)}


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule. ``summary`` is one constant sentence, ``description`` a template of Prometheus."""

    name: str
    expression: str
    severity: Severity
    summary: str
    description: str
    pending_ms: int = 0
    keep_firing_ms: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    def all_labels(self, settings: Alerts) -> dict[str, str]:
        """Labels that the rule adds to those of its series; the user's own never replace the severity."""
        return {**settings.labels, **self.labels, "severity": self.severity}

    def annotations(self, settings: Alerts) -> dict[str, str]:
        """Annotations. The runbook's heading is the alert's name, whose anchor is in lower case."""
        address = f"{settings.runbook_url}#{self.name.lower()}"
        return {"summary": self.summary, "description": self.description, "runbook_url": address}

    def as_tree(self, settings: Alerts) -> dict[str, Any]:
        """The rule as Prometheus reads it."""
        tree: dict[str, Any] = {"alert": self.name, "expr": self.expression, "for": format_duration(self.pending_ms)}
        if self.keep_firing_ms:
            tree["keep_firing_for"] = format_duration(self.keep_firing_ms)
        return tree | {"labels": self.all_labels(settings), "annotations": self.annotations(settings)}


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other, so that an alert sees the records above it."""

    name: str
    rules: tuple[Record | Alert, ...]

    def as_tree(self, settings: Alerts) -> dict[str, Any]:
        """The group as Prometheus reads it."""
        return {"name": self.name, "rules": [rule.as_tree(settings) for rule in self.rules]}
