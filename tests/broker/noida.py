"""noida-db, a Kafka-compatible broker from the package index, for machines without Java."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

from tests.broker.process import ServerProcess, free_ports


class Noida:
    """One node in ``folder``; ``kill`` and ``start`` again keep its data and its port."""

    durable_after_s = 2  # it writes topics and records down some time after it acknowledged them

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = f"noida-db {importlib.metadata.version('noida-db')}"
        [self._port] = free_ports(1)
        self.bootstrap = f"127.0.0.1:{self._port}"
        self._server: ServerProcess | None = None

    def start(self) -> None:
        """Start, or start again after ``kill``; returns when connections are accepted."""
        package = importlib.util.find_spec("noida_db")
        assert package is not None and package.origin is not None
        command = [str(Path(package.origin).with_name("noida-db")), "start", "--only", "kafka", "--host", "127.0.0.1"]
        command += ["--kafka-port", str(self._port), "--data-dir", str(self._folder / "data")]
        self._server = ServerProcess(self.name, command, self._folder / "noida.out", self._folder)
        self._server.await_port(self._port)

    def kill(self) -> None:
        """kill -9."""
        if self._server is not None:
            self._server.kill()

    def stop(self) -> None:
        """End it; nothing in the folder is worth an orderly shutdown."""
        self.kill()

    def log(self) -> str:
        """The end of what the node printed."""
        return "" if self._server is None else self._server.tail()
