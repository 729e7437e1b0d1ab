"""Small drawings about labels as inline SVG: a value with its interval beside a reference, and shares as bars. No style attributes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from monitor.expose.markup import Html, el
from monitor.expose.text import number, percent

_WIDTH = 130
_CHART_WIDTH, _CHART_HEIGHT = 360, 96


def interval_bar(value: float, low: float, high: float, reference: float, *, worse: bool) -> Html | None:
    """The interval as a bar, the value as a dot, the reference as a line across. Scaled to what it shows; None where nothing is known."""
    shown = [each for each in (value, low, high, reference) if math.isfinite(each)]
    if not math.isfinite(value) or not shown:
        return None
    start, end = min(shown), max(shown)
    room = (end - start) * 0.08 or max(abs(end), 1e-9) * 0.08
    scale = _WIDTH / (end - start + 2 * room)

    def x(of: float) -> str:
        return _n((of - start + room) * scale)

    spread = None
    if math.isfinite(low) and math.isfinite(high):
        spread = el("rect", x=x(low), y=4, width=_n(max((high - low) * scale, 1.0)), height=8, rx=2, class_="over" if worse else "under")
    known = math.isfinite(reference)
    spoken = f"{number(value)}, from {number(low)} to {number(high)}"
    return el(
        "svg",
        el("rect", x=0, y=7, width=_WIDTH, height=2, class_="track"),
        spread,
        el("circle", cx=x(value), cy=8, r=3, class_="dot-value"),
        el("line", x1=x(reference), x2=x(reference), y1=0, y2=16, class_="tick") if known else None,
        class_="meter", viewBox=f"0 0 {_WIDTH} 16", width=_WIDTH, height=16, role="img",
        aria_label=f"{spoken}; reference {number(reference)}" if known else spoken,
    )  # fmt: skip


def bar_chart(bars: Sequence[tuple[str, float]], label: str) -> Html:
    """Shares from 0 to 1 as bars with their names below; the tallest has its share above. Scaled to the tallest."""
    step = _CHART_WIDTH / max(len(bars), 1)
    top = max((share for _, share in bars), default=0.0) or 1.0
    shapes: list[Html] = []
    tallest = max(range(len(bars)), key=lambda place: bars[place][1], default=0)
    for place, (name, share) in enumerate(bars):
        x, tall = place * step, max(share, 0.0) / top * _CHART_HEIGHT
        middle = _n(x + step / 2)
        shapes += [
            el(
                "g",
                el("title", f"{name}: {percent(share)}"),
                el("rect", x=_n(x), y=0, width=_n(step), height=_CHART_HEIGHT, class_="hit"),
                el("rect", x=_n(x + step * 0.1), y=_n(_CHART_HEIGHT - tall), width=_n(step * 0.8), height=_n(tall), class_="now"),
            ),
            el("text", name, x=middle, y=_CHART_HEIGHT + 13, text_anchor="middle"),
        ]
        if place == tallest:
            anchor = "end" if place > len(bars) / 2 else "start"
            edge = _n(x + step if anchor == "end" else x)
            shapes.append(el("text", percent(share), x=edge, y=_n(_CHART_HEIGHT - tall - 4), text_anchor=anchor))
    frame = f"0 -18 {_CHART_WIDTH} {_CHART_HEIGHT + 36}"
    return el("svg", *shapes, class_="hist chart", viewBox=frame, role="img", aria_label=label)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
