"""Triggers as CloudEvents 1.0, in the structured JSON mode of the Kafka binding. Pure, and the same for the same trigger.

Delivered at least once: ``source`` and ``id`` together tell repeats apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from monitor.decide.state import Phase, Trigger
from monitor.expose.text import iso
from monitor.expose.trigger_json import trigger_fields

CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Message:
    """A message of Kafka."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def cloud_event(trigger: Trigger, phase: Phase) -> Message:
    """The event that a trigger came to a phase: required, acknowledged, superseded or expired. ``time`` is that of the decision.

    Events of one model have one key, so that they stay in order.
    """
    event = {
        "specversion": "1.0",
        "id": f"{trigger.id}/{phase}",
        "source": f"urn:driftgauge:model:{quote(trigger.model, safe='')}",
        "type": f"driftgauge.retraining.{phase}",
        "subject": f"{trigger.model}/{trigger.version}",
        "time": iso(trigger.event_ms) or iso(0),
        "datacontenttype": "application/json",
        "data": trigger_fields(trigger, phase),
    }
    return Message(trigger.model.encode(), msgspec.json.encode(event), (("content-type", CONTENT_TYPE.encode()),))
