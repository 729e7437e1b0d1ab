"""The hook as a process that kills itself (SIGKILL) at the step whose name stands in a file.

The file is ``armed`` beside the configuration; ``port`` is written there.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from monitor.hook.app import Hook
from monitor.hook.config import load_hook_config
from monitor.telemetry import Telemetry, configure_logging


def main(config_path: str) -> None:
    folder = Path(config_path).parent

    def die(name: str) -> None:
        armed = folder / "armed"
        if armed.exists() and armed.read_text() == name:
            os.kill(os.getpid(), signal.SIGKILL)

    configure_logging()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    hook = Hook(load_hook_config(Path(config_path)), Telemetry(), at_step=die)
    (folder / "port.new").write_text(str(hook.port))
    (folder / "port.new").rename(folder / "port")
    stop.wait()
    hook.stop()
