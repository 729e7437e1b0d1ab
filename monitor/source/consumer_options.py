"""Configuration of librdkafka's consumer but for whom it calls back, and what both clients have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monitor.config.source import SourceConfig
from monitor.source.security import librdkafka_options

LOOK_AGAIN_MS = 10_000
"""How soon a partition that is added, or a topic that is made anew, is seen; both clients look every five minutes unless told."""


def consumer_options(config: SourceConfig, brokers: Sequence[str]) -> dict[str, Any]:
    """The options. Raises ``SourceError`` for unusable files or secrets."""
    member = {} if config.static_member is None else {"group.instance.id": config.static_member}
    return librdkafka_options(config.security) | member | {
        "bootstrap.servers": ",".join(brokers),
        "client.id": "driftgauge",
        "group.id": config.group,
        "session.timeout.ms": config.session_timeout_ms,
        "heartbeat.interval.ms": min(3_000, config.session_timeout_ms // 3),
        "isolation.level": config.isolation,
        "partition.assignment.strategy": "range",
        "auto.offset.reset": "error",  # a jump is the listener's to know
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "allow.auto.create.topics": False,
        "topic.metadata.refresh.interval.ms": LOOK_AGAIN_MS,
        "enable.partition.eof": True,  # tells the position behind transaction markers, which are no records
    }  # fmt: skip
