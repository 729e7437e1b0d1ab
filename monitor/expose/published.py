"""The newest snapshot, and what was rendered from it: one writer, many readers, no lock between them."""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass

from monitor.evaluate.verdict import Verdicts
from monitor.expose.drift_metrics import DriftPage, drift_page, gzip_joined
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.snapshot import RiverAlarms, Snapshot
from monitor.labels import LabelsEvaluated


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """One scrape: the page as text and compressed."""

    text: bytes
    gzipped: bytes


@dataclass(frozen=True, slots=True)
class _Rendered:
    verdicts: tuple[Verdicts, ...]
    labels: tuple[LabelsEvaluated, ...]
    river: tuple[tuple[RiverAlarms, ...], ...]
    page: DriftPage
    crc: int

    def is_of(self, snapshot: Snapshot) -> bool:
        river = tuple(model.river for model in snapshot.models)
        # By identity: comparing arrays would cost more than rendering them.
        return (
            self.verdicts is snapshot.verdicts
            and self.labels is snapshot.labels
            and len(river) == len(self.river)
            and all(a is b for a, b in zip(river, self.river, strict=True))
        )


class Published:
    """Where the main loop puts snapshots and the server takes them from."""

    def __init__(self, first: Snapshot, self_metrics: SelfMetrics, max_series: int) -> None:
        self._snapshot = first
        self._self_metrics = self_metrics
        self._max_series = max_series
        self._rendered: _Rendered | None = None
        self._rendering = threading.Lock()  # so that two scrapers at once render once

    @property
    def snapshot(self) -> Snapshot:
        """The newest snapshot."""
        return self._snapshot

    def publish(self, snapshot: Snapshot) -> None:
        """Show this snapshot from now on. Costs nothing: pages are rendered when somebody asks."""
        self._snapshot = snapshot

    def metrics(self) -> MetricsPage:
        """The page of /metrics: drift and performance rendered once per evaluation, the process's own at each call."""
        snapshot = self._snapshot
        with self._rendering:
            rendered = self._rendered
            if rendered is None or not rendered.is_of(snapshot):
                alarms = [(model.name, alarm) for model in snapshot.models for alarm in model.river]
                page = drift_page(snapshot.verdicts, self._max_series, alarms, snapshot.labels)
                river = tuple(model.river for model in snapshot.models)
                rendered = self._rendered = _Rendered(snapshot.verdicts, snapshot.labels, river, page, zlib.crc32(page.text))
        own = self._self_metrics.render(snapshot)
        return MetricsPage(rendered.page.text + own, gzip_joined(rendered.page, rendered.crc, own))
