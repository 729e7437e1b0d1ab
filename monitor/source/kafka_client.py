"""kafka-python's consumer, made within a time limit and kept off the caller's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import KafkaError
from kafka.future import Future
from kafka.net.compat import KafkaNetClient

from monitor.config.source import SourceConfig
from monitor.errors import SourceError
from monitor.source.base import TopicPartition
from monitor.source.client_thread import ClientThread
from monitor.source.consumer_options import LOOK_AGAIN_MS
from monitor.source.faults import refusal, unknown_topics
from monitor.source.reach import await_brokers
from monitor.source.security import kafka_python_options, secrets

_CLOSE_MS = 3_000
_FETCH_BYTES = 4 << 20  # of one partition in one answer: enough records for a big poll

Told = Callable[[frozenset[TopicPartition]], None]


@dataclass(frozen=True, slots=True)
class Tell:
    """Whom to tell of rebalances, on the thread that polls."""

    assigned: Told
    revoked: Told
    lost: Told


@dataclass(frozen=True, slots=True)
class Client:
    """A consumer and the only thread that may call what blocks in it."""

    consumer: Any
    thread: ClientThread
    config: SourceConfig

    def partitions(self, topics: Sequence[str], limit_s: float) -> dict[str, int]:
        """How many each topic has; 0: it is not there, which the client itself asks for again, and waits without limit.

        Raises ``KafkaError``, or ``TimeoutError`` at the limit.
        """
        counted: dict[str, int] = self.thread.call(
            lambda: {topic: len(self.consumer.partitions_for_topic(topic)) for topic in topics}, limit_s
        )
        return counted

    def close(self) -> SourceError | None:
        """Leave the group and end; rebalances that come of it are told. Returns what went wrong, if anything."""
        try:
            self.thread.call(partial(self.consumer.close, autocommit=False, timeout_ms=_CLOSE_MS), 2 * _CLOSE_MS / 1000)
        except (KafkaError, TimeoutError) as error:
            return explain(error, "closing", self.config)
        finally:
            self.thread.end()
        return None


def connect(config: SourceConfig, topics: Sequence[str], tell: Tell | None = None) -> tuple[Client, dict[str, int]]:
    """A connected consumer, and the number of partitions of each topic. With ``tell`` it is subscribed, and joins when polled.

    Raises ``SourceError`` within ``connect_timeout_ms`` and a little, also where the client itself would wait for ever.
    """
    limit_s = config.connect_timeout_ms / 1000
    deadline = time.monotonic() + limit_s
    brokers = await_brokers(config.brokers, config.security, config.connect_timeout_ms)
    networks: list[Any] = []

    def network(**options: Any) -> Any:
        # The one handle on a client whose constructor does not return.
        networks.append(KafkaNetClient(**options))
        return networks[-1]

    options = _options(config, brokers) | {"kafka_client": network}
    thread = ClientThread("driftgauge-kafka")
    try:
        client = Client(thread.call(lambda: KafkaConsumer(**options), limit_s + 1), thread, config)
        if tell is not None:
            client.consumer.subscribe(topics, listener=Rebalances(client, tell))
        # Fetched after the subscription: a group that is joined before its topics are known is joined twice.
        thread.call(client.consumer.topics, max(1.0, deadline - time.monotonic()))
        partitions = client.partitions(topics, max(1.0, deadline - time.monotonic()))
    except (KafkaError, TimeoutError) as error:
        for each in networks:
            each.close()
        thread.end()
        raise explain(error, "cannot connect", config) from error
    missing = [topic for topic, count in partitions.items() if not count]
    if missing:
        client.close()
        raise unknown_topics(missing, brokers)
    return client, partitions


def explain(error: Exception, what: str, config: SourceConfig) -> SourceError:
    """The client's error with place and advice, and without secrets."""
    return refusal(what, config.brokers, error_name(error), str(error), secrets(config.security))


def error_name(error: Exception) -> str:
    """The protocol's name of the error, else the class."""
    return str(getattr(error, "message", None) or type(error).__name__)


def _options(config: SourceConfig, brokers: Sequence[str]) -> dict[str, Any]:
    return kafka_python_options(config.security) | {
        "bootstrap_servers": list(brokers),
        "bootstrap_timeout_ms": config.connect_timeout_ms,
        "client_id": "driftgauge",
        "group_id": config.group,
        "group_instance_id": config.static_member,
        "session_timeout_ms": config.session_timeout_ms,
        "heartbeat_interval_ms": min(3_000, config.session_timeout_ms // 3),
        "isolation_level": config.isolation,
        "partition_assignment_strategy": [RangePartitionAssignor],
        "auto_offset_reset": "none",  # a jump is the listener's to know
        "enable_auto_commit": False,
        "allow_auto_create_topics": False,
        "metadata_max_age_ms": LOOK_AGAIN_MS,
        "max_partition_fetch_bytes": _FETCH_BYTES,
        "metrics_enabled": False,  # 5 % of the time of a poll
    }


class Rebalances(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Hands the client's rebalances over to the thread that polls, and waits without blocking the client's I/O."""

    def __init__(self, client: Client, tell: Tell) -> None:
        self._client, self._tell = client, tell

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """All partitions of the new generation, since ``range`` is eager."""
        await self._hand_over(self._tell.assigned, assigned)

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """All partitions of the old generation, while they are still ours."""
        await self._hand_over(self._tell.revoked, revoked)

    async def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        """Instead of revoked, after the group expelled us."""
        await self._hand_over(self._tell.lost, lost)

    async def _hand_over(self, tell: Told, places: Iterable[Any]) -> None:
        told = Future()

        def wake() -> None:
            # A future of the client may only be resolved on its own loop.
            self._client.consumer._net.call_soon_threadsafe(lambda: told.success(None))

        partitions = frozenset((place.topic, place.partition) for place in places)
        self._client.thread.ask(partial(tell, partitions), wake)
        await told
