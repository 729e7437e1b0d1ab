"""The demonstration from the first file to the last finding."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from threading import Event

from monitor.demo import account, findings, outcomes
from monitor.demo.answers import Model, Verdict
from monitor.demo.broker import embedded_broker, free_port
from monitor.demo.events import LABELS, PREDICTIONS, events, in_time, label_events
from monitor.demo.interruptible import interruptible
from monitor.demo.prepare import Play, Workspace, build_reference, learn, write_config, write_training
from monitor.demo.produce import create_topics, produce, wait_until_read
from monitor.demo.terminal import Step, Terminal, bar
from monitor.demo.watching import Watching, running_monitor
from monitor.demo.year import Look
from monitor.segment import ALL

DEAD_LETTERS = "predictions-rejected"
USUAL_PORT = 9464
MAX_UNREAD_BYTES = 2_000_000
"""About five days of flights: with more before it the monitor would judge weeks at one turn, and only the last of these is shown."""

JUDGED_SECONDS = 30.0

Stay = Callable[[Watching, Terminal], None]


def run(workspace: Workspace, terminal: Terminal, *, prepare: Callable[[], Play] = learn, stay: Stay | None = None) -> None:
    """Run it all; ``stay`` is called at the end, while broker and monitor still run. No process outlives the call.

    Raises ``RuntimeError``, ``TimeoutError``, ``CalledProcessError`` or an error of the client when a part of it fails.
    """
    terminal.say(terminal.ink("bold", "driftgauge: flights out of New York in 2013, predicted by a small model, watched by segment"), "")
    workspace.clear()
    play = prepared(workspace, terminal, prepare)
    with ExitStack() as running:
        broker = running.enter_context(running_broker(workspace, terminal))
        port = usual_port()
        # Alarms are on the pages, which are only there to be opened when it stays; without them a year takes a third less time.
        write_config(workspace, broker=broker, port=port, detection=stay is not None)
        with terminal.step("reference") as step:
            step.outcome = build_reference(workspace)
        with terminal.step("monitor") as step:
            watching = running.enter_context(running_monitor(workspace, port))
            step.outcome = f"driftgauge run -c {workspace.config}, log in {workspace.log.name}"
        with terminal.step("stream") as step:
            looks = _stream(broker, play, watching, step)
        _report(watching, looks, len(play.production), terminal, stays=stay is not None)
        if stay is not None:
            stay(watching, terminal)


@contextmanager
def running_broker(workspace: Workspace, terminal: Terminal) -> Iterator[str]:
    """The embedded broker with the demonstration's topics; yields its address, and ends it."""
    with ExitStack() as running:
        with terminal.step("broker") as step:
            broker = running.enter_context(embedded_broker(workspace.broker))
            interruptible(lambda _stop: create_topics(broker, PREDICTIONS, LABELS, DEAD_LETTERS))
            step.outcome = f"Kafka-compatible, at {broker}"
        yield broker


def prepared(workspace: Workspace, terminal: Terminal, prepare: Callable[[], Play]) -> Play:
    """Model and training file, a step each."""
    with terminal.step("flights, model") as step:
        play = prepare()
        step.outcome = (
            f"learned from {play.model.rows:,} flights: AUC {play.training_auc:.3f} on these,"
            f" {play.production_auc:.3f} on the {len(play.production):,} to come"
        )
    with terminal.step("training file") as step:
        step.outcome = f"{write_training(play, workspace):,} events, {workspace.training.stat().st_size / 1e6:.0f} MB"
    return play


def _stream(broker: str, play: Play, watching: Watching, step: Step) -> list[Look]:
    """Send the events as fast as they are read, and look at the verdicts meanwhile. Returns when the last pane that closed is judged."""
    looks: list[Look] = []
    total = len(play.production)

    def read() -> int:
        model = _model(watching)
        if model.evaluated_event_time is not None:
            at = datetime.fromisoformat(model.evaluated_event_time)
            if not looks or at > looks[-1].at:
                look(watching, looks)
        step.show(bar(model.ledger.messages, total, findings.date(model.watermark)))
        return model.messages

    def send(stop: Event) -> int:
        def paced() -> int:
            if stop.is_set():
                raise InterruptedError("told to stop")
            return read()

        predictions = events(play.production, play.scores)
        messages = in_time(predictions, play.production.time_ms.tolist(), label_events(play.production))
        return produce(broker, messages, paced, max_unread_bytes=MAX_UNREAD_BYTES)

    sent = interruptible(send)
    wait_until_read(read, sent)
    wait_until_judged(watching)
    read()
    step.outcome = (
        f"{total:,} predictions and {sent - total:,} labels, {findings.date(watching.status().models[0].evaluated_event_time)} reached"
    )
    return looks


def look(watching: Watching, looks: list[Look]) -> None:
    """Add what is drifted now, over all traffic and of the segments' shares."""
    drifted: list[Verdict] = [
        *watching.api.verdicts([("status", "drifted"), ("segment", ALL)]),
        *watching.api.verdicts([("status", "drifted"), ("statistic", "segment_share")]),
    ]
    # A newer evaluation may have been published since its time was asked for; the verdicts know their own.
    model = _model(watching)
    at = datetime.fromisoformat(drifted[0].window_end if drifted else model.evaluated_event_time or "")
    looks.append(Look(at, tuple(verdict for verdict in drifted if datetime.fromisoformat(verdict.window_end) == at)))


def wait_until_judged(watching: Watching) -> None:
    """Return once everything that was read is judged, labels included. Raises ``TimeoutError``."""
    deadline = time.monotonic() + JUDGED_SECONDS
    while (model := _model(watching)).evaluated_event_time != model.watermark or model.lag_messages or not _labels_applied(model):
        if time.monotonic() > deadline:
            reached = f"verdicts reach {model.evaluated_event_time}, {model.lag_messages} messages are unread"
            raise TimeoutError(f"expected everything up to {model.watermark} to be judged within {JUDGED_SECONDS:g} s, but {reached}")
        time.sleep(0.1)


def _labels_applied(model: Model) -> bool:
    """Whether labels have got as far as predictions let them."""
    return model.labels is None or model.labels.watermark == model.watermark


def _report(watching: Watching, looks: list[Look], sent: int, terminal: Terminal, *, stays: bool) -> None:
    ink = terminal.ink
    status = watching.status()
    drifted = watching.api.verdicts([("status", "drifted")])
    shares = watching.api.verdicts([("statistic", "segment_share")])
    model = status.models[0]
    terminal.say("", *findings.against(model))
    terminal.say(*findings.drifts(drifted, ink), *findings.faults(drifted, ink), *findings.shares(shares, ink))
    terminal.say(*outcomes.performance(watching.api.metrics([("view", "prediction_time")]), watching.api.labelling(), ink))
    terminal.say(*account.year(looks, ink), *account.alarms(model, ink), *account.itself(status, sent, ink))
    address = watching.api.address
    terminal.say("", f"  {len(drifted):,} drifted verdicts in all{'' if stays else ': make demo-serve, then'}")
    terminal.say(f"  {address}/", f"  {address}/api/v1/verdicts?status=drifted")
    terminal.say(ink("dim", f"  {terminal.seconds:.0f} s. Configuration, reference, state and log are in {watching.workspace.folder}"))
    if not account.balanced(model, sent):
        raise RuntimeError("rows are unaccounted for, see above")


def _model(watching: Watching) -> Model:
    return watching.status().models[0]


def usual_port() -> int:
    """The port of the configuration if nobody listens there, or another that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does, past connections that linger
        try:
            probe.bind(("127.0.0.1", USUAL_PORT))
        except OSError:
            return free_port()
        return USUAL_PORT


def stay_open(watching: Watching, terminal: Terminal) -> None:
    """Say what to open, and return at Ctrl-C. Raises ``RuntimeError`` when the monitor ends by itself."""
    ink, address = terminal.ink, watching.api.address
    terminal.say("", ink("bold", "Open now"))
    for path, what in (
        ("/", "status page"),
        ("/metrics", "for Prometheus"),
        ("/api/v1/verdicts?status=drifted", "verdicts as JSON"),
        ("/api/v1/status", "the monitor's state as JSON"),
    ):
        terminal.say(f"  {ink('cyan', (address + path).ljust(62))} {what}")
    terminal.say("", "  Ctrl-C ends it.")
    try:
        while True:
            watching.must_run()
            time.sleep(0.5)
    except KeyboardInterrupt:
        terminal.say("", "  stopping")
