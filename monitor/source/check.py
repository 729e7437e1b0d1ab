"""Whether the configured source can be read, without joining its group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from monitor.config.source import SourceConfig
from monitor.source.base import Needs
from monitor.source.open import open_source


@dataclass(frozen=True, slots=True)
class Topics:
    """What is there of the topics of a configuration."""

    partitions: Mapping[str, int] = field(default_factory=dict)  # number of each topic of events
    absent: frozenset[str] = frozenset()  # topics to write to that are not there; a cluster may make them by itself


def check_source(config: SourceConfig, topics: Sequence[str], controls: str | None = None, written: Sequence[str] = ()) -> Topics:
    """What is there of topics of events and of those to write to. Raises ``SourceError`` when cluster, topic or file cannot be read.

    ``controls`` is the control topic, which a folder of files may be without. kafka-python asks for both Kafka clients: a member
    that joined the group would move the partitions of a running monitor.
    """
    open_source(config, topics, Needs())  # says when its client is not installed, and touches nothing
    if config.client == "ndjson":
        assert config.path is not None
        from monitor.source.controls import open_controls
        from monitor.source.ndjson import LineReader, partition_files

        files = partition_files(config.path, topics)
        for file in files.values():
            reader = LineReader(file)
            try:
                reader.read(1, 1)  # what is no gzip is known only then
            finally:
                reader.close()
        if controls is not None:
            open_controls(config, controls, {}).poll()
        return Topics({topic: sum(name == topic for name, _ in files) for topic in topics})
    from kafka.errors import KafkaError

    from monitor.source.kafka_client import connect, explain

    client, partitions = connect(config, [*topics, *([] if controls is None else [controls])])
    try:
        absent = frozenset(topic for topic, count in client.partitions(written, config.connect_timeout_ms / 1000).items() if not count)
    except (KafkaError, TimeoutError) as error:
        raise explain(error, "cannot look for topics to write to", config) from error
    finally:
        client.close()
    return Topics({topic: partitions[topic] for topic in topics}, absent)
