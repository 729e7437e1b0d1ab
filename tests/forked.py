"""Processes that begin where importing ends: forked from one that has imported the program and done nothing else.

Importing it, river's detectors above all, costs more than most of what the process of a test then does. What is forked is a process
as any other: it has signals, files and threads of its own, and leaves behind what a process leaves behind that is killed.
How the program starts from a shell is for tests that start it from one.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import monitor.__main__
from tests.broker.process import ROOT

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.forked_from"])


class Forked:
    """``main(*arguments)`` in a process of its own, in the folder of the project; its methods are like those of ``Popen``."""

    def __init__(self, main: Callable[..., Any], *arguments: Any, out: Path, error: Path, env: Mapping[str, str] | None = None) -> None:
        environment = dict(os.environ if env is None else env)
        self._process = _FORKS.Process(target=_run, args=(main, arguments, out, error, environment), daemon=True)
        self._process.start()
        self._exit = threading.Lock()  # of two threads that ask for it at a time, one would be told another code
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, negative of a signal; None while it runs."""
        with self._exit:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Until it ends; returns the exit code. Raises ``TimeoutExpired`` as ``Popen`` does."""
        with self._exit:
            self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def run(main: Callable[..., Any], *arguments: Any, timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
    """Such a process from its start to its end, which has to come in time."""
    with tempfile.TemporaryDirectory() as folder:
        out, error = Path(folder, "out"), Path(folder, "error")
        process = Forked(main, *arguments, out=out, error=error, **options)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, code, out.read_text(), error.read_text())


def driftgauge(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command of the command line."""
    return run(monitor.__main__.main, arguments, **options)


def _run(main: Callable[..., Any], arguments: tuple[Any, ...], out: Path, error: Path, environment: dict[str, str]) -> None:
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, path in ((1, out), (2, error)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    try:
        code = main(*arguments)
    except Exception:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.exit(code)
