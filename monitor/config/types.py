"""Value types of the configuration: durations with a unit, JSON paths, times of events, secrets by reference."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


class Section(BaseModel):
    """Base of every part of the configuration: frozen, unknown keys refused, keys by alias."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, validate_default=True)

    checks: ClassVar[tuple[Callable[[Any], Iterable[str]], ...]] = ()
    """What its fields need of each other: each yields the mistakes it finds, with their paths, and ends where it can find no more."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Pydantic takes true for 1: a port, or a threshold."""
        if info.field_name is not None and is_truth_for_a_number(cls.model_fields[info.field_name].annotation, value):
            raise ValueError(f"expected a number, got {str(value).lower()}")
        return value

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if found := tuple(message for check in self.checks for message in check(self)):
            raise SeveralMistakesError(found)
        return self


def is_truth_for_a_number(annotation: Any, value: Any) -> bool:
    """Whether a field with this annotation takes numbers, and neither true and false nor anything, and this is true or false."""
    parts = {*get_args(annotation)} if get_origin(annotation) in {Union, UnionType} else {annotation}
    return isinstance(value, bool) and bool(parts & {int, float}) and not parts & {bool, Any}


def sections_in(annotation: Any) -> list[type[Section]]:
    """The sections that a field with this annotation may hold."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in getattr(annotation, "__args__", ()) for section in sections_in(part)]


class SeveralMistakesError(ValueError):
    """Mistakes that one check found together; each is said by itself."""

    def __init__(self, messages: Sequence[str]) -> None:
        self.messages = tuple(messages)
        super().__init__("; ".join(messages))


def messages_of(error: ValueError) -> tuple[str, ...]:
    """The mistakes that a validator raised, one by one."""
    return error.messages if isinstance(error, SeveralMistakesError) else (str(error),)


def parse_duration(value: Any) -> int:
    """Milliseconds of a duration such as ``250ms``, ``30s``, ``5m``, ``1.5h`` or ``30d``.

    >>> parse_duration("5m")
    300000
    >>> parse_duration("1h30m")
    5400000
    """
    text = str(value).replace(" ", "")
    parts = _DURATION.findall(text)
    if isinstance(value, bool) or not parts or "".join(n + u for n, u in parts) != text:
        raise ValueError(f"expected a duration with a unit such as 30s, 5m, 1h or 30d, got {value!r}")
    return int(sum(float(number) * _UNITS_MS[unit] for number, unit in parts))


def format_duration(milliseconds: int) -> str:
    """The shortest exact spelling of a duration, the inverse of ``parse_duration``.

    >>> format_duration(5_400_000), format_duration(86_400_000), format_duration(250)
    ('1h30m', '1d', '250ms')
    """
    rest, parts = milliseconds, []
    for unit in ("d", "h", "m", "s", "ms"):
        whole, rest = divmod(rest, _UNITS_MS[unit])
        if whole:
            parts.append(f"{whole}{unit}")
    return "".join(parts) or "0s"


def _duration(value: Any) -> int:
    # A default is written in milliseconds in code; a user always states the unit.
    return value if type(value) is _Milliseconds else parse_duration(value)


class _Milliseconds(int):
    """Marks a default that is already in milliseconds."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        # Only asked for by the JSON Schema, which shows the default as a user would write it.
        return core_schema.int_schema(serialization=core_schema.plain_serializer_function_ser_schema(format_duration))


def duration(text: str) -> _Milliseconds:
    """A default duration, written as a user would write it."""
    return _Milliseconds(parse_duration(text))


_SCHEMA = {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$", "examples": ["30s", "5m", "1h", "7d"]}
Duration = Annotated[int, BeforeValidator(_duration), WithJsonSchema(_SCHEMA)]
"""Milliseconds in code, text with a unit in the file."""


def future_tolerance() -> Any:
    """The field of a topic's section that says how far into the future its events may lie."""
    told = "An event later than its record's timestamp, or in a file than the time of reading, by more than this is rejected."
    return Field(duration("10m"), alias="future_tolerance", description=told)


def _json_path(value: str) -> str:
    from monitor.config.path import parse_path

    parse_path(value)
    return value


JsonPath = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_json_path)]
"""Where a value stands in an event: ``a.b``, ``inputs[0].x``, ``"dotted.key".c``, ``$key``, ``$timestamp``, ``$header.name``."""


def _topic(name: str) -> str:
    if not re.fullmatch(_TOPIC, name) or name in (".", ".."):
        raise ValueError(f"expected the name of a topic, at most 249 of A-Z, a-z, 0-9, ., _ and -, got {name[:100]!r}")
    return name


_TOPIC = "[A-Za-z0-9._-]{1,249}"
Topic = Annotated[str, AfterValidator(_topic), WithJsonSchema({"type": "string", "pattern": f"^{_TOPIC}$"})]
"""Name of a Kafka topic, as brokers allow it (``org.apache.kafka.common.internals.Topic``)."""


def host_and_port(address: str) -> tuple[str, int]:
    """Both parts of a broker's address, an IPv6 host without its brackets. Raises ``ValueError`` when it is none.

    >>> host_and_port("[::1]:9092")
    ('::1', 9092)
    """
    parts = re.fullmatch(_HOST_AND_PORT, address)
    if parts is None or not 1 <= int(parts[2]) <= 65_535:
        _, at, host = address.rpartition("@")  # what stands before it may be a password
        raise ValueError(f"expected host:port such as kafka:9092, got {(f'...@{host}' if at else address)!r}")
    return parts[1].strip("[]"), int(parts[2])


_HOST_AND_PORT = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?\]):([0-9]{1,5})"


def _broker(address: str) -> str:
    host_and_port(address)
    return address


Broker = Annotated[str, AfterValidator(_broker), WithJsonSchema({"type": "string", "pattern": f"^{_HOST_AND_PORT}$"})]
"""Bootstrap address of a Kafka cluster; an IPv6 address stands in brackets."""


class EventTime(Section):
    """Where the time of an event stands and how it is written."""

    path: JsonPath = Field("$timestamp", description="Path of the time, or $timestamp for the record's own.")
    unit: Literal["iso8601", "s", "ms", "us", "ns"] = Field("ms", description="Unit of a number since 1970, or iso8601 for text.")
    zone: str = Field(
        "UTC",
        description="Zone of an iso8601 time that names none, such as Europe/Paris. The hour that clocks repeat in autumn is read as its"
        " first: what happens in its second is an hour early, so late unless lateness is over an hour. Only times with an offset"
        " tell them apart.",
    )

    @model_validator(mode="after")
    def _known_zone(self) -> Self:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"expected an IANA time zone such as UTC or Europe/Paris, got {self.zone!r}") from error
        return self


class Secret(Section):
    """A secret by reference: from a file or from an environment variable, never in the configuration itself."""

    file: Path | None = Field(
        None, description="File that holds the secret; trailing newlines are dropped. Read at each use, so it may be rotated."
    )
    env: str | None = Field(None, description="Environment variable that holds the secret.")

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("expected exactly one of file, env")
        return self

    def read(self) -> str:
        """The secret itself. Raises ``ValueError`` that names the place, never the content."""
        if self.env is not None:
            value = os.environ.get(self.env, "")
            if not value:
                raise ValueError(f"environment variable {self.env} is not set or empty")
            return value
        assert self.file is not None
        try:
            value = self.file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot read the secret file {self.file}: {type(error).__name__}") from error
        if not value:
            raise ValueError(f"the secret file {self.file} is empty")
        return value


def below(folder: Path, value: Any) -> Any:
    """The value with every relative path in it taken from ``folder``; what holds none is the same object, with what was set in it."""
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, Section):
        parts = {name: getattr(value, name) for name in type(value).model_fields}
        moved = {name: new for name, part in parts.items() if (new := below(folder, part)) is not part}
        return value.model_copy(update=moved) if moved else value
    if isinstance(value, tuple):
        items = tuple(below(folder, each) for each in value)
        return value if all(map(operator.is_, items, value)) else items
    if isinstance(value, dict):
        values = {key: below(folder, each) for key, each in value.items()}
        return value if all(map(operator.is_, values.values(), value.values())) else values
    return value
