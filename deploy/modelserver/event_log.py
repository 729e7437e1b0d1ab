"""Prediction events on their way to Kafka, off the path of the answers.

A request puts its event into a bounded queue and goes on; one thread takes events out and hands them to the producer. When
Kafka is slow or away the queue fills, and further events are dropped and counted. An answer never waits for Kafka.

    offered = delivered + failed + dropped + waiting
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from kafka.errors import KafkaError

logger = logging.getLogger(__name__)

RECONNECT_SECONDS = 2.0
_IDLE_SECONDS = 0.2

Connect = Callable[[], Any]
"""Makes a producer: ``send(topic, key=, value=)`` returns a future, ``flush``, ``close``. May block and may raise ``KafkaError``."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the events so far."""

    offered: int = 0
    delivered: int = 0  # acknowledged by the broker
    failed: int = 0  # given up by the producer
    dropped: int = 0  # the queue was full, or the server ended first

    @property
    def waiting(self) -> int:
        """In the queue or in the producer."""
        return self.offered - self.delivered - self.failed - self.dropped


class EventLog:
    """A bounded queue and the thread that empties it."""

    def __init__(self, connect: Connect, topic: str, capacity: int) -> None:
        self._connect = connect
        self._topic = topic
        self._queue: queue.Queue[tuple[bytes, bytes]] = queue.Queue(capacity)
        self._counts = Counts()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> Counts:
        """What became of the events so far, at one moment."""
        with self._lock:
            return self._counts

    def offer(self, key: bytes, value: bytes) -> bool:
        """Accept an event for Kafka, or drop it when the queue is full. Never waits."""
        self._add(offered=1)
        if not self._ending.is_set():
            try:
                self._queue.put_nowait((key, value))
            except queue.Full:
                pass
            else:
                return True
        self._add(dropped=1)
        return False

    def close(self, timeout_seconds: float) -> None:
        """Send what waits, for at most about this long; what then still waits in the queue is dropped and counted."""
        self._deadline = time.monotonic() + timeout_seconds
        self._ending.set()
        self._thread.join(timeout_seconds)
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return
            self._add(dropped=1)

    def _run(self) -> None:
        producer = self._connected()
        if producer is None:
            return
        while not (self._ending.is_set() and (self._queue.empty() or time.monotonic() > self._deadline)):
            try:
                key, value = self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                continue
            try:
                # Blocks while the producer's buffer is full or the topic unknown: that is why it has a thread to itself.
                future = producer.send(self._topic, key=key, value=value)
            except (KafkaError, AssertionError) as error:
                self._failed(error)
            else:
                future.add_callback(lambda _: self._add(delivered=1))
                future.add_errback(self._failed)
        left = max(0.1, self._deadline - time.monotonic())
        try:
            producer.flush(timeout=left)
        except KafkaError as error:
            logger.warning("not every event was acknowledged in time: %s", error)
        producer.close(timeout=max(0.1, self._deadline - time.monotonic()))

    def _connected(self) -> Any | None:
        while not self._ending.is_set():
            try:
                return self._connect()
            except KafkaError as error:
                logger.warning("no connection to Kafka, trying again in %g s: %s", RECONNECT_SECONDS, error)
                self._ending.wait(RECONNECT_SECONDS)
        return None

    def _failed(self, error: BaseException) -> None:
        self._add(failed=1)
        logger.warning("an event was not delivered: %s", error)

    def _add(self, *, offered: int = 0, delivered: int = 0, failed: int = 0, dropped: int = 0) -> None:
        with self._lock:
            now = self._counts
            self._counts = replace(
                now,
                offered=now.offered + offered,
                delivered=now.delivered + delivered,
                failed=now.failed + failed,
                dropped=now.dropped + dropped,
            )
