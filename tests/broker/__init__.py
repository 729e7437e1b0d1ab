"""Brokers for tests: Apache Kafka where Java and Maven are, else noida-db. Which one is always said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.broker.kafka import ApacheKafka, install_kafka
from tests.broker.noida import Noida

Broker = ApacheKafka | Noida


@contextmanager
def start_broker() -> Iterator[Broker]:
    """A running broker that ends, with its folder, when the context does."""
    with TemporaryDirectory(prefix="driftgauge-broker-", ignore_cleanup_errors=True) as folder:
        broker: Broker = ApacheKafka(Path(folder)) if install_kafka() is None else Noida(Path(folder))
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()


__all__ = ["ApacheKafka", "Broker", "Noida", "install_kafka", "start_broker"]
