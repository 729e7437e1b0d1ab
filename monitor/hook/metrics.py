"""The hook's own metrics: rendered anew from the ledger and from what this process counted, at each scrape.

Totals of triggers come from the ledger, so they go on after a restart and agree with its rows. What concerns requests is counted
by this process. No label holds what a sender wrote.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import monitor
from monitor.hook.alert import Ignored
from monitor.hook.ledger import Ledger
from monitor.hook.policy import Skipped


@dataclass(frozen=True, slots=True)
class Family:
    """One family of series, declared once; ``reasons`` are those that exist from the start, at zero."""

    name: str
    type: Literal["counter", "gauge"]
    help: str
    label: str = ""
    reasons: tuple[str, ...] = ()


REFUSED = ("malformed", "credentials", "too_large", "full", "ledger")
"""Why a request to /webhook is not answered 2xx."""

_FAILED = ("refused", "unsure", "gave_up", "no_evidence", "command_failed", "command_timeout", "command_not_found", "outcome_unknown")
_STARTED = ("accepted", "already_there", "found", "exit_0", "confirmed")

_FAMILIES = (
    Family("notifications_total", "counter", "Notifications that were understood and remembered."),
    Family("notifications_refused_total", "counter", "Requests to /webhook that were not answered 2xx.", "reason", REFUSED),
    Family("alerts_ignored_total", "counter", "Alerts that are no trigger.", "reason", tuple(Ignored)),
    Family("alerts_truncated_total", "counter", "Alerts that Alertmanager left out of notifications (max_alerts)."),
    Family("triggers_received_total", "counter", "Triggers that were not known before."),
    Family("triggers_deduplicated_total", "counter", "Deliveries of triggers that were known already."),
    Family("triggers_started_total", "counter", "Triggers whose start the target has.", "reason", _STARTED),
    Family("triggers_failed_total", "counter", "Triggers that could not be started; somebody has to look.", "reason", _FAILED),
    Family("triggers_skipped_total", "counter", "Triggers that started nothing, by policy.", "reason", tuple(Skipped)),
    Family("triggers_released_total", "counter", "Triggers that an operator let start after all."),
    Family("attempts_failed_total", "counter", "Attempts that came to nothing and are made again.", "reason"),
    Family("evidence_total", "counter", "Starts with evidence (`fetched`) and without (`none`).", "evidence", ("fetched", "none")),
    Family("triggers_pending", "gauge", "Triggers that are neither started nor failed nor skipped."),
    Family("oldest_pending_timestamp_seconds", "gauge", "When the trigger that waits longest was received; absent when none waits."),
    Family("last_start_timestamp_seconds", "gauge", "When something was last started; absent before the first."),
    Family("build_info", "gauge", "Constant 1; the version of driftgauge.", "version"),
)
FAMILIES: Mapping[str, Family] = {family.name: family for family in _FAMILIES}
"""Families by name without ``driftgauge_hook_``, in the order of the page."""

_LEDGER = {
    "triggers_received_total": "received",
    "triggers_started_total": "started",
    "triggers_failed_total": "failed",
    "triggers_skipped_total": "skipped",
    "triggers_released_total": "released",
    "attempts_failed_total": "attempts_failed",
    "evidence_total": "evidence",
}


class HookMetrics:
    """Counts requests, and renders the page."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._guard = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._process = ProcessCollector(registry=None)

    def count(self, name: str, reason: str = "", by: int = 1) -> None:
        """Add to a counter of this process."""
        assert name in FAMILIES, name
        with self._guard:
            self._counts[name, reason] += by

    def render(self) -> bytes:
        """Text of exposition format 0.0.4. Raises ``StateError`` when the ledger cannot be read."""
        totals = self._ledger.totals()
        with self._guard:
            values = dict(self._counts)
        values |= {(name, reason): n for name, key in _LEDGER.items() for (of, reason), n in totals.items() if of == key}
        oldest, last = self._ledger.oldest_pending_ms(), self._ledger.last_start_ms()
        gauges: dict[str, dict[str, float]] = {
            "triggers_pending": {"": self._ledger.pending()},
            "oldest_pending_timestamp_seconds": {} if oldest is None else {"": oldest / 1000},
            "last_start_timestamp_seconds": {} if last is None else {"": last / 1000},
            "build_info": {monitor.__version__: 1},
        }
        registry = CollectorRegistry()
        registry.register(_Families([*_render(values, gauges), *self._process.collect()]))
        return generate_latest(registry)


def _render(values: Mapping[tuple[str, str], int], gauges: Mapping[str, Mapping[str, float]]) -> Iterator[Metric]:
    for family in FAMILIES.values():
        kind = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
        metric = kind(f"driftgauge_hook_{family.name}", family.help, labels=[family.label] if family.label else [])
        known = dict.fromkeys(family.reasons if family.label else ("",), 0.0) if family.type == "counter" else {}
        found = known | dict(gauges.get(family.name, {})) | {reason: n for (name, reason), n in values.items() if name == family.name}
        for reason, value in found.items():
            metric.add_metric([str(reason)] if family.label else [], value)
        yield metric


class _Families(Collector):
    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = list(found)

    def collect(self) -> Iterable[Metric]:
        return self._found


def metrics_section() -> str:
    """The families as a section of the documentation."""
    rows = [
        f"| `driftgauge_hook_{family.name}` | {family.type} | {f'`{family.label}`' if family.label else '–'} | {family.help} |"
        for family in FAMILIES.values()
    ]
    return "\n".join(["\n## Metrics\n", "| metric | type | label | meaning |", "| --- | --- | --- | --- |", *rows, ""])
