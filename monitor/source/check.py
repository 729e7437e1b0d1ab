"""Whether the configured source can be read, without joining its group."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.config.source import SourceConfig
from monitor.errors import SourceError


def check_source(config: SourceConfig, topics: Sequence[str]) -> dict[str, int]:
    """Number of partitions of each topic. Raises ``SourceError`` when the cluster, a topic or the file cannot be read.

    kafka-python asks for both Kafka clients: a member that joined the group would move the partitions of a running monitor.
    """
    if config.client == "ndjson":
        assert config.path is not None
        from monitor.source.ndjson import partition_files

        files = partition_files(config.path, topics)
        for file in files.values():
            try:
                with file.open("rb"):
                    pass
            except OSError as error:
                raise SourceError(f"source.path: {file} cannot be read: {error.strerror}") from error
        return {topic: sum(name == topic for name, _ in files) for topic in topics}
    from monitor.source.kafka_client import connect

    client, partitions = connect(config, topics)
    client.close()
    return partitions
