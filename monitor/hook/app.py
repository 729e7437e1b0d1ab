"""The hook as a whole: the ledger, the worker and the server, and their orderly end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import monitor
from monitor.expose.server import Limits, Server
from monitor.hook import events
from monitor.hook.answer import Reception
from monitor.hook.config import HookConfig, Start
from monitor.hook.entry import Entry
from monitor.hook.ledger import Ledger
from monitor.hook.metrics import HookMetrics
from monitor.hook.target.command import CommandStart
from monitor.hook.target.http import HttpStart
from monitor.hook.target.outcome import Target
from monitor.hook.worker import Worker, wall_ms
from monitor.telemetry import Telemetry

DRAIN_SECONDS = 9.0  # so that the process is gone within ten


def open_target(start: Start, stopping: threading.Event) -> Target:
    """The target of a configuration."""
    if start.http is not None:
        return HttpStart(start.http)
    if start.command is not None:
        return CommandStart(start.command, stopping)
    assert start.kafka is not None
    from monitor.hook.target.kafka import KafkaStart  # its client is slow to import

    return KafkaStart(start.kafka)


def _nothing(_: str) -> None:
    return None


class Hook:
    """A running hook. Raises ``StateError`` when the ledger cannot be used, ``ConfigError`` when it cannot listen."""

    def __init__(
        self,
        config: HookConfig,
        telemetry: Telemetry,
        *,
        clock_ms: Callable[[], int] = wall_ms,
        at_step: Callable[[str], None] = _nothing,
    ) -> None:
        self._telemetry = telemetry
        self._stopping = threading.Event()
        self._target = open_target(config.start, self._stopping)
        self._ledger = Ledger(config.ledger.path, at_step=at_step)
        self._worker = Worker(
            config, self._ledger, self._target, telemetry, self._stopping, clock_ms, at_step=at_step, forget=self._forget
        )  # fmt: skip
        metrics = HookMetrics(self._ledger)
        reception = Reception(config, self._ledger, metrics, telemetry, clock_ms, self._worker.wake, lambda: self._worker.alive)
        limits = Limits(config.listen.max_connections, config.listen.read_timeout_ms / 1000)
        telemetry.emit(events.HookStarted(monitor.__version__, self._target.kind, self._ledger.pending()))
        try:
            self._server = Server(config.listen, reception.answer, telemetry, limits=limits, body_limit=reception.body_limit)
        except Exception:
            self._ledger.close()
            raise
        self._worker.start()

    @property
    def port(self) -> int:
        """The port listened on, also where the configuration says 0."""
        return self._server.port

    def stop(self, seconds: float = DRAIN_SECONDS) -> bool:
        """Take nothing more, let the attempt that is under way end, and close; whether that was done in time.

        When it was not, nothing is lost: it is as if the process had been killed, and the next one settles it.
        """
        began = time.monotonic()
        self._stopping.set()
        self._server.stop(min(2.0, seconds))
        drained = self._worker.join(max(0.0, seconds - (time.monotonic() - began)))
        if drained:
            self._ledger.close()
        self._telemetry.emit(events.HookStopped(time.monotonic() - began, drained))
        return drained

    def _forget(self, entry: Entry) -> None:
        if isinstance(self._target, CommandStart):
            self._target.forget(entry.key)
