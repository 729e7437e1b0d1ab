"""Controls: decisions of operators, as messages of a topic. What comes from it is untrusted and bounded.

    {"kind": "hold", "id": "3f2a...", "model": "flights", "by": "ann", "time_ms": 1700000000000, "why": "data centre moves"}

They are inputs like any other: ordered by offset, recorded in the topic with who, when and why, and replayed.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta, Struct

MAX_BYTES = 16_384
"""A longer message is refused unread."""

_LATEST_MS = 253_402_300_799_999  # the end of the year 9999

Id = Annotated[str, Meta(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Text = Annotated[str, Meta(min_length=1, max_length=500)]
Segment = Annotated[str, Meta(min_length=1, max_length=1_000)]
TimeMs = Annotated[int, Meta(ge=0, le=_LATEST_MS)]


class _Control(Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True, kw_only=True):
    id: Id
    model: Name
    by: Name  # who
    time_ms: TimeMs  # when, wall time
    why: Text
    summary: ClassVar[str] = ""


class Hold(_Control, frozen=True, tag="hold"):
    """No trigger until released, or until an event time."""

    until_ms: TimeMs | None = None
    summary: ClassVar[str] = "let no trigger through"


class Release(_Control, frozen=True, tag="release"):
    """End the hold."""

    summary: ClassVar[str] = "end a hold"


class Accept(_Control, frozen=True, tag="accept"):
    """Drift that is expected does not count: until an event time, or for as long as the one that is there, or else the next, lasts."""

    version: Name | None = None  # None: every version
    signal: Name | None = None  # a feature or a metric; None: all
    segment: Segment | None = None  # None: all
    until_ms: TimeMs | None = None
    summary: ClassVar[str] = "do not count a drift that is expected"


class Withdraw(_Control, frozen=True, tag="withdraw"):
    """Take an acceptance back."""

    control: Id  # of the acceptance
    summary: ClassVar[str] = "take an acceptance back"


class Rebaseline(_Control, frozen=True, tag="rebaseline"):
    """What is seen now is normal from now on: drift that began before does not count, and detectors start anew."""

    version: Name | None = None
    signal: Name | None = None
    segment: Segment | None = None
    summary: ClassVar[str] = "take what is seen now for normal"


class Ack(_Control, frozen=True, tag="ack"):
    """Somebody, or something, takes care of a trigger."""

    trigger_id: Id
    summary: ClassVar[str] = "take care of a trigger"


class SwitchReference(_Control, frozen=True, tag="switch_reference"):
    """Compare a model version with another of the configured references."""

    version: Name
    reference: Annotated[str, Meta(min_length=8, max_length=64, pattern=r"^[0-9a-f]+$")]  # (the beginning of) its fingerprint
    summary: ClassVar[str] = "compare a version with another reference"


class Assign(_Control, frozen=True, tag="assign"):
    """Who looks after a failure mode, and which version is to fix it; that it is fixed only evidence says."""

    failure_mode: Name
    owner: Name | None = None
    fix_version: Name | None = None
    summary: ClassVar[str] = "say who looks after a failure mode, or which version is to fix it"


Control = Hold | Release | Accept | Withdraw | Rebaseline | Ack | SwitchReference | Assign
KINDS: tuple[type[_Control], ...] = (Hold, Release, Accept, Withdraw, Rebaseline, Ack, SwitchReference, Assign)

_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Control)


class ControlError(ValueError):
    """A message of the control topic that is no control; says what was expected, what was got and where."""


def kind_of(control: Control | type[_Control]) -> str:
    """The kind as it is written.

    >>> kind_of(SwitchReference)
    'switch_reference'
    """
    return str(control.__struct_config__.tag)


def parse_control(message: bytes | None) -> Control:
    """A control from a message. Raises ``ControlError``."""
    if not message:
        raise ControlError("expected a JSON object, got an empty message")
    if len(message) > MAX_BYTES:
        raise ControlError(f"expected at most {MAX_BYTES} bytes, got {len(message)}")
    try:
        control: Control = _DECODER.decode(message)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ControlError(f"expected a control: {str(error)[:300]}") from error
    if isinstance(control, Assign) and control.owner is None and control.fix_version is None:
        raise ControlError("expected owner, fix_version or both in a control of the kind assign, got neither")
    return control


def control_message(control: Control) -> bytes:
    """A control as a message, the inverse of ``parse_control``."""
    return msgspec.json.encode(control)


def control_schema() -> dict[str, Any]:
    """JSON Schema of the messages."""
    return msgspec.json.schema(Control)
