"""Events become one structured log line each, and reach whoever counts them. Nothing else logs.

A field that is not plain is refused, so that no configuration, payload or secret can get into a line.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TextIO

from monitor.errors import ConfigError, DriftgaugeError, Mistake
from monitor.events import Event

Plain = bool | int | float | str | None | tuple[int, ...] | tuple[str, ...]

MAX_TEXT = 500
"""Longer texts are cut in a line."""


Listener = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where events go: one log line each, and the listeners that count them."""

    listeners: tuple[Listener, ...] = ()
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("driftgauge"))

    def emit(self, event: Event) -> None:
        """Log and count an event. Raises ``TypeError`` for a field that is not plain."""
        fields = fields_of(event)
        for listener in self.listeners:
            listener(event)
        self.logger.log(event.level, "%s", type(event).__name__, extra={"driftgauge_fields": fields})


def fields_of(event: Event) -> dict[str, Plain]:
    """Fields by name, texts cut. Raises ``TypeError`` for one that is not plain, such as a secret or a payload."""
    fields: dict[str, Plain] = {}
    for each in dataclasses.fields(event):
        value = getattr(event, each.name)
        if not _is_plain(value):
            where = f"{type(event).__name__}.{each.name}"
            raise TypeError(f"{where}: expected a number, a text or a tuple of these, got {type(value).__name__}")
        if isinstance(value, str):
            value = value[:MAX_TEXT]
        elif isinstance(value, float) and not math.isfinite(value):
            value = str(value)  # JSON has no NaN
        fields[each.name] = value
    return fields


def _is_plain(value: object) -> bool:
    # Exact types: a subclass of str could carry anything in its repr.
    return type(value) in (bool, int, float, str, type(None)) or (type(value) is tuple and all(type(item) in (int, str) for item in value))


def reason_of(error: BaseException) -> str:
    """Text of an error that is fit for a line: our own in full, of others the type and what the system says.

    Messages of other libraries may quote what they were given, such as a password.

    >>> reason_of(DriftgaugeError("expected a topic")), reason_of(ValueError("hunter2"))
    ('expected a topic', 'ValueError')
    """
    if isinstance(error, DriftgaugeError):
        return str(error)
    said = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


# Until ``configure_logging``, nothing: Python would print the names of events without what they say.
logging.getLogger("driftgauge").addHandler(logging.NullHandler())


class _Lines(logging.Formatter):
    """One line per record, whatever is in it."""

    def __init__(self, style: Literal["text", "json"]) -> None:
        super().__init__()
        self._json = style == "json"

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields: Mapping[str, Plain] = getattr(record, "driftgauge_fields", {})
        name = record.getMessage()
        trace = {"traceback": self.formatException(record.exc_info)} if record.exc_info else {}
        if self._json:
            return json.dumps({"time": time, "level": record.levelname.lower(), "event": name, **fields, **trace})
        # JSON quoting keeps a line one line and shows where a hostile value begins and ends.
        pairs = "".join(f" {key}={_quoted(value)}" for key, value in {**fields, **trace}.items())
        return f"{time} {record.levelname:<7} {_quoted(name)}{pairs}"


def _quoted(value: Plain) -> str:
    if isinstance(value, str) and value and all(letter.isalnum() or letter in "_.:/-@+" for letter in value):
        return value
    return json.dumps(value)


def configure_logging(style: str | None = None, level: str | None = None, stream: TextIO | None = None) -> None:
    """Send log lines to ``stream`` (standard error): ``text`` or ``json``, from DRIFTGAUGE_LOG_FORMAT when not given.

    The level (``info``) comes from DRIFTGAUGE_LOG_LEVEL. Raises ``ConfigError`` for another format or level.
    """
    style = style or os.environ.get("DRIFTGAUGE_LOG_FORMAT") or "text"
    level = level or os.environ.get("DRIFTGAUGE_LOG_LEVEL") or "info"
    mistakes = []
    if style not in ("text", "json"):
        mistakes.append(Mistake("DRIFTGAUGE_LOG_FORMAT", f"expected text or json, got {style!r}"))
    if level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        mistakes.append(Mistake("DRIFTGAUGE_LOG_LEVEL", f"expected debug, info, warning or error, got {level!r}"))
    if mistakes:
        raise ConfigError("environment", mistakes)
    out = logging.StreamHandler(stream if stream is not None else sys.stderr)
    out.setFormatter(_Lines("json" if style == "json" else "text"))
    logger = logging.getLogger("driftgauge")
    logger.handlers[:] = [out]
    logger.setLevel(level.upper())
    logger.propagate = False
