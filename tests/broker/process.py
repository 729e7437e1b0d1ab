"""Ports and processes of the tests: all on loopback, all ended with the run."""

from __future__ import annotations

import atexit
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""Folder of the project."""

_PR_SET_PDEATHSIG = 1
_OWN_PORTS = 10_000, 32_768  # Linux gives those from 32,768 on to outgoing connections (ip_local_port_range), others higher ones
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before the fork


def free_ports(count: int) -> list[int]:
    """Distinct ports of 127.0.0.1 that nothing has now, and that the system gives to no outgoing connection.

    One of those would be taken now and then between the choice and the use, or while a server is down: on loopback even by the
    client that connects anew, to itself.
    """
    candidates = iter(random.SystemRandom().sample(range(*_OWN_PORTS), 1_000))
    return [next(filter(_is_free, candidates)) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _end_with_parent() -> None:
    # A killed test run must not leave a broker behind; the kernel sends this when the parent ends.
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class ServerProcess:
    """A server in a process group of its own, its output in a file. Ended at the latest when the interpreter ends."""

    def __init__(self, name: str, command: Sequence[str], log: Path, cwd: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                list(command), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, preexec_fn=_end_with_parent,  # noqa: PLW1509 (one system call, no lock)
            )  # fmt: skip
        atexit.register(self.kill)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group."""
        if self.alive:
            os.killpg(self._process.pid, number)

    def terminate(self, timeout_s: float = 10.0) -> None:
        """Ask to end, then insist."""
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        atexit.unregister(self.kill)

    def kill(self) -> None:
        """kill -9, as a crash would."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        atexit.unregister(self.kill)

    def await_port(self, port: int, timeout_s: float = 60.0) -> None:
        """Until the server accepts connections. Raises ``RuntimeError`` with the end of its output."""
        deadline = time.monotonic() + timeout_s
        while self.alive and time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.settimeout(1.0)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} did not listen on port {port} (alive: {self.alive}):\n{self.tail()}")

    def tail(self, size: int = 3000) -> str:
        """The end of the server's output."""
        return self.log.read_bytes()[-size:].decode(errors="replace")


class Node(ABC):
    """A broker of one node in ``folder``; ``kill`` and ``start`` again keep its data and its ports."""

    name: str
    _port: int

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: ServerProcess | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """What runs the node."""

    def start(self) -> None:
        """Start, or start again after ``kill``; returns when connections are accepted."""
        self._server = ServerProcess(self.name, self.command(), self._folder / "node.out", self._folder)
        self._server.await_port(self._port)

    def kill(self) -> None:
        """kill -9."""
        if self._server is not None:
            self._server.kill()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections, and answers nothing meanwhile."""
        assert self._server is not None
        self._server.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._server.signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it; nothing in the folder is worth an orderly shutdown."""
        self.kill()

    def log(self) -> str:
        """The end of what the node printed."""
        return "" if self._server is None else self._server.tail()
