"""noida-db, a Kafka-compatible broker from the package index, for machines without Java."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

from tests.broker.process import Node, free_ports


class Noida(Node):
    """One node in ``folder``; ``kill`` and ``start`` again keep its data and its port."""

    durable_after_s = 2  # it writes topics and records down some time after it acknowledged them

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.name = f"noida-db {importlib.metadata.version('noida-db')}"
        [self._port] = free_ports(1)
        self.bootstrap = f"127.0.0.1:{self._port}"

    def command(self) -> list[str]:
        """See ``Node.command``."""
        package = importlib.util.find_spec("noida_db")
        assert package is not None and package.origin is not None
        command = [str(Path(package.origin).with_name("noida-db")), "start", "--only", "kafka", "--host", "127.0.0.1"]
        return [*command, "--kafka-port", str(self._port), "--data-dir", str(self._folder / "data")]
