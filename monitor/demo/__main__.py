"""``python -m monitor.demo run`` and ``serve``: what ``make demo`` and ``make demo-serve`` call."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from kafka.errors import KafkaError

from monitor.demo.loop import run as loop
from monitor.demo.loop.folder import LoopFolder
from monitor.demo.prepare import Workspace
from monitor.demo.run import run, stay_open
from monitor.demo.terminal import Terminal

_MODES = (
    ("run", "findings, then end"),
    ("serve", "the same, and keep the status page open"),
    ("loop", "the closed loop, which trains the model anew when it has to, with Prometheus, Alertmanager and the hook"),
    ("loop-serve", "the same, and keep the status page open"),
)
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; returns the exit code. However it ends, its processes end with it."""
    parser = argparse.ArgumentParser(
        prog="python -m monitor.demo", description="Real flights through an embedded broker and the monitor, with findings at the end."
    )
    parser.add_argument("mode", choices=("run", "serve", "loop", "loop-serve"), help="; ".join(f"{name}: {what}" for name, what in _MODES))
    parser.add_argument("--state", type=Path, metavar="DIR", help="where files go (default: .state/demo, of the loop .state/demo-loop)")
    chosen = parser.parse_args(arguments)
    for number in _ENDING:
        signal.signal(number, _interrupt)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    terminal = Terminal.on(sys.stdout)
    stay = stay_open if chosen.mode.endswith("serve") else None
    try:
        if chosen.mode.startswith("loop"):
            loop.run(LoopFolder(chosen.state or Path(".state/demo-loop")), terminal, stay=stay)
        else:
            run(Workspace(chosen.state or Path(".state/demo")), terminal, stay=stay)
    except KeyboardInterrupt as interrupted:
        terminal.say("", "stopped; nothing keeps running")
        return 128 + (int(interrupted.args[0]) if interrupted.args else signal.SIGINT)
    except subprocess.CalledProcessError as error:
        print(f"the demonstration failed: {' '.join(map(str, error.cmd))} ended with {error.returncode}:\n{error.stderr}", file=sys.stderr)
        return 1
    except (OSError, RuntimeError, ImportError, KafkaError) as error:  # TimeoutError is an OSError
        print(f"the demonstration failed: {error}", file=sys.stderr)
        return 1
    return 0


def _interrupt(number: int, _frame: FrameType | None) -> None:
    # Once: what is being ended ends within seconds, and a second Ctrl-C would leave the rest of it running.
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    sys.exit(main())
