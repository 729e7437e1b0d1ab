"""Messages to Kafka, delivered at least once: dead letters now, triggers later.

``send`` only queues. ``flush`` delivers, and returns only when the brokers have confirmed everything; what they did not
confirm stays queued for the next ``flush``. So a caller that flushes before the commit that forgets a message never
loses one, and one that is interrupted may send it twice.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from monitor.config.source import SourceConfig
from monitor.errors import SinkError, SourceError
from monitor.source.client_thread import ClientThread
from monitor.source.faults import advice, redact
from monitor.source.kafka_client import error_name
from monitor.source.reach import await_brokers
from monitor.source.security import kafka_python_options, secrets

MAX_PENDING = 10_000
MAX_PENDING_BYTES = 32 << 20
MAX_FIELD_BYTES = 900_000
"""A longer key or value is cut, as Kafka takes 1 MiB a message by default; the header ``driftgauge-cut`` tells its length."""

_BLOCK_MS = 4_000  # most time to learn where a topic's partitions are; told to stop, a process may go through it twice
_LEAST_BYTES = 1_000  # a value this short is not cut further
_GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way. ``headers`` may repeat names."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    def __len__(self) -> int:
        return len(self.key or b"") + len(self.value or b"")


@dataclass(slots=True)
class _Pending:
    message: Outgoing
    promise: Any = None  # of the client, once it has the message


class Sink:
    """A queue in front of a producer to the source's brokers, by its security. The first ``flush`` of a message connects."""

    def __init__(self, config: SourceConfig) -> None:
        self._config = config
        self._queue: list[_Pending] = []
        self._bytes = 0
        self._producer: Any = None
        self._failed = False  # whether the last flush did

    @property
    def pending(self) -> int:
        """Messages that are not confirmed."""
        return len(self._queue)

    @property
    def is_full(self) -> bool:
        """Whether as much waits as should."""
        return len(self._queue) >= MAX_PENDING or self._bytes >= MAX_PENDING_BYTES

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        """Queue a message. The queue takes it even when it ``is_full``: who fills it is to bring no more until it is delivered."""
        message = cut(Outgoing(topic, key, value, tuple(headers)), MAX_FIELD_BYTES)
        self._queue.append(_Pending(message))
        self._bytes += len(message)

    def has_room(self, deliver: Callable[[], None]) -> bool:
        """Whether more may be sent. A full queue is delivered first; not where that failed before: then the next ``flush`` decides.

        ``deliver`` is what flushes, and tells of it.
        """
        if self.is_full and not self._failed:
            with contextlib.suppress(SinkError):
                deliver()
        return not self.is_full

    def flush(self, timeout_ms: int) -> None:
        """Deliver everything. Raises ``SinkError`` unless all of it was confirmed in time; the rest is kept."""
        if not self._queue:
            return
        self._failed = True
        deadline = time.monotonic() + timeout_ms / 1000
        try:
            self._connect(timeout_ms)
            limit_s = max(0.0, deadline - time.monotonic()) + _BLOCK_MS / 1000 + _GRACE_S
            failure = self._thread.call(partial(_deliver, self._producer, self._queue, deadline), limit_s)
        except (KafkaError, SinkError, SourceError, TimeoutError) as error:
            self._drop()
            raise self._unconfirmed(error) from error
        self._queue = [pending for pending in self._queue if not _confirmed(pending)]
        self._bytes = sum(len(pending.message) for pending in self._queue)
        if failure is not None:
            raise self._unconfirmed(failure) from failure
        self._failed = False

    def close(self) -> None:
        """Let go of the connection. What is still queued is not delivered: ``flush`` first."""
        self._drop()

    def _connect(self, timeout_ms: int) -> None:
        if self._producer is not None:
            return
        if not self._config.brokers:
            raise SinkError("expected source.brokers, since messages are to be sent to a topic, and there are none")
        options = kafka_python_options(self._config.security) | {
            "bootstrap_servers": await_brokers(self._config.brokers, self._config.security, timeout_ms),
            "bootstrap_timeout_ms": timeout_ms,
            "client_id": "driftgauge",
            "acks": "all",
            "enable_idempotence": False,  # such a producer refuses everything after one message that was too large
            "max_block_ms": _BLOCK_MS,
            "metrics_enabled": False,
        }
        self._thread = ClientThread("driftgauge-sink")
        self._producer = self._thread.call(lambda: KafkaProducer(**options), timeout_ms / 1000 + _GRACE_S)

    def _drop(self) -> None:
        self._queue = [_Pending(pending.message) for pending in self._queue]
        if self._producer is not None:
            producer, self._producer = self._producer, None
            self._thread.end()
            producer._sender.force_close()  # else ``close`` raises when something is pending, and closes nothing
            producer.close(timeout=_GRACE_S)

    def _unconfirmed(self, error: Exception) -> SinkError:
        if isinstance(error, SinkError):
            return error
        topics = ", ".join(sorted({pending.message.topic for pending in self._queue}))
        if isinstance(error, SourceError):  # no broker was reached, and why is said: it is not the topics' fault
            text = str(error)
        else:
            action = advice(error_name(error)) or "check that the topics exist and may be written"
            text = f"{redact(str(error), secrets(self._config.security))}; {action}"
        return SinkError(f"{len(self._queue)} messages for {topics} are not confirmed: {text}")


def _confirmed(pending: _Pending) -> bool:
    return pending.promise is not None and bool(pending.promise.succeeded())


def _deliver(producer: Any, queue: Sequence[_Pending], deadline: float) -> KafkaError | None:
    """Send what the client does not have yet and wait for all of it; the first failure. Runs on the client's thread."""
    failures = [error for error in _produce(producer, queue) if error is not None]
    for pending in queue:
        if pending.promise is None:
            continue
        try:
            pending.promise.get(timeout=max(0.0, deadline - time.monotonic()))
        except KafkaError as error:
            failures.append(error)
            if isinstance(error, MessageSizeTooLargeError):
                pending.message = _quarter(pending.message)
        if pending.promise.is_done and not _confirmed(pending):
            pending.promise = None  # one that is not done yet is still being tried by the client
    return failures[0] if failures else None


def _produce(producer: Any, queue: Sequence[_Pending]) -> Iterator[KafkaError | None]:
    unreachable: dict[str, KafkaError] = {}
    for pending in queue:
        message = pending.message
        if pending.promise is not None or message.topic in unreachable:
            continue
        value = b"" if message.key is None and message.value is None else message.value  # the client takes no empty message
        try:
            pending.promise = producer.send(message.topic, value=value, key=message.key, headers=list(message.headers))
        except KafkaTimeoutError as error:
            unreachable[message.topic] = error  # each further message would wait as long again
            yield error
        except MessageSizeTooLargeError as error:
            pending.message = _quarter(message)
            yield error
        except KafkaError as error:
            yield error


def _quarter(message: Outgoing) -> Outgoing:
    return cut(message, max(_LEAST_BYTES, max(len(message.key or b""), len(message.value or b"")) // 4))


def cut(message: Outgoing, limit: int) -> Outgoing:
    """The message with key and value of at most ``limit`` bytes each; what was cut is said in a header, with its length.

    >>> cut(Outgoing("t", None, b"abcdef"), 4)
    Outgoing(topic='t', key=None, value=b'abcd', headers=(('driftgauge-cut', b'value of 6 bytes'),))
    """
    said = any(name == "driftgauge-cut" for name, _ in message.headers)
    for field in ("key", "value"):
        content = getattr(message, field)
        if content is not None and len(content) > limit:
            note = () if said else (("driftgauge-cut", f"{field} of {len(content)} bytes".encode()),)
            message = replace(message, **{field: content[:limit]}, headers=(*message.headers, *note))
    return message
