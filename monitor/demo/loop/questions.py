"""What the loop asks on its way, and the answers, typed: the monitor about triggers, Prometheus and Alertmanager about alerts, the hook."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import msgspec
from prometheus_client.parser import text_string_to_metric_families

_TIMEOUT_SECONDS = 30.0
_ALERT = "DriftgaugeRetrainRequired"


class Moved(msgspec.Struct, frozen=True):
    """One condition that holds."""

    reason: str
    signal: str
    segment: str
    onset: str  # of the first evaluation that was beyond the limit
    value: float | None = None
    limit: float | None = None


class TrainingData(msgspec.Struct, frozen=True):
    """The data window that the evidence proposes."""

    start: str
    end: str
    labelled_rows: int | None = None


class Trigger(msgspec.Struct, frozen=True):
    """A trigger with what is shown of its evidence. Times are ISO 8601."""

    id: str
    version: str
    phase: str
    reason: str
    decided: str
    moved: tuple[Moved, ...]
    moved_left_out: int
    training_data: TrainingData


class TriggerPage(msgspec.Struct, frozen=True):
    """A page of triggers, the newest first."""

    triggers: tuple[Trigger, ...]


class Run(msgspec.Struct, frozen=True):
    """What the hook knows of a trigger."""

    trigger_id: str
    run_id: str
    state: str
    attempts: int
    reason: str | None = None
    answer: str | None = None


class _Runs(msgspec.Struct, frozen=True):
    triggers: tuple[Run, ...]


class Alert(msgspec.Struct, frozen=True, rename="camel"):
    """An alert of Prometheus."""

    labels: dict[str, str]
    state: str
    active_at: str  # ISO 8601, wall time


class _Alerts(msgspec.Struct, frozen=True):
    alerts: tuple[Alert, ...]


class _AlertsAnswer(msgspec.Struct, frozen=True):
    data: _Alerts


class _Receiver(msgspec.Struct, frozen=True):
    name: str


class _Routed(msgspec.Struct, frozen=True):
    receivers: tuple[_Receiver, ...]


def triggers(monitor: str) -> tuple[Trigger, ...]:
    """Triggers of the monitor at that address, the newest first. Raises ``OSError`` while nobody answers."""
    return msgspec.json.decode(get(f"{monitor}/api/v1/triggers?limit=100"), type=TriggerPage).triggers


def firing(prometheus: str, trigger_id: str) -> Alert | None:
    """The alert of this trigger, once it fires. Raises ``OSError`` while nobody answers."""
    found = msgspec.json.decode(get(f"{prometheus}/api/v1/alerts"), type=_AlertsAnswer).data.alerts
    ours = (each for each in found if each.labels.get("alertname") == _ALERT and each.labels.get("trigger_id") == trigger_id)
    return next((each for each in ours if each.state == "firing"), None)


def receivers(alertmanager: str, trigger_id: str) -> tuple[str, ...]:
    """Whom Alertmanager tells of this trigger; empty while it has not heard of it. Raises ``OSError`` while nobody answers."""
    query = urlencode({"filter": f'trigger_id="{trigger_id}"'})
    found = msgspec.json.decode(get(f"{alertmanager}/api/v2/alerts?{query}"), type=tuple[_Routed, ...])
    return tuple(receiver.name for each in found for receiver in each.receivers)


def run_of(hook: str, token: Path, trigger_id: str) -> Run | None:
    """What the hook knows of a trigger; None while it has not heard of it. Raises ``OSError`` while nobody answers."""
    found = msgspec.json.decode(get(f"{hook}/", token.read_text(encoding="ascii")), type=_Runs).triggers
    return next((each for each in found if each.trigger_id == trigger_id), None)


class Received(msgspec.Struct, frozen=True):
    """What the hook counted."""

    notifications: int  # repeats and resolved ones too
    triggers: int
    started: int


def received(hook: str, token: Path) -> Received:
    """The hook's counts, from its metrics. Raises ``OSError`` while nobody answers."""
    return counts_of(get(f"{hook}/metrics", token.read_text(encoding="ascii")).decode())


def counts_of(exposition: str) -> Received:
    """The counts in the hook's metrics.

    >>> text = '# TYPE driftgauge_hook_triggers_started_total counter\\ndriftgauge_hook_triggers_started_total{reason="exit_0"} 2\\n'
    >>> counts_of(text)
    Received(notifications=0, triggers=0, started=2)
    """
    sums: dict[str, int] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + int(sample.value)
    names = ("notifications", "triggers_received", "triggers_started")
    return Received(*(sums.get(f"driftgauge_hook_{name}_total", 0) for name in names))


def get(url: str, token: str | None = None) -> bytes:
    """What is at a URL. Raises ``OSError`` while nobody answers, or when the answer is an error."""
    request = urllib.request.Request(url, headers={} if token is None else {"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
        body: bytes = response.read()
    return body
