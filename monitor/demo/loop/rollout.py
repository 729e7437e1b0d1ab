"""One turn of the loop: from a trigger at the monitor to the version that serves. Each part is asked what it did; nothing is pushed on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import yaml

from monitor.demo.answers import Verdict
from monitor.demo.findings import date
from monitor.demo.label_answers import Metric
from monitor.demo.loop.chronicle import Rollout, reasons
from monitor.demo.loop.folder import LoopFolder
from monitor.demo.loop.published import published_for, reference_of
from monitor.demo.loop.questions import Alert, Run, Trigger, firing, receivers, run_of
from monitor.demo.loop.servers import Server
from monitor.demo.loop.suspicions import Suspicions
from monitor.demo.terminal import Step, Terminal

ALERT_SECONDS = 60.0
HOOK_SECONDS = 60.0
TRAINING_SECONDS = 360.0
_POLL_SECONDS = 0.1
_OVER = frozenset({"started", "failed", "skipped"})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Alerting:
    """What stands between the monitor and the pipeline."""

    prometheus: Server
    alertmanager: Server
    hook: Server

    def must_run(self) -> None:
        """Raises ``RuntimeError`` when one of them has ended."""
        for server in (self.prometheus, self.alertmanager, self.hook):
            server.must_run()


@dataclass(frozen=True, slots=True)
class Before:
    """What the monitor said of the version that is to be replaced, at the trigger."""

    trigger: Trigger
    drifted: tuple[Verdict, ...]
    suspected: Suspicions
    metrics: tuple[Metric, ...]


def retrain(before: Before, folder: LoopFolder, alerting: Alerting, terminal: Terminal) -> Rollout:
    """Follow a trigger until its version is published. Raises ``RuntimeError`` when the pipeline failed, ``TimeoutError``."""
    trigger, begun = before.trigger, time.monotonic()
    terminal.say("", terminal.ink("yellow", f"  Retraining required on {date(trigger.decided)}: {reasons(trigger)}"))
    terminal.say(terminal.ink("dim", f"  trigger {trigger.id}; event time stands still until the new version is there"))
    token = folder.hook / "token"

    def known() -> Run | None:
        return run_of(alerting.hook.url, token, trigger.id)

    with terminal.step("Prometheus") as step:
        waiting = Waiting(alerting, step, ALERT_SECONDS)
        alert: Alert = waiting.until("the alert to fire", lambda: firing(alerting.prometheus.url, trigger.id))
        step.outcome = f"{alert.labels['alertname']} fires, action={alert.labels.get('action')}"
    with terminal.step("Alertmanager") as step:
        waiting = Waiting(alerting, step, ALERT_SECONDS)
        told = waiting.until("the alert to be routed", lambda: receivers(alerting.alertmanager.url, trigger.id))
        step.outcome = f"tells {' and '.join(told)}"
    with terminal.step("hook") as step:
        waiting = Waiting(alerting, step, HOOK_SECONDS)
        run = waiting.until("the hook to take it", lambda: (run := known()) and run.state != "received" and run)
        step.outcome = f"has the evidence by its id and starts the pipeline, {run.run_id}"
    with terminal.step("pipeline") as step:
        waiting = Waiting(alerting, step, TRAINING_SECONDS, lambda: _last_line(folder, run))
        run = waiting.until("the pipeline to end", lambda: (run := known()) and run.state in _OVER and run)
        published = published_for(folder.versions, trigger.id)
        if run.state != "started" or published is None:
            raise RuntimeError(f"the pipeline came to nothing: {run.state}, {run.reason}: {run.answer}")
        step.outcome = (
            f"version {published.version} learned from {published.rows:,} flights of {date(trigger.training_data.start)} to"
            f" {date(trigger.training_data.end)}: AUC {published.auc:.3f} on these"
        )
    return Rollout(trigger, before.drifted, before.suspected, before.metrics, alert, told, run, published, time.monotonic() - begun)


def use_references(folder: LoopFolder) -> None:
    """Let the monitor take the first version's reference, and each that the pipeline publishes. It chooses by the events' version."""
    published = reference_of(folder.versions, "*").relative_to(folder.folder)
    _configure(folder, "references", [folder.reference.name, str(published)])


def compare_versions(folder: LoopFolder, settings: Mapping[str, object]) -> None:
    """Let the monitor compare the newest two versions wherever both answer."""
    _configure(folder, "canary", dict(settings))


def _configure(folder: LoopFolder, key: str, value: object) -> None:
    tree = yaml.safe_load(folder.config.read_text(encoding="utf-8"))
    tree["models"][0][key] = value
    folder.config.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")


def _last_line(folder: LoopFolder, run: Run) -> str:
    try:
        lines = (folder.hook / "runs" / run.run_id / "stdout").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return "reading the flights"
    return lines[-1] if lines else "reading the flights"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Patience with an end, while everything that is needed runs. ``shown`` says meanwhile how far it is."""

    alerting: Alerting
    step: Step
    seconds: float
    shown: Callable[[], str] = lambda: "waiting"

    def until(self, what: str, answer: Callable[[], T | Literal[False] | None]) -> T:
        """The first answer that is something. Raises ``TimeoutError``, and ``RuntimeError`` when a server has ended."""
        deadline = time.monotonic() + self.seconds
        while not (found := answer()):
            self.alerting.must_run()
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {self.seconds:.0f} s for {what}; the logs are beside {self.alerting.hook.log}")
            self.step.show(self.shown())
            time.sleep(_POLL_SECONDS)
        return found
