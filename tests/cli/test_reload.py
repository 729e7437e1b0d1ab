"""When files are looked at again: a signal is never forgotten, however it falls."""

from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import yaml

from monitor.cli import reload as reloading
from monitor.config import load_config
from monitor.telemetry import Telemetry
from tests.flow import world


def test_a_signal_that_comes_just_after_a_look_is_not_forgotten(tmp_path, monkeypatch):
    """It comes between the end of a wait and whatever follows it."""
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"source": {"client": "ndjson", "path": "."}, "models": [world.CONFIG["models"][0]]}))
    monkeypatch.setattr(reloading, "LOOK_SECONDS", 0.01)
    before = signal.getsignal(signal.SIGHUP)
    stop, held = threading.Event(), threading.Event()

    class Late(threading.Event):
        def wait(self, timeout=None):
            asked = super().wait(timeout)
            if not held.is_set():
                held.set()
                self.set()  # as the handler does
            return asked

    monkeypatch.setattr(reloading, "threading", SimpleNamespace(Event=Late, Thread=threading.Thread))
    try:
        reload = reloading.Reload(path, load_config(path), stop, Telemetry(()))
        assert stop.wait(30)
        assert reload.due
    finally:
        stop.set()
        signal.signal(signal.SIGHUP, before)
