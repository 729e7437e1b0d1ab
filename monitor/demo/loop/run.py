"""The closed loop from the first file to the last figure."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

import numpy as np
from numpy.typing import NDArray

from monitor.config import load_config
from monitor.demo import account, findings
from monitor.demo.answers import Model, Verdict
from monitor.demo.broker import free_port
from monitor.demo.interruptible import interruptible
from monitor.demo.loop import report
from monitor.demo.loop.chronicle import Rollout, chronicle, handover
from monitor.demo.loop.comparison import Answers, Costs, by_name, compare
from monitor.demo.loop.folder import LoopFolder
from monitor.demo.loop.published import read_model
from monitor.demo.loop.questions import Trigger, received, triggers
from monitor.demo.loop.report import Measurement, Served
from monitor.demo.loop.rollout import Alerting, Before, compare_versions, retrain, use_references
from monitor.demo.loop.servers import program, running_alertmanager, running_hook, running_prometheus
from monitor.demo.loop.suspicions import suspicions
from monitor.demo.loop.traffic import Leg, Shadow, Traffic
from monitor.demo.loop.trials import Trial, side_by_side, trial
from monitor.demo.model import VERSION, labels, score
from monitor.demo.prepare import Play, build_reference, learn, write_config
from monitor.demo.produce import produce, wait_until_read
from monitor.demo.run import Stay, prepared, running_broker, usual_port, wait_until_judged
from monitor.demo.terminal import Step, Terminal, bar
from monitor.demo.watching import Watching, running_monitor
from monitor.segment import ALL

MAX_UNREAD_BYTES = 500_000
"""About a day of flights: what is sent and not read yet when a trigger comes was still answered by the old version."""

VIEW = ("view", "label_time")
SHADOW_DAYS = 6
"""The replaced version answers aside until so long after the trigger. With the window of labels, 21 days, this ends before the cooldown,
28 days, does: else the last few labels of a version that no longer serves, which are those of delayed flights, would ask for retraining."""

LABEL_DAYS = 3
"""After so long each label of a flight has come: ``labels.horizon``."""

CANARY = {"metric": "expected_cost", "margin": 0.05}


@dataclass(eq=False)
class Loop:
    """A loop that runs."""

    folder: LoopFolder
    terminal: Terminal
    broker: str
    play: Play
    alerting: Alerting
    traffic: Traffic
    rollouts: list[Rollout] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    watching: Watching | None = None

    @property
    def version(self) -> str:
        """The version that serves."""
        return self.rollouts[-1].published.version if self.rollouts else VERSION

    @property
    def model(self) -> Model:
        """What the monitor says of the model now."""
        assert self.watching is not None
        return self.watching.status().models[0]

    def pending(self) -> Trigger | None:
        """A trigger that nothing was done about yet, the oldest first."""
        assert self.watching is not None
        done = {each.trigger.id for each in self.rollouts}
        found = [each for each in triggers(self.watching.api.address) if each.phase == "required" and each.id not in done]
        return found[-1] if found else None

    def turn(self) -> None:
        """Serve by the newest version until retraining is required or no flight is left; then, if flights are left, retrain."""
        with self.terminal.step(f"version {self.version}") as step:
            trigger = self._serve(step)
        self.measurements.append(self._measure(trigger))
        if trigger is not None and not self.traffic.finished:
            assert self.watching is not None
            suspected = suspicions(self.watching.api.address, self.version)
            before = Before(trigger, self._drifted(), suspected, tuple(self.measurements[-1].metrics))
            self.rollouts.append(retrain(before, self.folder, self.alerting, self.terminal))

    def _serve(self, step: Step) -> Trigger | None:
        scores, shadow = self._scores(self.version), self.shadow()
        stopped = Event()
        found: list[Trigger] = []
        total, before = len(self.traffic.flights), self.traffic.messages
        judged: list[str | None] = [None]

        def read() -> int:
            now = self.model
            if now.evaluated_event_time != judged[-1]:  # only an evaluation brings a trigger
                judged[:] = [now.evaluated_event_time]
                if not found and (trigger := self.pending()) is not None:
                    found.append(trigger)
                    stopped.set()
                self._judge_trial(now)
            step.show(bar(min(now.ledger.messages, self.traffic.sent), total, findings.date(now.watermark)))
            return now.messages

        def send(told: Event) -> int:
            def paced() -> int:
                if told.is_set():
                    raise InterruptedError("told to stop")
                self.alerting.must_run()
                return read() - before

            messages = self.traffic.leg(self.version, scores, stopped.is_set, shadow)
            return produce(self.broker, messages, paced, max_unread_bytes=MAX_UNREAD_BYTES)

        interruptible(send)
        wait_until_read(read, self.traffic.messages)
        if self.traffic.finished:
            assert self.watching is not None
            wait_until_judged(self.watching)
            read()
        self._judge_trial(self.model, last=True)
        leg = self.traffic.legs[-1]
        step.outcome = f"answered {leg.count:,} flights, {findings.date(self.model.watermark)} reached"
        return found[0] if found else None

    def _measure(self, trigger: Trigger | None) -> Measurement:
        assert self.watching is not None
        when = f"at the trigger of {findings.date(trigger.decided)}" if trigger else f"at the end, {findings.date(self.model.watermark)}"
        return Measurement(self.version, when, self.watching.api.metrics([VIEW]))

    def shadow(self) -> Shadow | None:
        """The version that was replaced last; None when none was."""
        if not self.rollouts:
            return None
        replaced = self.rollouts[-2].published.version if len(self.rollouts) > 1 else VERSION
        return Shadow(replaced, self._scores(replaced), self._decided_ms(SHADOW_DAYS))

    def _decided_ms(self, days: int) -> int:
        """So many days after the last trigger."""
        decided = datetime.fromisoformat(self.rollouts[-1].trigger.decided) + timedelta(days=days)
        return int(decided.timestamp() * 1000)

    def _judge_trial(self, now: Model, *, last: bool = False) -> None:
        """Keep what the canary test says once all labels of the days side by side are there, or at the ``last``."""
        if len(self.trials) == len(self.rollouts) or now.evaluated_event_time is None:
            return
        if last or datetime.fromisoformat(now.evaluated_event_time).timestamp() * 1000 >= self._decided_ms(SHADOW_DAYS + LABEL_DAYS):
            assert self.watching is not None
            self.trials.append(trial(self.watching.api.address))

    def _drifted(self) -> tuple[Verdict, ...]:
        assert self.watching is not None
        found = self.watching.api.verdicts([("status", "drifted"), ("segment", ALL)])
        return tuple(verdict for verdict in found if verdict.version == self.version)

    def story(self) -> list[str]:
        """What happened at each rollout."""
        times = self.traffic.flights.time_ms.tolist()
        handovers = [handover(times, leg.first, each.trigger.decided) for each, leg in zip(self.rollouts, self.legs, strict=True)]
        counted = received(self.alerting.hook.url, self.folder.hook / "token")
        return chronicle(list(zip(self.rollouts, handovers, strict=True)), counted, self.terminal.ink)

    @property
    def legs(self) -> list[Leg]:
        """What the new versions answered."""
        return self.traffic.legs[1:]

    def worth(self) -> list[str]:
        """The comparison of what was served with what older versions would have said."""
        tree = load_config(self.folder.config).models[0]
        assert tree.labels is not None
        costs = Costs(tree.predictions.threshold or 0.5, tree.labels.cost.false_positive, tree.labels.cost.false_negative)
        flights, outcomes = self.traffic.flights, labels(self.traffic.flights)
        served, replaced = list[Served](), VERSION
        for leg in self.legs:
            at = slice(leg.first, leg.first + leg.count)
            times = flights.time_ms[at]
            answers = Answers(times, outcomes[at], self._scores(replaced)[at], self.traffic.served[at])
            if leg.count:
                served.append(Served(leg.version, replaced, int(times[0]), int(times[-1]), compare(answers, costs)))
            replaced = leg.version
        rest = slice(self.legs[0].first, None)
        whole = Answers(flights.time_ms[rest], outcomes[rest], self.play.scores[rest], self.traffic.served[rest])
        carriers = by_name(flights.categorical["carrier"][rest], whole, costs)
        return report.worth(compare(whole, costs), served, carriers, self.terminal.ink)

    def _scores(self, version: str) -> NDArray[np.float64]:
        """[n] what a version says of every flight, whether it served it or not."""
        if version == VERSION:
            return self.play.scores
        return score(read_model(self.folder.versions, version), self.traffic.flights)


def run(folder: LoopFolder, terminal: Terminal, *, prepare: Callable[[], Play] = learn, stay: Stay | None = None) -> Loop:
    """Run it all; ``stay`` is called at the end, while everything still runs. No process outlives the call.

    Raises ``ModuleNotFoundError`` without Prometheus and Alertmanager; else as ``monitor.demo.run.run``.
    """
    for name in ("prometheus", "alertmanager"):
        program(name)
    terminal.say(
        terminal.ink("bold", "driftgauge: flights out of New York in 2013, and a model that is trained anew when it has to be"), ""
    )
    folder.clear()
    play = prepared(folder, terminal, prepare)
    with ExitStack() as running:
        broker = running.enter_context(running_broker(folder, terminal))
        port, hook_port = usual_port(), free_port()
        write_config(folder, broker=broker, port=port)
        use_references(folder)
        compare_versions(folder, CANARY)
        with terminal.step("reference") as step:
            step.outcome = build_reference(folder)
        with terminal.step("alerting") as step:
            hook = running.enter_context(running_hook(folder, hook_port, port))
            alertmanager = running.enter_context(running_alertmanager(folder, hook_port))
            prometheus = running.enter_context(running_prometheus(folder, port, alertmanager))
            step.outcome = f"Prometheus at {prometheus.url}, Alertmanager at {alertmanager.url}, hook at {hook.url}"
        loop = Loop(folder, terminal, broker, play, Alerting(prometheus, alertmanager, hook), Traffic(play.production))
        _watch(loop, port, stay)
    return loop


def _watch(loop: Loop, port: int, stay: Stay | None) -> None:
    """Turn the loop, a turn for each version."""
    with ExitStack() as life:
        with loop.terminal.step("monitor") as step:
            loop.watching = life.enter_context(running_monitor(loop.folder, port))
            step.outcome = f"{loop.watching.api.address}/ with a reference of version {VERSION}"
        loop.turn()
        while not loop.traffic.finished:
            with loop.terminal.step("monitor") as step:
                loop.watching.wait_until_ready(loop.version)
                step.outcome = f"has found the reference of version {loop.version} by itself"
            loop.turn()
        _report(loop, stays=stay is not None)
        if stay is not None:
            stay(loop.watching, loop.terminal)


def _report(loop: Loop, *, stays: bool) -> None:
    terminal, ink = loop.terminal, loop.terminal.ink
    assert loop.watching is not None
    status = loop.watching.status()
    sent = loop.traffic.predictions
    if loop.rollouts:
        terminal.say(*loop.story())
    terminal.say(*account.itself(status, sent, ink))
    terminal.say(*report.measured(loop.measurements, ink))
    if loop.rollouts:
        terminal.say(*side_by_side(loop.trials, SHADOW_DAYS, ink), *loop.worth())
    else:
        terminal.say("", ink("yellow", "  Retraining was never required, so there is nothing to compare."))
    if (left := loop.pending()) is not None:
        terminal.say(f"  a last trigger came on {findings.date(left.decided)}, when no flight was left to serve")
    address = loop.watching.api.address
    terminal.say("", f"  {address}/ shows each version's performance, by carrier{'' if stays else ': make demo-loop-serve keeps it open'}")
    terminal.say(
        ink("dim", f"  {terminal.seconds:.0f} s. Configuration, versions, runs of the pipeline and logs are in {loop.folder.folder}")
    )
    if not account.balanced(status.models[0], sent):
        raise RuntimeError("rows are unaccounted for, see above")
