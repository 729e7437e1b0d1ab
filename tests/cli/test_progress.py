"""A bar that is redrawn on a terminal, lines elsewhere, nothing on standard output."""

from __future__ import annotations

import io

import pytest

from monitor.cli.progress import BAR_EVERY_S, LINE_EVERY_S, bar_text, parts, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_terminal_sees_one_line_that_is_redrawn() -> None:
    out, clock = Terminal(), Clock()
    with progress(1_000, "reading", stream=out, clock=clock) as advance:
        for _ in range(10):
            clock.now += BAR_EVERY_S
            advance(100, 5)
    drawn = out.getvalue()
    assert drawn.count("\n") == 1 and drawn.endswith("\n")
    last = drawn.rstrip("\n").split("\r")[-1].rstrip()
    assert last == bar_text("reading", 1_000, 1_000, 50, 10 * BAR_EVERY_S)
    assert "100 %" in last and "50 rows" in last


def test_each_part_counts_for_itself_and_keeps_its_last_line() -> None:
    out, clock = Terminal(), Clock()
    with parts(stream=out, clock=clock) as part:
        for label, total in (("pass 1 of 2", 100), ("pass 2 of 2", 100)):
            advance = part(label, total)
            for _ in range(4):
                clock.now += 1
                advance(25, 10)
    shown = [line.split("\r")[-1].rstrip() for line in out.getvalue().rstrip("\n").split("\n")]
    assert shown == [bar_text(f"pass {number} of 2", 100, 100, 40, 4.0) for number in (1, 2)]
    with parts(stream=out, clock=clock):
        pass  # nothing began, so nothing is said
    assert out.getvalue().count("\n") == 2


def test_a_shorter_line_wipes_what_a_longer_one_left() -> None:
    out, clock = Terminal(), Clock()
    with progress(None, "reading", stream=out, clock=clock) as advance:
        clock.now += 1
        advance(0, 10_000_000)
        clock.now += 10_000
        advance(0, 0)
    longer, shorter = out.getvalue().split("\r")[1:3]
    assert len(shorter) >= len(longer.rstrip("\n"))


def test_a_file_sees_a_line_now_and_then_and_one_at_the_end() -> None:
    out, clock = io.StringIO(), Clock()
    with progress(100, "reading", stream=out, clock=clock) as advance:
        for _ in range(25):
            clock.now += 1
            advance(4, 1)
    lines = out.getvalue().splitlines()
    assert len(lines) == 25 // int(LINE_EVERY_S) + 1
    assert "\r" not in out.getvalue()
    assert lines[-1] == bar_text("reading", 100, 100, 25, 25.0)


def test_what_was_done_is_shown_also_when_the_work_fails() -> None:
    out = io.StringIO()
    with pytest.raises(ValueError, match="stop"), progress(10, "reading", stream=out) as advance:
        advance(5, 1)
        raise ValueError("stop")
    assert out.getvalue().startswith("reading ############------------  50 %  1 rows")


def test_an_unknown_total_shows_rows_alone() -> None:
    assert bar_text("reading", 0, None, 1_500, 3.0) == "reading  1,500 rows  500/s"
    assert bar_text("reading", 7, 0, 0, 0.0) == "reading"


def test_more_than_the_total_is_all_of_it() -> None:
    assert bar_text("x", 300, 100, 0, 1.0) == "x ######################## 100 %"
