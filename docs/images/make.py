"""Draws the pictures of the README from a run of the demonstration: ``make pictures``. Needs Chromium for the status page."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
COLUMNS, LINE_PX, LETTER_PX, MARGIN_PX = 150, 17, 7.8, 18
COLOURS = {"1": ("#fff", True), "2": ("#8b949e", False), "31": ("#ff7b72", False), "32": ("#7ee787", False), "33": ("#e3b341", False)}
COLOURS |= {"36": ("#79c0ff", False)}
PAGE_PX = (1280, 1500)


def played(command: str, over: Callable[[str], bool]) -> str:
    """What a command of the demonstration writes on a terminal, until it ends, or is ended because ``over`` says so of what it wrote."""
    child, terminal = pty.fork()
    if child == 0:
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": "50"}
        os.execve(sys.executable, [sys.executable, "-m", "monitor.demo", command], environment)  # noqa: S606
    written = b""
    try:
        while part := _read(terminal):
            written += part
            if over(written.decode(errors="ignore")):
                break
    finally:
        os.kill(child, signal.SIGINT)
        while _read(terminal):
            pass
        os.waitpid(child, 0)
    return written.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux says that the other end is closed
        return b""


def lines(written: str) -> Iterator[str]:
    """Lines as they stand in the end: a redrawn one only as it was left."""
    for line in written.replace("\r\n", "\n").split("\n"):
        yield line.rpartition("\x1b[K")[2].rpartition("\r")[2]


def drawn(text: list[str], title: str) -> str:
    """An SVG of lines with colours (ECMA-48, SGR)."""
    width, height = 2 * MARGIN_PX + max(len(_plain(line)) for line in text) * LETTER_PX, 2 * MARGIN_PX + len(text) * LINE_PX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}" '
        'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="13" fill="#d1d7de" '
        f'xml:space="preserve"><title>{escape(title)}</title><rect width="100%" height="100%" rx="8" fill="#14181d"/>'
    ]
    for number, line in enumerate(text):
        column, colour, bold = 0, "", False
        for code, piece in re.findall(r"(?:\x1b\[(\d*)m)?([^\x1b]*)", line):
            colour, bold = COLOURS.get(code, ("", False))
            style = (' font-weight="700"' if bold else "") + (f' fill="{colour}"' if colour else "")
            for words in re.finditer(r"\S+(?: \S+)*", piece):  # wider gaps are made by where each begins
                at = f'x="{MARGIN_PX + (column + words.start()) * LETTER_PX:.1f}" y="{MARGIN_PX + number * LINE_PX + 13}"'
                size = f'textLength="{len(words[0]) * LETTER_PX:.1f}" lengthAdjust="spacingAndGlyphs"'
                parts.append(f"<text {at}{style} {size}>{escape(words[0])}</text>")
            column += len(piece)
    return "\n".join([*parts, "</svg>", ""])


def _plain(line: str) -> str:
    return re.sub(r"\x1b\[\d*m", "", line)


def photographed(address: str, target: Path) -> None:
    """The page at an address, as Chromium shows it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("Chromium is needed to draw the status page: install it, or leave docs/images/status.png as it is")
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={PAGE_PX[0]},{PAGE_PX[1]}"]
    subprocess.run([*command, f"--screenshot={target}", address], check=True, capture_output=True, timeout=120)  # noqa: S603 (its own words)


def main() -> None:
    """Run the demonstration twice: once to its end, once to look at its page."""
    print("make demo, to its end ...", flush=True)
    text = ["\x1b[1m$ make demo\x1b[0m", *lines(played("run", lambda _written: False))]
    (HERE / "terminal.svg").write_text(drawn(text, "make demo, as it ends"), encoding="utf-8")
    print("make demo-serve, to look at its page ...", flush=True)

    def look(written: str) -> bool:
        if "Ctrl-C ends it" not in written:
            return False
        [address, *_] = re.findall(r"http://127\.0\.0\.1:\d+/", written)
        photographed(address, HERE / "status.png")
        return True

    played("serve", look)
    print(f"written: {HERE}/terminal.svg and status.png", flush=True)


if __name__ == "__main__":
    main()
