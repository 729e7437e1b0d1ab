"""Fire drills beside the main job: a child process at regular times, looked after without waiting for it."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import IO

from monitor.config.drill import Drill
from monitor.decision_events import DrillFailed, DrillFinished
from monitor.drill.said import shown_of
from monitor.expose.snapshot import DrillView, Snapshot
from monitor.telemetry import Telemetry

_MOST_BYTES = 16 << 20
_END_S = 5.0


@dataclass(eq=False)
class DrillSchedule:
    """Starts ``command`` when a drill is due, and reads the JSON that it prints. Times are wall time in ms; the first is that of the start.

    The command is to run at the lowest priority, so that it takes what the main job leaves.
    """

    config: Drill
    command: Sequence[str]
    telemetry: Telemetry
    started_ms: int
    shown: tuple[DrillView, ...] = ()
    ended_ms: int | None = None  # of the newest that was completed
    _due_ms: int = field(init=False)
    _began_ms: int = 0
    _child: subprocess.Popen[bytes] | None = None
    _out: IO[bytes] | None = None
    _said: IO[bytes] | None = None

    def __post_init__(self) -> None:
        self._due_ms = self.started_ms + self.config.first_after_ms

    def turned(self, snapshot: Snapshot, now_ms: int) -> Snapshot:
        """A turn, and what is shown with what came of drills so far."""
        self.turn(now_ms)
        return snapshot if snapshot.drilled_ms == self.ended_ms else replace(snapshot, drills=self.shown, drilled_ms=self.ended_ms)

    def turn(self, now_ms: int) -> None:
        """Start what is due, and take what is done. Returns at once, and raises nothing."""
        if self._child is None:
            if now_ms >= self._due_ms:
                self._start(now_ms)
            return
        code = self._child.poll()
        if code is None and now_ms - self._began_ms < self.config.give_up_ms:
            return
        self._end()
        if code is None:
            self.telemetry.emit(DrillFailed(f"it took longer than {self.config.give_up_ms // 1000:,} s, drill.give_up, and was ended"))
        elif code:
            self.telemetry.emit(DrillFailed(f"exit code {code}: {self._last_words()}"))
        else:
            self._take(now_ms)
        self._forget()

    def close(self) -> None:
        """End a drill that is under way."""
        if self._child is not None:
            self._end()
            self._forget()

    def _start(self, now_ms: int) -> None:
        self._began_ms, self._due_ms = now_ms, now_ms + self.config.every_ms
        self._out, self._said = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._child = subprocess.Popen(  # noqa: S603
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=self._out,
                stderr=self._said,
                start_new_session=True,  # a signal to the main job's terminal is the main job's to answer
            )
        except OSError as error:
            self.telemetry.emit(DrillFailed(f"cannot be started: {error.strerror}"))
            self._forget()

    def _take(self, now_ms: int) -> None:
        assert self._out is not None
        self._out.seek(0)
        try:
            shown = shown_of(self._out.read(_MOST_BYTES))
        except ValueError:
            self.telemetry.emit(DrillFailed("it printed no result"))
            return
        self.shown, self.ended_ms = shown, now_ms
        missed = tuple(f"{each.model}/{each.drift}" for each in shown if not each.caught)
        self.telemetry.emit(DrillFinished(len(shown), missed, (now_ms - self._began_ms) / 1000))

    def _last_words(self) -> str:
        assert self._said is not None
        self._said.seek(0)
        lines = self._said.read(_MOST_BYTES).decode("utf-8", "replace").splitlines()
        return next((line.removeprefix("driftgauge: ") for line in lines if line.startswith("driftgauge: ")), "it said nothing")

    def _end(self) -> None:
        assert self._child is not None
        for ask in (self._child.terminate, self._child.kill):
            if self._child.poll() is None:
                ask()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._child.wait(_END_S)

    def _forget(self) -> None:
        for opened in (self._out, self._said):
            if opened is not None:
                opened.close()
        self._child = self._out = self._said = None
