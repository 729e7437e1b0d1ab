"""Reading pages of metrics with the parser of prometheus-client, which is not the code under test."""

from __future__ import annotations

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families


def families(page: bytes) -> dict[str, Metric]:
    """Families by the name that the page gives them."""
    found: dict[str, Metric] = {}
    for family in text_string_to_metric_families(page.decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert name not in found, f"{name} occurs twice"
        found[name] = family
    return found


def series(page: bytes, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Values of one family by their labels."""
    return {tuple(sorted(sample.labels.items())): sample.value for sample in families(page)[name].samples}
