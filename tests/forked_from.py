"""What the process has imported from which ``tests.forked`` forks. Nothing here may hold a lock in a thread of its own, or open a file."""

from __future__ import annotations

import importlib

from monitor.__main__ import COMMANDS

PROGRAM = ("river.drift", "monitor.app", "monitor.hook.app", *(f"monitor.cli.{command}" for command in COMMANDS))
TESTS = ("tests.checkpoint.killed", "tests.hook.killed", "tests.join.committing")

for module in (*PROGRAM, *TESTS):
    importlib.import_module(module)
