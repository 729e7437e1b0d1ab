"""Ctrl-C while a Kafka client works in another thread."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time

import pytest
from kafka import KafkaAdminClient

from monitor.demo.interruptible import interruptible


def test_what_the_work_returns_or_raises_comes_back() -> None:
    assert interruptible(lambda _stop: 7) == 7
    with pytest.raises(ValueError, match="no such topic"):
        interruptible(lambda _stop: int("no such topic"))


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_reaches_the_caller_while_a_client_connects() -> None:
    """A client of kafka-python in the main thread swallows it and waits for good."""
    with socket.socket() as silent:  # accepts and says nothing: the client stays in its event loop
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        told: list[bool] = []

        def connect(stop: threading.Event) -> None:
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
            with contextlib.suppress(Exception):  # however it gives up
                KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}", bootstrap_timeout_ms=2_000, request_timeout_ms=1_000)
            told.append(stop.wait(60))

        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            interruptible(connect)
    assert told == [True]
    assert time.monotonic() - started < 150
