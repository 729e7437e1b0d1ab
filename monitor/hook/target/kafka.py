"""A CloudEvent in a Kafka topic, binary content mode (https://github.com/cloudevents/spec, Kafka protocol binding 1.0.2).

At least once: when the brokers' confirmation is lost, or the hook is killed between it and its record, the event is sent again. Its
``ce_id`` is the trigger id and ``ce_source`` that of the configuration; both together are the same in every delivery, and a
consumer that acts on an id once starts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from monitor.config.source import SourceConfig
from monitor.errors import SinkError
from monitor.hook.target.config import KafkaTarget
from monitor.hook.target.http import sized_body
from monitor.hook.target.outcome import Key, Outcome, Rendered, Started, Unsure
from monitor.hook.template import Fields, render_text
from monitor.sink import Sink


class KafkaStart:
    """The target ``kafka``."""

    kind = "kafka"
    when_unsure: Literal["stop", "ask", "repeat"] = "repeat"

    def __init__(self, config: KafkaTarget) -> None:
        self._config = config
        self.retry = config.retry

    def render(self, fields: Fields) -> Rendered:
        """Topic, key, headers and value."""
        config = self._config
        value, note = sized_body(config.value, fields, config.max_body_bytes)
        headers = {
            "ce_specversion": "1.0", "ce_type": config.type, "ce_source": config.source, "ce_id": fields.trigger_id,
            "ce_time": fields.received_at, "content-type": "application/json",
        }  # fmt: skip
        return Rendered({"topic": config.topic, "key": render_text(config.key, fields), "headers": headers, "value": value}, note)

    def start(self, request: Mapping[str, Any], key: Key) -> Outcome:
        """Send the event and wait for the brokers' confirmation."""
        config = self._config
        source = SourceConfig(brokers=config.brokers, security=config.security)
        sink = Sink(source)
        try:
            headers = [(name, value.encode()) for name, value in request["headers"].items()]
            sink.send(request["topic"], request["key"].encode(), request["value"].encode(), headers)
            sink.flush(config.timeout_ms)
        except SinkError as error:
            return Unsure("not_confirmed", str(error))
        finally:
            sink.close()
        return Started("confirmed", f"topic {config.topic}")

    def find(self, request: Mapping[str, Any], key: Key) -> Outcome:
        """Never asked: an event is sent again."""
        return Unsure("not_confirmed")
