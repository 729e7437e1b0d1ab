"""What happened on each way from a first sign to a new version, as lines for a person. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from monitor.demo.answers import Verdict
from monitor.demo.findings import by_signal, date, leading
from monitor.demo.label_answers import Metric
from monitor.demo.loop.published import Published
from monitor.demo.loop.questions import Alert, Moved, Received, Run, Trigger
from monitor.demo.loop.suspicions import Suspicions, line
from monitor.demo.terminal import Ink
from monitor.expose.page_findings import STATISTIC_NAMES
from monitor.expose.text import number
from monitor.segment import ALL

MAX_MOVED = 3
_NAMES = {"expected_cost": "cost a flight", "recall": "late flights found", "cost": "cost a flight"}


@dataclass(frozen=True, slots=True)
class Rollout:
    """A new version, why it was made, what each part did, and what was known before it served."""

    trigger: Trigger
    drifted: tuple[Verdict, ...]  # over all traffic, of the version that it replaces
    suspected: Suspicions  # by the detectors of the version that it replaces
    before: tuple[Metric, ...]  # the monitor's own, of the version that it replaces
    alert: Alert
    receivers: tuple[str, ...]
    run: Run
    published: Published
    seconds: float  # wall time from the trigger to the publication, in which event time stood still


@dataclass(frozen=True, slots=True)
class Handover:
    """When a new version began to answer."""

    first_ms: int | None  # scheduled departure of its first flight; None: no flight was left
    meanwhile: int  # flights after the decision that the version before it still answered


def why(moved: Moved) -> str:
    """One condition for a person.

    >>> why(Moved("cost", "expected_cost", "ALL", "2013-03-20T00:00:00.000Z", 0.8123, 0.75))
    'cost a flight 0.812 beyond 0.75 since 2013-03-20'
    """
    name = _NAMES.get(moved.signal.partition("[")[0], moved.signal)
    where = "" if moved.segment == ALL else f" of {moved.segment}"
    value = "" if moved.value is None else f" {moved.value:.3f}"
    return f"{name}{where}{value}" + ("" if moved.limit is None else f" beyond {moved.limit:g}") + f" since {date(moved.onset)}"


def reasons(trigger: Trigger) -> str:
    """All conditions that hold, the first few by name."""
    left = len(trigger.moved) - MAX_MOVED + trigger.moved_left_out
    return "; ".join(map(why, trigger.moved[:MAX_MOVED])) + (f"; and {left} more" if left > 0 else "")


def drifts(drifted: Sequence[Verdict]) -> str:
    """Signals whose distribution had moved, the furthest first."""
    groups = by_signal(verdict for verdict in drifted if verdict.signal is not None)
    if not groups:
        return "no distribution, over all traffic"
    shown = [leading(group) for group in groups[:MAX_MOVED]]
    left = len(groups) - len(shown)
    return "; ".join(map(_drift, shown)) + (f"; and {left} more" if left else "")


def _drift(one: Verdict) -> str:
    return f"{one.signal} since {date(one.since)} ({STATISTIC_NAMES.get(one.statistic, one.statistic)} {number(one.value or 0.0)})"


def starts(run: Run) -> str:
    """How often the pipeline was started, by the hook's ledger.

    >>> starts(Run("t", "run-1", "started", 1)), starts(Run("t", "run-1", "started", 2))
    ('started once, as run-1', 'started 2 times, as run-1')
    """
    return f"started {'once' if run.attempts == 1 else f'{run.attempts} times'}, as {run.run_id}"


def chronicle(rollouts: Sequence[tuple[Rollout, Handover]], hook: Received, ink: Ink) -> list[str]:
    """Each rollout, in order, and what the hook counted."""
    lines = ["", ink("bold", "What happened, and who said so")]
    for rollout, handover in rollouts:
        trigger, published = rollout.trigger, rollout.published
        window = f"{date(trigger.training_data.start)} to {date(trigger.training_data.end)}"
        entries = {
            "monitor": f"trigger {trigger.id} on {date(trigger.decided)}: {ink('yellow', reasons(trigger))}",
            "drifted": drifts(rollout.drifted),
            "detectors": line(rollout.suspected),
            "Prometheus": f"{rollout.alert.labels['alertname']} fires, active since {_clock(rollout.alert.active_at)}",
            "Alertmanager": f"tells {' and '.join(rollout.receivers)}",
            "hook": f"fetches the evidence; the pipeline is {starts(rollout.run)}",
            "pipeline": (
                f"learns from {published.rows:,} flights of {window}, the window of the evidence;"
                f" publishes version {published.version} and its reference"
            ),
            "event time": (
                f"stood still for these {rollout.seconds:.0f} s; {_answers(published.version, handover.first_ms)}, so version"
                f" {trigger.version} still answered {handover.meanwhile:,} flights after the decision"
            ),
        }
        lines.append(f"  version {trigger.version} → {published.version}")
        lines += [f"    {ink('cyan', name.ljust(14))}{text}" for name, text in entries.items()]
    counted = (
        f"In all {hook.notifications:,} notifications of {hook.triggers:,} triggers came to the hook (repeats and resolved ones among"
        f" them), and it started {hook.started:,} pipelines"
    )
    return [*lines, f"  {counted}"]


def handover(time_ms: Sequence[int], first: int, decided: str) -> Handover:
    """``time_ms``: [n] of all flights in order; ``first``: index of the version's first one; ``decided``: ISO 8601.

    >>> handover([0, 86_400_000, 86_460_000, 172_800_000], 3, "1970-01-02T00:00:00.000Z")
    Handover(first_ms=172800000, meanwhile=2)
    """
    decided_ms = int(datetime.fromisoformat(decided).timestamp() * 1000)
    return Handover(int(time_ms[first]) if first < len(time_ms) else None, sum(1 for each in time_ms[:first] if each >= decided_ms))


def _answers(version: str, first_ms: int | None) -> str:
    if first_ms is None:
        return f"no flight was left for version {version}"
    return f"version {version} answers from {datetime.fromtimestamp(first_ms / 1000, UTC):%Y-%m-%d %H:%M} on"


def _clock(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone(UTC):%H:%M:%S} UTC"
