"""The source that the configuration asks for."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.config.source import SourceConfig
from monitor.errors import SourceError
from monitor.source.base import Needs, Source


def open_source(config: SourceConfig, topics: Sequence[str], needs: Needs) -> Source:
    """A source over ``topics``, not yet started. Raises ``SourceError`` when its client is not installed."""
    if config.client == "kafka-python":
        from monitor.source.kafka_python import KafkaPythonSource

        return KafkaPythonSource(config, topics, needs)
    if config.client == "librdkafka":
        try:
            from monitor.source.librdkafka import LibrdkafkaSource
        except ImportError as error:
            raise SourceError(
                "source.client: expected confluent-kafka to be installed for librdkafka, and it is not;"
                " run pip install 'driftgauge[librdkafka]' or choose kafka-python"
            ) from error
        return LibrdkafkaSource(config, topics, needs)
    from monitor.source.ndjson import NdjsonSource

    return NdjsonSource(config, topics, needs)


def open_recorded(config: SourceConfig, topics: Sequence[str], needs: Needs) -> Source:
    """What ``topics`` hold when it is started: read to its end, outside of any group. Not yet started."""
    if config.client == "ndjson":
        return open_source(config, topics, needs)
    from monitor.source.recorded import RecordedTopics

    return RecordedTopics(config, topics, needs)
