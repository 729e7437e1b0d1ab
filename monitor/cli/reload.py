"""Starting anew by the files as they are now: on SIGHUP, and when a pattern of ``references`` matches something new.

What runs is told to stop as by SIGTERM, and the same process then runs the same command again: what follows is what follows a
restart, so nothing else needs to know of it. Files that cannot be used change nothing, and that is said.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import NoReturn

from monitor import process_events
from monitor.config import Config, load_config
from monitor.errors import DriftgaugeError
from monitor.reference.files import seen_by_patterns
from monitor.reference.fit import load_references
from monitor.telemetry import Telemetry, reason_of

LOOK_SECONDS = 5.0


class Reload:
    """Looks beside what runs; once the files are others and can be used, ``due`` is true and ``stop`` set."""

    def __init__(self, path: Path, config: Config, stop: threading.Event, telemetry: Telemetry) -> None:
        self.due = False
        self._path, self._stop, self._telemetry = path, stop, telemetry
        self._patterns = [reference for model in config.models for reference in model.references]
        self._seen = seen_by_patterns(self._patterns)
        self._asked = threading.Event()
        signal.signal(signal.SIGHUP, self._ask)
        threading.Thread(target=self._watch, name="reload", daemon=True).start()

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked.set()

    def _watch(self) -> None:
        while not self._stop.is_set():
            asked = self._asked.wait(LOOK_SECONDS)
            if asked:  # else a signal that comes just now would be forgotten
                self._asked.clear()
            before, self._seen = self._seen, seen_by_patterns(self._patterns)
            if asked:
                self._try("signal")
            elif self._seen - before:  # of one that is gone the process has all that it needs
                self._try("references")

    def _try(self, why: str) -> None:
        try:
            load_references(load_config(self._path))
        except DriftgaugeError as error:
            self._telemetry.emit(process_events.ReloadRefused(reason_of(error)))
            return
        if not self._stop.is_set():
            self._telemetry.emit(process_events.ReloadRequested(why))
            self.due = True
            self._stop.set()


def start_anew() -> NoReturn:
    """Run the command of this process again in its place. Call it when everything is closed."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the new one listens to it, another must not end it
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 (no shell is wanted)
