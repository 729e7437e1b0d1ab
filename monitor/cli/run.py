"""``driftgauge run``: the main job."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import monitor
from monitor import process_events
from monitor.app import Monitor
from monitor.cli.progress import progress
from monitor.cli.reload import Reload, start_anew
from monitor.config import Config, load_config
from monitor.drill.schedule import DrillSchedule
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.server import HttpServer
from monitor.expose.snapshot import Snapshot
from monitor.reference.fit import load_references
from monitor.telemetry import Telemetry, configure_logging

_EXAMPLES = """\
examples:
  driftgauge run -c config.yaml
  driftgauge run -c config.yaml --until-end     read what is there, judge it, save and stop

SIGTERM and SIGINT stop it cleanly: the state is saved with its offsets, and a restart goes on from there.
SIGHUP does both in one: it starts anew, as the same process, by the configuration and the references as they are now, if these can be
used. It does so by itself when a pattern such as references/*.json.gz matches a file that is new.
Log lines go to standard error; DRIFTGAUGE_LOG_FORMAT=json and DRIFTGAUGE_LOG_LEVEL=debug change them.
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "run",
        help="watch models, until SIGTERM",
        description="Read predictions, keep counts per segment, compare them with the reference, and expose the verdicts.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the configuration")
    parser.add_argument("--until-end", action="store_true", help="stop once this member's partitions are read to their ends")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until told to stop."""
    configure_logging()
    config = load_config(arguments.config)
    references = load_references(config)
    self_metrics = SelfMetrics()
    telemetry = Telemetry(listeners=(self_metrics.observe,))
    telemetry.emit(process_events.ProcessStarted(monitor.__version__, tuple(model.name for model in config.models)))
    stop = threading.Event()
    begun = threading.Event()
    asked = _on_signals(stop, telemetry, begun)
    drills = _drills(config, arguments.config, telemetry) if not arguments.until_end else None
    job = Monitor(config, references, self_metrics, telemetry, _wall_ms, drilled=drills.turned if drills else _as_it_is)
    reload = Reload(arguments.config, config, stop, telemetry) if not arguments.until_end else None
    server = HttpServer(config.http, job.published, telemetry)
    saved = False
    try:
        if arguments.until_end:
            with progress(None, "reading") as advance:
                job.run(stop, until_end=True, progress=lambda done, _lag: advance(0, done), begun=begun.set)
        else:
            job.run(stop, until_end=False, progress=_quiet, begun=begun.set)
        saved = job.saved
    except _StoppedAtStart:
        saved = True  # the state is what it was
    finally:
        server.stop()
        if drills is not None:
            drills.close()
        telemetry.emit(process_events.ProcessStopped((time.monotonic() - asked[0]) if asked else 0.0, saved))
    if saved and reload is not None and reload.due and not asked:
        start_anew()
    return 0 if saved else 5


def _drills(config: Config, path: Path, telemetry: Telemetry) -> DrillSchedule | None:
    """Fire drills in child processes, where they are configured; they read the same file."""
    if config.drill is None:
        return None
    command = (sys.executable, "-m", "monitor", "drill", "-c", str(path), "--json", "--background")
    return DrillSchedule(config.drill, command, telemetry, _wall_ms())


def _as_it_is(snapshot: Snapshot, _now_ms: int) -> Snapshot:
    return snapshot


def _quiet(_done: int, _lag: int) -> None:
    return None


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class _StoppedAtStart(SystemExit):
    """Told to stop while nothing is read yet: a wait for brokers that do not answer would outlast the time that there is to stop in."""


def _on_signals(stop: threading.Event, telemetry: Telemetry, begun: threading.Event) -> list[float]:
    """Stop on SIGTERM and SIGINT; the second SIGINT ends at once. Returns where the time of the first request is put.

    Until reading has ``begun`` there is nothing to save, and the request raises.
    """
    asked: list[float] = []

    def request(number: int, _frame: FrameType | None) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(time.monotonic())
        stop.set()
        # On a thread of its own: this one may be in the middle of writing another line of the log.
        threading.Thread(target=telemetry.emit, args=(process_events.StopRequested(signal.Signals(number).name),)).start()
        if not begun.is_set():
            raise _StoppedAtStart(0)

    signal.signal(signal.SIGTERM, request)
    signal.signal(signal.SIGINT, request)
    return asked
