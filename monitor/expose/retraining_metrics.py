"""Metrics of what is decided about retraining."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from monitor.decide.gate import Gate
from monitor.decide.state import Phase
from monitor.expose.snapshot import ModelView

Row = tuple[tuple[object, ...], float | None]
"""Label values and value; None for a series that does not exist."""


def retraining_rows(models: Sequence[ModelView]) -> Iterator[tuple[str, list[Row]]]:
    """Each family's name and rows."""
    views = [(model.name, model.retraining) for model in models if model.retraining is not None]
    yield "required", [((name, trigger.reason, trigger.id), 1) for name, view in views for trigger in view.required()]
    versions = [(name, view, version, each) for name, view in views for version, each in view.policy.versions.items()]
    yield "phase", [((n, v, phase), view.version_phase(v) is phase) for n, view, v, _ in versions for phase in Phase]
    conditions: list[Row] = []
    for name, view, version, each in versions:
        found = Counter((watch.latest.reason, "active" if watch.active else "pending") for watch in each.watches)
        found.update((unknown.reason, "unknown") for unknown in each.unknown)
        conditions += [
            ((name, version, reason, kind), found[reason, kind]) for reason in view.reasons for kind in ("pending", "active", "unknown")
        ]
    yield "conditions", conditions
    shut = [(n, v, {withheld.gate for withheld in each.withheld}) for n, _, v, each in versions]
    yield "withheld", [((name, version, gate), gate in gates) for name, version, gates in shut for gate in Gate]
    yield "hold", [((name,), view.policy.hold is not None) for name, view in views]
    newest = [(name, view.policy.triggers[-1].event_ms) for name, view in views if view.policy.triggers]
    yield "last_trigger_timestamp_seconds", [((name,), event_ms / 1000) for name, event_ms in newest]
    yield "triggers_total", [((name, reason), view.policy.triggered.get(reason, 0)) for name, view in views for reason in view.reasons]
