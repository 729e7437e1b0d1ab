"""Grafana dashboards as code: plain dictionaries, written as JSON by ``python -m monitor.dashboards``.

Every query names only metrics of the catalogue and only the chosen jobs and instances.
"""

from monitor.dashboards.alarms import alarms
from monitor.dashboards.board import Dashboard
from monitor.dashboards.drift import drift
from monitor.dashboards.hook import hook
from monitor.dashboards.labels import labels
from monitor.dashboards.overview import overview
from monitor.dashboards.performance import performance
from monitor.dashboards.pipeline import pipeline
from monitor.dashboards.quality import quality
from monitor.dashboards.retraining import retraining
from monitor.dashboards.review import review

__all__ = ["Dashboard", "dashboards"]


def dashboards() -> dict[str, Dashboard]:
    """File name to dashboard."""
    return {
        "overview.json": overview(),
        "drift.json": drift(),
        "alarms.json": alarms(),
        "quality.json": quality(),
        "performance.json": performance(),
        "labels.json": labels(),
        "review.json": review(),
        "retraining.json": retraining(),
        "hook.json": hook(),
        "pipeline.json": pipeline(),
    }
