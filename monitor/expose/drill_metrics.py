"""Metrics of fire drills, for ``/metrics`` and for a text file that another exporter reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitor.expose.family import family, seconds
from monitor.expose.snapshot import DrillView


def drill_families(drills: Sequence[DrillView], drilled_ms: int | None) -> Iterator[Metric]:
    """Of the newest drill. A drift that was not caught has no delay, never a delay of zero."""
    yield family("driftgauge_drill_caught", [((d.model, d.drift), d.caught) for d in drills])
    yield family("driftgauge_drill_triggered", [((d.model, d.drift), d.triggered) for d in drills])
    yield family("driftgauge_drill_delay_events", [((d.model, d.drift), d.delay_events) for d in drills])
    yield family("driftgauge_drill_delay_seconds", [((d.model, d.drift), seconds(d.delay_ms)) for d in drills])
    yield family("driftgauge_drill_events", [((d.model, d.drift), d.events) for d in drills])
    yield family("driftgauge_drill_last_timestamp_seconds", [((), seconds(drilled_ms))])


class _Families(Collector):
    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = list(found)

    def collect(self) -> Iterable[Metric]:
        return self._found


def drill_text(drills: Sequence[DrillView], drilled_ms: int) -> bytes:
    """The same as text of exposition format 0.0.4, for the text file collector of a node exporter."""
    registry = CollectorRegistry()
    registry.register(_Families(drill_families(drills, drilled_ms)))
    return generate_latest(registry)
