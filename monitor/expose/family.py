"""One family of series for prometheus-client, declared in the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from monitor.expose.catalogue import METRICS

Row = tuple[tuple[object, ...], float | None]
"""Label values and value; None for a series that does not exist."""


def seconds(milliseconds: int | None) -> float | None:
    """A time in the unit of the metrics."""
    return None if milliseconds is None else milliseconds / 1000


def family(name: str, rows: Sequence[Row]) -> Metric:
    """The family ``name`` with its series. Raises ``KeyError`` for one that is not declared."""
    metric = METRICS[name]
    kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
    found = kind(name, metric.help, labels=metric.labels)
    for labels, value in rows:
        if value is not None:
            # A lone surrogate, which an event can hold, has no UTF-8.
            found.add_metric([str(label).encode("utf-8", "replace").decode() for label in labels], value)
    return found
