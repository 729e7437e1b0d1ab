"""Runs one command and keeps what came of it, also when the hook that asked for it is killed meanwhile.

A program of its own, of the standard library alone: ``supervise.py FOLDER``. The folder is that of one run:

    spec.json    arguments, directory, timeout_s, max_output_bytes
    input.json   standard input of the command
    lock         held as long as this program lives
    begun        there from just before the command was started, for good
    stdout, stderr
    result.json  {"exit": 0, "timed_out": false, "error": ""}; there when the command has ended

    1 take the lock (another program that has it runs this command: end)
    2 if ``begun`` is there the command was started before: end
    3 write ``begun`` and wait until it is on disk
    4 start the command
    5 write ``result.json``

So a command is started at most once, whoever is killed. If this program itself is killed, or the machine stops,
between 3 and 5, ``begun`` is there without a result: the command may have been started, or not.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

LOCK_WAIT_S = 5.0  # the hook looks at the lock for a moment to see whether somebody has it
TERM_WAIT_S = 10.0
OUTPUT_WAIT_S = 2.0  # for output that is still in the pipe when the command has ended


def supervise(folder: Path) -> None:
    """Run the command of the folder, unless it was run before."""
    with (folder / "lock").open("w") as lock:
        if not _locked(lock) or (folder / "begun").exists():
            return
        spec = json.loads((folder / "spec.json").read_bytes())
        _write(folder / "begun", b"")
        for above in (folder.parent, folder.parent.parent):  # a mark in a folder that a power cut takes away is no mark
            _sync(above)
        result = _run(folder, spec)
        put(folder / "result.json", json.dumps(result))


def _locked(lock: IO[str]) -> bool:
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)


def _run(folder: Path, spec: dict[str, Any]) -> dict[str, Any]:
    with (folder / "input.json").open("rb") as given:
        try:
            process = subprocess.Popen(  # noqa: S603 (no shell; the arguments are the operator's)
                spec["arguments"], cwd=spec["directory"], stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            return {"exit": None, "timed_out": False, "error": f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"}
    keepers = [
        threading.Thread(target=_keep, args=(stream, folder / name, spec["max_output_bytes"]), daemon=True)
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
    ]
    for keeper in keepers:
        keeper.start()
    timed_out = False
    try:
        process.wait(spec["timeout_s"])
    except subprocess.TimeoutExpired:
        timed_out = True
        _end(process)
    deadline = time.monotonic() + OUTPUT_WAIT_S
    for keeper in keepers:  # a process that the command left behind may hold the pipe open for ever
        keeper.join(max(0.0, deadline - time.monotonic()))
    return {"exit": process.returncode, "timed_out": timed_out, "error": ""}


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TERM_WAIT_S)
            return


def _keep(stream: IO[bytes] | None, path: Path, limit: int) -> None:
    assert stream is not None
    left = limit
    with path.open("wb") as file:
        while part := stream.read1(65_536):  # type: ignore[attr-defined]
            file.write(part[:left])
            file.flush()
            left -= min(left, len(part))


def put(path: Path, text: str) -> None:
    """Write a file at once: who looks for it, the hook or a program that it started before it was killed, finds all of it or none."""
    fresh = path.with_suffix(".tmp")
    _write(fresh, text.encode())
    fresh.rename(path)
    _sync(path.parent)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    supervise(Path(sys.argv[1]))
