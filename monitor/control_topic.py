"""The control topic at the edge: its messages become steps of the models they are about; what cannot be used is said."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from monitor import events
from monitor.config import Config
from monitor.decide.control import Control, ControlError, parse_control
from monitor.decision_events import ControlRefused
from monitor.decisions import Controls, Process
from monitor.partitions import due
from monitor.source.controls import ControlReader, ControlRecord, open_controls
from monitor.state import ModelState
from monitor.telemetry import Telemetry

_EVERY_MS = 1_000
_PAUSE_S = 0.05
_AT_START = Process(rebuilding=False, controls_unread=False)


@dataclass(eq=False)
class ControlTopic:
    """Reads decisions of operators. Without a topic in the configuration there is nothing to read. Times are wall time."""

    config: Config
    telemetry: Telemetry
    models: Sequence[ModelState] = ()
    reader: ControlReader | None = None
    _read_ms: int | None = None
    _history: bool = False  # what was read last waits for its time
    _process: Process = _AT_START

    @property
    def unread(self) -> bool:
        """Whether decisions that were there at the start may not have been read."""
        return self.reader is not None and not self.reader.caught_up

    def start(self, models: Sequence[ModelState], stop: threading.Event, clock_ms: Callable[[], int]) -> list[tuple[ModelState, Controls]]:
        """Read what is there before anything is decided. Raises ``SourceError``.

        When that takes longer than ``connect_timeout``, nothing triggers until it is done. What is read here waits for
        its time, until ``read`` is told that no history is read again.
        """
        self.models = models
        if self.config.controls is None:
            return []
        partitions = {p for model in models for p in model.docket.offsets}
        offsets = {p: min(model.docket.offsets.get(p, 0) for model in models) for p in partitions}
        self.reader = open_controls(self.config.source, self.config.controls.topic, offsets)
        until_ms = clock_ms() + self.config.source.connect_timeout_ms
        found = self._poll()
        while not self.reader.caught_up and clock_ms() < until_ms and not stop.wait(_PAUSE_S):
            found += self._poll()
        self._history = True
        return self._steps(found, at_once=False)

    def read(self, now_ms: int, *, history: bool, rebuilding: bool = False) -> list[tuple[ModelState, Controls | Process]]:
        """New decisions, looked for once a second, and how things stand with the process where that changed.

        ``history``: old messages are read again, so each decision waits for its time.
        """
        steps: list[tuple[ModelState, Controls | Process]] = [*self._decisions(now_ms, history)]
        process = Process(rebuilding, self.unread)
        if process != self._process:
            self._process = process
            steps += [(model, process) for model in self.models]
        return steps

    def _decisions(self, now_ms: int, history: bool) -> list[tuple[ModelState, Controls]]:
        if self.reader is None:
            return []
        over, self._history = self._history and not history, history
        if not over and self._read_ms is not None and not due(self._read_ms, now_ms, _EVERY_MS):
            return []
        self._read_ms = now_ms
        steps = self._steps(self._poll(), at_once=not history)
        told = {id(model) for model, _ in steps}
        # What still waits when history is over holds at once.
        rest = [(model, Controls(())) for model in self.models if over and id(model) not in told]
        return [*steps, *rest]

    def _poll(self) -> list[ControlRecord]:
        assert self.reader is not None
        return list(self.reader.poll())

    def _steps(self, records: Sequence[ControlRecord], *, at_once: bool) -> list[tuple[ModelState, Controls]]:
        assert self.reader is not None
        assert self.config.controls is not None
        topic = self.config.controls.topic
        moved = self.reader.resumed()
        for partition, offset in moved.items():
            wanted = max((model.docket.offsets.get(partition, 0) for model in self.models), default=0)
            self.telemetry.emit(events.OffsetsLost(topic, partition, wanted, offset))
        known = {model.config.name for model in self.models}
        read: list[tuple[ControlRecord, Control]] = []
        for record in records:
            try:
                control = parse_control(record.value)
                if control.model not in known:
                    raise ControlError(f"expected one of the models {', '.join(sorted(known))}, got {control.model!r}")
            except ControlError as error:
                self.telemetry.emit(ControlRefused(f"{topic}/{record.partition}@{record.offset}", str(error)))
                continue
            read.append((record, control))
        after = dict(moved)
        for record in records:
            after[record.partition] = record.offset + 1
        steps = []
        for model in self.models:
            begin = {**model.docket.offsets, **moved}
            mine = tuple(c for r, c in read if c.model == model.config.name and r.offset >= begin.get(r.partition, 0))
            if mine or after:
                ends = {p: max(offset, begin.get(p, 0)) if p not in moved else offset for p, offset in after.items()}
                steps.append((model, Controls(mine, tuple(sorted(ends.items())), at_once=at_once)))
        return steps

    def close(self) -> None:
        """Let go of the connection."""
        if self.reader is not None:
            self.reader.close()
