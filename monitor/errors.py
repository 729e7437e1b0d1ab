"""Every error that driftgauge raises on purpose.

    DriftgaugeError
    ├── ConfigError        the configuration cannot be used; carries every mistake, with its path
    │   └── ReferencesError  it can, and the references that it names cannot
    ├── ReferenceFileError a reference file is unreadable, of another version, or altered
    ├── SourceError        the broker or the input file cannot be read
    ├── SinkError          a message could not be delivered
    └── StateError         the saved state cannot be used

A message says what was expected, what was found, where, and what to do next. The command line
prints the message alone and exits with ``exit_code``; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent


class DriftgaugeError(Exception):
    """Base of the tree; ``exit_code`` is what the command line exits with."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a configuration: where, and what was expected and got."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigError(DriftgaugeError):
    """The configuration cannot be used. All mistakes are reported at once."""

    exit_code = 2

    def __init__(self, source: str, mistakes: Sequence[Mistake]) -> None:
        self.source = source
        self.mistakes = tuple(mistakes)
        count = len(self.mistakes)
        head = f"{source}: {count} mistake{'s' if count != 1 else ''}"
        super().__init__("\n".join([head, *(indent(str(mistake), "  ") for mistake in self.mistakes)]))


class ReferencesError(ConfigError):
    """The references that a configuration names cannot be used, or not with it; the configuration itself can."""

    exit_code = 3


class ReferenceFileError(DriftgaugeError):
    """A reference file is unreadable, of an unknown version, or its content was changed."""

    exit_code = 3


class SourceError(DriftgaugeError):
    """The broker or the input file cannot be read."""

    exit_code = 4


class SinkError(DriftgaugeError):
    """A message could not be delivered."""

    exit_code = 4


class StateError(DriftgaugeError):
    """The saved state cannot be used."""

    exit_code = 5
