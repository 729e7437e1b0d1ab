"""Progress of a long command on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

BAR_EVERY_S = 0.1
LINE_EVERY_S = 10.0
_WIDTH = 24

Advance = Callable[[int, int], None]
"""Called with how much more is done (in the unit of ``total``) and how many more rows that were."""

Part = Callable[[str, int | None], Advance]
"""Called with the label and the total of what begins now."""


def bar_text(label: str, done: int, total: int | None, rows: int, elapsed_s: float) -> str:
    """One line of progress.

    >>> bar_text("counting", 50, 100, 2000, 2.0)
    'counting ############------------  50 %  2,000 rows  1,000/s'
    """
    parts = [label]
    if total:
        share = min(done / total, 1.0)
        full = int(share * _WIDTH)
        parts.append("#" * full + "-" * (_WIDTH - full) + f" {share * 100:3.0f} %")
    if rows:
        parts.append(f" {rows:,} rows")
        if elapsed_s > 0:
            parts.append(f" {rows / elapsed_s:,.0f}/s")
    return " ".join(parts)


@dataclass
class _Line:
    label: str
    total: int | None
    stream: TextIO
    clock: Callable[[], float]
    done: int = 0
    rows: int = 0
    shown_width: int = 0
    started: float = field(init=False)
    shown_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.live = self.stream.isatty()
        self.started = self.shown_at = self.clock()

    def advance(self, done: int, rows: int) -> None:
        self.done += done
        self.rows += rows
        now = self.clock()
        if now - self.shown_at >= (BAR_EVERY_S if self.live else LINE_EVERY_S):
            self.shown_at = now
            self.show("" if self.live else "\n")

    def show(self, end: str) -> None:
        text = bar_text(self.label, self.done, self.total, self.rows, self.clock() - self.started)
        # On a terminal the line is redrawn in place; blanks wipe what a longer one left.
        self.stream.write("\r" + text.ljust(self.shown_width) + end if self.live else text + end)
        self.stream.flush()
        self.shown_width = len(text)


@contextmanager
def progress(
    total: int | None, label: str, *, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Advance]:
    """``with progress(total, label) as advance: advance(done, rows)``; what is given adds up.

    ``total`` is what ``done`` adds up to, None when unknown. Elsewhere than on a terminal a line is written every ten
    seconds and one at the end.
    """
    with parts(stream=stream, clock=clock) as part:
        yield part(label, total)


@contextmanager
def parts(*, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> Iterator[Part]:
    """``with parts() as part: advance = part(label, total)``; each part has a line of its own, and ends when the next begins."""
    lines: list[_Line] = []

    def part(label: str, total: int | None) -> Advance:
        if lines:
            lines[-1].show("\n")
        lines.append(_Line(label, total, sys.stderr if stream is None else stream, clock))
        return lines[-1].advance

    try:
        yield part
    finally:
        if lines:
            lines[-1].show("\n")
