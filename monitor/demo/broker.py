"""An embedded Kafka-compatible broker: noida-db, a binary inside a wheel, started on loopback and ended with the demonstration."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 15.0
STOP_SECONDS = 5.0


@contextmanager
def embedded_broker(folder: Path) -> Iterator[str]:
    """Run a broker whose data live in ``folder``; yields its address, host:port. Both are gone afterwards.

    Raises ``ModuleNotFoundError`` without the package, ``RuntimeError`` when the broker does not come up.
    """
    binary = _binary()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = free_port()
    log = folder / "broker.log"
    command = [
        str(binary),
        "start",
        "--only",
        "kafka",
        "--host",
        "127.0.0.1",
        "--kafka-port",
        str(port),
        "--data-dir",
        str(folder / "data"),
    ]
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches the demonstration alone, which then stops the monitor first and the broker last.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    try:
        _wait_until_listening(process, port, log)
        yield f"127.0.0.1:{port}"
    finally:
        stop(process, STOP_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop(process: subprocess.Popen[bytes], seconds: float) -> int:
    """Ask a process to end, wait, and kill it if it does not; returns its exit status."""
    process.terminate()
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _binary() -> Path:
    spec = importlib.util.find_spec("noida_db")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the demonstration needs its extra: pip install 'driftgauge[demo]'")
    binary = Path(spec.origin).parent / "noida-db"
    if not binary.is_file():
        raise ModuleNotFoundError(f"expected the broker's program at {binary}; noida-db has none for this platform")
    if not os.access(binary, os.X_OK):  # an installer need not keep the executable bit
        binary.chmod(0o755)
    return binary


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the broker ended with status {process.returncode}:\n{log.read_text(errors='replace')[-1000:]}")
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"expected a broker on port {port} within {START_SECONDS:.0f} s:\n{log.read_text(errors='replace')[-1000:]}")
