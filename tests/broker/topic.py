"""What a topic of one partition holds."""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer, TopicPartition


def records_of(bootstrap: str, topic: str) -> list[Any]:
    """Every record of the topic, from its beginning to where it ends now."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    end, found = consumer.end_offsets([place])[place], []
    while consumer.position(place) < end:
        found += consumer.poll(1_000).get(place, ())
    consumer.close()
    return found


def headers_of(record: Any) -> dict[str, str]:
    """Headers of a record, as texts."""
    return {name: value.decode() for name, value in record.headers}
