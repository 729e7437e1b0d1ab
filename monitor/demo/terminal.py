"""What is written while the demonstration runs: a line for each step, redrawn in place on a terminal and nowhere else."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TextIO

Style = Literal["bold", "dim", "red", "yellow", "green", "cyan"]

_CODES: Mapping[Style, int] = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 10.0  # between lines where nothing can be redrawn
_TITLE_WIDTH = 15
_BAR_WIDTH = 24


@dataclass(frozen=True, slots=True)
class Ink:
    """Colours, or none."""

    on: bool

    def __call__(self, style: Style, text: str) -> str:
        """The text in a style (ECMA-48, SGR).

        >>> Ink(True)("red", "x"), Ink(False)("red", "x")
        ('\\x1b[31mx\\x1b[0m', 'x')
        """
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.on and text else text


def bar(done: int, total: int, reached: str) -> str:
    """Progress in rows, and the event time reached.

    >>> bar(71_206, 284_821, "2013-05-19")
    '######------------------  25 %    71,206 rows   events of 2013-05-19'
    """
    share = min(done / total, 1.0) if total else 1.0
    full = int(share * _BAR_WIDTH)
    return f"{'#' * full}{'-' * (_BAR_WIDTH - full)} {share * 100:3.0f} %  {done:8,} rows   events of {reached}"


@dataclass(eq=False)
class Step:
    """A step that is under way. ``outcome`` is what its line says in the end."""

    terminal: Terminal
    title: str
    started: float
    outcome: str = ""
    shown_at: float = 0.0

    def show(self, text: str) -> None:
        """Say how far it is: in place on a terminal, now and then elsewhere."""
        now = self.terminal.clock()
        if now - self.shown_at >= (_REDRAW_SECONDS if self.terminal.live else _LINE_SECONDS):
            self.shown_at = now
            self.terminal.redraw(self._line(text), "" if self.terminal.live else "\n")

    def _line(self, text: str) -> str:
        seconds = f"{self.terminal.clock() - self.started:6.1f} s"
        ink = self.terminal.ink
        return f"  {ink('bold', self.title.ljust(_TITLE_WIDTH))} {ink('dim', seconds)}   {text}"

    def end(self) -> None:
        """Write the line for good."""
        self.terminal.redraw(self._line(self.outcome), "\n")


@dataclass(eq=False)
class Terminal:
    """Where it is written. ``live`` says whether a line can be redrawn in place."""

    stream: TextIO
    live: bool
    ink: Ink
    clock: Callable[[], float] = time.monotonic
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.clock()

    @classmethod
    def on(cls, stream: TextIO, environment: Mapping[str, str] = os.environ) -> Terminal:
        """Live on a terminal that can move its cursor; in colour unless NO_COLOR is set (no-color.org)."""
        live = stream.isatty() and environment.get("TERM", "dumb") != "dumb"
        return cls(stream, live, Ink(live and not environment.get("NO_COLOR")))

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self.clock() - self.begun

    def say(self, *lines: str) -> None:
        """Write lines."""
        for line in lines:
            self.stream.write(line + "\n")
        self.stream.flush()

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A step with its time; its line is written when it ends, also when it fails."""
        step = Step(self, title, self.clock())
        step.shown_at = 0.0 if self.live else self.clock()
        try:
            step.show("")
            yield step
        except BaseException:
            step.outcome = step.outcome or self.ink("red", "not finished")
            raise
        finally:
            step.end()

    def redraw(self, line: str, end: str) -> None:
        """Replace the current line of a terminal; elsewhere write another."""
        if self.live:
            # A bar that wraps could not be redrawn. Colours take no room, so what is cut is the plain text's excess.
            room = shutil.get_terminal_size().columns - 1
            line = "\r\x1b[K" + (line if end or _width(line) <= room else _plain(line)[:room])
        self.stream.write(line + end)
        self.stream.flush()


def _plain(text: str) -> str:
    for code in _CODES.values():
        text = text.replace(f"\x1b[{code}m", "")
    return text.replace("\x1b[0m", "")


def _width(text: str) -> int:
    return len(_plain(text))
