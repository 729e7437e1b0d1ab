"""Lines on a terminal, and elsewhere."""

from __future__ import annotations

import io
import os

import pytest

from monitor.demo.terminal import Ink, Terminal


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_elsewhere_than_on_a_terminal_a_step_is_one_line_and_progress_a_line_now_and_then() -> None:
    written, clock = io.StringIO(), Clock()
    terminal = Terminal(written, live=False, ink=Ink(False), clock=clock)
    with terminal.step("stream") as step:
        for _ in range(25):
            clock.now += 1
            step.show("under way")
        step.outcome = "done"
    assert written.getvalue() == (
        "  stream            10.0 s   under way\n  stream            20.0 s   under way\n  stream            25.0 s   done\n"
    )


def test_on_a_terminal_a_step_is_redrawn_in_place() -> None:
    screen, clock = Screen(), Clock()
    with Terminal(screen, live=True, ink=Ink(False), clock=clock).step("stream") as step:
        for _ in range(3):
            clock.now += 0.06  # more often than it is redrawn
            step.show("under way")
        step.outcome = "done"
    drawn = screen.getvalue().split("\r\x1b[K")
    assert [line.split()[-1] for line in drawn[1:]] == ["s", "way", "done"]
    assert screen.getvalue().count("\n") == 1


def test_a_bar_that_would_wrap_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    screen, clock = Screen(), Clock()
    with Terminal(screen, live=True, ink=Ink(True), clock=clock).step("stream") as step:
        clock.now += 1
        step.show("x" * 100)
        step.outcome = "done"
    [cut] = [line for line in screen.getvalue().split("\r\x1b[K") if "xx" in line]
    assert cut == "  stream             1.0 s   ".ljust(49, "x")


def test_a_step_that_fails_says_so_and_lets_the_error_through() -> None:
    written = io.StringIO()
    with pytest.raises(ZeroDivisionError), Terminal(written, live=False, ink=Ink(False)).step("broker"):
        raise ZeroDivisionError
    assert written.getvalue().endswith("not finished\n")


@pytest.mark.parametrize(
    ("stream", "environment", "live", "coloured"),
    [
        (Screen(), {"TERM": "xterm"}, True, True),
        (Screen(), {"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        (Screen(), {"TERM": "xterm", "NO_COLOR": ""}, True, True),  # no-color.org: when present and not empty
        (Screen(), {"TERM": "dumb"}, False, False),
        (Screen(), {}, False, False),
        (io.StringIO(), {"TERM": "xterm"}, False, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(stream: io.StringIO, environment: dict[str, str], live: bool, coloured: bool) -> None:
    terminal = Terminal.on(stream, environment)
    assert (terminal.live, terminal.ink.on) == (live, coloured)


def test_the_environment_of_the_process_is_the_default() -> None:
    assert Terminal.on(Screen()).live == (os.environ.get("TERM", "dumb") != "dumb")
