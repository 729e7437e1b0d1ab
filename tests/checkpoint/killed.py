"""The main job as a process that kills itself (SIGKILL) at a step of a commit."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from monitor.app import Monitor
from monitor.config import load_config
from monitor.expose.self_metrics import SelfMetrics
from monitor.telemetry import Telemetry
from tests.flow import label_world


def main(config_path: str, step: str, at_commit: int) -> None:
    config = load_config(Path(config_path))
    commits = 0

    def die(name: str) -> None:
        nonlocal commits
        commits += name == "before blobs"
        if name == step and commits == at_commit:
            os.kill(os.getpid(), signal.SIGKILL)

    job = Monitor(config, {"m": [label_world.reference()]}, SelfMetrics(), Telemetry(), lambda: time.time_ns() // 1_000_000, die)
    job.run(threading.Event(), until_end=True)
